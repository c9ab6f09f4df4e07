"""The calls that a replica has in hand, and which of its threads may take another.

One thread serves quick calls faster than several do (they fight for the interpreter), but a long call on the only
thread would hold up everything behind it: an event stream, a function that calls itself, a stuck call. So there are
many threads and most of them rest: after its answer is out, a thread goes back for more only while fewer than
`threads` others are awake, else it parks. Awake is who takes calls: also a thread that waits for one, or that has one
and waits for the interpreter. A thread whose call runs longer than PATIENCE_S no longer counts as awake, and a parked
one takes its place.

A declared `max_inflight` is a promise of how many run at once: one call more raises AtLimit. Without one the pool's
threads are the limit, and LATE_AT_MOST beyond them for calls whose callers did not wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tidemill.contract.errors import TooManyRequests
from tidemill.lib.correlation import Call

PATIENCE_S = 0.025
"""Longer than nearly every quick call, shorter than a person notices."""
QUIET_TICKS = 40
"""Idle ticks (about a second) after which the watch sleeps until the next call: an idle replica wakes nobody."""
AWAKE_S = 30.0
"""A thread that was not heard of for longer may have ended (granian_adapter.THREAD_IDLE_S) and does not count."""
THREADS_AT_MOST = 16
"""Threads where no `max_inflight` says otherwise: calls that may be long at once. One that has run costs 200 kB."""
LATE_AT_MOST = 64
"""Calls that go on after their caller's own limit (`X-Timeout`), each on a thread that nobody can stop."""
SPARE_THREADS = 2
"""Beyond `max_inflight`, so that there is someone to answer 429 and the health checks."""


class AtLimit(TooManyRequests):
    """The function is at its limit of calls at once."""


@dataclass(eq=False, slots=True)
class Running:
    """One call in hand."""

    call: Call
    since: float
    thread: int
    long: bool = False
    overdue: bool = False


class Calls:
    """Thread-safe. `begin` and `end` enclose the handler; `rest` comes after the answer is out."""

    def __init__(
        self, *, threads: int = 1, max_inflight: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_inflight = max_inflight
        self.pool_size = max_inflight + SPARE_THREADS if max_inflight else max(THREADS_AT_MOST, threads)
        self._active_threads = threads
        self._clock = clock
        self._lock = threading.Lock()
        self._running: set[Running] = set()
        self._awake: dict[int, float] = {}
        """Thread → when it was last heard of."""
        self._parked: list[threading.Lock] = []
        self._resting_allowed = not max_inflight or threads < max_inflight
        self._ended = threading.Condition(self._lock)
        self._watch_sleeps = False
        self._wake_watch = threading.Event()

    def __len__(self) -> int:
        return len(self._running)

    @property
    def full(self) -> bool:
        return 0 < self.max_inflight <= len(self._running)

    def begin(self, call: Call) -> Running:
        """Raises AtLimit."""
        thread, now = threading.get_ident(), self._clock()
        running = Running(call, now, thread)
        with self._lock:
            if self.full:
                raise AtLimit(f"the function is at its limit of {self.max_inflight} calls at once (max_inflight)")
            if len(self._running) >= self.pool_size + LATE_AT_MOST:
                raise AtLimit(f"the function still has {LATE_AT_MOST} calls in hand whose callers no longer wait")
            self._running.add(running)
            self._awake[thread] = now
        if self._watch_sleeps:
            self._wake_watch.set()
        return running

    def end(self, running: Running) -> None:
        with self._lock:
            self._running.discard(running)
            self._ended.notify_all()

    def rest(self) -> None:
        """Parks the calling thread where enough others are awake; returns when it is needed again."""
        if not self._resting_allowed:
            return
        thread = threading.get_ident()
        with self._lock:
            if not self._too_many_awake(thread):
                return
            del self._awake[thread]
            bed = threading.Lock()
            bed.acquire()
            self._parked.append(bed)
        bed.acquire()
        with self._lock:
            self._awake[thread] = self._clock()

    def _too_many_awake(self, thread: int) -> bool:
        now = self._awake[thread] = self._clock()
        if len(self._awake) > self._active_threads:
            self._awake = {other: seen for other, seen in self._awake.items() if now - seen < AWAKE_S}
        return len(self._awake) > self._active_threads

    def wake_all(self) -> None:
        """Nobody parks from now on; for the end of the process."""
        with self._lock:
            self._resting_allowed = False
            for bed in self._parked:
                bed.release()
            self._parked.clear()

    def wait_until_none_but_overdue(self, timeout_s: float) -> bool:
        """Whether all others ended in time."""
        with self._ended:
            return self._ended.wait_for(lambda: all(running.overdue for running in self._running), timeout_s)

    def tick(self, exec_timeout_s: float) -> list[Running]:
        """Gives the place of each call that has become long to a parked thread. Returns the calls that are past
        `exec_timeout_s` since the last tick."""
        now = self._clock()
        overdue = []
        with self._lock:
            for running in self._running:
                age = now - running.since
                if age > PATIENCE_S and not running.long:
                    running.long = True
                    self._awake.pop(running.thread, None)
                    if self._parked:
                        self._parked.pop().release()
                if age > exec_timeout_s and not running.overdue:
                    running.overdue = True
                    overdue.append(running)
        return overdue

    def watch(self, exec_timeout_s: float, on_overdue: Callable[[Running], None]) -> None:
        """Ticks for ever, in a thread of its own."""
        quiet = 0
        while True:
            time.sleep(PATIENCE_S)
            for running in self.tick(exec_timeout_s):
                on_overdue(running)
            quiet = 0 if self._running else quiet + 1
            if quiet > QUIET_TICKS:
                self._sleep_until_called()
                quiet = 0

    def _sleep_until_called(self) -> None:
        self._wake_watch.clear()
        self._watch_sleeps = True
        if not self._running:  # one that began before the flag was up has not rung
            self._wake_watch.wait()
        self._watch_sleeps = False
