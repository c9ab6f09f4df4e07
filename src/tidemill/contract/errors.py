"""Every error the platform reports, as one shallow tree.

    TidemillError
    ├── BadRequest              400  what the caller sent cannot be used
    │   ├── BadStack            400  stack.yml; names file and line
    │   └── RouteClash          400  two functions claim one route; names both
    ├── Unauthorized            401
    ├── NotFound                404
    │   └── FunctionNotFound    404
    ├── Conflict                409
    ├── TooLarge                413
    ├── UnsupportedMediaType    415
    ├── Unprocessable           422
    ├── TooManyRequests         429
    ├── DeployFailed            500  a version did not become ready; carries the reason
    └── Unavailable             503  a part is down; carries retry_after_s

A class is the row of the wire-error table: `code` is stable, `status` is HTTP, the docstring is the
sentence used where none is given. `hint` says what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class TidemillError(Exception):
    """Something went wrong inside the platform."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.hint = hint

    def as_wire(self, *, call_id: str | None = None) -> dict[str, str]:
        """The JSON body of the error answer: `error`, `code`, and `hint`/`call_id` where known."""
        body = {"error": str(self), "code": self.code}
        if self.hint:
            body["hint"] = self.hint
        if call_id:
            body["call_id"] = call_id
        return body


class BadRequest(TidemillError):
    """The request cannot be used as it is."""

    code = "bad_request"
    status = 400


class BadStack(BadRequest):
    """The stack file cannot be used as it is."""

    code = "bad_stack"

    def __init__(self, message: str, *, file: str, line: int | None = None, hint: str | None = None) -> None:
        where = f"{file}:{line}" if line is not None else file
        super().__init__(f"{where}: {message}", hint=hint)
        self.file = file
        self.line = line


class RouteClash(BadRequest):
    """Two functions claim one route."""

    code = "route_clash"

    def __init__(self, route: str, *, holder: str, claimant: str) -> None:
        super().__init__(f'route "{route}" of {claimant} is already held by {holder}')
        self.route = route
        self.holder = holder
        self.claimant = claimant


class Unauthorized(TidemillError):
    """A login is needed."""

    code = "unauthorized"
    status = 401


class NotFound(TidemillError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class FunctionNotFound(NotFound):
    """There is no such function."""

    code = "function_not_found"

    def __init__(self, name: str, namespace: str) -> None:
        super().__init__(f"function {name} is not deployed in namespace {namespace}")
        self.name = name
        self.namespace = namespace


class Conflict(TidemillError):
    """It exists already."""

    code = "conflict"
    status = 409


class TooLarge(TidemillError):
    """The body is over the limit."""

    code = "too_large"
    status = 413


class UnsupportedMediaType(TidemillError):
    """The body is of a kind that is not taken here."""

    code = "unsupported_media_type"
    status = 415


class Unprocessable(TidemillError):
    """The request is well-formed but contradicts an earlier one."""

    code = "unprocessable"
    status = 422


class TooManyRequests(TidemillError):
    """The function is at its limit."""

    code = "too_many_requests"
    status = 429

    def __init__(self, message: str | None = None, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeployFailed(TidemillError):
    """The new version did not become ready."""

    code = "deploy_failed"
    status = 500


class Unavailable(TidemillError):
    """A part of the platform is not reachable at the moment."""

    code = "unavailable"
    status = 503

    def __init__(self, message: str | None = None, *, retry_after_s: float = 1.0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s
