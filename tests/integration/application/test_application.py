"""The sample application on the embedded platform: the main job, and what happens to it on bad days."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from rich.console import Console

from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tidemill.cli import demo
from tidemill.contract.stackfile import load_stack

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[3]
PHOTOS = ROOT / "examples" / "photos"
PHOTO = (PHOTOS / "coffee.jpg").read_bytes()
LEASE_S = 3


@pytest.fixture(scope="module")
def application(stack: Platform) -> Iterator[Platform]:
    """The platform with stack.yml deployed; a job of a dead worker is taken over soon."""
    functions = load_stack(ROOT / "stack.yml", environ={}).functions
    for name, function in functions.items():
        wire = function.deployment("image").as_wire()
        fields = {key: value for key, value in wire.items() if key not in ("service", "image")}
        fields["envVars"] = {**fields["envVars"], "job_lease": f"{LEASE_S}s"}
        stack.deploy(ROOT / "functions" / name, name=name, **fields)
    yield stack
    for name in functions:
        stack.remove(name)


@pytest.fixture
def http(application: Platform) -> Iterator[httpx.Client]:
    """A caller like any other, without a login."""
    with httpx.Client(base_url=application.url, timeout=60) as client:
        yield client


def upload(http: httpx.Client, item_id: str | None = None, data: bytes = PHOTO) -> httpx.Response:
    query = {"id": item_id} if item_id else {}
    return http.post("/upload", params=query, content=data, headers={"Content-Type": "image/jpeg"})


def outcome(http: httpx.Client, item_id: str, *, timeout_s: float = 30) -> dict[str, Any]:
    """The item, once it is processed or failed."""

    def look() -> dict[str, Any]:
        answer = http.get(f"/items/{item_id}")
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return found if found.get("status") in ("processed", "failed") else {}

    return wait_until(look, f"item {item_id} is processed or failed", timeout_s=timeout_s)


def in_progress(http: httpx.Client) -> bool:
    return bool(http.get("/items", params={"status": "in-progress", "limit": 1}).json()["items"])


def replicas(platform: Platform, function: str) -> list[int]:
    """The processes of the function's replicas, by their working directory."""
    place = f"{platform.settings.data_dir}/work/{function}-"
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd().startswith(place):
                found.append(process.pid)
    return found


def test_the_demonstration_ends_well(application: Platform) -> None:
    """The main job on real photographs, as `tidemill up --demo` shows it."""
    out = io.StringIO()
    ended_well = demo.run(application.url, application.credentials.header, PHOTOS, Console(file=out, width=100))
    assert ended_well, out.getvalue()


def test_items_can_be_read_in_three_ways(http: httpx.Client) -> None:
    """By id, in pages and by GraphQL, with the same facts."""
    item_id = upload(http).json()["id"]
    item = outcome(http, item_id)
    listed = http.get("/items", params={"limit": 100, "status": "processed"}).json()["items"]
    assert item in listed
    query = "query($id: ID!) { item(id: $id) { id status image { sha256 } } }"
    answer = http.post("/graphql", json={"query": query, "variables": {"id": item_id}}).json()
    assert answer == {
        "data": {"item": {"id": item_id, "status": "processed", "image": {"sha256": item["image"]["sha256"]}}}
    }


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (lambda http: http.get("/items/none"), 404),
        (lambda http: http.get("/items/" + "x" * 2_000), 404),
        (lambda http: http.get("/items", params={"limit": "many"}), 400),
        (lambda http: http.post("/upload", content=b"{", headers={"Content-Type": "application/json"}), 400),
        (lambda http: http.post("/upload", json={"id": {"$ne": 1}, "key": "k"}), 400),
        (lambda http: http.post("/upload", json={"id": "x" * 10_240, "key": "k"}), 400),
        (lambda http: http.post("/upload", json={"id": "x", "key": "../secret"}), 400),
        (lambda http: upload(http, "../x"), 400),
        (lambda http: http.post("/upload", content=b"x", headers={"Content-Type": "text/plain"}), 415),
        (lambda http: upload(http, data=b"x" * (10 * 1024 * 1024 + 1)), 413),
        (lambda http: upload(http, data=b"x" * (12 * 1024 * 1024)), 413),
        (lambda http: http.post("/graphql", json={"query": "{ nothing }"}), 400),
    ],
)
def test_bad_requests_get_clear_answers(
    http: httpx.Client, request_: Callable[[httpx.Client], httpx.Response], status: int
) -> None:
    """The right status, a sentence, and a call id to find it by."""
    answer = request_(http)
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.get("error") or body["errors"][0]["message"]
    assert answer.headers["X-Call-Id"]


def test_an_upload_may_be_a_form(http: httpx.Client) -> None:
    """As a browser or `curl -F` sends it."""
    item_id = uuid4().hex
    answer = http.post("/upload", data={"id": item_id}, files={"photo": ("cat.jpg", PHOTO, "image/jpeg")})
    assert (answer.status_code, answer.json()) == (202, {"id": item_id, "status": "queued"})
    assert answer.headers["Location"] == f"/items/{item_id}"
    assert outcome(http, item_id)["status"] == "processed"


def test_the_same_upload_many_times_at_once_is_one_job(http: httpx.Client) -> None:
    """Every answer is the same, and the photo is processed once."""
    item_id = uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: upload(http, item_id), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.headers["X-Job-Call-Id"] for answer in answers}) == 1
    item = outcome(http, item_id)
    assert (item["status"], item["effects"], item["attempts"]) == ("processed", 1, 1)
    assert upload(http, item_id, (PHOTOS / "rocket.webp").read_bytes()).status_code == 409


@pytest.mark.faults
def test_workers_killed_in_mid_job_lose_and_double_nothing(application: Platform, http: httpx.Client) -> None:
    """kill -9 of every replica, several times while jobs run: each photo ends processed, once."""
    photo = (PHOTOS / "hubble.jpg").read_bytes()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(upload, http, data=photo) for _ in range(60)]
        for _ in range(4):
            wait_until(lambda: in_progress(http), "a job is in progress")
            for pid in replicas(application, "process-job"):
                os.kill(pid, signal.SIGKILL)
        ids = [answer.result().json()["id"] for answer in answers]
    items = [outcome(http, item_id, timeout_s=90) for item_id in ids]
    assert {item["status"] for item in items} == {"processed"}
    assert {item["effects"] for item in items} == {1}
    assert max(item["attempts"] for item in items) > 1, "no replica was killed in mid-job"


@pytest.mark.faults
@pytest.mark.parametrize("part", ["mongo", "objects"])
def test_jobs_outlast_a_server_that_dies(application: Platform, http: httpx.Client, part: str) -> None:
    """What was accepted before is processed when it is back; meanwhile calls answer 5xx or succeed, never hang."""
    with ThreadPoolExecutor(4) as pool:
        ids = [answer.json()["id"] for answer in pool.map(lambda _: upload(http), range(12))]
    application.kill(part)
    meanwhile = upload(http)
    assert meanwhile.status_code in (202, 500, 503)
    assert meanwhile.headers["X-Call-Id"]
    application.await_ready()
    items = [outcome(http, item_id, timeout_s=90) for item_id in ids]
    assert {(item["status"], item["effects"]) for item in items} == {("processed", 1)}
    wait_until(lambda: upload(http).status_code == 202, "uploads are taken again")
