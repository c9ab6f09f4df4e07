"""Cutting answers from a stream, and the clients on top of it."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from bench.client import first_byte_s, hammer, latencies_s
from bench.http import Address, Answer, Request, parse_answer
from bench.processes import BenchError

FIXED = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers 202 to POST and 500 to anything else; counts."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(202)

    def do_GET(self) -> None:
        self._answer(500)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[tuple[Address, list[bytes]]]:
    """A small HTTP server on a free port, and the bodies it was sent."""
    bodies: list[bytes] = []
    handler = type("CountingHandler", (Handler,), {"bodies": bodies})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield Address(running.server_address[1]), bodies
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("stream", [FIXED, CHUNKED, b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_an_answer_is_cut_where_it_ends(stream: bytes) -> None:
    """Incomplete at every shorter length; what follows it is left alone."""
    assert all(parse_answer(stream[:size]) is None for size in range(len(stream)))
    answer = parse_answer(stream + b"HTTP/1.1 500")
    assert answer is not None
    assert (answer.size_bytes, answer.status // 100) == (len(stream), 2)


@pytest.mark.parametrize("stream", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"])
def test_what_cannot_be_cut_is_an_error(stream: bytes) -> None:
    """A load generator that misreads answers would print any rate."""
    with pytest.raises(ValueError, match="answer"):
        parse_answer(stream)


def test_a_request_is_written_once() -> None:
    """Method, path, headers, length and body, as one piece."""
    request = Request("/x", "POST", {"A": "b"}, b"body")
    assert request.as_bytes() == b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b\r\nContent-Length: 4\r\n\r\nbody"
    assert Request("/").as_bytes() == b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def test_addresses_travel_as_text() -> None:
    """To the load generator's own process."""
    for address in (Address(8080), Address(socket="/run/x.sock")):
        assert Address.from_text(address.as_text()) == address


def test_an_answer_knows_its_status() -> None:
    """Of the first answer in the stream."""
    assert parse_answer(FIXED) == Answer(200, len(FIXED))


def test_latencies_are_timed_call_by_call(server: tuple[Address, list[bytes]]) -> None:
    """One connection, as many times as asked."""
    address, bodies = server
    times = latencies_s(address, Request("/", "POST", body=b"x"), count=20)
    assert (len(times), len(bodies)) == (20, 20)
    assert min(times) > 0


def test_a_failed_call_ends_the_timing(server: tuple[Address, list[bytes]]) -> None:
    """An error answer is quick; it must not pass for a quick call."""
    address, _ = server
    with pytest.raises(BenchError, match="answered 500"):
        latencies_s(address, Request("/"), count=2)
    with pytest.raises(BenchError, match="answered"):
        first_byte_s(address, Request("/"))


def test_exactly_as_many_calls_as_asked_for(server: tuple[Address, list[bytes]]) -> None:
    """A queue is filled with a known number of jobs, however many connections fill it."""
    address, bodies = server
    load = hammer(address, Request("/", "POST", body=b"x").as_bytes(), connections=4, seconds=20, count=50)
    assert (load.answered, load.failed, len(bodies)) == (50, 0, 50)


def test_failed_calls_are_counted(server: tuple[Address, list[bytes]]) -> None:
    """The caller decides what to do with a run that had any."""
    address, _ = server
    load = hammer(address, Request("/").as_bytes(), connections=2, seconds=20, count=10)
    assert (load.answered, load.failed) == (0, 10)
