"""What services print, as it is kept."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from tidemill.embedded.output import KEEP_FILES, LAST_LINES, LONGEST_LINE_BYTES, LossyFile, Output


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "door.ndjson"


def test_our_own_lines_are_kept_as_they_are(path: Path) -> None:
    """A JSON line of lib.log is stored byte by byte."""
    line = b'{"ts":"2026-01-01T00:00:00.000Z","level":"info","source":"door","event":"accepted"}'
    output = Output("door", path)
    output.feed(line + b"\n")
    output.close()
    assert path.read_bytes() == line + b"\n"


def test_other_lines_are_wrapped(path: Path) -> None:
    """Whatever else is printed becomes the text of a JSON line that names its source."""
    output = Output("nats", path)
    output.feed(b"[7] [INF] Server is ready \xff\n")
    output.close()
    (line,) = lines_of(path)
    assert (line["source"], line["event"], line["text"]) == ("nats", "output", "[7] [INF] Server is ready �")


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("[7] [ERR] Authorization Violation", "error"),
        ("[7] [FTL] cannot listen", "error"),
        ("[ALERT]    (1) : config : nonsense", "error"),
        ("[WARNING]  (1) : Exiting Master process", "warning"),
        ('{"t":{"$date":"2026"},"s":"W",  "c":"CONTROL"}', "warning"),
        ('{"t":{"$date":"2026"},"s":"F",  "c":"CONTROL"}', "error"),
        ("[7] [INF] Server is ready", "info"),
    ],
)
def test_the_servers_own_severities_are_kept(path: Path, line: str, level: str) -> None:
    """So that `tidemill logs` shows what went wrong in red, whoever said it."""
    output = Output("nats", path)
    output.feed(line.encode() + b"\n")
    output.close()
    assert [each["level"] for each in lines_of(path)] == [level]


def test_a_line_may_arrive_in_pieces(path: Path) -> None:
    """Chunks end anywhere; a line is whole when its newline came, or when the process ended."""
    output = Output("nats", path)
    for piece in (b"one", b" line\ntwo", b"\n\nend"):
        output.feed(piece)
    assert [line["text"] for line in lines_of(path)] == ["one line", "two"]
    output.close()
    assert [line["text"] for line in lines_of(path)] == ["one line", "two", "end"]


def test_a_line_without_an_end_does_not_fill_memory(path: Path) -> None:
    """It is cut and stored once it is longer than any sensible line."""
    output = Output("nats", path)
    output.feed(b"x" * (LONGEST_LINE_BYTES + 1))
    assert len(lines_of(path)) == 1
    output.close()


def test_files_rotate_and_old_ones_go(path: Path) -> None:
    """No file grows beyond the limit, and only the youngest few are kept."""
    output = Output("nats", path, rotate_bytes=300)
    for number in range(20):
        output.feed(f"line {number}\n".encode())
    output.close()
    kept = sorted(each.name for each in path.parent.iterdir())
    assert kept == ["door.ndjson", *(f"door.ndjson.{number}" for number in range(1, KEEP_FILES + 1))]
    assert lines_of(path)[-1]["text"] == "line 19"
    assert all(each.stat().st_size <= 300 for each in path.parent.iterdir())


def test_the_last_lines_are_remembered(path: Path) -> None:
    """They tell why a service does not start."""
    output = Output("mongo", path)
    output.feed("".join(f"line {number}\n" for number in range(100)).encode())
    output.close()
    assert list(output.last_lines) == [f"line {number}" for number in range(100 - LAST_LINES, 100)]


async def test_an_alarming_line_is_told(path: Path) -> None:
    """The first that holds one of the texts; others are not."""
    output = Output("nats", path)
    alarm = output.alarm_at(("write error", "DISABLED"))
    output.feed(b"[1] [INF] Server is ready\n")
    assert not alarm.done()
    output.feed(b"[1] [ERR] Critical write error: no space\n[1] [INF] DISABLED\n")
    assert alarm.result() == "[1] [ERR] Critical write error: no space"
    output.close()


def test_a_full_disk_loses_lines_but_stops_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is counted, and later lines are written again."""
    output = Output("door", path)

    class Full:
        closed = False

        def write(self, block: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(output, "_file", Full())
        output.feed(b"lost\n")
    output.feed(b"kept\n")
    output.close()
    assert output.lost_bytes > 0
    assert [line["text"] for line in lines_of(path)] == ["kept"]


def test_a_rotation_that_fails_is_made_up_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no room for a new file at first; once there is, lines are kept again."""
    output = Output("door", path, rotate_bytes=200)
    output.feed(b"one\n")

    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        output.feed(b"x" * 200 + b"\n")
        output.feed(b"lost too\n")
    output.feed(b"two\n")
    output.close()
    assert [line["text"] for line in lines_of(path)] == ["two"]


def test_our_own_log_survives_a_full_disk() -> None:
    """/dev/full answers every write with ENOSPC, as a full disk does; the supervisor must live on."""
    with LossyFile("/dev/full", "w") as full:
        assert full.write(b"a line") == len(b"a line")
