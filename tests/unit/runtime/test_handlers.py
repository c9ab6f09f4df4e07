"""The handlers of both OpenFaaS templates, unmodified."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import flask
import pytest

from tests.unit.runtime.conftest import Log, Serve
from tidemill.runtime.handlers import HandlerUnusable, flask_view, load_view


def test_event_has_what_the_template_promises(serve: Serve) -> None:
    """body as bytes, headers looked up in any case, method, query and path; context has the host name."""
    seen: list[Any] = []

    def handle(event: Any, context: Any) -> None:
        seen.extend((event, context))

    serve(handle).http.patch("/a/b?x=1&x=2", data=b"\x00body", headers={"X-Thing": "t"})
    event, context = seen
    assert (event.body, event.method, event.path) == (b"\x00body", "PATCH", "/a/b")
    assert event.headers.get("x-thing") == "t"
    assert event.query.getlist("x") == ["1", "2"] and event.query["x"] == "1"
    assert context.hostname


@pytest.mark.parametrize(
    ("answer", "status", "content_type", "body"),
    [
        (None, 200, "text/html; charset=utf-8", b""),
        ({"statusCode": 201, "body": {"a": 1}}, 201, "application/json", b'{"a": 1}'),
        ({"body": [1, "two"]}, 200, "application/json", b'[1, "two"]'),
        ({"body": {"a": 1}, "headers": {"content-type": "application/hal+json"}}, 200, "application/hal+json", None),
        ({"statusCode": 204}, 204, "text/html; charset=utf-8", b""),
        ({"body": b"\xff\x00", "headers": {"Content-Type": "image/png"}}, 200, "image/png", b"\xff\x00"),
        ({"body": 42}, 200, "text/html; charset=utf-8", b"42"),
        ({"body": None}, 200, "text/html; charset=utf-8", b""),
        ({}, 200, "text/html; charset=utf-8", b""),
        ("text", 200, "text/html; charset=utf-8", b"text"),
        (("made", 202, {"X-A": "b"}), 202, "text/html; charset=utf-8", b"made"),
        ([{"a": 1}], 200, "application/json", None),
        (flask.Response("teapot", 418, mimetype="text/plain"), 418, "text/plain; charset=utf-8", b"teapot"),
    ],
)
def test_http_handler_may_return_all_of_these(
    serve: Serve, answer: Any, status: int, content_type: str | None, body: bytes | None
) -> None:
    """The template's dict, nothing, or whatever Flask takes."""
    got = serve(lambda event, context: answer).http.get("/")
    assert (got.status_code, got.headers.get("Content-Type")) == (status, content_type)
    assert body is None or got.data == body


def test_headers_may_repeat(serve: Serve) -> None:
    """A list of pairs sets two cookies."""
    pairs = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    got = serve(lambda event, context: {"headers": pairs}).http.get("/")
    assert got.headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_flask_features_work_in_a_handler(serve: Serve) -> None:
    """The request in Flask's context, jsonify, abort and redirect."""

    def handle(event: Any, context: Any) -> Any:
        match flask.request.path:
            case "/json":
                return flask.jsonify(args=flask.request.args)
            case "/abort":
                flask.abort(409)
        return flask.redirect("/elsewhere")

    http = serve(handle).http
    assert http.get("/json?a=1").get_json() == {"args": {"a": "1"}}
    assert http.get("/abort").status_code == 409
    assert http.get("/").headers["Location"] == "/elsewhere"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_reaches_the_handler(serve: Serve, method: str) -> None:
    """OPTIONS too: a function may answer its own preflight. HEAD has no body."""
    got = serve(lambda event, context: event.method).http.open("/any/path", method=method)
    assert got.status_code == 200
    assert got.text == ("" if method == "HEAD" else method)


@pytest.mark.parametrize(("raw", "expected"), [(None, "ü"), ("false", "ü"), ("true", b"\xc3\xbc")])
def test_flask_handler_gets_text_or_bytes(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, raw: str | None, expected: str | bytes
) -> None:
    """Text unless RAW_BODY=true."""
    seen: list[str | bytes] = []
    if raw is not None:
        monkeypatch.setenv("RAW_BODY", raw)
    got = serve(seen.append, make_view=flask_view).http.post("/", data="ü".encode())
    assert (got.status_code, got.data, seen) == (200, b"", [expected])


def test_exception_is_a_500_with_the_call_id_and_its_traceback_in_the_log(serve: Serve, log: Log) -> None:
    """The answer says no more than the kind of the exception; it is the function's own, so it has no marker."""

    def handle(event: Any, context: Any) -> None:
        raise LookupError("the password is 1234")

    got = serve(handle).http.get("/", headers={"X-Call-Id": "c-1"})
    assert got.status_code == 500
    assert got.get_json() == {
        "error": "the function raised LookupError; its log has the traceback",
        "code": "function_failed",
        "call_id": "c-1",
    }
    assert "X-OpenFaaS-Internal" not in got.headers
    (line,) = log.events("handler failed")
    assert line["call_id"] == "c-1" and "the password is 1234" in line["traceback"]


def test_handler_that_exits_does_not_take_the_replica_along(serve: Serve) -> None:
    """sys.exit in a handler is an exception like any other."""
    got = serve(lambda event, context: sys.exit(1)).http.get("/")
    assert got.status_code == 500


def write_handler(folder: Path, code: str) -> str:
    (folder / "function").mkdir()
    (folder / "function" / "__init__.py").touch()
    (folder / "function" / "handler.py").write_text(code)
    return str(folder)


@pytest.fixture
def clean_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name.split(".")[0] == "function"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("clean_imports")
@pytest.mark.parametrize(
    ("kind", "code", "complaint"),
    [
        ("python3-http", "x = 1\n", "no function named handle"),
        ("golang", "def handle(): ...\n", "no template golang"),
    ],
)
def test_unusable_handlers_are_named(tmp_path: Path, kind: str, code: str, complaint: str) -> None:
    """What is wrong is in the error."""
    with pytest.raises(HandlerUnusable, match=complaint):
        load_view(kind, write_handler(tmp_path, code))
    for name in ("function", "function.handler"):
        sys.modules.pop(name, None)
