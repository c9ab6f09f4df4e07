"""What the platform's own HTTP services share: errors as JSON answers, and the login check. Starlette only."""

from __future__ import annotations

from math import ceil

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tidemill.contract import headers
from tidemill.contract.errors import TidemillError, Unauthorized
from tidemill.lib.auth import CHALLENGE, Credentials
from tidemill.lib.log import Logger


def error_response(error: TidemillError, *, call_id: str | None = None, component: str) -> JSONResponse:
    """The wire form of an error, marked as the platform's own (`X-OpenFaaS-Internal`)."""
    answer = JSONResponse(error.as_wire(call_id=call_id), status_code=error.status)
    answer.headers[headers.INTERNAL] = component
    if call_id:
        answer.headers[headers.CALL_ID] = call_id
    if isinstance(error, Unauthorized):
        answer.headers.update(CHALLENGE)
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        answer.headers[headers.RETRY_AFTER] = str(max(1, ceil(retry_after_s)))
    return answer


def exception_handlers(component: str, log: Logger) -> dict[type[Exception], object]:
    """For `Starlette(exception_handlers=…)`: our errors as they are, anything else as a 500 with the call id."""

    def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, TidemillError)
        return error_response(error, call_id=request.headers.get(headers.CALL_ID), component=component)

    def unknown(request: Request, error: Exception) -> Response:
        call_id = request.headers.get(headers.CALL_ID)
        log.error("request failed", call_id=call_id, path=request.url.path, error=f"{type(error).__name__}: {error}")
        return error_response(
            TidemillError("something went wrong inside the platform; its log has the call id"),
            call_id=call_id,
            component=component,
        )

    return {TidemillError: known, Exception: unknown}


def require_login(request: Request, credentials: Credentials) -> None:
    """Raises Unauthorized."""
    if not credentials.permits(request.headers.get("authorization")):
        raise Unauthorized("invalid credentials")
