"""Answers as the function server sends them, and those that it makes itself in place of a handler's."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, cast

from flask import Response, json

from tidemill.contract import headers
from tidemill.contract.errors import TidemillError
from tidemill.lib.correlation import current
from tidemill.runtime.calls import AtLimit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

INTERNAL_LIMIT = "faas-middleware"
"""The component that of-watchdog names on a 429 of `max_inflight`."""
INTERNAL_RUNTIME = "runtime"
BODILESS = frozenset((*range(100, 200), 204, 304))
"""Statuses whose answers have no body."""
ORDINARY_HEADERS = ["Content-Type", "Content-Length"]


class HandlerFailed(TidemillError):
    """The function raised an exception; its log has the traceback under this call id."""

    code = "function_failed"


class CallTimedOut(TidemillError):
    """The function did not answer within the limit that the caller set."""

    code = "timeout"
    status = 504


class FunctionResponse(Response):
    """An answer that is complete goes out as a list of one, which granian sends in one piece."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._is_ordinary(environ):
            start_response(self.status, self.headers.to_wsgi_list())
            self.close()
            return cast(list[bytes], self.response)
        body, status, pairs = self.get_wsgi_response(environ)
        start_response(status, pairs)
        if self.is_streamed:
            return body
        with closing(body):  # type: ignore[type-var]  # werkzeug's own iterator, which has close()
            return [b"".join(body)]

    def _is_ordinary(self, environ: WSGIEnvironment) -> bool:
        """Text or bytes of a handler without headers of its own: there is nothing for werkzeug to put right. Saves a
        twentieth of a quick call."""
        return (
            type(self.response) is list
            and len(self.response) == 1
            and type(self.response[0]) is bytes
            and self.status_code not in BODILESS
            and environ["REQUEST_METHOD"] != "HEAD"
            and list(self.headers.keys()) == ORDINARY_HEADERS
        )


@dataclass(slots=True)
class Answer:
    """What a WSGI application answered; a `body` that is a list is complete, any other is still being made."""

    status: str
    headers: list[tuple[str, str]]
    body: Iterable[bytes]

    @property
    def code(self) -> int:
        return int(self.status[:3])


def ask(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """Calls `app` without sending anything yet."""
    answer = Answer("", [], [])

    def start(status: str, pairs: list[tuple[str, str]], exc_info: Any = None) -> Any:
        answer.status, answer.headers = status, pairs

    answer.body = app(environ, start)
    return answer


def error_answer(error: TidemillError, *, internal: str | None = INTERNAL_RUNTIME) -> FunctionResponse:
    """The wire form of an error; `internal` None where it is the function's own doing."""
    body = json.dumps(error.as_wire(call_id=current().call_id or None))
    answer = FunctionResponse(body, error.status, mimetype="application/json")
    if internal:
        answer.headers[headers.INTERNAL] = internal
    return answer


def at_limit(limit: AtLimit) -> FunctionResponse:
    answer = FunctionResponse(f"{limit}\n", limit.status, mimetype="text/plain")
    answer.headers[headers.INTERNAL] = INTERNAL_LIMIT
    answer.headers[headers.RETRY_AFTER] = str(ceil(limit.retry_after_s))
    return answer
