"""Decides how many slots a function needs right now. Pure: `scaler` looks, asks here and does it.

A function is *pressed* while calls wait in the edge's queue or as many are in flight as its replicas have threads.
Pressed in two successive looks, it gets more slots: as many as its calls could use, at most twice what it has. A
single look is not enough, since a call that ends within a look is no reason to fork. Where calls pass quickly in
spite of the crowd, it gets no more replicas than there are cores: measured at 16 callers on two cores, two replicas
served 10,800 quick calls a second and four 9,600, with a tail ten times as long. After a quiet while it keeps what
the busiest moment of that while needed and one more, so that steady traffic does not make it breathe; without any
call it goes back to what is wanted at rest, which may be no replica at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from tidemill.contract.traffic import Load

LOOKS_TO_GROW = 2
QUICK_S = 0.02
"""A caller who waits less than this is served quickly: more processes than cores would only take turns."""
QUIET_S = 30.0
"""How long less must have been enough before slots go; far above what starting one again costs."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the deployment allows."""

    threads: int
    """Calls one replica works on at once."""
    rest: int
    """Replicas wanted without any call."""
    most: int
    cores: int = 1
    """Replicas that can compute at the same moment."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of a function from look to look."""

    since: float
    """Start of the quiet while."""
    looked: float = 0.0
    """When the last look was."""
    total: int = 0
    """Calls the edge had seen at the last look."""
    pressed: int = 0
    """Successive looks at which it was pressed."""
    peak: int = 0
    """Most replicas that any look since `since` could have used."""
    awake: bool = True
    """A replica may be there; False once everything was stopped and no call came since."""


def decide_slots(watch: Watch, load: Load, *, slots: int, bounds: Bounds, now: float) -> tuple[Watch, int | None]:
    """The next watch, and how many replicas are wanted: None for no change, 0 for none behind a bound slot."""
    waiting = load.in_flight + load.queued
    called = waiting > 0 or load.total != watch.total
    need = max(ceil(waiting / bounds.threads), int(called))
    quick = _passes_within_s(waiting, calls=load.total - watch.total, elapsed_s=now - watch.looked) < QUICK_S
    most = min(bounds.most, bounds.cores) if quick else bounds.most
    need = min(need, most)
    pressed = load.queued > 0 or load.in_flight >= slots * bounds.threads
    watch = replace(
        watch,
        looked=now,
        total=load.total,
        pressed=watch.pressed + 1 if pressed else 0,
        peak=max(watch.peak, need),
        awake=watch.awake or called,
    )
    if watch.pressed >= LOOKS_TO_GROW and slots < most:
        return replace(watch, since=now, pressed=0, peak=need), min(most, slots * 2, max(need, slots + 1))
    if now - watch.since < QUIET_S:
        return watch, None
    keep = max(bounds.rest, watch.peak + 1 if watch.peak else 0)
    fresh = replace(watch, since=now, peak=need)
    if keep == 0:
        return (replace(fresh, awake=False), 0) if watch.awake else (fresh, None)
    return fresh, keep if keep < slots else None


def is_busy(watch: Watch, load: Load) -> bool:
    """Something is going on: worth looking again soon."""
    return load.in_flight + load.queued > 0 or load.total != watch.total


def _passes_within_s(waiting: int, *, calls: int, elapsed_s: float) -> float:
    """How long a caller waits when `calls` began within `elapsed_s` while `waiting` are there (Little's law)."""
    return waiting * elapsed_s / calls if calls > 0 else float("inf")
