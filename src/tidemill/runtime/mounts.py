"""A replica's own view of the file system, where root may mount: its secrets, and a way to its interpreter.

The interpreter and this package may lie below a folder that only root may enter (`/root/.pyenv` for one). The
function's user needs them: in the replica's view an empty folder takes the closed one's place, with just these in it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import tidemill

CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
DATA_ONLY = MS_NOSUID | MS_NODEV | MS_NOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


def enter_own_view() -> None:
    """From here on, mounts are this process's own. Raises PermissionError where that may not be."""
    check(_libc.unshare(CLONE_NEWNS), "unshare")
    _mount(None, Path("/"), None, MS_REC | MS_PRIVATE)


def mount_secrets(folder: Path, values: Mapping[str, bytes], uid: int | None) -> None:
    """Files in memory that only the function's user may read, and nobody change."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount("tmpfs", folder, "tmpfs", DATA_ONLY, "mode=0700,size=4m")
    write_secrets(folder, values, uid)
    _mount(None, folder, None, MS_REMOUNT | MS_RDONLY | DATA_ONLY)


def write_secrets(folder: Path, values: Mapping[str, bytes], uid: int | None) -> None:
    for name, value in values.items():
        file = folder / name
        file.write_bytes(value)
        file.chmod(0o400)
        if uid is not None:
            os.chown(file, uid, uid)
    if uid is not None:
        os.chown(folder, uid, uid)


def runtime_paths() -> set[Path]:
    """What an interpreter needs to go on importing."""
    return {Path(sys.prefix), Path(sys.base_prefix), Path(tidemill.__file__).parents[1]}


def closed_folders(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    """Folders that other users may not enter → those of `paths` that lie below."""
    closed: dict[Path, list[Path]] = {}
    for path in paths:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                closed.setdefault(folder, []).append(path)
                break
    return closed


def open_ways(closed: Mapping[Path, Iterable[Path]]) -> None:
    """Each closed folder looks empty but for its `paths`."""
    for folder, paths in closed.items():
        with ExitStack() as descriptors:
            opened = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in paths}
            for descriptor in opened.values():
                descriptors.callback(os.close, descriptor)
            _mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k")
            for path, descriptor in opened.items():
                path.mkdir(parents=True, exist_ok=True)
                _mount(f"/proc/self/fd/{descriptor}", path, None, MS_BIND | MS_REC)


def check(result: int, what: str) -> None:
    """Raises OSError where a C function has failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str | None, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    data = None if options is None else options.encode()
    check(_libc.mount(*encoded, ctypes.c_ulong(flags), data), f"mount {target}")
