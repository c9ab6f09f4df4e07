"""Waiting for a condition with a deadline, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")

PAUSE_S = 0.02


def wait_until(condition: Callable[[], _T], what: str, *, timeout_s: float = 20.0) -> _T:
    """The first true value of `condition`. Fails the test, naming `what`, where none comes in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain until {what}")
        time.sleep(PAUSE_S)
    return value


async def eventually(condition: Callable[[], Awaitable[_T]], what: str, *, timeout_s: float = 20.0) -> _T:
    """As `wait_until`, for coroutines."""
    deadline = time.monotonic() + timeout_s
    while not (value := await condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain until {what}")
        await asyncio.sleep(PAUSE_S)
    return value
