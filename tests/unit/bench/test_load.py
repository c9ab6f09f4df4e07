"""Reading wrk, and telling it what to send."""

import pytest

from bench.client import Load
from bench.http import Request
from bench.load import parse_wrk, wrk_script
from bench.processes import BenchError

CLEAN = """Running 2s test @ http://127.0.0.1:1/
  1 threads and 16 connections
  13497 requests in 2.10s, 2.23MB read
Requests/sec:   6427.14
"""


def test_requests_and_seconds_are_read() -> None:
    """From the line with exact numbers, not the rounded rate."""
    assert parse_wrk(CLEAN) == Load(answered=13497, failed=0, seconds=2.1)


def test_errors_are_counted() -> None:
    """Bad answers leave the rate; broken connections count as failed too."""
    text = CLEAN + "  Socket errors: connect 1, read 2, write 0, timeout 3\n  Non-2xx or 3xx responses: 497\n"
    assert parse_wrk(text) == Load(answered=13000, failed=503, seconds=2.1)


def test_output_without_a_total_is_an_error() -> None:
    """Such as when nothing listens."""
    with pytest.raises(BenchError, match="no total"):
        parse_wrk("unable to connect")


def test_a_request_becomes_a_script() -> None:
    """Method, headers and body, quoted."""
    script = wrk_script(Request("/", "POST", {"Content-Type": "application/json"}, b'{"id": 1}'))
    assert script.splitlines() == [
        'wrk.method = "POST"',
        'wrk.headers["Content-Type"] = "application/json"',
        'wrk.body = "{\\"id\\": 1}"',
    ]
