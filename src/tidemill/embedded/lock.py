"""One supervisor per data directory: a lock that lasts as long as its process, whatever ends it."""

from __future__ import annotations

import fcntl
import os

from tidemill.contract.errors import Conflict, NotFound
from tidemill.lib.settings import Settings

LOCK_FILE = "supervisor.lock"


def take_lock(settings: Settings) -> None:
    """For the rest of this process and of what it forks. Raises Conflict where a supervisor has it, NotFound where
    nothing was prepared."""
    lock = _open(settings)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as cause:
        os.close(lock)
        raise Conflict(f"a supervisor runs already for {settings.data_dir}") from cause


def is_locked(settings: Settings) -> bool:
    """Whether a supervisor lives."""
    try:
        lock = _open(settings)
    except NotFound:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _open(settings: Settings) -> int:
    try:
        return os.open(settings.data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as cause:
        raise NotFound(f"{settings.data_dir} is not prepared; start the platform with `tidemill up`") from cause
