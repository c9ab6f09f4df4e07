"""Whose files and processes are whose. As root every function and every build runs under a user of its own; without
root everything belongs to whoever started the platform."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tidemill.contract.names import FunctionRef
from tidemill.lib.log import Logger
from tidemill.runtime.mounts import runtime_paths

FIRST_UID = 500_000
"""Above what distributions hand out (regular users, the first subordinate ranges), below systemd's containers."""
UIDS = 24_000
INSTALLER_UID = FIRST_UID - 1
FOREIGN_UID = FIRST_UID - 2
"""Runs the build steps of source distributions, which are their authors' code."""


class Privileges:
    """What this process may do about users, decided once."""

    def __init__(self, *, functions: bool, installer: bool) -> None:
        self.separate_functions = functions
        self.separate_installer = installer

    @classmethod
    def detect(cls, data_dir: Path, *, log: Logger) -> Privileges:
        """Users of their own need root, and folders that other users can enter. On the way to the interpreter a
        replica can be given a view of its own, where root may mount; its source and the installer cannot."""
        if os.geteuid() != 0:
            return cls(functions=False, installer=False)
        closed = closed_to_functions(data_dir)
        if closed is not None:
            log.warning("functions run as root", closed=str(closed), hint="other users may not enter this folder")
        installer = unreachable_part(data_dir) is None and _closed_program() is None
        return cls(functions=closed is None, installer=installer)

    @property
    def may_run_foreign_code(self) -> bool:
        """A source distribution runs its author's code: never as root."""
        return self.separate_installer or os.geteuid() != 0

    def function_uid(self, ref: FunctionRef, taken: Collection[int]) -> int | None:
        return allocate_uid(ref, taken) if self.separate_functions else None

    def installer_arguments(self, *, foreign_code: bool) -> dict[str, Any]:
        """For `create_subprocess_exec`: the user under which packages are installed."""
        uid = _installer(foreign_code)
        return {"user": uid, "group": uid, "extra_groups": ()} if self.separate_installer else {}

    @property
    def link_mode(self) -> str:
        """How packages come from the installer's cache: a hard link would leave the installer's hand on the file."""
        return "copy" if self.separate_installer else "hardlink"

    def give_to_installer(self, folder: Path, *, foreign_code: bool) -> None:
        """The folder and the files directly in it."""
        if self.separate_installer:
            uid = _installer(foreign_code)
            for path in (folder, *folder.iterdir()):
                os.chown(path, uid, uid, follow_symlinks=False)

    def take_back(self, folder: Path) -> None:
        """What a build made belongs to the platform from here on: nobody else can change it."""
        if self.separate_installer:
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


def closed_to_functions(data_dir: Path) -> Path | None:
    """The folder on account of which functions cannot have users of their own although we are root; None where they
    can."""
    closed_program = _closed_program()
    return unreachable_part(data_dir) or (None if closed_program is None or may_mount() else closed_program)


def _closed_program() -> Path | None:
    return next(filter(None, map(unreachable_part, runtime_paths())), None)


def may_mount() -> bool:
    """Root of a container often may not."""
    try:
        return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _installer(foreign_code: bool) -> int:
    return FOREIGN_UID if foreign_code else INSTALLER_UID
