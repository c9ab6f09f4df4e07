"""The handler as a Flask application with one route that takes everything."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from werkzeug.exceptions import InternalServerError, RequestEntityTooLarge

from tidemill.contract import headers
from tidemill.contract.errors import TooLarge
from tidemill.lib import log
from tidemill.runtime.answers import FunctionResponse, HandlerFailed, error_answer
from tidemill.runtime.handlers import View

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_log = log.get_logger("fn")


class FunctionApp(Flask):
    """An exception of the handler's becomes a 500 with the call id; its traceback is in the log only."""

    response_class = FunctionResponse

    def __init__(self, view: View, *, max_body_bytes: int | None = None) -> None:
        super().__init__("function", static_folder=None)
        self.config["MAX_CONTENT_LENGTH"] = max_body_bytes
        self._view = view
        for rule in ("/", "/<path:path>"):
            self.add_url_rule(rule, "handle", self._handle, methods=METHODS, provide_automatic_options=False)
        self.register_error_handler(InternalServerError, _handler_failed)

    def _handle(self, path: str = "") -> Any:
        if headers.ATTEMPT in request.headers:
            request.max_content_length = None  # the async door has measured it against its own, larger limit
        try:
            request.get_data()  # here, so that a body over the limit is not taken for the handler's own 413
        except RequestEntityTooLarge:
            limit = request.max_content_length
            return error_answer(TooLarge(f"the body is over the function's limit of {limit} bytes"))
        try:
            return self._view()
        except SystemExit as leaving:  # a handler that means "I am done" must not end the replica
            raise RuntimeError(f"the handler called sys.exit({leaving.code!r})") from leaving

    def log_exception(self, exc_info: Any) -> None:
        """Flask calls it inside the `except` block of the handler's exception."""
        _log.error("handler failed")


def _handler_failed(error: InternalServerError) -> FunctionResponse:
    cause = error.original_exception
    kind = type(cause).__name__ if cause is not None else "an error"
    return error_answer(HandlerFailed(f"the function raised {kind}; its log has the traceback"), internal=None)
