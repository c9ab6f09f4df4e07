"""Runs the cases: rounds interleaved, everything in one work folder, a bound on the time of each.

A case is a module in `bench/cases` with `CASE`. Its `run(bench)` starts what it needs through `Bench`, measures
with `interleave`, and returns rows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bench.figures import Row, round_order
from bench.peers.environment import HOME
from bench.processes import BenchError
from bench.stack import Stack

LEAST_ROUNDS = 5
"""Fewer say nothing about the spread; `--rounds` below it is for trying the bench out, and the report says so."""
FSYNC_TRIES = 50

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Case:
    """One line of issue and documentation; may print several rows."""

    name: str
    run: Callable[[Bench], list[Row]]
    limit_s: float
    """Past it the case is given up and everything it started is ended."""


@dataclass
class Bench:
    """What the cases share: the number of rounds, a folder on a real disk, and one platform for all of them."""

    rounds: int
    folder: Path
    _exits: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _stack: Stack | None = None

    @property
    def stack(self) -> Stack:
        """The platform with the bench's functions deployed; started at first use, stopped with the run."""
        if self._stack is None:
            stack = self.fresh_stack("shared")
            self._exits.push(contextlib.closing(stack))
            stack.up()
            stack.deploy()
            self._stack = stack
        return self._stack

    def fresh_stack(self, name: str) -> Stack:
        """A platform of its own, not yet started; the caller closes it."""
        return Stack(self.folder / name, log=self.folder / f"stack-{name}.log")

    def scratch(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path

    def interleave(self, sides: Mapping[str, Measure], *, warm_up: bool = True) -> dict[str, tuple[float, ...]]:
        """`rounds` samples of each side: in each round every side once, a different one first each time."""
        samples: dict[str, list[float]] = {name: [] for name in sides}
        if warm_up:
            for measure in sides.values():
                measure()
        for number in range(self.rounds):
            for name in round_order(tuple(sides), number):
                samples[name].append(sides[name]())
            _progress(f"  round {number + 1} of {self.rounds}")
        return {name: tuple(values) for name, values in samples.items()}

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exception: object) -> None:
        self._exits.close()


@contextlib.contextmanager
def bench(*, rounds: int, keep: bool) -> Iterator[Bench]:
    """A work folder in `.bench`, beside the sources: on a disk, where /tmp may be memory and fsync then free."""
    HOME.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=HOME))
    folder.chmod(0o755)
    try:
        with Bench(rounds, folder) as running:
            yield running
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raises BenchError inside the block once `seconds` have passed. Main thread only."""

    def expired(_: int, __: FrameType | None) -> None:
        raise BenchError(f"{what} took more than {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def run_case(case: Case, running: Bench) -> list[Row]:
    _progress(case.name)
    with time_limit(case.limit_s, case.name):
        return case.run(running)


def fsync_ms(folder: Path) -> float:
    """Median time of one small write with fsync in `folder`: what every durable figure stands on."""
    times = []
    with (folder / "fsync-probe").open("wb", buffering=0) as probe:
        for _ in range(FSYNC_TRIES):
            start = time.perf_counter()
            probe.write(b"x" * 200)
            os.fsync(probe.fileno())
            times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
