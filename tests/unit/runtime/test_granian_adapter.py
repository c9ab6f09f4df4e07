"""The contract of granian's internals with us. A new granian must pass this before the pin is moved."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.support.waiting import wait_until

PROGRAM = """
import os, signal, socket, sys, threading, time
from tidemill.runtime.granian_adapter import serve

go_on = threading.Event()
answered = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.5)
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [])
        def pieces():
            yield b"one"
            go_on.wait(20)
            yield b"two"
        return pieces()
    if environ["PATH_INFO"] == "/go":
        go_on.set()
    terminated = str(environ["wsgi.input_terminated"])
    start_response("201 Created", [("X-Answered", str(len(answered))), ("X-Terminated", terminated)])
    return [environ["wsgi.input"].read()]

listener = socket.socket(fileno=int(sys.argv[1]))
served = serve(app, listener, threads=4, after_answer=lambda: answered.append(threading.get_ident()))
signal.signal(signal.SIGTERM, lambda *_: served.stop())
print("serving", flush=True)
os._exit(0 if served.wait(20) else 1)
"""


@contextmanager
def serving(listener: socket.socket) -> Iterator[int]:
    """The process id of a server on `listener`."""
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", PROGRAM, "9"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, listener.fileno(), 9)],
    )
    yield pid
    if _status(pid) is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The socket's path and the process id of a server on it."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(path)
        listener.listen(16)
        with serving(listener) as pid:
            yield path, pid


def _status(pid: int) -> int | None:
    """Exit status, None while it runs."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if found else None


def client(path: str) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://f", timeout=20)


def test_version_is_the_pinned_one() -> None:
    """What was tested is what runs."""
    assert version("granian") == "2.8.7"


def test_inherited_socket_is_served(served: tuple[str, int]) -> None:
    """Status, headers and bodies both ways; `after_answer` has run once per call before."""
    with client(served[0]) as http:
        answers = [http.post("/", content=b"x" * 100_000) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert all(answer.content == b"x" * 100_000 for answer in answers)
    assert answers[0].headers["X-Terminated"] == "True"
    assert [answer.headers["X-Answered"] for answer in answers] == ["0", "1", "2"]


def test_tcp_is_served_as_well() -> None:
    """The bench measures the edge's share of a call against it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with serving(listener), httpx.Client(base_url=url, timeout=20) as http:
            assert http.post("/", content=b"x").content == b"x"


def test_stream_is_sent_piece_by_piece_beside_other_calls(served: tuple[str, int]) -> None:
    """The first piece arrives while the second is not made yet, and another thread takes another call."""
    with client(served[0]) as http, http.stream("GET", "/stream") as answer:
        pieces = answer.iter_bytes()
        assert next(pieces) == b"one"
        with client(served[0]) as other:
            other.get("/go")
        assert b"".join(pieces) == b"two"


def test_stop_finishes_calls_first(served: tuple[str, int]) -> None:
    """No new connection is accepted, the call in hand is answered, then `wait` returns."""
    path, pid = served
    with client(path) as http, http.stream("GET", "/stream") as answer:
        pieces = answer.iter_bytes()
        assert next(pieces) == b"one"
        with client(path) as other:
            other.get("/go")
            os.kill(pid, signal.SIGTERM)
        assert b"".join(pieces) == b"two"
    assert wait_until(lambda: _status(pid) is not None, "the server ends")
