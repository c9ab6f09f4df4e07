"""What door and worker share as processes: thousands of short-lived objects and log lines, one loop, one notice."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvloop

from tidemill.lib.log import Logger
from tidemill.lib.settings import Settings
from tidemill.queue.door_settings import DoorSettings
from tidemill.queue.logbuffer import BufferedOutput

GC_THRESHOLD = 20_000
"""Python's own looks after every 700 objects. What is under way here are thousands that all go by themselves."""

Serve = Callable[[Settings, DoorSettings, Logger], Coroutine[Any, Any, None]]


def run(source: str, serve: Serve) -> None:
    """Reads the settings and serves until `serve` returns; `source` names the log lines."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    output = BufferedOutput()
    settings, own = Settings.from_env(os.environ), DoorSettings.from_env(os.environ)
    try:
        uvloop.run(serve(settings, own, Logger(source, stream=output)))
    finally:
        output.write_out()


async def hear(listening: AbstractAsyncContextManager[None]) -> None:
    """Keeps a subscription until cancelled."""
    async with listening:
        await asyncio.Event().wait()
