"""POST /graphql (or GET /graphql?query=): the same items by GraphQL."""

from graphql import execute_sync

from tidemill.contract.errors import BadRequest, TidemillError
from tidemill.lib.config import Config
from tidemill.lib.connections import PerProcess, connect_mongo
from tidemill.lib.function import answer, json_object
from tidemill.lib.items import MongoItems
from tidemill.lib.log import get_logger

from .bounds import checked_document
from .schema import SCHEMA, Query

items = PerProcess(lambda: MongoItems(connect_mongo(Config()).items))
log = get_logger("fn")


def handle(event, context):
    try:
        query, variables, operation = read_request(event)
        document = checked_document(SCHEMA, query)
    except BadRequest as error:
        return answer(error.status, {"errors": [{"message": str(error)}]})

    result = execute_sync(SCHEMA, document, Query(items), variable_values=variables, operation_name=operation)
    body = {"data": result.data}
    if result.errors:
        body["errors"] = [wire_error(error) for error in result.errors]
    broken = any(is_ours(error) for error in result.errors or ())
    return answer(500 if broken else 200, body)


def read_request(event):
    """Query, variables and operation name. Raises BadRequest."""
    asked = json_object(event.body) if event.method == "POST" else dict(event.query.items())
    variables = asked.get("variables") or {}
    if isinstance(variables, str):
        variables = json_object(variables.encode())
    if not isinstance(asked.get("query"), str) or not isinstance(variables, dict):
        raise BadRequest('send {"query": "{ items { items { id } } }", "variables": {}}')
    operation = asked.get("operationName")
    if operation is not None and not isinstance(operation, str):
        raise BadRequest("operationName must be a text")
    return asked["query"], variables, operation


def is_ours(error):
    """Whether the query was fine and something of ours went wrong."""
    cause = error.original_error
    return cause is not None and not (isinstance(cause, TidemillError) and cause.status < 500)


def wire_error(error):
    """The error as GraphQL writes it; the inside of an unexpected one goes to the log only."""
    wire = error.formatted
    if is_ours(error):
        log.log("error", "query failed", error=repr(error.original_error), path=error.path)
        wire["message"] = "Internal server error"
    return wire
