"""The few bytes of HTTP/1.1 that load generators need: one request prepared ahead, answers cut from a stream."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_NO_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes: a loopback port, or a unix socket."""

    port: int = 0
    socket: str | None = None

    def as_text(self) -> str:
        return self.socket or str(self.port)

    @classmethod
    def from_text(cls, text: str) -> Address:
        return cls(port=int(text)) if text.isdigit() else cls(socket=text)


@dataclass(frozen=True, slots=True)
class Request:
    """The same request, sent again and again."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def as_bytes(self) -> bytes:
        head = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body or self.method != "GET":
            head.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*head, "", ""]).encode() + self.body


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    size_bytes: int
    """Of head and body together: what to cut from the stream."""


def parse_answer(stream: bytes) -> Answer | None:
    """The first answer in `stream`, or None while it is incomplete. Raises ValueError on what is not HTTP/1."""
    head_end = stream.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    if not stream.startswith(b"HTTP/1."):
        raise ValueError(f"not an HTTP/1 answer: {stream[:40]!r}")
    head, body_start, status = stream[:head_end], head_end + 4, int(stream[9:12])
    if status in _NO_BODY:
        return Answer(status, body_start)
    if length := _LENGTH.search(head):
        end = body_start + int(length[1])
    elif _CHUNKED.search(head):
        last = stream.find(b"0\r\n\r\n", body_start)
        end = last + 5 if last >= 0 else len(stream) + 1
    else:
        raise ValueError("an answer without Content-Length cannot be told from the next one on a kept connection")
    return Answer(status, end) if len(stream) >= end else None
