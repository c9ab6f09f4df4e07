"""What ends a command early, and the exit code that a script sees.

Failure           1  it was tried and did not work
├── BadUsage      2  wrong flags or arguments, or a stack file that cannot be used
├── Missing       3  there is no such function, secret, call, …
├── LoginNeeded   4  the login is absent or refused
├── Unreachable   5  the gateway, or a part of the platform behind it, is away
└── Exists        6  it exists already
"""

from __future__ import annotations

from typing import ClassVar

from tidemill.contract.errors import BadRequest, Conflict, NotFound, TidemillError, Unavailable


class Failure(Exception):
    """One whole sentence for the user; never a traceback."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"

    def __init__(
        self, message: str, *, hint: str | None = None, call_id: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.call_id = call_id
        self.wire_code = code or self.code
        """The platform's own code where it gave one."""

    def as_wire(self) -> dict[str, str | int]:
        """What `--json` prints on standard error."""
        body: dict[str, str | int] = {"error": str(self), "code": self.wire_code, "exit_code": self.exit_code}
        if self.hint:
            body["hint"] = self.hint
        if self.call_id:
            body["call_id"] = self.call_id
        return body


class BadUsage(Failure):
    exit_code = 2
    code = "usage"


class Missing(Failure):
    exit_code = 3
    code = "not_found"


class LoginNeeded(Failure):
    exit_code = 4
    code = "unauthorized"


class Unreachable(Failure):
    exit_code = 5
    code = "unreachable"


class Exists(Failure):
    exit_code = 6
    code = "conflict"


_OF_ERRORS: tuple[tuple[type[TidemillError], type[Failure]], ...] = (
    (BadRequest, BadUsage),
    (NotFound, Missing),
    (Conflict, Exists),
    (Unavailable, Unreachable),
)

_OF_STATUS: dict[int, type[Failure]] = {
    400: BadUsage,
    401: LoginNeeded,
    403: LoginNeeded,
    404: Missing,
    409: Exists,
    503: Unreachable,
}


def of_status(status: int) -> type[Failure]:
    """Which failure an HTTP status of the platform is."""
    return _OF_STATUS.get(status, Failure)


def of_error(error: TidemillError) -> Failure:
    """A local error of the contract (a bad stack file, a bad name) as the failure it is."""
    kind = next((failure for base, failure in _OF_ERRORS if isinstance(error, base)), Failure)
    return kind(str(error), hint=error.hint, code=error.code)
