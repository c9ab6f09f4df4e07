"""What the platform needs of the machine besides its servers."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tidemill.contract.errors import TidemillError
from tidemill.lib.settings import Settings

LEAST_PYTHON = (3, 11)
LEAST_DISK_BYTES = 1024**3
"""The functions' environments and a small database; a full disk is what makes 503s."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; a problem where the platform cannot run with it."""

    name: str
    found: str
    problem: str = ""
    hint: str = ""


def examine(settings: Settings, *, running: bool) -> tuple[Finding, ...]:
    """The ports are looked at only where the platform itself does not hold them."""
    return (
        _system(),
        _python(),
        _disk(settings.data_dir),
        _user(settings),
        *(() if running else (_ports(settings),)),
    )


def _system() -> Finding:
    found = f"{platform.system()} {platform.release()} on {platform.machine()}"
    if platform.system() != "Linux":
        return Finding("system", found, problem=f"{found} is not Linux")
    return Finding("system", found)


def _python() -> Finding:
    found = platform.python_version()
    if sys.version_info < LEAST_PYTHON:
        return Finding("python", found, problem=f"{found} is too old", hint="install Python 3.11 or newer")
    return Finding("python", found)


def _disk(data_dir: Path) -> Finding:
    existing = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / 2**30:.1f} GiB free at {existing}"
    if not os.access(existing, os.W_OK):
        return Finding("data directory", found, problem=f"{existing} cannot be written", hint="choose by --data-dir")
    if free < LEAST_DISK_BYTES:
        return Finding(
            "data directory", found, problem=found, hint="free some space, or choose another by --data-dir"
        )
    return Finding("data directory", found)


def _user(settings: Settings) -> Finding:
    from tidemill.embedded.separation import REMEDY, why_as_root

    if os.geteuid() != 0:
        return Finding("user", "not root: functions run as this user and are not kept apart from each other")
    if reason := why_as_root(settings):
        return Finding("user", f"root: {reason}", hint=REMEDY)
    return Finding("user", "root: each function runs as a user of its own")


def _ports(settings: Settings) -> Finding:
    from tidemill.embedded.ports import ports, require_free

    try:
        require_free(settings)
    except TidemillError as cause:
        return Finding("ports", "", problem=str(cause), hint=cause.hint or "")
    return Finding("ports", "free: " + ", ".join(str(port.number) for port in ports(settings)))
