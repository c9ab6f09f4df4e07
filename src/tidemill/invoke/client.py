"""The one client that calls a function, or any HTTP service of ours: kept connections to one place.

    async with Client("unix:/run/tidemill-1234/edge.sock") as edge:
        answer = await edge.request("POST", "/function/hello.openfaas-fn/", body=b"…", timeout_s=60)

The place is a unix socket of ours or the URL of a foreign OpenFaaS gateway: engines work against both.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable
from types import TracebackType
from urllib.parse import urlsplit

from tidemill.invoke.http1 import Answer, AnswerReader, BadAnswer, request_bytes

IDLE_S = 4.0
"""A kept connection older than this is not used again: the other side may be about to close it."""
CONNECT_TIMEOUT_S = 5.0
ANSWER_MOST_BYTES = 100 * 1024 * 1024


class InvokeError(Exception):
    """A call got no answer; the text says why, in a whole sentence."""


class Unreachable(InvokeError):
    """No connection could be made: nothing was sent, nothing happened."""


class AnswerLost(InvokeError):
    """The request was sent and no whole answer came: the function may have run."""


class AnswerLate(AnswerLost):
    """No answer within the time given."""


class Client:
    """`base` is `unix:PATH`, `http://HOST[:PORT][/PREFIX]` or `https://…`. Any number of calls at once, each on its
    own connection. `address` connects elsewhere than the URL's host says, which is still what TLS checks."""

    def __init__(self, base: str, *, answer_most_bytes: int = ANSWER_MOST_BYTES, address: str | None = None) -> None:
        self._socket: str | None = None
        self._host, self._port, self._prefix = "tidemill", 0, ""
        self._tls: ssl.SSLContext | None = None
        if base.startswith("unix:"):
            self._socket = base.removeprefix("unix:")
        else:
            self._read_url(base)
        self._address = address or self._host
        self._most = answer_most_bytes
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()

    def _read_url(self, base: str) -> None:
        url = urlsplit(base)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{base!r} is neither unix:PATH nor an http(s) URL")
        self._host = url.hostname
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._prefix = url.path.rstrip("/")
        if url.scheme == "https":
            self._tls = ssl.create_default_context()

    @property
    def authority(self) -> str:
        """What `Host` says where the caller gives none."""
        default = 443 if self._tls else 80
        host = f"[{self._host}]" if ":" in self._host else self._host
        return host if self._port in (0, default) else f"{host}:{self._port}"

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        timeout_s: float,
    ) -> Answer:
        """Raises Unreachable, AnswerLate or AnswerLost, and ValueError for a header that holds a line break.
        `Content-Length` is ours to write; `Host` is added where absent."""
        headers = list(headers)
        if "host" not in [name.lower() for name, _ in headers]:
            headers.insert(0, ("Host", self.authority))
        data = request_bytes(method, self._prefix + target, headers, body)
        connection = self._reuse() or await self._connect()
        self._busy.add(connection)
        try:
            answer = await connection.exchange(data, AnswerReader(method=method, most_bytes=self._most), timeout_s)
        finally:
            self._busy.discard(connection)
            if connection.is_reusable:
                connection.idle_since = time.monotonic()
                self._idle.append(connection)
            else:
                connection.close()
        return answer

    async def close(self) -> None:
        for connection in [*self._idle, *self._busy]:
            connection.close()
        self._idle.clear()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _reuse(self) -> _Connection | None:
        """The one used last: the others grow old and go."""
        oldest = time.monotonic() - IDLE_S
        while self._idle and (self._idle[0].idle_since < oldest or not self._idle[0].is_reusable):
            self._idle.pop(0).close()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if self._socket is not None:
                    _, connection = await loop.create_unix_connection(_Connection, self._socket)
                else:
                    _, connection = await loop.create_connection(
                        _Connection,
                        self._address,
                        self._port,
                        ssl=self._tls,
                        server_hostname=self._host if self._tls else None,
                    )
        except (OSError, TimeoutError) as cause:
            where = self._socket or self.authority
            raise Unreachable(f"{where} cannot be reached: {cause or 'no answer in time'}") from cause
        return connection


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._kept = True

    @property
    def is_reusable(self) -> bool:
        return self._kept and self._transport is not None and self._waiter is None

    async def exchange(self, data: bytes, reader: AnswerReader, timeout_s: float) -> Answer:
        if self._transport is None:
            raise AnswerLost("the connection was closed before the request was sent")
        loop = asyncio.get_running_loop()
        self._reader, self._waiter = reader, loop.create_future()
        timer = loop.call_later(timeout_s, self._fail, AnswerLate(f"no answer came within {timeout_s:g} s"))
        self._transport.write(data)
        try:
            return await self._waiter
        except asyncio.CancelledError:
            self._kept = False
            raise
        finally:
            timer.cancel()
            self._reader = self._waiter = None

    def close(self) -> None:
        self._kept = False
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:  # nobody asked
            self.close()
            return
        try:
            reader.feed(data)
        except BadAnswer as error:
            self._fail(AnswerLost(f"the answer cannot be read: {error}"))
            return
        if reader.answer is not None:
            self._kept = self._kept and reader.keep
            self._succeed(reader.answer)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._transport, self._kept = None, False
        reader = self._reader
        if reader is None:
            return
        try:
            reader.end()
        except BadAnswer as bad:
            self._fail(AnswerLost(str(bad) if reader.has_begun else "the connection was closed without an answer"))
        else:
            assert reader.answer is not None
            self._succeed(reader.answer)

    def _succeed(self, answer: Answer) -> None:
        self._reader = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answer)

    def _fail(self, error: InvokeError) -> None:
        self._kept, self._reader = False, None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        if self._transport is not None:
            self._transport.close()
