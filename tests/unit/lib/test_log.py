"""Structured log lines."""

from __future__ import annotations

import importlib
import io
import json
import sys
from datetime import UTC, datetime, timedelta, timezone
from threading import Thread
from typing import Any

import pytest

from tidemill.lib import log as log_module
from tidemill.lib.correlation import Call, bind
from tidemill.lib.log import Logger, get_logger, timestamp


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_its_frame_and_fields() -> None:
    """One JSON object a line, in UTC."""
    stream = io.BytesIO()
    Logger("door", stream=stream).info("accepted", function="resize.fn", bytes=1024)
    assert stream.getvalue().endswith(b"\n")
    [line] = lines(stream)
    assert datetime.fromisoformat(line.pop("ts")).tzinfo == UTC
    assert line == {"level": "info", "source": "door", "event": "accepted", "function": "resize.fn", "bytes": 1024}


def test_the_ids_of_the_call_are_added() -> None:
    """And what the event itself says wins."""
    stream = io.BytesIO()
    logger = Logger("fn", stream=stream)
    with bind(Call(call_id="c", correlation_id="a", function="f.ns", attempt=2)):
        logger.debug("step")
        logger.warning("other", function="g.ns")
    first, second = lines(stream)
    assert (first["call_id"], first["correlation_id"], first["function"], first["attempt"]) == ("c", "a", "f.ns", 2)
    assert (second["level"], second["function"]) == ("warning", "g.ns")


def test_an_error_tells_its_exception() -> None:
    """Inside an `except` block without being asked; outside of one it is a plain line."""
    stream = io.BytesIO()
    logger = Logger("fn", stream=stream)
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        logger.error("failed")
        logger.error("failed", error="my own words")
    logger.error("plain")
    told, own, plain = lines(stream)
    assert told["error"] == "ValueError: broken\nin two lines"
    assert "test_an_error_tells_its_exception" in told["traceback"]
    assert own["error"] == "my own words"
    assert "error" not in plain


@pytest.mark.parametrize("with_orjson", [True, False])
def test_any_value_can_be_a_field(with_orjson: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging must never be what fails, with orjson and in environments without it."""
    if not with_orjson:
        monkeypatch.setitem(sys.modules, "orjson", None)
    module = importlib.reload(log_module)
    try:
        stream = io.BytesIO()
        circular: list[Any] = []
        circular.append(circular)
        odd = {
            "bytes": b"\xff",
            "key": {1: "one", (1, 2): "pair"},
            "error": ValueError("x"),
            "set": {1},
            "huge": 10**40,
            "surrogate": "\ud800",
            "nan": float("nan"),
            "circular": circular,
            "text": "é\n",
        }
        for name, value in odd.items():
            module.Logger("fn", stream=stream).info("event", **{name: value})
        module.Logger("fn", stream=stream).info("event", **odd)
        assert [line["event"] for line in lines(stream)] == ["event"] * (len(odd) + 1)
        assert b"NaN" not in stream.getvalue()
        assert lines(stream)[len(odd) - 1]["text"] == "é\n"
    finally:
        monkeypatch.undo()
        importlib.reload(log_module)


def test_lines_of_threads_do_not_mix() -> None:
    """A line is one write."""

    class Writes(io.RawIOBase):
        def __init__(self) -> None:
            self.written: list[bytes] = []

        def write(self, data: Any) -> int:
            self.written.append(bytes(data))
            return len(data)

    stream = Writes()
    logger = Logger("fn", stream=stream)  # type: ignore[arg-type]
    threads = [Thread(target=logger.info, args=("event",), kwargs={"n": n}) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stream.written) == 8
    assert all(line.endswith(b"\n") and json.loads(line) for line in stream.written)


def test_lines_go_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Where whoever started the process keeps them, at once."""
    get_logger("door").info("ready")
    assert json.loads(capfdbinary.readouterr().out)["event"] == "ready"


def test_moments_are_written_in_utc() -> None:
    """To the millisecond, whatever the zone."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678912, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(moment) == "2026-01-02T01:04:05.678Z"
    assert timestamp().endswith("Z")
