"""Every store of idempotency records keeps the promises of `Records`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tidemill.lib.idempotency import Record, Records, State
from tidemill.lib.idempotency.memory import MemoryRecords

UNTIL = datetime(2030, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
MINE = Record("charge/42", "hash", "me", State.INPROGRESS, UNTIL)


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.stack)])
def records(request: pytest.FixtureRequest) -> Records:
    """An empty store of each kind."""
    if request.param == "memory":
        return MemoryRecords()
    from tidemill.lib.idempotency.mongo import MongoRecords

    return MongoRecords(request.getfixturevalue("database").idempotency)


def test_a_record_comes_back_as_it_was(records: Records) -> None:
    """Nothing is lost or rounded, the answer included."""
    done = replace(MINE, stored=State.COMPLETED, answer={"id": "42", "list": [1, None, "é"]})
    assert records.get(MINE.key) is None
    assert records.insert(done)
    assert records.get(MINE.key) == done


def test_a_key_is_inserted_once(records: Records) -> None:
    """The second insert changes nothing, whoever asks."""
    assert records.insert(MINE)
    assert not records.insert(replace(MINE, owner="other"))
    assert records.get(MINE.key) == MINE


def test_only_the_owner_replaces(records: Records) -> None:
    """A holder whose key was taken over can no longer write."""
    theirs = replace(MINE, owner="them")
    assert not records.replace(theirs, owner="me")
    records.insert(MINE)
    assert not records.replace(theirs, owner="stranger")
    assert records.replace(theirs, owner="me")
    assert not records.replace(replace(MINE, stored=State.COMPLETED), owner="me")
    assert records.get(MINE.key) == theirs


def test_only_the_owner_removes(records: Records) -> None:
    """And once it is removed, anybody may insert again."""
    records.insert(MINE)
    assert not records.remove(MINE.key, owner="stranger")
    assert records.remove(MINE.key, owner="me")
    assert not records.remove(MINE.key, owner="me")
    assert records.insert(replace(MINE, owner="next"))


def test_of_many_inserts_at_once_one_wins(records: Records) -> None:
    """Deliveries of one message that race are one holder and many who wait."""
    claims = [replace(MINE, owner=f"o{number}") for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(records.insert, claims))
    assert won.count(True) == 1
    assert records.get(MINE.key) == claims[won.index(True)]


def test_of_many_takeovers_at_once_one_wins(records: Records) -> None:
    """A stale holder is replaced by exactly one of those who saw it stale."""
    records.insert(MINE)
    claims = [replace(MINE, owner=f"o{number}") for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda claim: records.replace(claim, owner="me"), claims))
    assert won.count(True) == 1
    assert records.get(MINE.key) == claims[won.index(True)]
