"""Every store of items keeps the promises of `Items`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tidemill.contract.errors import Conflict
from tidemill.lib.items import Cursor, Item, Items, Status
from tidemill.testing import MemoryItems

NOW = datetime(2026, 11, 24, 12, 0, 0, 123000, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
IMAGE = {"format": "PNG", "width": 2, "height": 1, "mode": "RGB", "frames": 1, "size_bytes": 9, "sha256": "00"}
THUMBNAILS = [{"name": "small", "key": "thumbnails/a/small.jpg", "width": 2, "height": 1, "size_bytes": 7}]


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.stack)])
def items(request: pytest.FixtureRequest) -> Items:
    """An empty store of each kind."""
    if request.param == "memory":
        return MemoryItems()
    from tidemill.lib.items import MongoItems

    return MongoItems(request.getfixturevalue("database").items)


def test_an_item_is_created_once(items: Items) -> None:
    """A second creation gives the first item back, whatever it asks for."""
    first = items.create("a", "photos/a", now=NOW)
    assert first == Item("a", "photos/a", Status.QUEUED, NOW, NOW)
    assert items.create("a", "photos/other", now=LATER) == first
    assert items.find("a") == first
    assert items.find("b") is None


def test_the_way_of_an_item(items: Items) -> None:
    """Queued, in progress, processed; the effect is counted once."""
    items.create("a", "photos/a", now=NOW)
    begun = items.begin("a", "photos/a", owner="me", now=LATER)
    assert (begun.status, begun.attempts, begun.created_at, begun.updated_at) == ("in-progress", 1, NOW, LATER)
    assert items.finish("a", owner="me", image=IMAGE, thumbnails=THUMBNAILS, now=LATER)
    done = items.find("a")
    assert done == Item(
        "a", "photos/a", Status.PROCESSED, NOW, LATER, attempts=1, effects=1, image=IMAGE, thumbnails=THUMBNAILS
    )
    assert not items.finish("a", owner="me", image={}, thumbnails=[], now=LATER)
    assert items.begin("a", "photos/a", owner="again", now=LATER) == done


def test_a_job_without_an_item_makes_it(items: Items) -> None:
    """Whoever queues a job by hand gets an item all the same."""
    begun = items.begin("a", "photos/a", owner="me", now=NOW)
    assert begun == items.find("a")
    assert (begun.status, begun.attempts, begun.effects, begun.created_at) == ("in-progress", 1, 0, NOW)


def test_only_the_attempt_that_began_last_may_end_it(items: Items) -> None:
    """One that was believed dead and comes back changes nothing."""
    items.begin("a", "photos/a", owner="slow", now=NOW)
    assert items.begin("a", "photos/a", owner="next", now=LATER).attempts == 2
    assert not items.finish("a", owner="slow", image=IMAGE, thumbnails=[], now=LATER)
    assert not items.fail("a", owner="slow", reason="late", now=LATER)
    assert items.finish("a", owner="next", image=IMAGE, thumbnails=THUMBNAILS, now=LATER)
    found = items.find("a")
    assert found and found.effects == 1


def test_a_failed_item_can_be_tried_again(items: Items) -> None:
    """A redriven dead letter starts afresh, and the old reason goes."""
    items.begin("a", "photos/a", owner="me", now=NOW)
    assert items.fail("a", owner="me", reason="broken", now=LATER)
    failed = items.find("a")
    assert failed and (failed.status, failed.reason, failed.owner) == ("failed", "broken", None)
    again = items.begin("a", "photos/a", owner="me2", now=LATER)
    assert (again.status, again.reason, again.attempts) == ("in-progress", None, 2)


def test_an_item_is_about_one_object(items: Items) -> None:
    """A job that names another one is refused and changes nothing."""
    before = items.create("a", "photos/a", now=NOW)
    with pytest.raises(Conflict):
        items.begin("a", "photos/b", owner="me", now=LATER)
    assert items.find("a") == before


def test_of_many_beginnings_at_once_one_can_finish(items: Items) -> None:
    """However the races end, the effect happens once."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: items.begin("a", "photos/a", owner=f"o{n}", now=NOW), range(16)))
        ended = list(
            pool.map(lambda n: items.finish("a", owner=f"o{n}", image=IMAGE, thumbnails=[], now=LATER), range(16))
        )
    found = items.find("a")
    assert ended.count(True) == 1
    assert found and (found.status, found.attempts, found.effects) == ("processed", 16, 1)


def test_pages_run_from_the_newest_to_the_oldest(items: Items) -> None:
    """Items of one moment are told apart by id, so that none is skipped or shown twice."""
    for name in ("a", "b", "c"):
        items.create(name, "k", now=NOW)
    items.create("newer", "k", now=LATER)
    items.begin("b", "k", owner="me", now=LATER)
    seen: list[str] = []
    behind: Cursor | None = None
    while page := items.newest(2, behind=behind):
        seen += [item.id for item in page]
        behind = Cursor(page[-1].created_at, page[-1].id)
    assert seen == ["newer", "c", "b", "a"]
    assert [item.id for item in items.newest(9, status=Status.IN_PROGRESS)] == ["b"]
    assert [item.id for item in items.newest(9, behind=Cursor(NOW, "c"), status=Status.QUEUED)] == ["a"]
