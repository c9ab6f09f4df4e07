"""Output of replicas on its way to a file."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.support.waiting import eventually
from tidemill.spawn.log_files import LINE_BYTES, LogFile, OutputPump, as_event


def event(line: bytes, stream: str = "stdout") -> dict[str, object]:
    found = json.loads(as_event(line, ref="f.ns", instance="f-1", stream=stream))
    assert isinstance(found, dict)
    return found


def test_text_is_wrapped() -> None:
    """Anything that is no JSON becomes an `output` event; what comes on stderr is a warning."""
    found = event(b"plain \xff text", "stderr")
    assert found.pop("ts")
    assert found == {
        "level": "warning",
        "source": "fn",
        "event": "output",
        "function": "f.ns",
        "instance": "f-1",
        "stream": "stderr",
        "text": "plain \ufffd text",
    }


def test_json_objects_keep_their_fields() -> None:
    """A line of a logging library of the function's own gets what it lacks; nobody can pose as another instance."""
    found = event(b'{"event": "mine", "level": "debug", "answer": 42, "instance": "other"}')
    assert (found["event"], found["level"], found["answer"]) == ("mine", "debug", 42)
    assert (found["function"], found["instance"]) == ("f.ns", "f-1")


def test_json_that_is_no_object_is_text() -> None:
    """A number, a list and a broken object are lines like any other."""
    for line in (b"42", b"[1]", b'{"a": ', b'{"a":NaN}', b'{"a":' + b"[" * 100_000):
        assert event(line)["text"] == line.decode()


def test_half_a_character_breaks_no_line() -> None:
    """JSON can name what UTF-8 cannot hold; whoever writes it must not stop the pump, which tells of the end too."""
    assert event(b'{"a": "\\ud800!"}')["a"] == "?!"


def test_line_of_the_runtime_is_passed_as_it_is() -> None:
    """It has all it needs and is not parsed again."""
    line = b'{"instance":"f-1","ts":"t","event":"call"}'
    assert as_event(line, ref="f.ns", instance="f-1", stream="stdout") is line
    assert as_event(line, ref="f.ns", instance="f-2", stream="stdout") != line


def test_file_rotates_by_size_and_keeps_one(tmp_path: Path) -> None:
    """The newest lines are in the file, the ones before in its only predecessor."""
    path = tmp_path / "ns" / "f.ndjson"
    file = LogFile(path, rotate_bytes=10)
    for line in (b"first\n", b"second\n", b"third\n", b"a line over the limit\n"):
        file.append(line)
    file.close()
    assert path.read_bytes() == b"a line over the limit\n"
    assert (tmp_path / "ns" / "f.ndjson.1").read_bytes() == b"third\n"
    again = LogFile(path, rotate_bytes=30)
    again.append(b"after a restart\n")
    again.close()
    assert path.read_bytes() == b"after a restart\n"


def test_file_that_was_removed_is_made_anew_at_the_next_rotation(tmp_path: Path) -> None:
    """Whoever clears up by hand loses what was in the file, and not every line from then on."""
    path = tmp_path / "f.ndjson"
    file = LogFile(path, rotate_bytes=10)
    file.append(b"a first line\n")
    path.unlink()
    file.append(b"a second line\n")
    file.close()
    assert (path.read_bytes(), file.lost_bytes) == (b"a second line\n", 0)


def test_file_that_cannot_be_rotated_is_written_to_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full for a moment costs lines, and never an open file of somebody else."""
    path = tmp_path / "f.ndjson"
    file = LogFile(path, rotate_bytes=10)
    file.append(b"a first line\n")
    with monkeypatch.context() as full, (tmp_path / "other").open("wb"):
        full.setattr(file, "_open", lambda: os.open("/dev/full/x", os.O_WRONLY))
        file.append(b"lost\n")
    file.append(b"a third line\n")
    file.close()
    assert (path.read_bytes(), file.lost_bytes) == (b"a third line\n", 5)
    assert path.with_name("f.ndjson.1").read_bytes() == b"a first line\n"


def test_full_disk_loses_lines_and_says_how_much() -> None:
    """Writing to a full device raises nothing."""
    file = LogFile(Path("/dev/full"))
    file.append(b"lost\n")
    file.close()
    assert file.lost_bytes == 5


async def test_pump_makes_whole_lines_of_pieces() -> None:
    """A line may come in pieces, several at once, without an end, or far too long."""
    reading, writing = os.pipe()
    lines: list[bytes] = []
    OutputPump(reading, append=lines.append, ref="f.ns", instance="f-1", stream="stdout")
    for piece in (b"one\ntw", b"o\n\nthr"):
        os.write(writing, piece)
        await asyncio.sleep(0)
    os.write(writing, b"ee\n" + b"x" * 1000)
    os.close(writing)

    async def texts() -> list[str]:
        found = [json.loads(line)["text"] for line in b"".join(lines).splitlines()]
        return found if len(found) == 4 else []

    assert await eventually(texts, "all lines are there") == ["one", "two", "three", "x" * 1000]


async def test_pump_cuts_a_line_without_an_end() -> None:
    """A function that never ends its line fills no memory."""
    reading, writing = os.pipe()
    lines: list[bytes] = []
    pump = OutputPump(reading, append=lines.append, ref="f.ns", instance="f-1", stream="stdout")
    for _ in range(LINE_BYTES // 4096 + 1):
        os.write(writing, b"x" * 4096)
        pump.drain()
    assert len(json.loads(lines[0])["text"]) > LINE_BYTES
    os.close(writing)
    pump.drain()
