"""Queueing a further call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from urllib3 import HTTPResponse
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError

from tidemill.contract.errors import Conflict, Unavailable
from tidemill.lib.correlation import Call, bind
from tidemill.lib.gateway import HttpGateway, _pool
from tidemill.testing import FakeGateway


class Pool:
    """Answers each request as told, and remembers it."""

    def __init__(self, answer: HTTPResponse | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[tuple[str, ...], dict[str, Any]]] = []

    def request(self, *where: str, **what: Any) -> HTTPResponse:
        self.asked.append((where, what))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def gateway(answer: HTTPResponse | Exception) -> tuple[HttpGateway, Pool]:
    pool = Pool(answer)
    return HttpGateway("http://gateway:8080/", pool), pool  # type: ignore[arg-type]


def answered(status: int, **headers: str) -> HTTPResponse:
    return HTTPResponse(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_call_is_queued_as_part_of_the_user_action() -> None:
    """Correlation id and trace go along; the call gets an id of its own."""
    subject, pool = gateway(answered(202, Location="/async-function/job-1", X_Call_Id="request-1"))
    with bind(Call(call_id="c", correlation_id="action", trace_id="a" * 32)):
        assert subject.call_later("resize", {"b": 1, "a": 2}, key="k") == "job-1"
    [(where, what)] = pool.asked
    assert where == ("POST", "http://gateway:8080/async-function/resize")
    assert json.loads(what["body"]) == {"a": 2, "b": 1}
    sent = what["headers"]
    assert (sent["Idempotency-Key"], sent["X-Correlation-Id"]) == ("k", "action")
    assert sent["traceparent"].startswith("00-" + "a" * 32)
    assert "X-Call-Id" not in sent


@pytest.mark.parametrize("location", ["", "/", "/async-function/", "/async-function/a/b", "http://elsewhere/x"])
def test_accepted_without_a_call_is_not_believed(location: str) -> None:
    """Something else than our gateway answered."""
    with pytest.raises(Unavailable):
        gateway(answered(202, Location=location, X_Call_Id="x"))[0].call_later("f", {}, key="k")


@pytest.mark.parametrize("status", [200, 404, 413, 429, 500, 503])
def test_anything_but_accepted_is_never_taken_for_it(status: int) -> None:
    """No false 202 may follow from it."""
    with pytest.raises(Unavailable, match=str(status)):
        gateway(answered(status, Location="/async-function/x"))[0].call_later("f", {}, key="k")


def test_a_used_key_is_a_conflict() -> None:
    """The gateway answers 422 where the body is another one."""
    with pytest.raises(Conflict):
        gateway(answered(422))[0].call_later("f", {}, key="k")


@pytest.mark.parametrize(
    "error",
    [MaxRetryError(None, "/", None), ConnectTimeoutError(), OSError("reset")],  # type: ignore[arg-type]
)
def test_a_gateway_that_is_away_is_unavailable(error: Exception) -> None:
    """Whatever the driver calls it."""
    with pytest.raises(Unavailable, match="not reachable"):
        gateway(error)[0].call_later("f", {}, key="k")


def test_the_real_pool_has_bounded_patience() -> None:
    """No function waits for ever for the queue."""
    pool = _pool()
    timeout = pool.connection_pool_kw["timeout"]
    assert timeout.connect_timeout <= 1 and timeout.read_timeout <= 5
    with pytest.raises(Unavailable):
        HttpGateway("http://127.0.0.1:1").call_later("f", {}, key="k")


def test_the_fake_keeps_the_same_promises() -> None:
    """One job a key, a conflict for another body, nothing while it is down."""
    fake = FakeGateway()
    with bind(Call(correlation_id="action")):
        first = fake.call_later("f", {"a": 1}, key="k")
    assert fake.call_later("f", {"a": 1}, key="k") == first
    assert fake.call_later("g", {"a": 1}, key="k") != first
    assert [call.function for call in fake.calls] == ["f", "g"]
    assert fake.calls[0].headers == {"X-Correlation-Id": "action"}
    with pytest.raises(Conflict):
        fake.call_later("f", {"a": 2}, key="k")
    fake.down = True
    with pytest.raises(Unavailable):
        fake.call_later("f", {"a": 1}, key="k")
