"""Throughput, by `wrk` where it is on PATH, else by `bench.client` in a process of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.client import Load
from bench.http import Address, Request
from bench.processes import BenchError

UNBOUNDED = 10_000_000
"""More answers than any run gives: the time ends it."""
MARGIN_S = 30.0
"""What a load generator may take beyond its time before it is ended."""

_REQUESTS = re.compile(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m),", re.MULTILINE)
_BAD_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def generator() -> str:
    """Which one this run uses, for the table's foot."""
    return "wrk" if shutil.which("wrk") else "bench.client (epoll, Python: no wrk on PATH)"


def throughput(address: Address, request: Request, *, connections: int, seconds: float) -> Load:
    """Raises BenchError where any call failed."""
    wrk = shutil.which("wrk")
    if wrk and not address.socket:
        load = _wrk(wrk, address, request, connections, seconds)
    else:
        load = _client(address, request, connections, seconds, UNBOUNDED)
    return _checked(load, request)


def send(address: Address, request: Request, *, connections: int, count: int, timeout_s: float) -> Load:
    """Exactly `count` calls. Raises BenchError where one failed or the time was not enough."""
    load = _checked(_client(address, request, connections, timeout_s, count), request)
    if load.answered < count:
        raise BenchError(f"only {load.answered} of {count} calls of {request.path} were answered in {timeout_s:g} s")
    return load


def parse_wrk(text: str) -> Load:
    """wrk's closing lines. Raises BenchError where they are missing."""
    if not (total := _REQUESTS.search(text)):
        raise BenchError(f"wrk printed no total:\n{text}")
    failed = int(bad[1]) if (bad := _BAD_STATUS.search(text)) else 0
    answered = int(total[1]) - failed
    if errors := _SOCKET_ERRORS.search(text):
        failed += sum(int(number) for number in errors.groups())
    return Load(answered, failed, float(total[2]) * _UNIT_S[total[3]])


def wrk_script(request: Request) -> str:
    """Lua that makes wrk send `request`."""
    lines = [f"wrk.method = {json.dumps(request.method)}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in request.headers.items()]
    if request.body:
        lines.append(f"wrk.body = {json.dumps(request.body.decode('ascii'))}")
    return "\n".join(lines) + "\n"


def _checked(load: Load, request: Request) -> Load:
    if load.failed:  # a failed call is a cheap call: a rate with any among them is no rate
        raise BenchError(f"{load.failed} of {load.answered + load.failed} calls of {request.path} failed")
    return load


def _wrk(wrk: str, address: Address, request: Request, connections: int, seconds: float) -> Load:
    url = f"http://127.0.0.1:{address.port}{request.path}"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "request.lua"
        script.write_text(wrk_script(request))
        command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url]
        return parse_wrk(_output(command, seconds))


def _client(address: Address, request: Request, connections: int, seconds: float, count: int) -> Load:
    command = [sys.executable, "-m", "bench.client", address.as_text(), str(connections), str(seconds), str(count)]
    return Load(**json.loads(_output(command, seconds, request.as_bytes())))


def _output(command: list[str], seconds: float, stdin: bytes = b"") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=seconds + MARGIN_S, check=False)
    if done.returncode:
        raise BenchError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")
    return done.stdout.decode()
