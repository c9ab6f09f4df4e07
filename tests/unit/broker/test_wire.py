"""The protocol lines that we write ourselves, and the lists of who may say what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.broker import wire
from tidemill.broker.base import MESSAGE_MOST_BYTES, Rejected
from tidemill.broker.memory import matches
from tidemill.broker.permissions import CALL_CANCELLED, CALL_RUNNING, FUNCTIONS_CHANGED, USERS, permissions


def test_a_publication_counts_its_bytes() -> None:
    """HPUB with the lengths of headers and of everything, in bytes and not characters."""
    block = wire.header_block({"A": "é"}) + "\r\n"
    head = "NATS/1.0\r\nA: é\r\n\r\n".encode()
    expected = b"HPUB s r %d %d\r\n%bdata\r\n" % (len(head), len(head) + 4, head)
    assert wire.publication("s", "r", block, b"data") == expected


@given(st.text())
def test_no_value_can_begin_a_header_of_its_own(value: str) -> None:
    """A line break is refused; anything else stays on its line."""
    if "\r" in value or "\n" in value:
        with pytest.raises(ValueError, match="line break"):
            wire.header_block({"A": value})
    else:
        assert wire.header_block({"A": value}) == f"NATS/1.0\r\nA: {value}\r\n"


def test_what_the_server_would_hang_up_on_is_refused() -> None:
    """A message above the limit."""
    with pytest.raises(Rejected):
        wire.publication("s", "", wire.header_block({}) + "\r\n", b"x" * MESSAGE_MOST_BYTES)


def allowed(lists: tuple[str, ...], subject: str) -> bool:
    return any(matches(pattern, subject) for pattern in lists)


def test_who_may_publish_what() -> None:
    """Only the door queues calls, only the worker buries them, only control says that functions changed."""
    for subject, who in {
        "tm.queue.ns.fn.id": {"door"},
        "tm.dead.ns.fn.id": {"worker"},
        "tm.calls.id": {"door", "worker"},
        "tm.callbacks.id": {"worker"},
        FUNCTIONS_CHANGED: {"control"},
        CALL_CANCELLED: {"door"},
        CALL_RUNNING: {"door"},
        "$KV.tm_functions.x": {"control"},
        "$KV.tm_idempotency.x": {"door"},
        "$JS.ACK.TM_QUEUE.c.1.1.1.1.1": {"worker"},
        "$JS.API.STREAM.DELETE.TM_QUEUE": set(),
        "$SYS.REQ.SERVER.PING": set(),
    }.items():
        assert {user for user in USERS if allowed(permissions(user).publish, subject)} == who, subject


def test_nobody_hears_the_answers_of_others() -> None:
    """An inbox per user."""
    for user in USERS:
        heard = permissions(user).subscribe
        assert [each for each in USERS if allowed(heard, f"_INBOX.{each}.x")] == [user]
        assert not allowed(heard, "tm.queue.ns.fn.id")


NAMES = st.from_regex(r"[A-Za-z-]+", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\r\n"))


@given(st.dictionaries(NAMES, VALUES))
def test_what_is_written_can_be_read(headers: dict[str, str]) -> None:
    """Names, and values without blanks around them."""
    block = (wire.header_block(headers) + "\r\n").encode("utf-8", "replace")
    assert wire.read_headers(block) == {
        name: value.encode("utf-8", "replace").decode().strip() for name, value in headers.items()
    }


def test_a_status_of_the_server() -> None:
    """Only where the server speaks for itself."""
    assert wire.status_of(b"NATS/1.0 404 No Messages\r\n\r\n") == "404"
    assert wire.status_of(b"NATS/1.0 503\r\n\r\n") == "503"
    assert wire.status_of(b"NATS/1.0\r\nStatus: 404\r\n\r\n") == ""
    assert wire.status_of(b"") == ""
