"""The ids of the call in hand."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.lib.correlation import Call, bind, current, from_headers, outgoing

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def test_outside_of_a_call_there_is_an_empty_one() -> None:
    """So that nobody has to ask first."""
    assert current() == Call()
    assert current().as_fields() == {}
    assert outgoing() == {}


def test_a_call_is_bound_for_a_while() -> None:
    """Nested, and gone again, after an error too."""
    outer, inner = Call(call_id="1"), Call(call_id="2")
    with bind(outer) as bound:
        assert bound is current() is outer
        with pytest.raises(RuntimeError), bind(inner):
            assert current() is inner
            raise RuntimeError
        assert current() is outer
    assert current() == Call()


async def test_tasks_at_once_keep_their_own() -> None:
    """The ids of one call never show up in another's log lines."""

    async def serve(call_id: str) -> str:
        with bind(Call(call_id=call_id)):
            await asyncio.sleep(0)
            return current().call_id

    assert await asyncio.gather(*(serve(str(n)) for n in range(5))) == ["0", "1", "2", "3", "4"]


def test_headers_name_the_call() -> None:
    """As the edge writes them, or in lower case as HTTP/2 and ASGI do."""
    written = {
        "X-Call-Id": "call-1",
        "X-Correlation-Id": "action.1",
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "X-Tidemill-Attempt": "3",
    }
    expected = Call("call-1", "action.1", TRACE, SPAN, "f.ns", 3)
    assert from_headers(written, function="f.ns") == expected
    assert from_headers({name.lower(): value for name, value in written.items()}, function="f.ns") == expected
    assert from_headers({}) == Call()


@pytest.mark.parametrize("forged", ["a b", "a\nb", '{"x":1}', "x" * 129, "é", "a,b", ""])
def test_what_is_no_id_is_dropped(forged: str) -> None:
    """A log line cannot be forged through a header."""
    assert from_headers({"X-Call-Id": forged, "X-Correlation-Id": forged}) == Call()


@pytest.mark.parametrize(
    "parent",
    ["", f"00-{TRACE}-{SPAN}", f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more", f"ff-{TRACE}-{SPAN}-01",
     f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01"],
)  # fmt: skip
def test_a_traceparent_that_is_none_is_dropped(parent: str) -> None:
    """All zeros are invalid by W3C Trace Context."""
    assert from_headers({"traceparent": parent}).trace_id == ""


@pytest.mark.parametrize("attempt", ["", "x", "-1", "²", "1e3", "100000", "0"])
def test_an_attempt_that_is_no_number_is_the_first(attempt: str) -> None:
    """Attempts count from 1."""
    assert from_headers({"X-Tidemill-Attempt": attempt}).attempt == 1


def test_a_further_hop_carries_the_action_and_not_the_call() -> None:
    """The call id belongs to one invocation; the span is new each time."""
    call = Call("call-1", "action", TRACE, SPAN, "f.ns", 2)
    first, second = outgoing(call), outgoing(call)
    assert first["X-Correlation-Id"] == "action"
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", first["traceparent"])
    assert first["traceparent"] != second["traceparent"]
    assert SPAN not in first["traceparent"]
    assert set(first) == {"X-Correlation-Id", "traceparent"}
    with bind(call):
        assert outgoing()["X-Correlation-Id"] == "action"


def test_fields_are_absent_where_unknown() -> None:
    """And the attempt belongs to a call."""
    assert Call(correlation_id="a").as_fields() == {"correlation_id": "a"}
    assert Call("c", "a", TRACE, SPAN, "f.ns", 2).as_fields() == {
        "call_id": "c",
        "correlation_id": "a",
        "trace_id": TRACE,
        "function": "f.ns",
        "attempt": 2,
    }


@given(
    st.dictionaries(
        st.sampled_from(["X-Call-Id", "x-correlation-id", "traceparent", "x-tidemill-attempt"]), st.text()
    )
)
def test_no_header_breaks_the_reading(headers: dict[str, str]) -> None:
    """Whatever arrives, what comes out is safe in a log line and a header."""
    call = from_headers(headers)
    assert re.fullmatch(r"[A-Za-z0-9_.:-]*", call.call_id + call.correlation_id)
    assert re.fullmatch(r"([0-9a-f]{32})?", call.trace_id)
    assert call.attempt >= 1
