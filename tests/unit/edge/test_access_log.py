"""Lines of the log ring as values: golden pairs, and that nothing a caller sends can break or forge a line."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.edge.access_log import BadLine, Bell, Call, Dropped, parse

GOLDEN = Path(__file__).parents[2] / "golden" / "edge"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("access-*.txt")), ids=lambda path: path.stem)
def test_lines_become_what_the_golden_file_says(path: Path) -> None:
    """HAProxy's line above, the kept line below."""
    given_line, expected = path.read_text().split("\n---\n")
    call = parse(given_line.encode())
    assert isinstance(call, Call)
    assert json.loads(call.as_line()) == json.loads(expected)
    assert call.as_line().count(b"\n") == 1


@pytest.mark.parametrize(("line", "count"), [(b"1 event dropped", 1), (b"1234 events dropped", 1234)])
def test_haproxys_own_word_of_dropped_lines_is_understood(line: bytes, count: int) -> None:
    """It is a number of lost lines, not a bad line."""
    assert parse(line) == Dropped(count)


def test_the_bell_is_no_call() -> None:
    """It only had to be written."""
    assert parse(b'["bell"]') == Bell()


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"1", b'{"status":200}', b'["\xff"]', b"null", b"[" + b"1," * 17 + b"1]"]
)
def test_what_is_no_line_of_ours_is_refused(line: bytes) -> None:
    """BadLine, whatever it is instead."""
    with pytest.raises(BadLine):
        parse(line)


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_parse_or_be_refused(line: bytes) -> None:
    """Never another exception."""
    with suppress(BadLine):
        parse(line)


FIELDS = 18
"""Of the log-format in base.cfg."""


@given(
    st.lists(
        st.text(max_size=40) | st.sampled_from(["-", "", "200", "1795558711294859", "9" * 18]),
        min_size=FIELDS,
        max_size=FIELDS,
    )
)
def test_any_text_in_any_field_stays_in_its_field(told: list[str]) -> None:
    """One line comes out, source and event are ours, numbers are numbers."""
    call = parse(json.dumps(told).encode())
    assert isinstance(call, Call)
    line = call.as_line()
    kept = json.loads(line)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert kept["source"] == "edge" and kept["event"] in ("call", "request")
    assert 100 <= kept["status"] <= 599
    assert kept["attempt"] >= 1
    assert all(kept[name] >= 0 for name in ("duration_ms", "queue_ms", "bytes"))
    assert kept["ts"].endswith("Z")
