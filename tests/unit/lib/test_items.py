"""Items, their ids and the pages they are listed in."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import DuplicateKeyError, ServerSelectionTimeoutError

from tidemill.contract.errors import BadRequest, Unavailable
from tidemill.lib.items import Cursor, Item, MongoItems, Status, check_id, next_page, upload_key
from tidemill.testing import MemoryItems

NOW = datetime(2026, 11, 24, 12, 0, 0, 123000, tzinfo=UTC)
IDS = st.from_regex(r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z")
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@given(IDS)
def test_plain_ids_are_taken(item_id: str) -> None:
    """As they are."""
    assert check_id(item_id) == item_id


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "../x", "a/b", "a\\b", "a b", "a\n", "é", "x" * 65, "x" * 10_240, "$ne",
            {"$ne": None}, {"$gt": ""}, None, 7, ["a"], True, b"a"],
)  # fmt: skip
def test_ids_that_could_do_harm_are_refused(bad: object) -> None:
    """In a path, an object key, a query or a log; the sentence does not repeat 10 kB."""
    with pytest.raises(BadRequest) as refused:
        check_id(bad)
    assert len(str(refused.value)) < 200


def test_an_upload_is_kept_by_its_content() -> None:
    """The same photo has the same key; another one, or another id, a different key."""
    assert upload_key("a", b"x") == upload_key("a", b"x")
    assert len({upload_key("a", b"x"), upload_key("a", b"y"), upload_key("b", b"x")}) == 3


def test_an_item_shows_what_applies() -> None:
    """The owner is nobody's business."""
    item = Item("a", "k", Status.QUEUED, NOW, NOW, owner="secret")
    assert item.as_wire() == {
        "id": "a",
        "status": "queued",
        "key": "k",
        "created_at": "2026-11-24T12:00:00.123Z",
        "updated_at": "2026-11-24T12:00:00.123Z",
        "attempts": 0,
        "effects": 0,
    }
    full = Item("a", "k", Status.FAILED, NOW, NOW, image={"w": 1}, thumbnails=[{"n": 1}], reason="why").as_wire()
    assert (full["image"], full["thumbnails"], full["reason"]) == ({"w": 1}, [{"n": 1}], "why")


@given(MOMENTS, IDS)
def test_a_token_leads_back_to_its_cursor(moment: datetime, item_id: str) -> None:
    """And fits into a URL as it is."""
    cursor = Cursor(moment, item_id)
    assert Cursor.parse(cursor.token) == cursor
    assert cursor.token.replace("-", "").replace("_", "").isalnum()


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_made_up_tokens_are_refused(token: str) -> None:
    """Never a traceback, and never a query made of them."""
    try:
        cursor = Cursor.parse(token)
    except BadRequest:
        return
    assert check_id(cursor.id) == cursor.id


@pytest.mark.parametrize(
    "inside", ['{"$gt":1}', "[1]", '[1,"a",2]', '["1","a"]', '[true,"a"]', '[1,{"$ne":1}]', f'[{10**30},"a"]',
               "[" * 9_999],
)  # fmt: skip
def test_tokens_with_other_things_inside_are_refused(inside: str) -> None:
    """Whoever knows how they are made gains nothing."""
    with pytest.raises(BadRequest, match="next is not a token"):
        Cursor.parse(base64.urlsafe_b64encode(inside.encode()).decode())


@given(st.integers(0, 12), st.integers(1, 5))
def test_pages_show_every_item_once(count: int, size: int) -> None:
    """In order, the last one without a token."""
    items = MemoryItems()
    for number in range(count):
        items.create(f"i{number:02}", "k", now=NOW + timedelta(milliseconds=number // 3))
    seen: list[str] = []
    token: str | None = None
    while True:
        page = next_page(items, limit=str(size), token=token, status=None)
        seen += [item.id for item in page.items]
        token = page.next
        if token is None:
            break
        assert len(page.items) == size
    assert seen == [f"i{number:02}" for number in reversed(range(count))]


def test_a_page_can_be_of_one_status() -> None:
    """And has 20 items where nothing is asked."""
    items = MemoryItems()
    for number in range(25):
        items.create(f"i{number}", "k", now=NOW)
    assert len(next_page(items, limit=None, token=None, status="").items) == 20
    assert next_page(items, limit=5, token=None, status="processed").items == []


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5", "²", "9" * 5000, 0])
def test_a_limit_that_is_no_limit_is_refused(limit: str | int) -> None:
    """With the range that is allowed."""
    with pytest.raises(BadRequest, match="1 to 100"):
        next_page(MemoryItems(), limit=limit, token=None, status=None)


def test_an_unknown_status_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(BadRequest, match="queued, in-progress, processed, failed"):
        next_page(MemoryItems(), limit=None, token=None, status="done")


class Collection:
    """A driver that fails as told."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def find_one(self, *_: Any, **__: Any) -> None:
        return None

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise self._error

    find = create_index = find_one_and_update = update_one = _fail


def test_a_database_that_is_away_is_unavailable() -> None:
    """Whatever the driver calls it."""
    items = MongoItems(Collection(ServerSelectionTimeoutError("away")))  # type: ignore[arg-type]
    for use in (
        lambda: items.newest(1),
        lambda: items.create("a", "k", now=NOW),
        lambda: items.begin("a", "k", owner="me", now=NOW),
        lambda: items.fail("a", owner="me", reason="x", now=NOW),
    ):
        with pytest.raises(Unavailable, match="database"):
            use()


def test_an_item_that_never_holds_still_is_given_up() -> None:
    """Removed and made again each time somebody looks: nobody spins for ever."""
    items = MongoItems(Collection(DuplicateKeyError("there")))  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="too many at once"):
        items.begin("a", "k", owner="me", now=NOW)
