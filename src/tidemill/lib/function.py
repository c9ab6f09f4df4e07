"""Small helpers for handlers of the `python3-http` template: JSON answers, errors, route parameters.

@answers_errors
def handle(event, context):
    item_id = route_parameters(event, "GET /items/{id}").get("id")
    return answer(200, {"id": item_id})
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from math import ceil
from typing import Any, Protocol

from tidemill.contract import headers
from tidemill.contract.errors import BadRequest, TidemillError, Unavailable
from tidemill.contract.routes import Route
from tidemill.lib.log import get_logger

Answer = dict[str, Any]
"""`{"statusCode", "body", "headers"}`, as the template takes it."""


class Event(Protocol):
    """What the template hands to `handle`: one HTTP request."""

    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def method(self) -> str: ...
    @property
    def query(self) -> Mapping[str, str]: ...
    @property
    def path(self) -> str: ...


Handler = Callable[[Any, Any], Answer]

log = get_logger("fn")


def answer(status: int, body: Any, *, extra_headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    return {
        "statusCode": status,
        "body": json.dumps(body, separators=(",", ":"), ensure_ascii=False),
        "headers": {"Content-Type": "application/json", **(extra_headers or {})},
    }


def error_answer(error: TidemillError, event: Event) -> Answer:
    """`{"error", "code", "hint"?, "call_id"?}` with the error's status, and `Retry-After` where it has one."""
    retry_after_s = getattr(error, "retry_after_s", None)
    waits = {headers.RETRY_AFTER: str(max(1, ceil(retry_after_s)))} if retry_after_s is not None else {}
    return answer(error.status, error.as_wire(call_id=event.headers.get(headers.CALL_ID)), extra_headers=waits)


def answers_errors(handle: Handler) -> Handler:
    """Wraps a handler: what it raises becomes a clear answer. Errors of the platform's own tree answer as they are;
    anything else is our bug: logged with its traceback, and answered 500 with the call id alone."""

    @wraps(handle)
    def wrapped(event: Any, context: Any) -> Answer:
        try:
            return handle(event, context)
        except TidemillError as error:
            _note(error)
            return error_answer(error, event)
        except Exception:
            log.error("call failed", status=500)
            return error_answer(TidemillError("Internal server error"), event)

    return wrapped


def _note(error: TidemillError) -> None:
    """The caller's mistakes are no events of ours; an outage is told in a line, with what the driver said."""
    if error.status == Unavailable.status:
        log.warning("call failed", status=error.status, error=str(error), cause=repr(error.__cause__))
    elif error.status >= 500:
        log.error("call failed", status=error.status)


def route_parameters(event: Event, otherwise: str) -> dict[str, str]:
    """The parameters of the route that led here. `otherwise` is the route to read the path by when the function was
    called as /function/NAME/…; {} where the path is none of that route's."""
    return Route.parse(event.headers.get(headers.ROUTE) or otherwise).parameters(event.path)


def json_object(body: bytes) -> dict[str, Any]:
    """The request's body as a JSON object. Raises BadRequest saying what is wrong with it."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as cause:
        raise BadRequest(f"the body is not JSON: {cause}") from cause
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    return value
