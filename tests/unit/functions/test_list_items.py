"""GET /items."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType

import pytest

from tests.unit.functions.conftest import Call, caller
from tidemill.testing import MemoryItems, event

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def list_items(load: Callable[[str], ModuleType], items: MemoryItems) -> Call:
    for name in "abcde":
        items.create(name, "k", now=NOW)
    return caller(load("list-items"))


def test_a_walk_through_the_pages(list_items: Call) -> None:
    """Each token leads to the next page, the last one has none."""
    seen, token = [], ""
    for _ in range(3):
        status, body, _ = list_items(event(query={"limit": "2", "next": token}))
        assert status == 200
        seen += [item["id"] for item in body["items"]]
        token = body["next"]
    assert seen == ["e", "d", "c", "b", "a"]
    assert token is None


def test_one_status_alone(list_items: Call, items: MemoryItems) -> None:
    """Filtered before it is counted."""
    items.begin("c", "k", owner="me", now=NOW)
    status, body, _ = list_items(event(query={"status": "in-progress", "limit": "1"}))
    assert (status, [item["id"] for item in body["items"]], body["next"]) == (200, ["c"], None)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"next": "made-up"}, {"status": "$ne"}])
def test_what_makes_no_sense_is_refused(list_items: Call, query: dict[str, str]) -> None:
    """400 with a sentence."""
    status, body, _ = list_items(event(query=query))
    assert (status, body["code"]) == (400, "bad_request")


def test_an_outage_says_when_to_come_back(list_items: Call, items: MemoryItems) -> None:
    """503 with the call id."""
    items.down = True
    status, body, headers = list_items(event(headers={"X-Call-Id": "c-1"}))
    assert (status, body["call_id"], headers["Retry-After"]) == (503, "c-1", "10")
