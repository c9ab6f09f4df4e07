"""The whole API as one ASGI application."""

from __future__ import annotations

from collections.abc import Sequence
from errno import EDQUOT, ENOSPC
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tidemill.contract.errors import NotFound, TidemillError, Unauthorized, Unavailable
from tidemill.lib.auth import Credentials
from tidemill.lib.log import Logger
from tidemill.lib.web import error_response, exception_handlers, require_login
from tidemill.provider.functions import Functions

COMPONENT = "control"


class MethodNotAllowed(TidemillError):
    """The method is not allowed here."""

    code = "method_not_allowed"
    status = 405


def make_app(*, routes: Sequence[Route], functions: Functions, credentials: Credentials, log: Logger) -> Starlette:
    async def health(_request: Request) -> Response:
        if not functions.loaded:
            raise Unavailable("the platform is starting: functions are being brought back")
        return JSONResponse({"status": "ok"})

    handlers: dict[Any, Any] = exception_handlers(COMPONENT, log)
    handlers |= {404: _no_such_path, 405: _no_such_method, OSError: _system_error}
    return Starlette(
        routes=[Route("/healthz", health, methods=["GET"]), *routes],
        middleware=[Middleware(Login, credentials=credentials)],
        exception_handlers=handlers,
    )


class Login:
    """Everything under /system needs the login; /build checks its own."""

    def __init__(self, app: ASGIApp, *, credentials: Credentials) -> None:
        self._app = app
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/system"):
            try:
                require_login(Request(scope), self._credentials)
            except Unauthorized as error:
                await error_response(error, component=COMPONENT)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _no_such_path(request: Request, _error: Exception) -> Response:
    return error_response(NotFound(f"there is nothing at {request.url.path[:200]}"), component=COMPONENT)


async def _no_such_method(request: Request, _error: Exception) -> Response:
    error = MethodNotAllowed(f"{request.method} cannot be used at {request.url.path[:200]}")
    return error_response(error, component=COMPONENT)


async def _system_error(_request: Request, error: Exception) -> Response:
    """A full disk is the operator's to know; anything else is ours."""
    assert isinstance(error, OSError)
    if error.errno not in (ENOSPC, EDQUOT):
        raise error
    return error_response(Unavailable("the disk is full", hint="free some space and try again"), component=COMPONENT)
