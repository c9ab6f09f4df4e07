"""Reading the platform's ndjson log files: the end of one, everything of several, and what is still to come.

A file is rotated by renaming it to `.1` and starting anew; a reader that follows finishes the old one first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

BLOCK_BYTES = 64 * 1024
LONGEST_LINE_BYTES = 1024 * 1024
"""What is longer is not a line of ours and is given up."""

Line = dict[str, Any]


def read_lines(path: Path, *, end: int | None = None) -> Iterator[Line]:
    """Every whole JSON line of a file, up to byte `end`, after those of its rotated predecessor; an absent file has
    none."""
    for part, until in ((rotated(path), None), (path, end)):
        try:
            with part.open("rb") as file:
                for raw in file:
                    if until is not None and file.tell() > until:
                        break
                    if (line := parse(raw)) is not None:
                        yield line
        except FileNotFoundError:
            continue


def read_last_lines(path: Path, count: int, *, end: int | None = None) -> list[Line]:
    """The last `count` lines before byte `end`, oldest first, without reading what comes before them."""
    found: list[Line] = []
    for part, until in ((path, end), (rotated(path), None)):
        try:
            with part.open("rb") as file:
                for raw in _backwards(file, until):
                    line = parse(raw)
                    if line is not None:
                        found.append(line)
                    if len(found) == count:
                        return found[::-1]
        except FileNotFoundError:
            continue
    return found[::-1]


def rotated(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def parse(raw: bytes) -> Line | None:
    """None for what is no JSON object, such as a line cut off by a crash."""
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return line if isinstance(line, dict) else None


class Follower:
    """Gives the lines that are appended to a file from now on (or all of it), through rotation and truncation."""

    def __init__(self, path: Path, *, from_start: bool = False) -> None:
        self._path = path
        self._file = self._open()
        self._rest = b""
        if self._file is not None and not from_start:
            self._file.seek(0, os.SEEK_END)

    @property
    def position(self) -> int:
        """The byte it will read next; 0 where there is no file yet."""
        return self._file.tell() if self._file else 0

    def new_lines(self) -> list[Line]:
        lines = self._drain()
        if self._replaced():
            self.close()
            self._file = self._open()
            lines += self._drain()
        return lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._rest = b""

    def _drain(self) -> list[Line]:
        if self._file is None:
            return []
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        if len(self._rest) > LONGEST_LINE_BYTES:
            self._rest = b""
        return [line for raw in whole if (line := parse(raw)) is not None]

    def _replaced(self) -> bool:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        if self._file is None:
            return True
        mine = os.fstat(self._file.fileno())
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino) or now.st_size < self._file.tell()

    def _open(self) -> BinaryIO | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None


def _backwards(file: BinaryIO, end: int | None) -> Iterator[bytes]:
    """Lines from the end to the beginning."""
    position = file.seek(0, os.SEEK_END) if end is None else end
    rest = b""
    while position > 0:
        size = min(BLOCK_BYTES, position)
        position -= size
        file.seek(position)
        rest, *lines = (file.read(size) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest
