"""Answers a log query as a stream of lines: first what is there, then, where asked, what comes."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from tidemill.provider.logfiles import Follower, Line, read_last_lines, read_lines
from tidemill.provider.logquery import LogQuery, moment

SERVICES = ("access", "door", "worker", "control")
"""Whose lines carry the ids of calls, besides the functions' own."""
FOLLOW_LOOK_S = 0.2
"""Only while somebody follows."""
BATCH_LINES = 500
"""Read in a thread at a time, so that a large file holds up nobody."""
_NEVER = datetime.min.replace(tzinfo=UTC)


async def stream_lines(logs_dir: Path, query: LogQuery, ended: asyncio.Event) -> AsyncIterator[Line]:
    """Oldest first. A query that follows ends with `ended`."""
    files = await asyncio.to_thread(_files, logs_dir, query)
    with ExitStack() as stack:
        # Followers start at the end before anything is read, so that no line falls between the two.
        followers = {file: stack.enter_context(closing(Follower(file))) for file in files} if query.follow else {}
        lines = _present({file: followers[file].position if query.follow else None for file in files}, query)
        while batch := await asyncio.to_thread(lambda: list(islice(lines, BATCH_LINES))):
            for line in batch:
                yield line
        while query.follow and not await _wait(ended):
            for file in await asyncio.to_thread(_files, logs_dir, query):
                if file not in followers:  # a function that logs for the first time: all of it is new
                    followers[file] = stack.enter_context(closing(Follower(file, from_start=True)))
            for line in await asyncio.to_thread(_new_lines, list(followers.values()), query):
                yield line


async def _wait(ended: asyncio.Event) -> bool:
    """Until the next look; whether it ended meanwhile."""
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), FOLLOW_LOOK_S)
    return ended.is_set()


def _files(logs_dir: Path, query: LogQuery) -> list[Path]:
    if query.function and not (query.correlation or query.call):
        return [logs_dir / "fn" / query.function.namespace / f"{query.function.name}.ndjson"]
    functions = {path.with_name(path.name.removesuffix(".1")) for path in logs_dir.glob("fn/*/*.ndjson*")}
    return [*(logs_dir / f"{service}.ndjson" for service in SERVICES), *sorted(functions)]


def _present(ends: Mapping[Path, int | None], query: LogQuery) -> Iterator[Line]:
    """Of each file the lines before its end."""
    if len(ends) == 1 and query.tail and not query.instance:
        (file, end), *_ = ends.items()
        return filter(query.wants, read_last_lines(file, query.tail, end=end))
    found = (filter(query.wants, read_lines(file, end=end)) for file, end in ends.items())
    merged = heapq.merge(*found, key=_when)
    return iter(deque(merged, maxlen=query.tail)) if query.tail else merged


def _new_lines(followers: list[Follower], query: LogQuery) -> list[Line]:
    found = [line for follower in followers for line in follower.new_lines() if query.wants(line)]
    return sorted(found, key=_when)


def _when(line: Line) -> datetime:
    return moment(line) or _NEVER
