"""GET /items/{id}."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType

import pytest

from tests.unit.functions.conftest import Call, caller
from tidemill.testing import MemoryItems, event

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def get(load: Callable[[str], ModuleType]) -> Call:
    return caller(load("get-item"))


def test_an_item_is_answered_as_it_is(get: Call, items: MemoryItems) -> None:
    """200, whether it is called by its route or by the function's name."""
    items.create("42", "photos/42", now=NOW)
    status, body, headers = get(event(path="/items/42", headers={"X-Tidemill-Route": "GET /items/{id}"}))
    assert (status, body["id"], body["status"]) == (200, "42", "queued")
    assert headers["Content-Type"] == "application/json"
    assert get(event(path="/items/42"))[0] == 200


@pytest.mark.parametrize(
    "path", ["/items/none", "/items/../42", "/items/", "/", "/items/$ne", "/items/" + "x" * 10_240]
)
def test_what_is_not_there_is_not_found(get: Call, items: MemoryItems, path: str) -> None:
    """404 with exactly this body, however odd the path."""
    items.create("42", "photos/42", now=NOW)
    assert get(event(path=path))[:2] == (404, {"error": "Not found"})


def test_an_outage_is_a_server_error(
    get: Call, items: MemoryItems, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """500 with exactly this body; the log has the cause."""
    items.down = True
    assert get(event(path="/items/42"))[:2] == (500, {"error": "Internal server error"})
    assert b"could not retrieve the item" in capfdbinary.readouterr().out
