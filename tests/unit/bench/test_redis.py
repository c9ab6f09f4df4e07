"""The few Redis replies that the bench reads."""

import io

import pytest

from bench.peers.redis import read_reply
from bench.processes import BenchError


@pytest.mark.parametrize(
    ("reply", "values"),
    [
        (b":3\r\n", ["3"]),
        (b"+OK\r\n", ["OK"]),
        (b"$-1\r\n", []),
        (b"*2\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n", ["appendfsync", "always"]),
    ],
)
def test_replies_are_flattened(reply: bytes, values: list[str]) -> None:
    """Integers, simple strings, bulk strings and arrays of them."""
    assert read_reply(io.BytesIO(reply)) == values


def test_an_error_reply_is_an_error() -> None:
    """Never a count of zero."""
    with pytest.raises(BenchError, match="WRONGTYPE"):
        read_reply(io.BytesIO(b"-WRONGTYPE bad\r\n"))
