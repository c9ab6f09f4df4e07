"""Writing files so that readers see the old content or the new one, also after a power cut."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path


def remove_old(folders: Iterable[Path], *, keep: Collection[Path], before: float) -> list[Path]:
    """Removes those of `folders` that are not in `keep` and were last changed before this Unix time; answers them.
    The age leaves alone what somebody is just making."""
    removed = [folder for folder in folders if folder not in keep and _changed_at(folder) < before]
    for folder in removed:
        shutil.rmtree(folder, ignore_errors=True)
    return removed


def _changed_at(folder: Path) -> float:
    """Never, in effect, for one that somebody else has just removed."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def replace_file(path: Path, content: bytes) -> None:
    """The file has this content, mode 0600; its folder must exist. Temporary names start with a dot."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
