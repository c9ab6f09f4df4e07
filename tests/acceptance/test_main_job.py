"""The main job: photographs go in, processed items come out, the broken one becomes a dead letter."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.support.command import ROOT, tidemill
from tests.support.platform import Platform
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

PHOTOS = sorted(path for path in (ROOT / "examples/photos").iterdir() if path.suffix != ".md")
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".tif": "image/tiff", ".webp": "image/webp"}


def upload(http: httpx.Client, photo: Path) -> httpx.Response:
    return http.post("/upload", content=photo.read_bytes(), headers={"Content-Type": TYPES[photo.suffix]})


def is_over(http: httpx.Client, item_id: str) -> bool:
    return http.get(f"/items/{item_id}").json().get("status") in ("processed", "failed")


def test_every_photograph_becomes_an_item_and_the_broken_one_a_dead_letter(app: Platform, http: httpx.Client) -> None:
    """202 with a place to look at, thumbnails that can be had from the store, one effect each; the broken file is
    told as failed and lies among the dead letters with its reason."""
    answers = {photo.name: upload(http, photo) for photo in PHOTOS}
    assert {answer.status_code for answer in answers.values()} == {202}
    items = {}
    for name, answer in answers.items():
        item_id = answer.json()["id"]
        assert (answer.json()["status"], answer.headers["Location"]) == ("queued", f"/items/{item_id}")
        wait_until(lambda item_id=item_id: is_over(http, item_id), f"{name} is over", timeout_s=60)  # type: ignore[misc]
        items[name] = http.get(f"/items/{item_id}").json()

    broken = items.pop("broken.jpg")
    assert broken["status"] == "failed"
    assert len(items) >= 5
    assert Counter(item["status"] for item in items.values()) == {"processed": len(items)}
    assert {item["effects"] for item in items.values()} == {1}
    for item in items.values():
        assert {thumbnail["name"] for thumbnail in item["thumbnails"]} == {"small", "large"}
        assert all(thumbnail["width"] <= 640 >= thumbnail["height"] for thumbnail in item["thumbnails"])

    dead = app.client.get(f"/system/dead-letters/{answers['broken.jpg'].headers['X-Job-Call-Id']}").json()
    assert (dead["code"], len(dead["attempts"])) == ("gave_up", 1), dead
    assert broken["reason"] in dead["reason"]


def test_the_demonstration_says_what_it_did(app: Platform) -> None:
    """`tidemill up --demo` on a platform that runs: exit code 0, every photograph named, and where to go on."""
    done = tidemill(app.settings, "up", "--demo")
    assert done.code == 0, done.text
    for photo in PHOTOS:
        assert photo.name in done.out
    assert app.url in done.out


def test_no_exif_survives(app: Platform, http: httpx.Client) -> None:
    """What is kept of a photograph's metadata is what its item says, and nothing of a place or a camera."""
    photo = next(photo for photo in PHOTOS if photo.name == "coffee.jpg")
    item_id = upload(http, photo).json()["id"]
    wait_until(lambda: is_over(http, item_id), "the item is over")
    told = json.dumps(http.get(f"/items/{item_id}").json()).lower()
    assert "gps" not in told and "exif" not in told
