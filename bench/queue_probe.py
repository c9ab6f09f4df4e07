"""Our queue seen from outside: how much waits in it, and what its stream promises."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import nats
from nats.js import JetStreamContext

from tidemill.contract.names import STREAM_QUEUE

CONNECT_TIMEOUT_S = 5


_SYNC_INTERVAL = re.compile(r"""["']?sync_interval["']?\s*[:=]?\s*["']?(\w+)""")


def sync_interval(config: str) -> str:
    """What a nats-server configuration says of fsync; nats-server's default is two minutes."""
    found = _SYNC_INTERVAL.search(config)
    return f"sync_interval {found[1]}" if found else "sync_interval not set (2 minutes)"


class QueueProbe:
    """A connection for looking; between two looks its event loop stands still, so it costs the run nothing."""

    def __init__(self, port: int, *, user: str, password: str, sync_interval: str) -> None:
        self._sync_interval = sync_interval
        self._url = f"nats://127.0.0.1:{port}"
        self._login = {"user": user, "password": password, "inbox_prefix": f"_INBOX.{user}"}
        self._loop = asyncio.new_event_loop()

    def waiting(self) -> int:
        """Messages of accepted jobs that no ack has removed yet."""
        return int(self._loop.run_until_complete(self._stream.stream_info(STREAM_QUEUE)).state.messages)

    def durability(self) -> str:
        """Storage as the stream has it, sync_interval as the server's own configuration file has it."""
        config = self._loop.run_until_complete(self._stream.stream_info(STREAM_QUEUE)).config
        return f"JetStream {config.storage} storage, {self._sync_interval}"

    def __enter__(self) -> QueueProbe:
        connection: Any = nats.connect(self._url, connect_timeout=CONNECT_TIMEOUT_S, **self._login)
        self._connection = self._loop.run_until_complete(connection)
        self._stream: JetStreamContext = self._connection.jetstream()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()
