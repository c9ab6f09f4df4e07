"""GET /items?limit=&next=&status=: the items, newest first, a page at a time."""

from tidemill.lib.config import Config
from tidemill.lib.connections import PerProcess, connect_mongo
from tidemill.lib.function import answer, answers_errors
from tidemill.lib.items import MongoItems, next_page

items = PerProcess(lambda: MongoItems(connect_mongo(Config()).items))


@answers_errors
def handle(event, context):
    page = next_page(
        items(),
        limit=event.query.get("limit"),
        token=event.query.get("next"),
        status=event.query.get("status"),
    )
    return answer(200, {"items": [item.as_wire() for item in page.items], "next": page.next})
