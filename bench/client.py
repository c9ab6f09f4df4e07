"""Clients on kept-alive connections: one that times each call, and one that keeps many connections busy.

`python -m bench.client ADDRESS CONNECTIONS SECONDS COUNT < request` runs the second in a process of its own:
the load generator of machines without wrk. It spends more CPU a request than wrk, which costs the faster side more.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass

from bench.http import Address, Request, parse_answer
from bench.processes import BenchError

ANSWER_TIMEOUT_S = 10.0
READ_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator saw."""

    answered: int
    failed: int
    """Answers that were not 2xx, and broken connections."""
    seconds: float

    @property
    def per_s(self) -> float:
        return self.answered / self.seconds


def connect(address: Address) -> socket.socket:
    if address.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_TIMEOUT_S)
        connection.connect(address.socket)
    else:
        connection = socket.create_connection(("127.0.0.1", address.port), timeout=ANSWER_TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def call(connection: socket.socket, request: bytes) -> int:
    """Status of one call; returns after its last byte."""
    connection.sendall(request)
    received = b""
    while (answer := parse_answer(received)) is None:
        if not (part := connection.recv(READ_BYTES)):
            raise BenchError("the server closed the connection in mid-answer")
        received += part
    return answer.status


def latencies_s(address: Address, request: Request, *, count: int) -> list[float]:
    """Seconds of `count` calls, one after the other on one connection. Raises BenchError on any but a 2xx."""
    prepared, times = request.as_bytes(), []
    with connect(address) as connection:
        for _ in range(count):
            start = time.perf_counter()
            status = call(connection, prepared)
            times.append(time.perf_counter() - start)
            if not 200 <= status < 300:
                raise BenchError(f"{request.path} at {address.as_text()} answered {status}")
    return times


def first_byte_s(address: Address, request: Request) -> float:
    """From before the connection is made to the first byte of a 2xx. Raises BenchError."""
    start = time.perf_counter()
    with connect(address) as connection:
        connection.sendall(request.as_bytes())
        first = connection.recv(READ_BYTES)
        taken = time.perf_counter() - start
    if first[9:10] != b"2":
        raise BenchError(f"{request.path} at {address.as_text()} answered {first[:80]!r}")
    return taken


def hammer(address: Address, request: bytes, *, connections: int, seconds: float, count: int) -> Load:
    """Keep `connections` busy until `count` answers came or `seconds` passed, whichever is first."""
    poll = select.epoll()
    open_ones: dict[int, socket.socket] = {}
    received: dict[int, bytes] = {}
    answered = failed = 0
    start = time.perf_counter()
    deadline, sent = start + seconds, 0
    for _ in range(min(connections, count)):
        connection = connect(address)
        open_ones[connection.fileno()] = connection
        received[connection.fileno()] = b""
        poll.register(connection, select.EPOLLIN)
        connection.sendall(request)
        sent += 1
    now = time.perf_counter()
    while open_ones and answered + failed < count and now < deadline:
        for number, _ in poll.poll(0.1):
            part = open_ones[number].recv(READ_BYTES)
            stream = received[number] + part
            if part and (answer := parse_answer(stream)) is None:
                received[number] = stream
                continue
            received[number] = b""
            if not part:
                failed += 1
                poll.unregister(number)
                open_ones.pop(number).close()
                continue
            if answer is not None and 200 <= answer.status < 300:
                answered += 1
            else:
                failed += 1
            if sent < count:
                open_ones[number].sendall(request)
                sent += 1
        now = time.perf_counter()
    for connection in open_ones.values():
        connection.close()
    return Load(answered, failed, now - start)


def main(argv: list[str]) -> None:
    address, connections, seconds, count = argv
    load = hammer(
        Address.from_text(address),
        sys.stdin.buffer.read(),
        connections=int(connections),
        seconds=float(seconds),
        count=int(count),
    )
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main(sys.argv[1:])
