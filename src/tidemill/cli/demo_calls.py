"""What the demonstration asks of the sample application, over HTTP like any user."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tidemill.cli.client import Gateway
from tidemill.cli.failures import Missing
from tidemill.contract import headers

FINISHED = ("processed", "failed")
CONTENT_TYPES = {
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".webp": "image/webp",
}
MOST_WAIT_S = 60.0
"""A job takes a fraction of a second; on a loaded machine, or while replicas are made, some seconds."""
POLL_S = 0.1

_T = TypeVar("_T")


class NotAsItShouldBe(Exception):
    """The platform did something else than the demonstration promises."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A photo that was accepted."""

    name: str
    size_bytes: int
    item_id: str
    call_id: str
    """Of the upload."""
    job_call_id: str
    """Of the queued job."""
    answered_s: float


def send(gateway: Gateway, photo: Path, *, item_id: str, correlation_id: str) -> Sent:
    """Uploads one photo. Raises NotAsItShouldBe unless it is answered 202 with all that belongs to it."""
    body = photo.read_bytes()
    began = time.monotonic()
    answer = gateway.invoke(
        "/upload",
        body=body,
        query=[("id", item_id)],
        extra={"Content-Type": CONTENT_TYPES[photo.suffix], headers.CORRELATION_ID: correlation_id},
    )
    answered_s = time.monotonic() - began
    if answer.status_code != 202:
        raise NotAsItShouldBe(f"{photo.name}: the upload was answered {answer.status_code}: {answer.text[:300]}")
    if answer.json() != {"id": item_id, "status": "queued"}:
        raise NotAsItShouldBe(f"{photo.name}: the upload was answered with {answer.text[:300]}")
    for name in ("Location", headers.CALL_ID, headers.JOB_CALL_ID):
        if not answer.headers.get(name):
            raise NotAsItShouldBe(f"{photo.name}: the upload's answer has no {name} header")
    return Sent(
        photo.name,
        len(body),
        item_id,
        call_id=answer.headers[headers.CALL_ID],
        job_call_id=answer.headers[headers.JOB_CALL_ID],
        answered_s=answered_s,
    )


def item(gateway: Gateway, item_id: str) -> dict[str, Any]:
    """The item as GET /items/{id} has it. Raises NotAsItShouldBe."""
    answer = gateway.invoke(f"/items/{item_id}", method="GET")
    if answer.status_code != 200:
        raise NotAsItShouldBe(f"GET /items/{item_id} was answered {answer.status_code}: {answer.text[:300]}")
    found: dict[str, Any] = answer.json()
    return found


def wait_until_finished(gateway: Gateway, sent: Sent) -> dict[str, Any]:
    """Polls the item until it is processed or failed."""

    def look() -> dict[str, Any] | None:
        found = item(gateway, sent.item_id)
        return found if found["status"] in FINISHED else None

    return _wait(look, f"{sent.name} (item {sent.item_id}, job {sent.job_call_id}) is not processed")


def wait_for_dead_letter(gateway: Gateway, sent: Sent) -> dict[str, Any]:
    """Polls the dead letters until the photo's job is among them."""

    def look() -> dict[str, Any] | None:
        try:
            return gateway.dead_letter(sent.job_call_id)
        except Missing:
            return None

    return _wait(look, f"the job of {sent.name} ({sent.job_call_id}) is not among the dead letters")


def _wait(look: Callable[[], _T | None], otherwise: str) -> _T:
    deadline = time.monotonic() + MOST_WAIT_S
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(POLL_S)
    raise NotAsItShouldBe(f"{otherwise} after {MOST_WAIT_S:g} s")
