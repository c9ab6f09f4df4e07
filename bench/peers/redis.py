"""A Redis that fsyncs before it replies, and the three commands we ask it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bench.peers.environment import ensure, redis_server
from bench.processes import BenchError, Process, free_ports, listens, wait_for

START_TIMEOUT_S = 10.0
REPLY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Redis:
    port: int
    replies: BinaryIO
    requests: BinaryIO

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self, *words: str) -> list[str]:
        """The reply's values as text; an integer or a simple string is a list of one. Raises BenchError."""
        self.requests.write((" ".join(words) + "\r\n").encode())
        self.requests.flush()
        return read_reply(self.replies)

    def durability(self) -> str:
        """As the running server says, not as we asked."""
        append = self.command("CONFIG", "GET", "appendonly")[1]
        return f"Redis appendonly {append}, appendfsync {self.command('CONFIG', 'GET', 'appendfsync')[1]}"


def read_reply(replies: BinaryIO) -> list[str]:
    """One RESP2 reply, flattened. Raises BenchError on an error reply."""
    line = replies.readline().decode().rstrip()
    kind, rest = line[:1], line[1:]
    if kind in ("+", ":"):
        return [rest]
    if kind == "$":
        return [replies.read(int(rest) + 2)[:-2].decode()] if int(rest) >= 0 else []
    if kind == "*":
        return [value for _ in range(int(rest)) for value in read_reply(replies)]
    raise BenchError(f"Redis replied {line!r}")


@contextmanager
def redis(folder: Path) -> Iterator[Redis]:
    """An append-only file in `folder`, `appendfsync always`, no snapshots."""
    ensure()
    [port] = free_ports(1)
    argv: list[str | Path] = [
        redis_server(),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        folder,
        "--save",
        "",
    ]
    argv += ["--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"]
    with Process("redis-server", argv, log=folder / "redis.log") as process:
        wait_for(lambda: listens(port), what="redis listens", timeout_s=START_TIMEOUT_S, process=process)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=REPLY_TIMEOUT_S) as connection,
            connection.makefile("rb") as replies,
            connection.makefile("wb") as requests,
        ):
            yield Redis(port, replies, requests)
