"""dead, secret, namespace and logs."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast

import pytest

from tests.unit.cli.conftest import Tidemill
from tests.unit.cli.gateway import World
from tidemill.cli.commands.logs import readable, since_time
from tidemill.cli.failures import BadUsage, Failure, Missing, Unreachable
from tidemill.cli.tailing import tail

LETTER = {
    "call_id": "c1",
    "function": "hello.openfaas-fn",
    "reason": "the function answered 500 ten times",
    "code": "attempts_used_up",
    "attempts": [{"number": 1, "status": 500}],
    "method": "POST",
    "path": "/x",
    "query": "a=1",
    "payload": "aGVsbG8=",
    "headers": {"Content-Type": "text/plain"},
}


def test_dead_letters(tidemill: Tidemill, world: World) -> None:
    """List, show with payload, redrive one, purge all."""
    world.letters.update({"c1": LETTER, "c2": {**LETTER, "call_id": "c2"}, "c3": {**LETTER, "call_id": "c3"}})
    assert len(tidemill("dead", "list", "--json").json) == 3
    assert "the function answered 500 ten times" in tidemill("dead", "list").out
    shown = tidemill("dead", "show", "c1").out
    assert "POST /x?a=1" in shown and "hello" in shown and "Content-Type: text/plain" in shown
    assert tidemill("dead", "show", "c1", "--payload").out == "hello"
    assert tidemill("dead", "redrive", "c1", "--json").json == {"redriven": 1}
    assert tidemill("dead", "purge", "--all", "--json").json == {"purged": 2}
    assert tidemill("dead", "show", "c1").code == 3


@pytest.mark.parametrize("arguments", [["redrive"], ["purge"], ["purge", "c1", "--all"]])
def test_all_dead_letters_are_meant_only_where_said(tidemill: Tidemill, world: World, arguments: list[str]) -> None:
    """Neither an id nor --all, or both, is wrong use and does nothing."""
    assert tidemill("dead", *arguments).code == 2
    assert world.requests == []


def test_secrets(tidemill: Tidemill, world: World) -> None:
    """A value of any bytes; one newline at its end is dropped; an existing one is exit code 6 unless replaced."""
    assert tidemill("secret", "create", "key", stdin=b"\x01val\n").code == 0
    assert world.secrets == {"key": b"\x01val"}
    done = tidemill("secret", "create", "key", "--from-literal", "new", "--json")
    assert (done.code, done.error["code"]) == (6, "conflict")
    assert tidemill("secret", "create", "key", "--from-literal", "new", "--replace").code == 0
    assert world.secrets == {"key": b"new"}
    assert tidemill("secret", "update", "key", "--no-trim", stdin=b"x\n").code == 0
    assert world.secrets == {"key": b"x\n"}
    assert tidemill("secret", "list", "--json").json == [{"name": "key", "namespace": "openfaas-fn"}]
    assert tidemill("secret", "remove", "key").code == 0
    assert tidemill("secret", "remove", "key").code == 3
    assert tidemill("secret", "create", "empty", stdin=b"\n").code == 2


def test_namespaces(tidemill: Tidemill, world: World) -> None:
    """Created with the mark that OpenFaaS's tools look for."""
    assert tidemill("namespace", "create", "shop", "--label", "team=a").code == 0
    assert world.namespaces["shop"]["labels"] == {"openfaas": "1", "team": "a"}
    assert tidemill("namespace", "list").out == "openfaas-fn\nshop\n"
    assert "team=a" in tidemill("namespace", "get", "shop").out
    assert tidemill("namespace", "remove", "shop", "--json").json == {"name": "shop", "status": "removed"}


def test_logs(tidemill: Tidemill, world: World) -> None:
    """A line a line; with --json each as it came; what is asked for is in the query."""
    world.logs.append({"name": "hello", "instance": "i1", "timestamp": "2026-01-01T00:00:00Z", "text": "hi there\n"})
    assert tidemill("logs", "hello").out == "2026-01-01T00:00:00Z hello[i1] hi there\n"
    assert tidemill("logs", "--call", "c1", "--json").json["text"] == "hi there\n"
    tidemill("logs", "hello", "--instance", "i1", "--tail", "5", "--since", "2026-01-01T00:00:00+01:00")
    paths = [path for _, path, _ in world.requests]
    assert paths[:2] == ["/system/logs?name=hello&follow=false", "/system/logs?follow=false&call=c1"]
    assert "instance=i1" in paths[2] and "tail=5" in paths[2] and "since=2025-12-31T23%3A00%3A00.000Z" in paths[2]


@pytest.mark.parametrize("arguments", [[], ["hello", "--call", "c"], ["hello", "--since", "yesterday"]])
def test_logs_need_one_subject(tidemill: Tidemill, world: World, arguments: list[str]) -> None:
    """A function, a call or a user action, and a time that can be read."""
    assert tidemill("logs", *arguments).code == 2


def test_since() -> None:
    """A duration counts back from now; a time without zone is refused, since nobody knows whose it is."""
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert since_time("90m", now) == "2026-01-01T10:30:00.000Z"
    with pytest.raises(BadUsage):
        since_time("2026-01-01T10:00:00", now)


def test_a_structured_line_is_readable() -> None:
    """The platform's own events: when, where, what happened, its fields; a traceback as it is; ids of no use to the
    eye are left to --json."""
    entry = {
        "ts": "2026-01-01T00:00:00Z",
        "level": "error",
        "source": "fn",
        "function": "hello.openfaas-fn",
        "event": "handler raised",
        "call_id": "c1",
        "trace_id": "t",
        "note": "two words",
        "traceback": "Traceback…\nValueError: no\n",
    }
    assert readable(entry) == (
        '2026-01-01T00:00:00Z fn hello.openfaas-fn ERROR handler raised call_id=c1 note="two words"\n'
        "Traceback…\nValueError: no"
    )


def test_a_functions_own_json_line_is_unfolded() -> None:
    """What a function logs as JSON arrives as text in OpenFaaS's shape; it reads like any other event."""
    entry = {"name": "hello", "timestamp": "T", "text": '{"ts": "T2", "event": "stored", "bytes": 5}\n'}
    assert readable(entry) == "T2 hello stored bytes=5"


class _Streams:
    """Answers one prepared stream a request; an exception in it breaks the stream there."""

    def __init__(self, *streams: list[dict[str, str] | Failure]) -> None:
        self.streams = list(streams)
        self.asked: list[dict[str, str]] = []

    def logs(self, params: dict[str, str]) -> Iterator[dict[str, str]]:
        self.asked.append(dict(params))
        for entry in self.streams.pop(0):
            if isinstance(entry, Failure):
                raise entry
            yield entry


def _lines(client: _Streams, count: int, monkeypatch: pytest.MonkeyPatch, **options: bool) -> list[str]:
    monkeypatch.setattr("tidemill.cli.tailing.AGAIN_S", 0)
    entries = tail(cast(Any, client), {"name": "a", "tail": "9"}, closed=threading.Event(), **options)
    return [entry["text"] for entry in islice(entries, count)]


def test_a_broken_stream_is_taken_up_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Following asks again from the last moment seen, and lines of that moment are not shown twice."""
    one, two, three = ({"timestamp": moment, "text": text} for moment, text in (("1", "a"), ("2", "b"), ("2", "c")))
    client = _Streams([one, two, Unreachable("away")], [Unreachable("away")], [two, three])
    assert _lines(client, 3, monkeypatch) == ["a", "b", "c"]
    assert client.asked == [{"name": "a", "tail": "9"}, *2 * [{"name": "a", "since": "2"}]]


def test_the_first_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not there is no stream to wait for, except for `dev`, which is about to deploy it."""
    with pytest.raises(Missing):
        _lines(_Streams([Missing("no")]), 1, monkeypatch)
    late = _Streams([Missing("no")], [{"timestamp": "1", "text": "x"}])
    assert _lines(late, 1, monkeypatch, patient=True) == ["x"]
