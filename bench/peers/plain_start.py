"""A plain start of the handler that imports pymongo, minio and nats: from exec to the first byte of an answer."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from bench.client import READ_BYTES
from bench.http import Request
from bench.peers.environment import FUNCTIONS, PROGRAMS, ensure
from bench.processes import BenchError, Process

ANSWER_TIMEOUT_S = 30.0


def plain_start_s(folder: Path) -> float:
    """Seconds of one start; the process is gone on return. Raises BenchError."""
    environ = {"BENCH_HANDLER": str(FUNCTIONS / "imports" / "handler.py")}
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        argv: list[str | Path] = [ensure() / "python", PROGRAMS / "plain_start.py", str(listener.fileno())]
        client.settimeout(ANSWER_TIMEOUT_S)
        log = folder / "plain-start.log"
        start = time.perf_counter()
        with Process("plain start", argv, log=log, environ=environ, pass_fds=[listener.fileno()]) as process:
            client.connect(listener.getsockname())
            client.sendall(Request("/").as_bytes())
            try:
                first = client.recv(READ_BYTES)
            except TimeoutError as cause:
                raise BenchError(f"the plain start gave no answer\n{process.log_tail()}") from cause
            taken = time.perf_counter() - start
            if first[9:12] != b"200":
                raise BenchError(f"the plain start answered {first[:80]!r}\n{process.log_tail()}")
            return taken
