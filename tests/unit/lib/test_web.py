"""What the platform's HTTP services share."""

from __future__ import annotations

import io
import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tidemill.contract.errors import NotFound, Unauthorized, Unavailable
from tidemill.lib.auth import Credentials
from tidemill.lib.log import Logger
from tidemill.lib.web import error_response, exception_handlers, require_login

ADMIN = Credentials("admin", "right")


def test_an_error_is_json_and_marked_as_ours() -> None:
    """Status and body of the error tree, with the component and the call id."""
    answer = error_response(NotFound("gone", hint="look elsewhere"), call_id="c-1", component="control")
    assert answer.status_code == 404
    assert json.loads(bytes(answer.body)) == {
        "error": "gone",
        "code": "not_found",
        "hint": "look elsewhere",
        "call_id": "c-1",
    }
    assert (answer.headers["X-OpenFaaS-Internal"], answer.headers["X-Call-Id"]) == ("control", "c-1")
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(("seconds", "written"), [(0, "1"), (0.2, "1"), (1.2, "2"), (30, "30")])
def test_an_outage_says_when_to_come_back(seconds: float, written: str) -> None:
    """In whole seconds, at least one."""
    answer = error_response(Unavailable(retry_after_s=seconds), component="door")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, written)
    assert "X-Call-Id" not in answer.headers


def test_a_missing_login_is_asked_for() -> None:
    """As browsers and faas-cli expect."""
    answer = error_response(Unauthorized("invalid credentials"), component="control")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Restricted"')


@pytest.fixture
def log() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def client(log: io.BytesIO) -> httpx.AsyncClient:
    """A service with a page behind the login, one that is missing and one that is broken."""

    async def guarded(request: Request) -> Response:
        require_login(request, ADMIN)
        return PlainTextResponse("in")

    async def missing(request: Request) -> Response:
        raise NotFound("no such thing")

    async def broken(request: Request) -> Response:
        raise ZeroDivisionError("password=hunter2")

    routes = [Route("/guarded", guarded), Route("/missing", missing), Route("/broken", broken)]
    handlers = exception_handlers("control", Logger("control", stream=log))
    app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


async def test_the_login_lets_in(client: httpx.AsyncClient) -> None:
    """And nothing else does."""
    assert (await client.get("/guarded", headers={"Authorization": ADMIN.header})).text == "in"
    refused = await client.get("/guarded", headers={"X-Call-Id": "c-1"})
    assert (refused.status_code, refused.json()["call_id"]) == (401, "c-1")


async def test_known_errors_answer_as_they_are(client: httpx.AsyncClient, log: io.BytesIO) -> None:
    """They are no events."""
    answer = await client.get("/missing")
    assert (answer.status_code, answer.json()) == (404, {"error": "no such thing", "code": "not_found"})
    assert log.getvalue() == b""


async def test_an_unknown_error_keeps_its_inside(client: httpx.AsyncClient, log: io.BytesIO) -> None:
    """The caller gets the call id, the log the cause."""
    answer = await client.get("/broken", headers={"X-Call-Id": "c-1"})
    assert (answer.status_code, answer.json()["code"], answer.json()["call_id"]) == (500, "internal", "c-1")
    assert "hunter2" not in answer.text
    line = json.loads(log.getvalue())
    assert (line["call_id"], line["path"], line["error"]) == ("c-1", "/broken", "ZeroDivisionError: password=hunter2")
