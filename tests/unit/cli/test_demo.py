"""The demonstration, against a gateway in memory that runs the sample functions as they are."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
import yaml
from rich.console import Console

from tidemill.cli import demo, demo_calls
from tidemill.lib.idempotency.memory import MemoryRecords
from tidemill.lib.items import Status
from tidemill.testing import FakeGateway, MemoryItems, MemoryObjects, event, load_handler

ROOT = Path(__file__).parents[3]
PHOTOS = ROOT / "examples" / "photos"
NAMES = ("get-item", "upload", "process-job")
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
LOGIN = "Basic " + base64.b64encode(b"admin:right").decode()


class Application:
    """Uploads are queued, and each look at what became of them lets one queued job run."""

    def __init__(self) -> None:
        self.items, self.objects, self.queue, self.records = (
            MemoryItems(),
            MemoryObjects(),
            FakeGateway(),
            MemoryRecords(),
        )
        self.letters: dict[str, dict[str, Any]] = {}
        self._done = 0
        self._lock = threading.Lock()
        self._handlers = {
            name: load_handler(ROOT / "functions" / name) for name in ("get-item", "upload", "process-job")
        }
        for handler in self._handlers.values():
            handler.items, handler.objects = lambda: self.items, lambda: self.objects  # type: ignore[attr-defined]
            handler.gateway, handler.records = lambda: self.queue, lambda: self.records  # type: ignore[attr-defined]

    def call(self, name: str, request: Any) -> tuple[int, dict[str, str], bytes]:
        answer = self._handlers[name].handle(request, None)
        return answer["statusCode"], dict(answer["headers"]), answer["body"].encode()

    def run_a_job(self) -> None:
        with self._lock:
            if self._done < len(self.queue.calls):
                queued = self.queue.calls[self._done]
                self._done += 1
                status, _, body = self.call("process-job", event("POST", body=dict(queued.body)))
                if status == 422:
                    self.bury(queued.call_id, json.loads(body)["error"])

    def bury(self, call_id: str, reason: str) -> None:
        self.letters[call_id] = {
            "call_id": call_id,
            "reason": f"the function answered 422: {reason}",
            "died_at": "2026-11-24T12:00:00.000Z",
            "attempts": [{"number": 1, "status": 422}],
        }

    def answer(self, method: str, url: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(url)
        call_id = {"X-Call-Id": str(uuid4())}
        if parts.path == "/upload":
            status, answered, out = self.call(
                "upload",
                event(method, parts.path, body=body, headers=dict(headers), query=dict(parse_qsl(parts.query))),
            )
            return status, answered | call_id, out
        self.run_a_job()
        if parts.path.startswith("/items/"):
            status, answered, out = self.call("get-item", event(method, parts.path))
            return status, answered | call_id, out
        assert parts.path.startswith("/system/dead-letters/")
        if headers.get("Authorization") != LOGIN:
            return 401, {}, b"{}"
        letter = self.letters.get(parts.path.rpartition("/")[2])
        return (200, {}, json.dumps(letter).encode()) if letter else (404, {}, b'{"error": "none"}')


@contextmanager
def serving(application: Application) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, out = application.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def show(application: Application, photos: Path = PHOTOS, login: str = LOGIN) -> tuple[bool, str]:
    """Whether it ended well, and what was shown on a screen of ordinary width."""
    out = io.StringIO()
    with serving(application) as url:
        went_well = demo.run(url, login, photos, Console(file=out, width=80))
    return went_well, out.getvalue()


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    for name, value in yaml.safe_load((ROOT / "config" / "dev.yml").read_text())["environment"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(demo_calls, "POLL_S", 0.001)
    return Application()


def test_the_main_job_is_shown_step_by_step(application: Application) -> None:
    """Every photo with its id, the dead letter with its reason, one job for two uploads, and where to go on."""
    went_well, shown = show(application)
    assert went_well, shown
    for photo in PHOTOS.iterdir():
        if photo.suffix != ".md":
            assert photo.name in shown
    assert "WEBP 640×427, 28 KiB" in shown and "TIFF 512×512, 531 KiB" in shown
    assert "600×400, 160×107" in shown
    assert len(re.findall(UUID, shown.split("The jobs run")[0])) == 7, "call ids must not be broken over lines"
    [letter] = application.letters
    assert letter in shown and "not a readable image" in shown
    assert "202 again, the same job" in shown
    assert re.search(r"/items/[0-9a-f]{6}-astronaut\n", shown) and "tidemill logs --correlation demo-" in shown
    assert len(application.queue.calls) == 7
    assert sum(item.effects for item in application.items.stored.values()) == 6


def test_all_hops_are_one_user_action(application: Application) -> None:
    """The uploads carry the correlation id that the reader is pointed to."""
    seen: set[str] = set()
    real = application.answer

    def noting(method: str, url: str, headers: Any, body: bytes) -> Any:
        if url.startswith("/upload"):
            seen.add(headers["X-Correlation-Id"])
        return real(method, url, headers, body)

    application.answer = noting  # type: ignore[method-assign]
    _, shown = show(application)
    [correlation] = seen
    assert f"--correlation {correlation}" in shown


def test_each_run_has_ids_of_its_own(application: Application) -> None:
    """So it can be shown twice on one platform."""
    assert show(application)[0] and show(application)[0]
    assert len(application.items.stored) == 14


Spoil = Callable[[Application], None]


def down(part: str) -> Spoil:
    return lambda application: setattr(getattr(application, part), "down", True)


def without(header: str) -> Spoil:
    def spoil(application: Application) -> None:
        real = application.answer

        def cut(*request: Any) -> Any:
            status, headers, body = real(*request)
            return status, {name: value for name, value in headers.items() if name != header}, body

        application.answer = cut  # type: ignore[method-assign, assignment]

    return spoil


def never_running(application: Application) -> None:
    application.run_a_job = lambda: None  # type: ignore[method-assign]


def never_burying(application: Application) -> None:
    application.bury = lambda *_: None  # type: ignore[method-assign]


def forgetting_keys(application: Application) -> None:
    real = application.queue.call_later

    def call_later(function: str, body: Any, *, key: str) -> str:
        return real(function, body, key=key + uuid4().hex)

    application.queue.call_later = call_later  # type: ignore[method-assign]


def failing_everything(application: Application) -> None:
    def get(key: str, *, max_bytes: int) -> bytes:
        return b"rubbish"

    application.objects.get = get  # type: ignore[method-assign]


def counting_twice(application: Application) -> None:
    real = application.items.finish

    def finish(item_id: str, **more: Any) -> bool:
        done = real(item_id, **more)
        application.items.stored[item_id] = replace(application.items.stored[item_id], effects=2)
        return done

    application.items.finish = finish  # type: ignore[method-assign]


def answering(path: str, status: int, body: bytes) -> Spoil:
    """Requests whose path begins so are answered like this, with the headers they have."""

    def spoil(application: Application) -> None:
        real = application.answer

        def other(method: str, url: str, *rest: Any) -> Any:
            _, headers, _ = answer = real(method, url, *rest)
            return (status, headers, body) if url.startswith(path) else answer

        application.answer = other  # type: ignore[method-assign, assignment]

    return spoil


def forgiving(application: Application) -> None:
    """The job is buried, and the item says it is fine."""
    real = application.bury

    def bury(call_id: str, reason: str) -> None:
        real(call_id, reason)
        [item] = [item for item in application.items.stored.values() if item.status == "failed"]
        application.items.stored[item.id] = replace(item, status=Status.QUEUED)

    application.bury = bury  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("spoil", "about"),
    [
        (counting_twice, "is processed: {"),
        (answering("/upload", 202, b'{"id": "other", "status": "queued"}'), "the upload was answered with"),
        (answering("/items/", 500, b"oops"), "was answered 500: oops"),
        (forgiving, "is queued and should be failed"),
        (down("objects"), "the upload was answered 503"),
        (down("queue"), "the upload was answered 503"),
        (without("X-Job-Call-Id"), "no X-Job-Call-Id header"),
        (without("X-Call-Id"), "no X-Call-Id header"),
        (never_running, "is not processed after"),
        (never_burying, "is not among the dead letters after"),
        (forgetting_keys, "became two jobs"),
        (failing_everything, "is failed: the file is not a readable image"),
    ],
)
def test_what_is_not_as_it_should_be_is_told(
    application: Application, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, about: str
) -> None:
    """False, with a sentence that names what."""
    in_vain_s: dict[Spoil, float] = {
        never_running: 0.3,
        never_burying: 3.0,
    }  # all others must not be hurried on a busy machine
    monkeypatch.setattr(demo_calls, "MOST_WAIT_S", in_vain_s.get(spoil, demo_calls.MOST_WAIT_S))
    spoil(application)
    went_well, shown = show(application)
    assert not went_well
    assert "The demonstration failed: " in shown and about in " ".join(shown.split())


def test_a_wrong_login_is_told(application: Application) -> None:
    """The dead letters are the operator's."""
    went_well, shown = show(application, login="Basic wrong")
    assert not went_well and "The demonstration failed" in shown


def test_a_gateway_that_is_away_is_told() -> None:
    """With what to do."""
    out = io.StringIO()
    assert not demo.run("http://127.0.0.1:1", LOGIN, PHOTOS, Console(file=out, width=80))
    assert "nothing answers at http://127.0.0.1:1" in out.getvalue()
    assert "tidemill up" in out.getvalue()


def test_a_folder_without_the_photos_is_told(application: Application, tmp_path: Path) -> None:
    """Nothing to show is no success."""
    went_well, shown = show(application, photos=tmp_path)
    assert not went_well and "broken.jpg are needed" in shown
