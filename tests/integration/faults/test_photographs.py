"""The real main job while everything it needs is killed: each upload ends processed, with one effect."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from tests.support.platform import Platform
from tests.support.processes import kill, replicas
from tests.support.waiting import eventually
from tidemill.invoke.client import Client, InvokeError

pytestmark = [pytest.mark.stack, pytest.mark.faults]

PHOTOS = 300
CALLERS = 6
AGAIN_S = 0.1
STRIKES = ("objects", "process-job", "mongo", "upload", "worker", "nats", "everything")


def strike(stack: Platform, what: str) -> None:
    if what == "everything":
        stack.kill_all()
        stack.start()
    elif what in ("process-job", "upload"):
        for pid in replicas(stack, what):
            kill(pid)
    else:
        stack.kill(what)
    stack.await_ready()


def small_photo(number: int) -> bytes:
    """Each one different."""
    data = BytesIO()
    Image.new("RGB", (32, 32), (number % 256, number // 256, 99)).save(data, "JPEG")
    return data.getvalue()


async def answered(client: Client, method: str, target: str, body: bytes = b"") -> Any:
    """The JSON of a 200 or 202; None for a refusal, a cut or silence."""
    sent = [("Content-Type", "image/jpeg")] if body else []
    try:
        answer = await client.request(method, target, headers=sent, body=body, timeout_s=40)
    except InvokeError:
        return None
    return json.loads(answer.body) if answer.status in (200, 202) else None


async def test_every_photograph_is_processed_once(app: Platform) -> None:
    """Uploaded by callers that send again until they hear 202; the store, the database, functions, worker, broker and
    at last the whole tree are killed meanwhile."""
    ids = [uuid4().hex for _ in range(PHOTOS)]
    accepted: list[str] = []

    async def upload(client: Client, numbers: Iterator[int]) -> None:
        for number in numbers:
            target, photo = f"/upload?id={ids[number]}", small_photo(number)
            answer = await answered(client, "POST", target, photo)
            while answer is None:
                await asyncio.sleep(AGAIN_S)
                answer = await answered(client, "POST", target, photo)
            accepted.append(answer["id"])

    async with Client(app.url) as client:
        async with asyncio.TaskGroup() as callers:
            numbers = iter(range(PHOTOS))
            for _ in range(CALLERS):
                callers.create_task(upload(client, numbers))
            for number, what in enumerate(STRIKES, start=1):
                least = PHOTOS * number // (len(STRIKES) + 1)
                await eventually(lambda least=least: reached(accepted, least), f"{least} uploads", timeout_s=60)  # type: ignore[misc]
                await asyncio.to_thread(strike, app, what)
        assert sorted(accepted) == sorted(ids)
        found: dict[str, dict[str, Any]] = {}

        async def all_over() -> bool:
            for item_id in ids:
                if found.get(item_id, {}).get("status") not in ("processed", "failed"):
                    found[item_id] = await answered(client, "GET", f"/items/{item_id}") or {}
            return all(item.get("status") in ("processed", "failed") for item in found.values())

        with suppress(AssertionError):  # told by the lines below, which say how far each came
            await eventually(all_over, "every photo is over", timeout_s=60)
    assert Counter(item.get("status") for item in found.values()) == {"processed": PHOTOS}
    assert {item["effects"] for item in found.values()} == {1}


async def reached(accepted: list[str], least: int) -> bool:
    return len(accepted) >= least
