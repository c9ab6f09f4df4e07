"""Whose files and processes are whose. As root every function and every build runs under a user of its own; without
root everything belongs to whoever started the platform."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import tidemill
from tidemill.contract.names import FunctionRef
from tidemill.lib.log import Logger

FIRST_UID = 500_000
"""Above what distributions hand out (regular users, the first subordinate ranges), below systemd's containers."""
UIDS = 24_000
INSTALLER_UID = FIRST_UID - 1
FOREIGN_UID = FIRST_UID - 2
"""Runs the build steps of source distributions, which are their authors' code."""


class Privileges:
    """What this process may do about users; `separate` is decided once."""

    def __init__(self, *, separate: bool) -> None:
        self.separate = separate

    @classmethod
    def detect(cls, data_dir: Path, *, log: Logger) -> Privileges:
        """Users of their own need root, and a platform and an interpreter that other users can reach."""
        if os.geteuid() != 0:
            return cls(separate=False)
        needed = (data_dir, Path(sys.base_prefix), Path(tidemill.__file__))
        closed = next(filter(None, map(unreachable_part, needed)), None)
        if closed is not None:
            log.warning("functions run as root", closed=str(closed), hint="other users may not enter this folder")
        return cls(separate=closed is None)

    @property
    def may_run_foreign_builds(self) -> bool:
        """A source distribution runs its author's code: never as root."""
        return self.separate or os.geteuid() != 0

    def function_uid(self, ref: FunctionRef, taken: Collection[int]) -> int | None:
        return allocate_uid(ref, taken) if self.separate else None

    def installer_arguments(self, *, foreign_code: bool) -> dict[str, Any]:
        """For `create_subprocess_exec`: the user under which packages are installed."""
        uid = _installer(foreign_code)
        return {"user": uid, "group": uid, "extra_groups": ()} if self.separate else {}

    @property
    def link_mode(self) -> str:
        """How packages come from the installer's cache: a hard link would leave the installer's hand on the file."""
        return "copy" if self.separate else "hardlink"

    def give_to_installer(self, folder: Path, *, foreign_code: bool) -> None:
        """The folder and the files directly in it."""
        if self.separate:
            uid = _installer(foreign_code)
            for path in (folder, *folder.iterdir()):
                os.chown(path, uid, uid, follow_symlinks=False)

    def take_back(self, folder: Path) -> None:
        """What a build made belongs to the platform from here on: nobody else can change it."""
        if self.separate:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)

    def readable_by(self, folder: Path, uid: int | None) -> None:
        """The folder's files can be read by this user and by root, and changed by root only."""
        group = os.getegid() if uid is None else uid
        for path in (folder, *folder.rglob("*")):
            os.chown(path, os.geteuid(), group, follow_symlinks=False)
            path.chmod(0o750 if path.is_dir() else 0o640)


def allocate_uid(ref: FunctionRef, taken: Collection[int]) -> int:
    """A free uid, the same for the same function wherever possible."""
    start = int.from_bytes(hashlib.sha256(str(ref).encode()).digest()[:4], "big")
    for step in range(UIDS):
        uid = FIRST_UID + (start + step) % UIDS
        if uid not in taken:
            return uid
    raise RuntimeError(f"all {UIDS} users for functions are taken")


def unreachable_part(folder: Path) -> Path | None:
    """The first folder on the way that other users may not pass; None where all are open."""
    for part in (*reversed(folder.parents), folder):
        if part.is_dir() and not part.stat().st_mode & stat.S_IXOTH:
            return part
    return None


def _installer(foreign_code: bool) -> int:
    return FOREIGN_UID if foreign_code else INSTALLER_UID
