"""The handler as a Flask application."""

from __future__ import annotations

import io
from typing import IO, Any

from flask import Flask, Request
from flask.globals import request_ctx
from werkzeug.exceptions import InternalServerError
from werkzeug.routing import MapAdapter

from tidemill.contract.errors import TooLarge
from tidemill.lib import log
from tidemill.runtime.answers import FunctionResponse, HandlerFailed, error_answer
from tidemill.runtime.complaints import begin_with_own_code
from tidemill.runtime.handlers import View

_log = log.get_logger("fn")


class FunctionApp(Flask):
    """Flask without routes: whatever the path and method, the handler answers. That saves a tenth of a quick call.

    An exception of the handler's becomes a 500 with the call id; its traceback is in the log only.
    """

    response_class = FunctionResponse

    def __init__(self, view: View, *, root: str, max_body_bytes: int | None = None) -> None:
        """`root`: where Flask looks for files that the handler names, as the template's /home/app."""
        super().__init__("function", static_folder=None, root_path=root)
        self._max_body_bytes = max_body_bytes
        self._view = view
        self.register_error_handler(InternalServerError, _handler_failed)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """None: there is nothing to match."""
        return None

    def dispatch_request(self) -> Any:
        request = request_ctx.request
        if self._over_limit(request):
            return error_answer(TooLarge(f"the body is over the function's limit of {self._max_body_bytes} bytes"))
        try:
            return self._view(request)
        except SystemExit as leaving:  # a handler that means "I am done" must not end the replica
            raise RuntimeError(f"the handler called sys.exit({leaving.code!r})") from leaving

    def _over_limit(self, request: Request) -> bool:
        limit, environ = self._max_body_bytes, request.environ
        if limit is None or "HTTP_X_TIDEMILL_ATTEMPT" in environ:
            return False  # the async door has measured a delivery against its own, larger limit
        if "HTTP_TRANSFER_ENCODING" not in environ:
            return int(environ.get("CONTENT_LENGTH") or 0) > limit
        body = _read_at_most(environ["wsgi.input"], limit + 1)
        environ["wsgi.input"] = io.BytesIO(body)
        return len(body) > limit

    def log_exception(self, exc_info: Any) -> None:
        """Flask calls it inside the `except` block of the handler's exception."""
        begin_with_own_code(exc_info[1], self.root_path)
        _log.error("handler failed")


def _read_at_most(stream: IO[bytes], size: int) -> bytes:
    body = bytearray()
    while len(body) < size and (data := stream.read(size - len(body))):
        body += data
    return bytes(body)


def _handler_failed(error: InternalServerError) -> FunctionResponse:
    cause = error.original_exception
    kind = type(cause).__name__ if cause is not None else "an error"
    return error_answer(HandlerFailed(f"the function raised {kind}; its log has the traceback"), internal=None)
