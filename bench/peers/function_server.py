"""Our own function server on a TCP port, without an edge: what the edge's share of a call is measured against."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.http import Address
from bench.peers.environment import FUNCTIONS, PROGRAMS
from bench.processes import Process, free_ports, listens, wait_for

START_TIMEOUT_S = 30.0


@contextmanager
def function_server(folder: Path) -> Iterator[Address]:
    """Serves bench/functions/hello at `/`, with the interpreter and the packages of the platform."""
    [port] = free_ports(1)
    shutil.copytree(FUNCTIONS / "hello", folder / "function", dirs_exist_ok=True)
    argv: list[str | Path] = [sys.executable, PROGRAMS / "function_server.py", str(port), folder]
    with Process("function server", argv, log=folder / "function_server.log") as process:
        wait_for(lambda: listens(port), what="it listens", timeout_s=START_TIMEOUT_S, process=process)
        yield Address(port)
