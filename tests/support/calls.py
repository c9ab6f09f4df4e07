"""Asynchronous calls as their caller sees them."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.waiting import wait_until


def submit(http: httpx.Client, function: str, body: bytes | str = b"", **headers: str) -> str:
    """Queues a call and returns its id. Header names are written with `_` for `-`."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = http.post(f"/async-function/{function}", content=body, headers=sent)
    assert answer.status_code == 202, answer.text
    return answer.headers["X-Call-Id"]


def state_of(http: httpx.Client, call_id: str) -> dict[str, Any]:
    answer = http.get(f"/async-function/{call_id}")
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


def ended(http: httpx.Client, call_id: str, *, timeout_s: float = 30.0) -> dict[str, Any]:
    """The call's state once it has come to its end."""

    wait_until(lambda: "ended_at" in state_of(http, call_id), f"call {call_id} ends", timeout_s=timeout_s)
    return state_of(http, call_id)
