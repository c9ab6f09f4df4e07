"""Requests and answers of the door, apart from the server that carries them (granian's RSGI)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Protocol

import orjson

from tidemill.contract import headers
from tidemill.contract.errors import TidemillError, Unauthorized
from tidemill.lib.auth import CHALLENGE

COMPONENT = "door"


class Body(Protocol):
    """A request's body, to be read once: whole, or piece by piece."""

    def __call__(self) -> Awaitable[bytes]: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    """Names in lower case."""
    body: Body

    def header(self, name: str) -> str | None:
        name = name.lower()
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


Handler = Callable[[Request, Mapping[str, str]], Awaitable[Answer]]
"""With what the route's pattern and the query gave."""


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, [("content-type", "application/json")], orjson.dumps(value))


def error_answer(error: TidemillError, call_id: str | None) -> Answer:
    """The wire form of an error, marked as the platform's own."""
    found = [("content-type", "application/json"), (headers.INTERNAL, COMPONENT)]
    if call_id:
        found.append((headers.CALL_ID, call_id))
    if isinstance(error, Unauthorized):
        found += list(CHALLENGE.items())
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        found.append((headers.RETRY_AFTER, str(max(1, ceil(retry_after_s)))))
    return Answer(error.status, found, orjson.dumps(error.as_wire(call_id=call_id)))
