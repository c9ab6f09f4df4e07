"""invoke, synchronous and queued, and calls."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Tidemill
from tests.unit.cli.gateway import World
from tidemill.cli.events import KINDS

QUEUED = {"call_id": "call-1", "state": "queued"}
RETRYING = {
    "call_id": "call-1",
    "state": "retrying",
    "attempts": [{"number": 1, "status": 500, "reason": "the function answered 500"}],
    "next_attempt_at": "2026-01-01T00:00:09Z",
}
SUCCEEDED = {
    "call_id": "call-1",
    "function": "hello.openfaas-fn",
    "state": "succeeded",
    "attempts": [{"number": 1, "status": 200, "duration_s": 0.25}],
    "result": {"status": 200, "content_type": "text/plain", "size_bytes": 10},
}
DEAD = {**RETRYING, "state": "dead"}


@pytest.fixture(autouse=True)
def deployed(world: World) -> None:
    world.functions["hello"] = {"service": "hello", "image": "x"}


def test_the_answer_is_printed_as_it_is(tidemill: Tidemill, world: World) -> None:
    """Nothing is added for a script; the body comes from standard input; no login goes to a function."""
    done = tidemill("invoke", "hello", stdin=b"\x00\xff body")
    assert (done.code, done.err) == (0, "")
    assert world.received[0][1] == b"\x00\xff body"
    assert world.requests == [("POST", "/function/hello", None)]


def test_method_path_query_and_headers(tidemill: Tidemill, world: World) -> None:
    """All that faas-cli's invoke takes."""
    arguments = [
        "-m",
        "put",
        "--path",
        "/a/b",
        "-q",
        "x=1",
        "-q",
        "x=2",
        "-H",
        "X-One=1",
        "-H",
        "X-Two: a=b",
        "-d",
        "hi",
    ]
    done = tidemill("invoke", "hello.shop", *arguments, "--content-type", "text/css")
    assert done.out == "PUT /function/hello.shop/a/b?x=1&x=2 hi"
    headers = world.received[0][0]
    assert (headers["X-One"], headers["X-Two"], headers["Content-Type"]) == ("1", "a=b", "text/css")


def test_a_headers_case_does_not_matter(tidemill: Tidemill, world: World) -> None:
    """A content type given in lower case replaces the default instead of being a second one."""
    tidemill("invoke", "hello", "-d", "{}", "-H", "content-type: application/json")
    found = [value for name, value in world.received[0][0].items() if name.lower() == "content-type"]
    assert found == ["application/json"]


def test_the_body_from_a_file(tidemill: Tidemill, world: World, project: Path) -> None:
    """--file FILE and --data @FILE read it; a file that is not there is wrong use."""
    (project / "body").write_bytes(b"in file")
    tidemill("invoke", "hello", "--file", "body")
    tidemill("invoke", "hello", "--data", "@body")
    assert [body for _, body in world.received] == [b"in file", b"in file"]
    assert tidemill("invoke", "hello", "--file", "nothing").code == 2


@pytest.mark.parametrize("kind", KINDS)
def test_sample_events(tidemill: Tidemill, world: World, kind: str) -> None:
    """What a connector sends, without reading standard input; a given body and given headers take the sample's
    place."""
    assert tidemill("invoke", "hello", "--event", kind, stdin=b"not read").code == 0
    headers, body = world.received[0]
    assert headers["X-Connector"] == f"{kind}-connector"
    assert body == b"" if kind == "cron" else json.loads(body)
    tidemill("invoke", "hello", "--event", kind, "--data", "mine", "-H", "X-Connector=other")
    headers, body = world.received[1]
    assert (headers["X-Connector"], body) == ("other", b"mine")


def test_an_unknown_event_names_those_there_are(tidemill: Tidemill, world: World) -> None:
    """And the option's help lists the same."""
    done = tidemill("invoke", "hello", "--event", "fax")
    assert done.code == 2
    assert all(kind in done.err for kind in KINDS)
    assert all(kind in tidemill("invoke", "--help").out for kind in KINDS)


def test_a_functions_error_is_exit_code_1_and_its_body_is_printed(tidemill: Tidemill, world: World) -> None:
    """The body may say why; the exit code says that it is no success."""
    done = tidemill("invoke", "hello", "-q", "code=418", "-d", "tea")
    assert done.code == 1
    assert done.out.endswith("tea")
    assert "the function answered 418" in done.err


def test_an_unknown_function_is_exit_code_3(tidemill: Tidemill, world: World) -> None:
    """The platform's own 404, not one of the function's; nothing is printed as if it were an answer."""
    done = tidemill("invoke", "nobody", "-d", "")
    assert (done.code, done.out) == (3, "")
    assert "function nobody is not deployed" in done.err


def test_json(tidemill: Tidemill, world: World) -> None:
    """Status, headers and body in one value."""
    done = tidemill("invoke", "hello", "-d", "hi", "--json")
    assert done.json["status"] == 200
    assert done.json["body"] == "POST /function/hello hi"


def test_async_prints_the_id(tidemill: Tidemill, world: World) -> None:
    """It can be handed to `tidemill calls`."""
    assert tidemill("invoke", "hello", "--async", "-d", "x").out == "call-1\n"
    assert tidemill("invoke", "hello", "--async", "-d", "x", "--json").json["call_id"] == "call-1"
    assert tidemill("invoke", "nobody", "--async", "-d", "x").code == 3
    assert tidemill("invoke", "hello", "--async", "-m", "GET").code == 2


def test_wait_follows_the_call_to_its_result(tidemill: Tidemill, world: World) -> None:
    """Each change of state is told on standard error, the function's answer alone is printed."""
    world.calls["call-1"] = [QUEUED, QUEUED, RETRYING, SUCCEEDED]
    done = tidemill("invoke", "hello", "--wait", "-d", "x")
    assert (done.code, done.out) == (0, "the result")
    assert [line.partition(": ")[2] for line in done.err.splitlines()] == [
        "queued",
        "retrying, attempt 1: the function answered 500; again at 2026-01-01T00:00:09Z",
        "succeeded",
    ]


def test_wait_for_a_call_that_dies(tidemill: Tidemill, world: World) -> None:
    """Exit code 1 with the last attempt's reason."""
    world.calls["call-1"] = [DEAD]
    done = tidemill("invoke", "hello", "--wait", "-d", "x", "--json")
    assert done.code == 1
    assert done.error["error"] == "the call is dead after 1 attempt: the function answered 500"
    assert (done.error["code"], done.error["call_id"]) == ("dead", "call-1")


def test_wait_has_an_end(tidemill: Tidemill, world: World) -> None:
    """--timeout: the call goes on, and how to see it is told."""
    world.calls["call-1"] = [QUEUED]
    done = tidemill("invoke", "hello", "--wait", "--timeout", "0.05", "-d", "x")
    assert done.code == 1
    assert "tidemill calls call-1" in done.err


def test_calls(tidemill: Tidemill, world: World) -> None:
    """All, by state, one with its attempts and result, and cancelling."""
    world.calls.update({"call-1": [SUCCEEDED], "call-2": [{**DEAD, "call_id": "call-2"}]})
    assert [call["call_id"] for call in tidemill("calls", "--json").json] == ["call-1", "call-2"]
    assert [call["call_id"] for call in tidemill("calls", "--state", "dead", "--json").json] == ["call-2"]
    told = tidemill("calls", "call-1").out
    assert "1: 200 after 0.250 s" in told
    assert "the result" in told
    assert tidemill("calls", "call-1", "--json").json["body"] == "the result"
    assert tidemill("calls", "call-1", "--result").out == "the result"
    assert tidemill("calls", "cancel", "call-2").code == 0
    assert ("DELETE", "/async-function/call-2", None) not in world.requests  # it is sent, with the login
    assert [path for method, path, _ in world.requests if method == "DELETE"] == ["/async-function/call-2"]


@pytest.mark.parametrize(("arguments", "code"), [(["nothing"], 3), (["cancel"], 2), (["a", "b"], 2)])
def test_calls_that_are_not_there(tidemill: Tidemill, world: World, arguments: list[str], code: int) -> None:
    """Not found is 3, wrong use is 2."""
    assert tidemill("calls", *arguments).code == code
