"""A caller's own limit (`X-Timeout`), which shortens `exec_timeout` for one call."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from tidemill.contract.units import parse_duration_s

T = TypeVar("T")


class DeadlinePassed(Exception):
    """The work did not end within its limit."""


def caller_limit_s(text: str | None, exec_timeout_s: float) -> float | None:
    """None where the caller set none, or none that shortens; what is no duration is as good as none (as upstream)."""
    if not text:
        return None
    try:
        limit_s = parse_duration_s(text)
    except ValueError:
        return None
    return limit_s if 0 < limit_s < exec_timeout_s else None


def run_within(limit_s: float, work: Callable[[], T], *, when_late: Callable[[Future[T]], None]) -> T:
    """`work`'s result, from a thread of its own. Raises DeadlinePassed after `limit_s`; the work cannot be stopped,
    so it goes on, and `when_late` is called when it ends."""
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="call with X-Timeout", daemon=True).start()
    try:
        return future.result(limit_s)
    except TimeoutError:
        if future.done():  # the work itself raised a TimeoutError
            raise
        future.add_done_callback(when_late)
        raise DeadlinePassed from None
