"""HTTP/1.1 as a client needs it, and no more: a request as bytes, an answer from bytes as they come.

Own code because it was measured: the worker makes thousands of calls a second beside the functions themselves, and
a general client costs several times the CPU of this one. tests/unit/invoke compares it with h11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

HEAD_MOST_BYTES = 64 * 1024
_HEADER = re.compile(r"^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*?)[ \t]*\r\n", re.MULTILINE)
_DIGITS = re.compile(r"[0-9]+")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_NO_BODY = (204, 304)

Headers = tuple[tuple[str, str], ...]


class BadAnswer(Exception):
    """What came is not an HTTP/1 answer, or is larger than we take."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The first of that name, compared without case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


def request_bytes(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """Raises ValueError where a part holds a line break: nothing may be smuggled into the next line."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
        raise ValueError("a request line or header may not hold a line break")
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


class AnswerReader:
    """Give it bytes with `feed` until `answer` is there; then it can be thrown away."""

    __slots__ = (
        "_body",
        "_buffer",
        "_chunked",
        "_head_only",
        "_headers",
        "_left",
        "_most",
        "_status",
        "answer",
        "keep",
    )

    def __init__(self, *, method: str, most_bytes: int) -> None:
        self.answer: Answer | None = None
        self.keep = True
        """Whether the connection may carry another request afterwards."""
        self._head_only = method == "HEAD"
        self._most = most_bytes
        self._buffer = bytearray()
        self._body: list[bytes] = []
        self._left: int | None = None
        self._status = 0
        self._headers: Headers = ()
        self._chunked = False

    @property
    def has_begun(self) -> bool:
        return bool(self._status or self._buffer)

    def feed(self, data: bytes) -> None:
        """Raises BadAnswer."""
        self._buffer += data
        if self._status == 0 and not self._read_head():
            return
        if self._chunked:
            self._read_chunks()
        else:
            self._read_plain()

    def end(self) -> None:
        """The peer closed. Raises BadAnswer where the answer was not complete by that."""
        if self.answer is None and self._status and not self._chunked and self._left is None:
            self._finish(bytes(self._buffer))
        if self.answer is None:
            raise BadAnswer("the connection was closed in the middle of the answer")

    def _read_head(self) -> bool:
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_MOST_BYTES:
                    raise BadAnswer("the answer's headers are too large")
                return False
            line, _, rest = self._buffer[: end + 2].decode("latin-1").partition("\r\n")
            del self._buffer[: end + 4]
            status = _status(line)
            if status >= 200:
                break
            if status == 101:
                raise BadAnswer("the answer switches protocols")
        self._status = status
        self._headers = _headers(rest)
        self._frame(http10=line.startswith("HTTP/1.0"))
        return True

    def _frame(self, *, http10: bool) -> None:
        """How long the body is: RFC 9112, section 6.3."""
        if http10:
            self.keep = False
        length: str | None = None
        for name, value in self._headers:
            name = name.lower()
            if name == "content-length":
                if not _DIGITS.fullmatch(value) or (length is not None and length != value):
                    raise BadAnswer("the answer's Content-Length is not one number")
                length = value
            elif name == "transfer-encoding":
                if value.lower() != "chunked" or self._chunked:
                    raise BadAnswer(f"the answer's Transfer-Encoding {value[:40]!r} is not understood")
                self._chunked = True
            elif name == "connection" and "close" in value.lower():
                self.keep = False
        if self._head_only or self._status in _NO_BODY:
            self._chunked, self._left = False, 0
        elif not self._chunked:
            self._left = int(length) if length is not None else None
            if self._left is None:
                self.keep = False
            elif self._left > self._most:
                raise BadAnswer(f"the answer is larger than {self._most} bytes")

    def _read_plain(self) -> None:
        if self._left is None:
            if len(self._buffer) > self._most:
                raise BadAnswer(f"the answer is larger than {self._most} bytes")
        elif len(self._buffer) >= self._left:
            if len(self._buffer) > self._left:
                self.keep = False  # bytes that nobody asked for
            self._finish(bytes(self._buffer[: self._left]))

    def _read_chunks(self) -> None:
        while True:
            line_end = self._buffer.find(b"\r\n")
            if line_end < 0:
                if len(self._buffer) > HEAD_MOST_BYTES:
                    raise BadAnswer("a chunk's size line is too long")
                return
            size_text = self._buffer[:line_end].split(b";", 1)[0].strip().decode("latin-1")
            if not _HEX.fullmatch(size_text):
                raise BadAnswer("a chunk's size is not a number")
            size = int(size_text, 16)
            if size == 0:
                self._read_trailer(line_end)
                return
            if size > self._most:
                raise BadAnswer("the answer is larger than we take")
            if len(self._buffer) < line_end + 4 + size:
                return
            self._most -= size
            start = line_end + 2
            if self._buffer[start + size : start + size + 2] != b"\r\n":
                raise BadAnswer("a chunk is longer than its size")
            self._body.append(bytes(self._buffer[start : start + size]))
            del self._buffer[: start + size + 2]

    def _read_trailer(self, line_end: int) -> None:
        rest = bytes(self._buffer[line_end + 2 :])
        if rest.startswith(b"\r\n"):
            end = 2
        elif (found := rest.find(b"\r\n\r\n")) >= 0:
            end = found + 4
        elif len(rest) > HEAD_MOST_BYTES:
            raise BadAnswer("the answer's trailer is too large")
        else:
            return
        if len(rest) > end:
            self.keep = False
        self._finish(b"")

    def _finish(self, last: bytes) -> None:
        body = b"".join([*self._body, last]) if self._body else last
        self.answer = Answer(self._status, self._headers, body)


def _status(line: str) -> int:
    if (
        not line.startswith(("HTTP/1.1 ", "HTTP/1.0 "))
        or not _DIGITS.fullmatch(line[9:12])
        or line[12:13] not in ("", " ")
    ):
        raise BadAnswer(f"{line[:40]!r} is not an HTTP/1 status line")
    status = int(line[9:12])
    if not 100 <= status <= 599:
        raise BadAnswer(f"{status} is not an HTTP status")
    return status


def _headers(block: str) -> Headers:
    """Of lines that each end with a line break."""
    found = tuple(_HEADER.findall(block))
    if len(found) != block.count("\n"):
        raise BadAnswer("the answer has a line among its headers that is none")
    return found
