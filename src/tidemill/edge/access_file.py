"""`access.ndjson` and the counts taken from it.

Every line is in the file before it counts, and a snapshot of the counts says up to which byte of the file it goes. So
after a crash the lines behind that byte are counted from the file, and no call is counted twice or forgotten.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from tidemill.edge.access_log import BadLine, Call, Dropped, parse
from tidemill.edge.counts import Counts

ROTATE_BYTES = 64 * 1024 * 1024
"""Then the file becomes `access.ndjson.1`, and the one before is gone."""


class AccessFile:
    """Takes lines of the ring. One writer per folder; not safe for several threads."""

    def __init__(self, folder: Path, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "access.ndjson"
        self.older = folder / "access.ndjson.1"
        self._snapshot = folder / "access.counts.json"
        self._rotate_bytes = rotate_bytes
        self.counts = self._recover()
        self._file = self.path.open("ab", buffering=0)
        self._torn = True
        """The file may end in the middle of a line: after a crash, or when the disk was full."""
        self._dirty = True

    def take(self, lines: list[bytes]) -> None:
        """Keep and count. Lines that are no calls are counted as such. Raises OSError where the disk takes nothing:
        the calls are then counted and not kept."""
        calls = []
        for line in lines:
            try:
                parsed = parse(line)
            except BadLine:
                self.counts.bad += 1
                continue
            if isinstance(parsed, Dropped):
                self.counts.dropped += parsed.lines
            elif isinstance(parsed, Call):
                calls.append(parsed)
        for call in calls:
            if call.function:
                self.counts.add(call.function, call.status, call.duration_s)
        self._dirty = True
        self._write(b"".join(call.as_line() for call in calls))
        if self._file.tell() >= self._rotate_bytes:
            self._rotate()

    def snapshot(self) -> None:
        """Keep the counts, where they changed. Cheap enough for every few seconds."""
        if not self._dirty:
            return
        state = {"inode": self.path.stat().st_ino, "offset": self._file.tell(), "counts": self.counts.as_wire()}
        new = self._snapshot.with_suffix(".new")
        new.write_text(json.dumps(state))
        os.replace(new, self._snapshot)
        self._dirty = False

    def close(self) -> None:
        self.snapshot()
        self._file.close()

    def _write(self, text: bytes) -> None:
        if self._torn:
            self._end_the_last_line()
        self._torn = True
        written = self._file.write(text)
        if written != len(text):
            raise OSError(f"only {written} of {len(text)} bytes were written to {self.path}")
        self._torn = False

    def _rotate(self) -> None:
        """Where no new file can be made, the old one is still there to be written to."""
        with suppress(FileNotFoundError):  # removed by somebody, or moved by a rotation that failed
            os.replace(self.path, self.older)
        opened = self.path.open("ab", buffering=0)
        self._file.close()
        self._file = opened
        self.snapshot()

    def _recover(self) -> Counts:
        """The snapshot's counts and the lines written after it."""
        try:
            state: dict[str, Any] = json.loads(self._snapshot.read_text())
            counts, inode, offset = Counts.from_wire(state["counts"]), state["inode"], state["offset"]
        except (OSError, ValueError, KeyError, TypeError):
            counts, inode, offset = Counts(), None, 0
        for path in (self.older, self.path):
            if not path.exists():
                continue
            if path.stat().st_ino == inode:
                _count(counts, path, offset)
            elif path == self.path:
                _count(counts, path, 0)
        return counts

    def _end_the_last_line(self) -> None:
        if self.path.stat().st_size:
            with self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    self._file.write(b"\n")


def _count(counts: Counts, path: Path, offset: int) -> None:
    """Count the kept lines of functions from `offset` on."""
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            try:
                kept = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if kept.get("function"):
                counts.add(kept["function"], kept["status"], kept["duration_ms"] / 1000)
