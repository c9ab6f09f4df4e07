"""gunicorn with threads, serving the handler directly.

Tuned by its own guide: 2 × cores + 1 workers, worker_tmp_dir in memory, connections kept longer than a load
generator pauses, no access log (its default). Threads: of the guide's 2–4 × cores the fewest, which measured best.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.http import Address
from bench.peers.environment import FUNCTIONS, PROGRAMS, ensure
from bench.processes import Process, free_ports, listens, wait_for

WORKERS = 2 * (os.cpu_count() or 1) + 1
THREADS = 2 * (os.cpu_count() or 1)
KEEPALIVE_S = 75
START_TIMEOUT_S = 30.0


@contextmanager
def gunicorn(folder: Path, *, workers: int = WORKERS, threads: int = THREADS) -> Iterator[Address]:
    """Serves bench/functions/hello at `/`."""
    [port] = free_ports(1)
    memory = ["--worker-tmp-dir", "/dev/shm"] if Path("/dev/shm").is_dir() else []
    argv: list[str | Path] = [
        ensure() / "gunicorn",
        "--chdir",
        PROGRAMS,
        "--bind",
        f"127.0.0.1:{port}",
        "--worker-class",
        "gthread",
    ]
    argv += ["--workers", str(workers), "--threads", str(threads), "--keep-alive", str(KEEPALIVE_S), *memory]
    environ = {"BENCH_HANDLER": str(FUNCTIONS / "hello" / "handler.py")}
    with Process("gunicorn", [*argv, "flask_app:app"], log=folder / "gunicorn.log", environ=environ) as process:
        wait_for(lambda: listens(port), what="gunicorn listens", timeout_s=START_TIMEOUT_S, process=process)
        yield Address(port)
