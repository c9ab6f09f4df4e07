"""Logs: which lines answer a query, in which order, and how a follower sees what comes."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.provider.conftest import Provider
from tidemill.contract.errors import Unprocessable
from tidemill.contract.names import FunctionRef
from tidemill.provider.logfiles import Follower, read_last_lines, read_lines, rotated
from tidemill.provider.logquery import LogQuery, as_message
from tidemill.provider.logstream import stream_lines

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def line(second: float, text: str, **fields: Any) -> dict[str, Any]:
    moment = NOW + timedelta(seconds=second)
    return {"ts": moment.isoformat().replace("+00:00", "Z"), "event": "output", "text": text, **fields}


def write(path: Path, *lines: dict[str, Any], mode: str = "a") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode) as file:
        file.writelines(json.dumps(each) + "\n" for each in lines)


async def collect(logs_dir: Path, **query: Any) -> list[str]:
    parsed = LogQuery.parse(query, now=NOW)
    return [found["text"] async for found in stream_lines(logs_dir, parsed, asyncio.Event())]


@pytest.fixture
def hello_log(tmp_path: Path) -> Path:
    path = tmp_path / "fn/openfaas-fn/hello.ndjson"
    write(rotated(path), line(-400, "ancient", instance="a"), line(-200, "old", instance="a"))
    write(path, line(-100, "new", instance="b"), line(-1, "newest", instance="a"))
    return path


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["old", "new", "newest"]),
        ({"tail": "-1"}, ["ancient", "old", "new", "newest"]),
        ({"tail": "0"}, ["ancient", "old", "new", "newest"]),
        ({"tail": "1"}, ["newest"]),
        ({"tail": "3"}, ["old", "new", "newest"]),
        ({"tail": "1", "instance": "b"}, ["new"]),
        ({"instance": "a"}, ["old", "newest"]),
        ({"since": "2026-01-02T03:03:00Z"}, ["newest"]),
        ({"since": "2026-01-02T04:03:00 01:00"}, ["newest"]),
        ({"since": "2026-01-02T03:00:00Z", "tail": "1"}, ["newest"]),
    ],
)
async def test_one_functions_log(tmp_path: Path, hello_log: Path, query: dict[str, str], expected: list[str]) -> None:
    """Rotated lines first; without tail and since the last five minutes."""
    assert await collect(tmp_path, name="hello", **query) == expected


async def test_a_function_may_print_any_time(tmp_path: Path) -> None:
    """One that no clock of ours can show counts as none, and the rest of the log is read."""
    odd = {**line(0, "odd"), "ts": "0001-01-01T00:00:00+14:00"}
    write(tmp_path / "fn/openfaas-fn/hello.ndjson", line(-1, "before"), odd, line(1, "after"))
    assert sorted(await collect(tmp_path, name="hello")) == ["after", "before", "odd"]
    assert as_message(odd, FunctionRef("hello"))["timestamp"].endswith("Z")


async def test_a_function_that_never_logged(tmp_path: Path) -> None:
    """Nothing, not an error."""
    assert await collect(tmp_path, name="silent") == []


@pytest.mark.parametrize("query", [{}, {"name": "a", "tail": "x"}, {"name": "a", "since": "yesterday"}])
def test_bad_queries_are_422(query: dict[str, str]) -> None:
    """Naming the parameter."""
    with pytest.raises(Unprocessable):
        LogQuery.parse(query, now=NOW)


@pytest.mark.parametrize("text", ["1", "t", "true", "True"])
def test_follow_is_a_go_bool(text: str) -> None:
    """Anything else means no."""
    assert LogQuery.parse({"name": "a", "follow": text}, now=NOW).follow
    assert not LogQuery.parse({"name": "a", "follow": text + "?"}, now=NOW).follow


async def test_one_user_action_across_every_hop(tmp_path: Path) -> None:
    """Access log, door, worker and functions, rotated ones too, in the order of time."""
    write(tmp_path / "access.ndjson", line(3, "edge", correlation_id="c"), line(3, "other", correlation_id="x"))
    write(tmp_path / "door.ndjson", line(4, "door", correlation_id="c", call_id="k"))
    write(rotated(tmp_path / "worker.ndjson"), line(5, "worker", correlation_id="c"))
    write(tmp_path / "fn/openfaas-fn/one.ndjson", line(6, "one", correlation_id="c"))
    write(rotated(tmp_path / "fn/blue/two.ndjson"), line(7, "two", correlation_id="c", call_id="k"))
    write(tmp_path / "nats.ndjson", line(1, "not ours", correlation_id="c"))
    assert await collect(tmp_path, correlation="c") == ["edge", "door", "worker", "one", "two"]
    assert await collect(tmp_path, correlation="c", tail="2") == ["one", "two"]
    assert await collect(tmp_path, call="k") == ["door", "two"]


async def test_a_follower_misses_nothing_and_sees_nothing_twice(tmp_path: Path, hello_log: Path) -> None:
    """What is there, then what is appended, through a rotation; a query that ended ends the stream."""
    ended = asyncio.Event()
    query = LogQuery.parse({"name": "hello", "tail": "1", "follow": "1"}, now=NOW)
    stream = stream_lines(tmp_path, query, ended)
    async with asyncio.timeout(10):
        assert (await anext(stream))["text"] == "newest"
        write(hello_log, line(0, "appended"))
        assert (await anext(stream))["text"] == "appended"
        write(hello_log, line(1, "before rotation"))
        hello_log.rename(rotated(hello_log))
        write(hello_log, line(2, "after rotation"))
        assert [(await anext(stream))["text"] for _ in range(2)] == ["before rotation", "after rotation"]
        ended.set()
        assert [found async for found in stream] == []


async def test_a_correlation_is_followed_into_functions_that_log_for_the_first_time(tmp_path: Path) -> None:
    """Their file did not exist when the query began."""
    query = LogQuery.parse({"correlation": "c", "follow": "1"}, now=NOW)
    write(tmp_path / "door.ndjson", line(1, "door", correlation_id="c"))
    stream = stream_lines(tmp_path, query, asyncio.Event())
    async with asyncio.timeout(10):
        assert (await anext(stream))["text"] == "door"
        write(tmp_path / "fn/openfaas-fn/late.ndjson", line(2, "late", correlation_id="c"))
        assert (await anext(stream))["text"] == "late"


def test_half_a_line_is_waited_for(tmp_path: Path) -> None:
    """A writer may be caught in the middle."""
    path = tmp_path / "x.ndjson"
    path.touch()
    follower = Follower(path)
    with path.open("a") as file:
        file.write('{"text": "on')
        file.flush()
        assert follower.new_lines() == []
        file.write('e"}\n')
    assert follower.new_lines() == [{"text": "one"}]
    follower.close()


def test_a_truncated_file_is_read_from_its_start(tmp_path: Path) -> None:
    """As after `> file`."""
    path = tmp_path / "x.ndjson"
    write(path, {"text": "one"}, {"text": "two"})
    follower = Follower(path)
    write(path, {"text": "three"}, mode="w")
    assert follower.new_lines() == [{"text": "three"}]
    follower.close()


@pytest.mark.parametrize("count", [1, 2, 999, 5000, 5001])
def test_the_end_of_a_large_file(tmp_path: Path, count: int) -> None:
    """Read in blocks from the end; lines that span two of them stay whole."""
    path = tmp_path / "x.ndjson"
    write(path, *({"n": number, "pad": "x" * (number % 97)} for number in range(5000)))
    assert [found["n"] for found in read_last_lines(path, count)] == list(range(5000))[-count:]


def test_what_is_no_json_is_left_out(tmp_path: Path) -> None:
    """A crash may have cut a line off."""
    path = tmp_path / "x.ndjson"
    path.write_text('{"text": "one"}\n{"text": "tw\n[1]\n\n{"text": "three"}\n{"te')
    assert [found["text"] for found in read_lines(path)] == ["one", "three"]
    assert [found["text"] for found in read_last_lines(path, 2)] == ["one", "three"]


def test_a_message_is_what_faas_cli_reads() -> None:
    """Printed text as it is, a function's own JSON as text; the time with its zone."""
    ref = FunctionRef("hello")
    printed = as_message(line(0, "hi", instance="hello-1"), ref)
    assert printed == {
        "name": "hello",
        "namespace": "openfaas-fn",
        "instance": "hello-1",
        "timestamp": "2026-01-02T03:04:05.000Z",
        "text": "hi",
    }
    own = as_message({"ts": "2026-01-02T03:04:05Z", "event": "resized", "width": 3}, ref)
    assert json.loads(own["text"])["width"] == 3


async def test_over_http(provider: Provider) -> None:
    """ndjson; 404 for a function that is not there; 422 for a bad parameter."""
    await provider.deploy()
    write(provider.logs_dir / "fn/openfaas-fn/hello.ndjson", line(0, "one"), line(1, "two"))
    answer = await provider.client.get("/system/logs", params={"name": "hello", "tail": "-1"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert [json.loads(raw)["text"] for raw in answer.text.splitlines()] == ["one", "two"]
    assert (await provider.client.get("/system/logs", params={"name": "nobody"})).status_code == 404
    assert (await provider.client.get("/system/logs", params={"name": "hello", "tail": "x"})).status_code == 422
