"""Processes of a running platform: found, killed, held still. Everything by pid."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tidemill.embedded import launch


def kill(pid: int) -> None:
    """kill -9; no error where it is gone already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def zygotes(platform: Platform) -> list[int]:
    """The spawner's own children."""
    spawner = platform.service("spawner").pid
    return [child.pid for child in psutil.Process(spawner).children()] if spawner else []


def replicas(platform: Platform, function: str) -> list[int]:
    """By their working directory, which no other process has."""
    place = f"{platform.settings.data_dir}/work/{function}-"
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd().startswith(place):
                found.append(process.pid)
    return found


@contextmanager
def frozen(platform: Platform, service: str) -> Iterator[None]:
    """The service takes connections and answers nothing, as a machine does that swaps."""
    pid = platform.service(service).pid
    assert pid is not None, f"{service} does not run"
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def held_down(platform: Platform, service: str) -> Iterator[None]:
    """The service is dead inside the block, however often the supervisor starts it again. Ready again afterwards."""
    over = threading.Event()
    pid = platform.service(service).pid
    assert pid is not None, f"{service} does not run"
    kill(pid)
    wait_until(lambda: platform.service(service).pid != pid, f"{service} is dead")

    def keep_dead() -> None:
        while not over.is_set():
            if pid := platform.service(service).pid:
                kill(pid)
            time.sleep(0.01)

    keeper = threading.Thread(target=keep_dead, name=f"keeps {service} dead")
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        with suppress(Exception):
            launch.restart(platform.settings, service)  # without the pause that its deaths have earned
        platform.await_ready()
