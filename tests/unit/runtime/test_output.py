"""What a function prints becomes events that name the call."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import pytest

from tidemill.lib.correlation import Call, bind
from tidemill.lib.log import Logger
from tidemill.runtime.output import EventPipe, PrintedText, line_start


class Capture:
    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.text = PrintedText(EventPipe(self.writing, instance="f-1", ref="f.ns"), "stdout")

    def lines(self) -> list[dict[str, Any]]:
        os.write(self.writing, b"{}\n")
        data = os.read(self.reading, 1 << 16)
        return [json.loads(line) for line in data.splitlines()][:-1]


@pytest.fixture
def capture() -> Iterator[Capture]:
    found = Capture()
    yield found
    os.close(found.reading)
    os.close(found.writing)


def test_printed_line_is_an_event_of_the_call(capture: Capture) -> None:
    """Ids, instance and function come with it."""
    with bind(Call(call_id="c-1", function="f.ns")):
        print("hello", "world", file=capture.text)
    print("at import", file=capture.text)
    inside, outside = capture.lines()
    assert (inside["text"], inside["event"], inside["stream"]) == ("hello world", "output", "stdout")
    assert (inside["call_id"], inside["function"], inside["instance"]) == ("c-1", "f.ns", "f-1")
    assert outside["function"] == "f.ns" and "call_id" not in outside


def test_line_begins_as_the_spawner_expects(capture: Capture) -> None:
    """So that it need not parse it."""
    print("hello", file=capture.text)
    assert os.read(capture.reading, 1 << 16).startswith(line_start("f-1"))


def test_pieces_make_one_line_per_thread(capture: Capture) -> None:
    """Two threads that print in pieces do not mix their lines; empty lines are none."""
    print("a", end="", file=capture.text, flush=True)
    thread = threading.Thread(target=lambda: print("other\n\n", file=capture.text))
    thread.start()
    thread.join()
    print("b", file=capture.text)
    assert [line["text"] for line in capture.lines()] == ["other", "ab"]


def test_structured_lines_keep_their_fields(capture: Capture) -> None:
    """lib.log and JSON of a library of the function's own, with the call's ids added."""
    with bind(Call(call_id="c-1", function="f.ns")):
        Logger("fn", stream=cast(BinaryIO, capture.text.buffer)).info("structured", answer=42)
        print('{"event": "own", "level": "debug", "answer": 43}', file=capture.text)
        print('{"broken', file=capture.text)
    structured, own, broken = capture.lines()
    assert (structured["event"], structured["answer"], structured["instance"]) == ("structured", 42, "f-1")
    assert (own["event"], own["level"], own["answer"], own["call_id"]) == ("own", "debug", 43, "c-1")
    assert broken["text"] == '{"broken'


def test_no_line_that_is_printed_raises(capture: Capture) -> None:
    """Fields of any name, JSON too deep to be read, and what JSON cannot hold."""
    deep = '{"a":' + "[" * 5000 + "}"
    for text in ('{"self": 1, "fields": 2}', deep, '{"half": "\\ud800"}', '{"much": 1e999}'):
        print(text, file=capture.text)
    named, nested, half, much = capture.lines()
    assert (named["self"], named["fields"], nested["text"], much["much"]) == (1, 2, deep, None)
    assert "ud800" in half["half"]


def test_line_longer_than_a_pipe_takes_at_once(capture: Capture) -> None:
    """Lines of two threads that do not fit into one write stay whole."""
    texts = ["x" * 20_000, "y" * 20_000]
    threads = [threading.Thread(target=print, args=(text,), kwargs={"file": capture.text}) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line["text"] for line in capture.lines()) == texts


def test_logging_handlers_write_to_it(capture: Capture) -> None:
    """A StreamHandler needs no more than this."""
    handler = logging.StreamHandler(capture.text)
    handler.emit(logging.LogRecord("n", logging.WARNING, "p", 1, "warned %s", ("you",), None))
    assert capture.lines()[0]["text"] == "warned you"
