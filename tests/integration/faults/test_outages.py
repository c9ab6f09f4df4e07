"""Servers that are away for seconds: callers are told so at once, jobs wait and succeed afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.calls import ended, state_of, submit
from tests.support.command import ROOT
from tests.support.platform import Platform
from tests.support.processes import held_down
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.faults]

PROMPT_S = 8.0
"""A caller's patience in these tests; what takes longer is no prompt answer."""
PHOTO = ROOT / "examples/photos/coffee.jpg"


@pytest.fixture
def http(stack: Platform) -> Iterator[httpx.Client]:
    """A new connection for each call: on a kept one HAProxy answers the death of a server by closing it."""
    with httpx.Client(base_url=stack.url, timeout=PROMPT_S, headers={"Connection": "close"}) as client:
        yield client


def upload(http: httpx.Client, photo: Path) -> httpx.Response:
    return http.post("/upload", content=photo.read_bytes(), headers={"Content-Type": "image/jpeg"})


def item_of(http: httpx.Client, item_id: str) -> dict[str, object]:
    answer = http.get(f"/items/{item_id}")
    found: dict[str, object] = answer.json()
    return found if answer.status_code == 200 else {}


def assert_told_at_once(answer: httpx.Response) -> None:
    assert answer.status_code in (500, 502, 503, 504), answer.text
    assert answer.headers["X-Call-Id"]
    assert answer.json()["error"]


def test_without_the_broker_nothing_is_accepted(app: Platform, http: httpx.Client) -> None:
    """503 with Retry-After and a call id, never a 202, by the door and by functions that queue; synchronous calls go
    on. Afterwards jobs are taken again."""
    item = upload(http, PHOTO).json()["id"]
    with held_down(app, "nats"):
        for _ in range(5):
            answer = http.post("/async-function/process-job", json={"id": uuid4().hex, "key": "k"})
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert_told_at_once(answer)
            keyed = http.post("/async-function/process-job", content=b"{}", headers={"Idempotency-Key": uuid4().hex})
            assert keyed.status_code == 503
        assert_told_at_once(upload(http, PHOTO))
        assert http.get(f"/items/{item}").status_code == 200
    wait_until(lambda: upload(http, PHOTO).status_code == 202, "uploads are taken again")


@pytest.mark.parametrize("part", ["mongo", "objects"])
def test_jobs_wait_for_a_server_that_is_away(app: Platform, http: httpx.Client, part: str) -> None:
    """Jobs are accepted meanwhile, tried, and processed once when it is back; calls that need it answer 5xx with a
    call id."""
    first = upload(http, PHOTO).json()["id"]
    wait_until(lambda: item_of(http, first).get("status") == "processed", "the photo is processed")
    key = item_of(http, first)["key"]
    items = [uuid4().hex for _ in range(5)]
    with held_down(app, part):
        assert_told_at_once(upload(http, PHOTO))
        calls = [submit(http, "process-job", json.dumps({"id": item, "key": key})) for item in items]
        for call_id in calls:
            wait_until(lambda call_id=call_id: state_of(http, call_id)["state"] == "retrying", "it was tried")  # type: ignore[misc]
    assert {ended(http, call_id, timeout_s=60)["state"] for call_id in calls} == {"succeeded"}
    found = [item_of(http, item) for item in items]
    assert {(item["status"], item["effects"]) for item in found} == {("processed", 1)}


def test_a_database_that_is_away_for_readers(app: Platform, http: httpx.Client) -> None:
    """Reading an item: 500 as in the article, with a call id; well again afterwards."""
    with held_down(app, "mongo"):
        answer = http.get("/items/any")
        assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})
        assert answer.headers["X-Call-Id"]
        assert_told_at_once(http.get("/items"))
    wait_until(lambda: http.get("/items/any").status_code == 404, "items are read again")


@pytest.mark.parametrize("part", ["control", "door", "spawner"])
def test_what_goes_on_without(app: Platform, http: httpx.Client, part: str) -> None:
    """Warm calls need none of these; what does answers 5xx with a call id, and never 404 for what is deployed."""
    item = upload(http, PHOTO).json()["id"]
    with held_down(app, part):
        if part != "spawner":  # replicas end with the one that watches them
            assert http.get(f"/items/{item}").status_code == 200
        queued = http.post("/async-function/process-job", json={"id": item, "key": "k"})
        assert queued.status_code == 202 or queued.status_code >= 500
        if queued.status_code >= 500:
            assert_told_at_once(queued)
    wait_until(lambda: http.get(f"/items/{item}").status_code == 200, "items are read again")
    wait_until(lambda: upload(http, PHOTO).status_code == 202, "uploads are taken again")
