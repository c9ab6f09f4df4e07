"""How a deployment is shown while it runs: a live line a function on a terminal, else a line a step."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidemill.cli.deploying import Outcome, Report
from tidemill.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextmanager
def shown(output: Output) -> Iterator[Report]:
    if not output.is_interactive:
        yield Lines(output)
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=output.console()) as progress:
        yield _Live(progress)


def summary(outcome: Outcome) -> str:
    if outcome.failure is None:
        return f"deployed in {outcome.seconds:.1f} s"
    hint = f" ({outcome.failure.hint})" if outcome.failure.hint else ""
    return f"failed: {outcome.failure}{hint}"


class Lines(Report):
    """A line a step, silent with --json."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def note(self, text: str) -> None:
        self._output.note(text)

    def step(self, name: str, text: str) -> None:
        self._output.note(f"{name}: {text}")

    def ended(self, outcome: Outcome) -> None:
        text = f"{outcome.name}: {summary(outcome)}"
        self._output.note(self._output.marked(text) if outcome.failure else text)


class Endings(Lines):
    """A line a function: how it ended."""

    def step(self, name: str, text: str) -> None:
        pass


class _Live(Report):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        self._progress.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(self, name: str, text: str) -> None:
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=1, text="")
        self._progress.update(self._tasks[name], text=text)

    def ended(self, outcome: Outcome) -> None:
        if outcome.failure:  # the live line has room for one line only
            self.note(f"{outcome.name}: {summary(outcome)}")
        self.step(outcome.name, "failed" if outcome.failure else summary(outcome))
        self._progress.update(self._tasks[outcome.name], completed=1)
