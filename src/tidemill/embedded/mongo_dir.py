"""The embedded mongod's folder, and how far its first start came.

A mongod that is killed while it fills its folder for the first time refuses that folder ever after. So the folder
carries a mark until that first start is done, which is before any user exists and so before anyone can have
written: what still carries it is emptied. A folder that came from elsewhere has no mark and is never touched.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tidemill.lib.settings import Settings


def mongo_dir(settings: Settings) -> Path:
    return settings.data_dir / "mongo"


def users_mark(settings: Settings) -> Path:
    """There once mongod has its users: later starts need not make them."""
    return mongo_dir(settings) / ".users-made"


def prepare_mongo_dir(settings: Settings) -> None:
    """While no mongod runs."""
    folder = mongo_dir(settings)
    if _first_start_mark(settings).exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    if not any(folder.iterdir()):
        _first_start_mark(settings).touch()


def first_start_done(settings: Settings) -> None:
    """mongod answers; nobody can log in yet. On disk when this returns, as what follows is."""
    _first_start_mark(settings).unlink(missing_ok=True)
    folder = os.open(mongo_dir(settings), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _first_start_mark(settings: Settings) -> Path:
    return mongo_dir(settings) / ".first-start"
