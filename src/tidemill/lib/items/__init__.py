"""The sample application's items: what they are, what may name them, and where they are kept."""

from tidemill.lib.items.model import Item, Status, check_id, upload_key
from tidemill.lib.items.page import Cursor, Page, next_page
from tidemill.lib.items.store import Items, MongoItems

__all__ = [
    "Cursor",
    "Item",
    "Items",
    "MongoItems",
    "Page",
    "Status",
    "check_id",
    "next_page",
    "upload_key",
]
