"""Helpers for handlers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.errors import BadRequest, TidemillError, TooLarge, Unavailable
from tidemill.lib.function import answer, answers_errors, json_object, route_parameters
from tidemill.testing import event


def test_an_answer_is_json() -> None:
    """Text stays as it is, not as escapes."""
    assert answer(201, {"ok": "é"}, extra_headers={"Location": "/x"}) == {
        "statusCode": 201,
        "body": '{"ok":"é"}',
        "headers": {"Content-Type": "application/json", "Location": "/x"},
    }


def call(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """What a handler that raises `error` answers."""

    @answers_errors
    def handle(_event: Any, _context: Any) -> Any:
        raise error

    found = handle(event(headers={"X-Call-Id": "c-1"}), None)
    return found["statusCode"], json.loads(found["body"]), found["headers"]


def test_our_errors_answer_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """With status, code, hint and the call id; what is the caller's fault is not logged as ours."""
    status, body, headers = call(TooLarge("too much", hint="send less"))
    assert (status, headers) == (413, {"Content-Type": "application/json"})
    assert body == {"error": "too much", "code": "too_large", "hint": "send less", "call_id": "c-1"}
    assert capfdbinary.readouterr().out == b""


def test_what_is_away_says_when_to_come_back(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """In whole seconds, rounded up, never zero; and the cause is in the log."""
    status, _, headers = call(Unavailable("away", retry_after_s=1.2))
    assert (status, headers["Retry-After"]) == (503, "2")
    assert call(Unavailable("away", retry_after_s=0))[2]["Retry-After"] == "1"
    line = json.loads(capfdbinary.readouterr().out.splitlines()[0])
    assert (line["level"], line["error"]) == ("warning", "away")


def test_other_failures_of_ours_are_logged_with_their_traceback(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """They should not happen."""
    assert call(TidemillError("odd"))[0] == 500
    assert "traceback" in json.loads(capfdbinary.readouterr().out)


def test_an_unexpected_error_keeps_its_inside(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The caller gets the call id, the log the traceback."""
    status, body, _ = call(ZeroDivisionError("password=hunter2"))
    assert status == 500
    assert body == {"error": "Internal server error", "code": TidemillError.code, "call_id": "c-1"}
    assert b"hunter2" in capfdbinary.readouterr().out


def test_an_answer_passes_through() -> None:
    """The wrapper is about errors only and keeps the handler's name."""

    @answers_errors
    def handle(_event: Any, context: Any) -> Any:
        return context

    assert handle(event(), {"statusCode": 204}) == {"statusCode": 204}
    assert handle.__name__ == "handle"


def test_route_parameters_come_from_the_route_that_led_here() -> None:
    """The edge names it; called as /function/NAME the handler's own route is used."""
    routed = event(path="/photos/7", headers={"X-Tidemill-Route": "GET /photos/{id}"})
    assert route_parameters(routed, "GET /items/{id}") == {"id": "7"}
    assert route_parameters(event(path="/items/7"), "GET /items/{id}") == {"id": "7"}
    assert route_parameters(event(path="/other/7"), "GET /items/{id}") == {}


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_a_json_object_is_read(value: dict[str, Any]) -> None:
    """Whatever is in it."""
    assert json_object(json.dumps(value).encode()) == value


@given(st.binary())
def test_anything_else_is_refused_and_never_breaks(body: bytes) -> None:
    """Bad bytes give a sentence, not a traceback."""
    try:
        assert isinstance(json_object(body), dict)
    except BadRequest as error:
        assert "the body" in str(error)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'"x"', b"\xff", b"[" * 100_000, b'{"a":' * 50_000])
def test_bodies_that_are_no_object(body: bytes) -> None:
    """Nesting as deep as it may be included."""
    with pytest.raises(BadRequest):
        json_object(body)
