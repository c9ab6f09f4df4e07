"""What a command prints: results on standard output, everything else on standard error.

With `--json` standard output holds one JSON value (or one a line where the command streams) and nothing else, and
errors are JSON on standard error. Without a terminal there is no colour and no live display.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tidemill.cli.failures import Failure

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """Where a command's words go."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    @property
    def is_interactive(self) -> bool:
        """A person watches: live displays and colour make sense."""
        return not self.as_json and sys.stderr.isatty()

    def result(self, value: Any) -> None:
        """The answer as JSON, in both modes of commands whose answer is JSON by nature."""
        indent = 2 if sys.stdout.isatty() else None
        print(json.dumps(value, indent=indent, ensure_ascii=False, default=str), flush=True)  # noqa: T201

    def entry(self, value: Any, text: str) -> None:
        """One of a stream of values: as JSON in one line, or as the line for a person."""
        self.line(json.dumps(value, ensure_ascii=False, default=str) if self.as_json else text)

    def line(self, text: str) -> None:
        """One line of the answer, as it is."""
        print(text, flush=True)  # noqa: T201

    def raw(self, body: bytes) -> None:
        """An answer's bytes; a last newline is added for a person."""
        sys.stdout.buffer.write(body)
        if sys.stdout.isatty() and body and not body.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
        """Aligned on a terminal; tab-separated with a header where a script reads. Nothing is cut off: what is shown,
        an id above all, can be copied into the next command."""
        lines = [[" ".join(cell.split()) for cell in row] for row in rows]
        if not lines:
            self.note(empty)
        elif sys.stdout.isatty():
            widths = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
            header, *others = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in (columns, *lines))
            self.line(f"\033[1m{header}\033[0m")
            for line in others:
                self.line(line)
        else:
            for row in (columns, *lines):
                self.line("\t".join(row))

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and values, one a line, values aligned."""
        shown = [(name, value) for name, value in pairs if value]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            first, *more = value.splitlines() or [""]
            self.line(f"{name:<{width}}  {first}")
            for line in more:
                self.line(" " * (width + 2) + line)

    def note(self, text: str) -> None:
        """A remark for a person: silent with --json."""
        if not self.as_json:
            sys.stderr.write(f"{text}\n")  # in one piece: deployments speak from several threads
            sys.stderr.flush()

    def failure(self, failure: Failure) -> None:
        if self.as_json:
            print(json.dumps(failure.as_wire(), ensure_ascii=False), file=sys.stderr, flush=True)  # noqa: T201
            return
        call = f" (call {failure.call_id})" if failure.call_id else ""
        print(self.marked("error:") + f" {failure}{call}", file=sys.stderr)  # noqa: T201
        if failure.hint:
            print(f"  hint: {failure.hint}", file=sys.stderr)  # noqa: T201
        sys.stderr.flush()

    def console(self) -> Console:
        """Rich on standard error, for live displays."""
        from rich.console import Console

        return Console(stderr=True)

    def marked(self, text: str) -> str:
        """So that a person does not overlook it."""
        return f"\033[1;31m{text}\033[0m" if sys.stderr.isatty() else text
