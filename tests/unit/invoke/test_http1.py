"""Answers read byte by byte, beside what h11 makes of them."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.invoke.http1 import AnswerReader, BadAnswer, request_bytes

MOST = 1000


def read(*pieces: bytes, method: str = "POST", most: int = MOST, closed: bool = False) -> AnswerReader:
    reader = AnswerReader(method=method, most_bytes=most)
    for piece in pieces:
        reader.feed(piece)
    if closed:
        reader.end()
    return reader


def body_of(reader: AnswerReader) -> bytes | None:
    return reader.answer.body if reader.answer else None


@given(
    body=st.binary(max_size=300),
    chunked=st.booleans(),
    cuts=st.lists(st.integers(0, 600), max_size=8),
    status=st.integers(200, 599),
    headers=st.lists(
        st.tuples(
            st.from_regex(r"x-[a-z]{1,8}", fullmatch=True),
            st.from_regex(r"([!-~]([ -~]{0,10}[!-~])?)?", fullmatch=True),
        ),
        max_size=4,
    ),
)
def test_what_h11_writes_is_read_however_it_is_cut(
    body: bytes, chunked: bool, cuts: list[int], status: int, headers: list[tuple[str, str]]
) -> None:
    """Status, headers and body are the same for any split of the bytes."""
    framing = [("transfer-encoding", "chunked")] if chunked else [("content-length", str(len(body)))]
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n")
    server.next_event()
    data = server.send(h11.Response(status_code=status, headers=[*headers, *framing])) or b""
    if status not in (204, 304):
        half = len(body) // 2
        for part in (body[:half], body[half:]):
            data += server.send(h11.Data(data=part)) or b"" if part else b""
        data += server.send(h11.EndOfMessage()) or b""
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    reader = read(*(data[start:end] for start, end in pairwise(ends)))
    assert reader.answer is not None
    assert reader.answer.status == status
    assert reader.answer.headers[: len(headers)] == tuple(headers)
    assert reader.answer.body == (b"" if status in (204, 304) else body)
    assert reader.keep


def test_an_answer_without_length_ends_with_the_connection() -> None:
    """And the connection is not kept."""
    reader = read(b"HTTP/1.1 200 OK\r\n\r\npart", b" two", closed=True)
    assert body_of(reader) == b"part two"
    assert not reader.keep


def test_interim_answers_are_skipped() -> None:
    """100 and 103 come before the answer."""
    reader = read(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert body_of(reader) == b"ok"


def test_no_body_where_there_is_none() -> None:
    """HEAD, whatever the length says; and a trailer after chunks is read over."""
    assert body_of(read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", method="HEAD")) == b""
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n"
    assert body_of(read(chunks)) == b"ok"


@pytest.mark.parametrize(
    ("data", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", False),
    ],
)
def test_when_the_connection_may_be_used_again(data: bytes, keep: bool) -> None:
    """Never after bytes that nobody asked for."""
    assert read(data).keep is keep


@pytest.mark.parametrize(
    "data",
    [
        b"SMTP ready\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 999 No\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000,
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    """Refused instead of guessed at."""
    with pytest.raises(BadAnswer):
        read(data)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"HTTP/1.1 2"])
def test_an_answer_cut_short(data: bytes) -> None:
    """Closing in the middle is no answer."""
    with pytest.raises(BadAnswer):
        read(data, closed=True)


def test_nothing_is_smuggled_into_a_request() -> None:
    """A line break in the target or in a header is refused."""
    for target, header in (("/\r\nX: y", "a"), ("/", "a\r\nX: y"), ("/", "a\nb"), ("/", "a\0")):
        with pytest.raises(ValueError, match="line break"):
            request_bytes("POST", target, [("A", header)], b"")
    assert (
        request_bytes("POST", "/", [("A", "b")], b"xy") == b"POST / HTTP/1.1\r\nA: b\r\nContent-Length: 2\r\n\r\nxy"
    )
