"""A disk that fills up under the platform: told clearly, nothing falsely accepted, well again when there is room."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import log2
from pathlib import Path

import httpx
import pytest

from tests.integration.faults.conftest import deploy_effects
from tests.support.calls import ended
from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tidemill.embedded import launch
from tidemill.embedded.restart import FIRST_DELAY_S, MOST_DELAY_S

pytestmark = [pytest.mark.stack, pytest.mark.faults]

DISK = "900m"
"""mongod alone lays 300 MB of journal aside."""
FILLING_BYTES = 64 * 1024
"""More than the half-filled blocks of any store still hold."""
BLOCK = b"\\0" * (1 << 20)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own. Skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=711", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr if done else 'this takes root'}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small(disk: Path) -> Iterator[Platform]:
    """A platform whose data lie on it."""
    platform = Platform()
    platform.settings = replace(platform.settings, data_dir=disk / "data")
    try:
        platform.start()
        yield platform
    finally:
        platform.close()


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is free inside the block."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for block in (BLOCK, b"\\0" * 4096):
            with suppress(OSError):
                while True:
                    file.write(block)
    try:
        yield
    finally:
        ballast.unlink()


def test_a_full_disk(small: Platform, disk: Path) -> None:
    """Jobs are refused with 5xx and a call id and none is accepted falsely: every 202 is processed in the end.
    Nothing dies in a tight loop, the supervisor says what is wrong, and all is well when there is room again."""
    deploy_effects(small, "effects")
    full = f"the disk of {small.settings.data_dir} is full"
    accepted: list[str] = []
    with httpx.Client(base_url=small.url, timeout=20, headers={"Connection": "close"}) as http:

        def submit(job: int) -> httpx.Response:
            body = {"ledger": "full", "job": job, "filling": "x" * FILLING_BYTES}
            answer = http.post("/async-function/effects", content=json.dumps(body))
            if answer.status_code == 202:
                accepted.append(answer.headers["X-Call-Id"])
            return answer

        assert submit(0).status_code == 202
        filled_at = time.monotonic()
        with filled(disk):
            wait_until(lambda: submit(1).status_code != 202, "a job is refused")
            for job in range(2, 30):
                answer = submit(job)
                assert answer.status_code in (500, 503, 507), answer.text
                assert answer.headers["X-Call-Id"] and answer.json()["error"]
                assert int(answer.headers["Retry-After"]) >= 1
            wait_until(lambda: submit(30).status_code != 202 and full in reasons(small), "the status tells why")
            deaths = {service.name: service.restarts for service in launch.status(small.settings).services}
            assert max(deaths.values()) <= most_deaths(time.monotonic() - filled_at), deaths
        wait_until(lambda: submit(99).status_code == 202, "jobs are accepted again", timeout_s=60)
        small.await_ready()
        assert {ended(http, call_id, timeout_s=60)["state"] for call_id in accepted} == {"succeeded"}


def most_deaths(elapsed_s: float) -> float:
    """Of one service within that time: each pause before a restart is twice the last one, up to the longest; and one
    death more, which needs none."""
    return 2 + log2(1 + elapsed_s / FIRST_DELAY_S) + elapsed_s / MOST_DELAY_S


def reasons(platform: Platform) -> str:
    """Why services that are not ready are not, as `tidemill status` shows it."""
    return "; ".join(service.reason for service in launch.status(platform.settings).services)
