"""GET /items/{id}: one item from MongoDB."""

from tidemill.lib.config import Config
from tidemill.lib.connections import PerProcess, connect_mongo
from tidemill.lib.function import answer, route_parameters
from tidemill.lib.items import MongoItems
from tidemill.lib.log import get_logger

items = PerProcess(lambda: MongoItems(connect_mongo(Config()).items))
log = get_logger("fn")


def handle(event, context):
    try:
        item = items().find(route_parameters(event, "GET /items/{id}").get("id"))
        if not item:
            return answer(404, {"error": "Not found"})
        return answer(200, item.as_wire())
    except Exception:
        log.error("could not retrieve the item")
        return answer(500, {"error": "Internal server error"})
