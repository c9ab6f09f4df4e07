"""One connection to the NATS server that is kept for the life of the process, whatever happens to the server."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType

import nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from tidemill.broker.direct import DirectClient
from tidemill.broker.streams_setup import ensure_all
from tidemill.contract.errors import Unavailable
from tidemill.lib.log import Logger

RETRY_S = 0.2
"""Between attempts to connect: the server is on this machine and starts in a tenth of a second."""
CONNECT_TIMEOUT_S = 2
PING_INTERVAL_S = 20

_Hook = Callable[[], Awaitable[None]]


class Connection:
    """An async context manager. It connects in the background; until then, and whenever the server is away,
    `client` raises Unavailable at once and nobody waits."""

    def __init__(self, url: str, *, user: str, password: str, log: Logger) -> None:
        self.inbox_prefix = f"_INBOX.{user}"
        self.instance = secrets.token_hex(6)
        """Tells this connection's replies from those of another process of the same user."""
        self._url = url
        self.made = 0
        """How often it was made so far."""
        self._user = user
        self._password = password
        self._log = log
        self._client = DirectClient()
        self._ready = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._on_connect: list[_Hook] = []
        self._on_ready: list[Callable[[], object]] = []
        self._on_disconnect: list[Callable[[], None]] = []

    @property
    def is_ready(self) -> bool:
        """Connected, and the streams are there."""
        return self._client.is_connected and self._ready.is_set()

    @property
    def client(self) -> DirectClient:
        """Raises Unavailable."""
        if not self.is_ready:
            raise Unavailable("the queue is not connected", retry_after_s=1.0)
        return self._client

    @property
    def raw(self) -> DirectClient:
        """For those who run while the connection is being made: see `on_connect`."""
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """Raises Unavailable."""
        context: JetStreamContext = self.client.jetstream()
        return context

    def on_connect(self, hook: _Hook) -> None:
        """Run once, at the first connection (nats-py renews subscriptions itself afterwards)."""
        self._on_connect.append(hook)

    def on_ready(self, hook: Callable[[], object]) -> None:
        """Run at each connection, once the streams are there and before anybody may publish."""
        self._on_ready.append(hook)

    def on_disconnect(self, hook: Callable[[], None]) -> None:
        """Run each time the connection breaks."""
        self._on_disconnect.append(hook)

    def drop_disconnect_hook(self, hook: Callable[[], None]) -> None:
        self._on_disconnect.remove(hook)

    async def wait_ready(self) -> None:
        await self._ready.wait()

    @contextlib.asynccontextmanager
    async def subscribed(self, subject: str, receive: Callable[[Msg], Awaitable[None]]) -> AsyncIterator[None]:
        """A subscription from now, or from the first connection on, until the block is left."""
        await self.wait_ready()
        subscription = await self._client.subscribe(subject, cb=receive)
        try:
            yield
        finally:
            with contextlib.suppress(Exception):  # a closed connection has no subscriptions left to end
                await subscription.unsubscribe()

    async def __aenter__(self) -> Connection:
        self._connecting = asyncio.create_task(self._connect())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connecting:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        with contextlib.suppress(Exception):  # it is going away either way
            async with asyncio.timeout(1):
                await self._client.flush(1)
            await self._client.close()

    async def _connect(self) -> None:
        """Until it worked once: then nats-py reconnects for ever."""
        told = False
        while not self._client.is_connected:
            try:
                await self._client.connect(
                    self._url,
                    user=self._user,
                    password=self._password,
                    inbox_prefix=self.inbox_prefix,
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RETRY_S,  # type: ignore[arg-type]
                    connect_timeout=CONNECT_TIMEOUT_S,
                    ping_interval=PING_INTERVAL_S,
                    max_outstanding_pings=2,
                    error_cb=self._erred,
                    disconnected_cb=self._disconnected,
                    reconnected_cb=self._reconnected,
                )
            except (nats.errors.Error, OSError, TimeoutError) as error:
                if not told:
                    self._log.warning("queue unreachable", error=f"{type(error).__name__}: {error}")
                    told = True
                await asyncio.sleep(RETRY_S)
        for hook in self._on_connect:
            await hook()
        await self._prepare()

    async def _prepare(self) -> None:
        while True:
            try:
                await ensure_all(self._client.jetstream())
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
                self._log.warning("streams not ready", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_S)
            else:
                for hook in self._on_ready:
                    hook()
                self.made += 1
                self._ready.set()
                self._log.info("queue connected", server=self._url)
                return

    async def _disconnected(self) -> None:
        self._ready.clear()
        for hook in tuple(self._on_disconnect):
            hook()
        if not self._client.is_closed:
            self._log.warning("queue disconnected", server=self._url)

    async def _reconnected(self) -> None:
        self._connecting = asyncio.create_task(self._prepare())

    async def _erred(self, error: Exception) -> None:
        self._log.debug("queue connection error", error=f"{type(error).__name__}: {error}")
