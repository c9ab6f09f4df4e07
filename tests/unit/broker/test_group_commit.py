"""Messages that come together are stored together, and nobody is told before they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tidemill.broker.base import MESSAGE_ID, Message, Rejected
from tidemill.broker.group_commit import BATCH_BYTES, GroupCommit
from tidemill.contract.errors import Unavailable


class Disk:
    """Stores when it is let; refuses subjects that it is told to."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.refused: set[str] = set()
        self.away = False

    async def publish(self, message: Message) -> int:
        await self._store([message])
        return len(self.writes)

    async def publish_batch(self, messages: Sequence[Message]) -> None:
        await self._store(messages)

    async def _store(self, messages: Sequence[Message]) -> None:
        await self.open.wait()
        if self.away:
            raise Unavailable
        subjects = [message.subject for message in messages]
        if self.refused & set(subjects):
            raise Rejected
        self.writes.append(subjects)


def commit(disk: Disk, **options: float) -> GroupCommit:
    return GroupCommit(disk.publish, disk.publish_batch, **options)  # type: ignore[arg-type]


async def test_a_lone_message_goes_alone() -> None:
    """And at once."""
    disk = Disk()
    await commit(disk).submit(Message("a"))
    assert disk.writes == [["a"]]


async def test_what_comes_while_the_disk_is_busy_goes_together() -> None:
    """In the order it came; nobody is told before it is stored."""
    disk = Disk()
    group = commit(disk)
    disk.open.clear()
    futures = [group.submit(Message("first"))]
    await asyncio.sleep(0)
    futures += [group.submit(Message(str(number))) for number in range(5)]
    await asyncio.sleep(0)
    assert not any(future.done() for future in futures)
    disk.open.set()
    await asyncio.gather(*futures)
    assert [subject for write in disk.writes for subject in write] == ["first", "0", "1", "2", "3", "4"]
    assert len(disk.writes) <= 2


async def test_batches_are_bounded_in_number_and_bytes() -> None:
    """A large message does not wait for ever either."""
    disk = Disk()
    group = commit(disk, batch_messages=3)
    await asyncio.gather(*(group.submit(Message(str(number))) for number in range(7)))
    assert [len(write) for write in disk.writes] == [3, 3, 1]
    disk.writes.clear()
    large = b"x" * (BATCH_BYTES // 2 + 1)
    await asyncio.gather(*(group.submit(Message(str(number), large)) for number in range(3)))
    assert [len(write) for write in disk.writes] == [1, 1, 1]


async def test_a_rejected_batch_goes_singly_and_only_the_culprit_fails() -> None:
    """The others are stored and told so."""
    disk = Disk()
    disk.refused = {"bad"}
    group = commit(disk)
    good, bad, other = (group.submit(Message(name)) for name in ("good", "bad", "other"))
    await asyncio.gather(good, other)
    with pytest.raises(Rejected):
        await bad
    assert sorted(subject for write in disk.writes for subject in write) == ["good", "other"]


async def test_duplicates_are_taken_out_before_the_batch() -> None:
    """Both submitters are told; one message is stored."""
    disk = Disk()
    group = commit(disk)
    twins = [group.submit(Message("a", headers={MESSAGE_ID: "1"})) for _ in range(2)]
    await asyncio.gather(*twins, group.submit(Message("b")))
    assert sorted(subject for write in disk.writes for subject in write) == ["a", "b"]


async def test_a_broker_that_is_away_fails_all_and_the_next_ones_work() -> None:
    """Never a false confirmation, and nothing is stuck."""
    disk = Disk()
    disk.away = True
    group = commit(disk)
    results = await asyncio.gather(*(group.submit(Message(str(n))) for n in range(3)), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    disk.away = False
    await group.submit(Message("after"))
    assert disk.writes == [["after"]]


async def test_a_bug_in_storing_reaches_the_submitters() -> None:
    """Whatever is raised: nobody waits for ever."""

    async def broken(_: object) -> int:
        raise ZeroDivisionError

    group = GroupCommit(broken, broken)  # type: ignore[arg-type]
    results = await asyncio.gather(group.submit(Message("a")), group.submit(Message("b")), return_exceptions=True)
    assert [type(result) for result in results] == [ZeroDivisionError, ZeroDivisionError]


async def test_too_much_waiting_is_refused_at_the_door() -> None:
    """Memory is bounded: the caller is told to come back."""
    disk = Disk()
    disk.open.clear()
    group = commit(disk, waiting_messages=2)
    waiting = [group.submit(Message("a")), group.submit(Message("b"))]
    with pytest.raises(Unavailable):
        group.submit(Message("c"))
    disk.open.set()
    await asyncio.gather(*waiting)


async def test_close_waits_for_what_was_submitted() -> None:
    """A door that stops finishes its calls."""
    disk = Disk()
    disk.open.clear()
    group = commit(disk)
    future = group.submit(Message("a"))
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    disk.open.set()
    await closing
    assert future.done()
