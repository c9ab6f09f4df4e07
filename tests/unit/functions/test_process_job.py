"""The job that processes a photo."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from tests.unit.functions.conftest import PHOTOS, Call, caller
from tidemill.lib.idempotency import Idempotency, Record, State, payload_hash
from tidemill.lib.idempotency.memory import MemoryRecords
from tidemill.testing import MemoryItems, MemoryObjects, event

NOW = datetime(2026, 11, 24, tzinfo=UTC)
JOB = {"id": "x", "key": "photos/x"}


@pytest.fixture
def handler(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("process-job")


@pytest.fixture
def process(handler: ModuleType) -> Call:
    return caller(handler)


def job(body: Any = JOB) -> Any:
    return event("POST", "/", body=body)


def put(objects: MemoryObjects, name: str = "coffee.jpg") -> None:
    objects.put("photos/x", (PHOTOS / name).read_bytes(), content_type="image/jpeg")


def test_a_photo_is_processed(process: Call, items: MemoryItems, objects: MemoryObjects) -> None:
    """Two thumbnails are stored, the facts noted, the item processed."""
    put(objects)
    assert process(job())[:2] == (200, {"id": "x", "status": "processed"})
    item = items.stored["x"]
    assert (item.status, item.attempts, item.effects) == ("processed", 1, 1)
    assert item.image and item.image["format"] == "JPEG"
    for thumbnail in item.thumbnails:
        data, kind = objects.stored[thumbnail["key"]]
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (thumbnail["width"], thumbnail["height"])
        assert (len(data), kind) == (thumbnail["size_bytes"], "image/jpeg")
    assert [thumbnail["name"] for thumbnail in item.thumbnails] == ["large", "small"]


def test_a_second_delivery_changes_nothing(process: Call, items: MemoryItems, objects: MemoryObjects) -> None:
    """It gets the first one's answer."""
    put(objects)
    first = process(job())
    before = dict(items.stored), dict(objects.stored)
    assert process(job()) == first
    assert (items.stored, objects.stored) == before


def test_a_delivery_while_another_is_at_it_waits(process: Call, records: MemoryRecords, items: MemoryItems) -> None:
    """503 with the rest of the lease, so that the queue comes back in time."""
    until = datetime.now(UTC) + timedelta(seconds=9)
    records.insert(Record("process-job/x", payload_hash(JOB), "other", State.INPROGRESS, until))
    status, body, headers = process(job())
    assert (status, body["code"]) == (503, "in_progress")
    assert 1 <= int(headers["Retry-After"]) <= 10
    assert not items.stored


class Died(BaseException):
    """The process ends in the middle: no handler of exceptions runs."""


@pytest.mark.parametrize("after", ["begin", "put large", "put small", "finish"])
def test_a_job_whose_holder_died_is_taken_over(
    process: Call,
    handler: ModuleType,
    items: MemoryItems,
    objects: MemoryObjects,
    records: MemoryRecords,
    monkeypatch: pytest.MonkeyPatch,
    after: str,
) -> None:
    """Wherever it died: the next delivery after the lease resumes or skips, and the effect is there once."""
    put(objects)
    target: Any = objects if after.startswith("put") else items
    method = after.split()[0]
    real = getattr(target, method)

    def dying(*args: Any, **more: Any) -> Any:
        result = real(*args, **more)
        if after in ("begin", "finish") or after.split()[1] in args[0]:
            raise Died
        return result

    monkeypatch.setattr(target, method, dying)
    with pytest.raises(Died):
        process(job())
    monkeypatch.setattr(target, method, real)
    assert process(job())[0] == 503
    later = datetime.now(UTC) + timedelta(seconds=16)
    monkeypatch.setattr(handler, "Idempotency", partial(Idempotency, clock=lambda: later))
    assert process(job())[:2] == (200, {"id": "x", "status": "processed"})
    item = items.stored["x"]
    assert (item.status, item.effects) == ("processed", 1)
    assert item.attempts == (1 if after == "finish" else 2)


def test_a_holder_that_was_replaced_has_no_effect(
    process: Call, items: MemoryItems, objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was slow, another attempt began meanwhile: 503, and the item is the other's to finish."""
    put(objects)
    real = objects.get

    def slow(key: str, *, max_bytes: int) -> bytes:
        items.begin("x", "photos/x", owner="other", now=NOW)
        return real(key, max_bytes=max_bytes)

    monkeypatch.setattr(objects, "get", slow)
    status, body, _ = process(job())
    assert (status, body["code"]) == (503, "lease_lost")
    assert (items.stored["x"].status, items.stored["x"].effects) == ("in-progress", 0)
    assert items.finish("x", owner="other", image={}, thumbnails=[], now=NOW)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ((PHOTOS / "broken.jpg").read_bytes(), "not a readable image"),
        ((PHOTOS / "hubble.jpg").read_bytes()[:20_000], "not a readable image"),
        (b"", "not a readable image"),
        (b"hello", "not a readable image"),
        (b"%PDF-1.7", "not a readable image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a readable image"),
        (None, "there is no object photos/x"),
    ],
)
def test_what_can_never_succeed_is_given_up(
    process: Call, items: MemoryItems, objects: MemoryObjects, data: bytes | None, reason: str
) -> None:
    """422 with the reason, which the queue does not try again, and the item says the same."""
    if data is not None:
        objects.put("photos/x", data, content_type="image/jpeg")
    status, body, _ = process(job())
    assert status == 422
    assert reason in body["error"]
    assert (items.stored["x"].status, items.stored["x"].reason) == ("failed", body["error"])


def test_a_redriven_job_starts_afresh(process: Call, items: MemoryItems, objects: MemoryObjects) -> None:
    """Once the photo is there, the dead letter can be queued again."""
    assert process(job())[0] == 422
    put(objects)
    assert process(job())[0] == 200
    assert (items.stored["x"].status, items.stored["x"].reason) == ("processed", None)


def test_limits_of_the_configuration_hold(
    load: Callable[[str], ModuleType], objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bytes and in pixels: a small file may be a picture of gigabytes."""
    put(objects)
    monkeypatch.setenv("image_max_pixels", "1000")
    assert "1000 are allowed" in caller(load("process-job"))(job())[1]["error"]
    monkeypatch.setenv("image_max_pixels", "1000000")
    monkeypatch.setenv("upload_max_bytes", "1Ki")
    status, body, _ = caller(load("process-job"))(job())
    assert status == 422 and "larger than 1024" in body["error"]


@pytest.mark.parametrize("part", ["items", "objects"])
def test_an_outage_is_tried_again(process: Call, items: MemoryItems, objects: MemoryObjects, part: str) -> None:
    """503 while it lasts; afterwards the job succeeds at once, without waiting for a lease."""
    put(objects)
    down = {"items": items, "objects": objects}[part]
    down.down = True
    status, _, headers = process(job())
    assert (status, headers["Retry-After"]) == (503, "10")
    down.down = False
    assert process(job())[0] == 200
    assert items.stored["x"].effects == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", {"id": "x"}, {"key": "k"}, {"id": "../x", "key": "k"}, {"id": {"$ne": 1}, "key": "k"},
     {"id": "x", "key": "../../etc/passwd"}],
)  # fmt: skip
def test_what_is_no_job_is_given_up(process: Call, items: MemoryItems, body: Any) -> None:
    """422: no number of attempts will make it one."""
    status, answer, _ = process(job(body))
    assert status == 422
    assert answer["error"].startswith("this is no job: ")
    assert not items.stored


def test_a_job_about_another_object_is_refused(process: Call, items: MemoryItems, objects: MemoryObjects) -> None:
    """Neither the record nor the item lets it through."""
    put(objects)
    process(job())
    assert process(job({"id": "x", "key": "photos/other"}))[0] == 422
    items.create("y", "photos/y", now=NOW)
    assert process(job({"id": "y", "key": "photos/other"}))[0] == 409
    assert items.stored["y"].status == "queued"


def test_every_example_is_processed_or_broken(process: Call, items: MemoryItems, objects: MemoryObjects) -> None:
    """Real photographs of five formats."""
    photos = sorted(path for path in PHOTOS.iterdir() if path.suffix != ".md")
    for path in photos:
        objects.put(path.name, path.read_bytes(), content_type="image/x")
        process(job({"id": path.stem, "key": path.name}))
    ended = {item.id: item.image["format"] if item.image else item.status.value for item in items.stored.values()}
    assert ended == {
        "astronaut": "TIFF",
        "broken": "failed",
        "camera": "GIF",
        "chelsea": "PNG",
        "coffee": "JPEG",
        "hubble": "JPEG",
        "rocket": "WEBP",
    }
    assert sum(path.stat().st_size for path in photos) < 2_500_000
