"""Memory and CPU limits by cgroup, where this process may make cgroups of its own: version 2 delegated to it, or the
version 1 hierarchies `memory` and `cpu`. Where neither is writable the caller falls back on rlimits.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PERIOD_US = 100_000
"""Kernel's default period for CPU bandwidth."""
ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Folders below which a cgroup per replica is made."""

    memory: Path | None = None
    cpu: Path | None = None
    version: int = 2

    def make(self, instance: str, *, memory_bytes: int | None, cpu_cores: float | None) -> tuple[str, ...]:
        """The folders a process must enter to be limited; none where there is nothing to limit."""
        folders: dict[Path, None] = {}
        if memory_bytes is not None and self.memory is not None:
            folder = _folder(self.memory, instance)
            if self.version == 2:
                _write(folder / "memory.max", memory_bytes)
                with contextlib.suppress(OSError):
                    _write(folder / "memory.swap.max", 0)
            else:
                _write(folder / "memory.limit_in_bytes", memory_bytes)
            folders[folder] = None
        if cpu_cores is not None and self.cpu is not None:
            folder = _folder(self.cpu, instance)
            quota_us = max(1000, int(cpu_cores * PERIOD_US))
            if self.version == 2:
                _write(folder / "cpu.max", f"{quota_us} {PERIOD_US}")
            else:
                _write(folder / "cpu.cfs_period_us", PERIOD_US)
                _write(folder / "cpu.cfs_quota_us", quota_us)
            folders[folder] = None
        return tuple(map(str, folders))

    def clear(self) -> None:
        """Takes away every cgroup without processes, at the end all of them."""
        for base in (self.memory, self.cpu):
            if base is not None and base.exists():
                remove([*(str(folder) for folder in base.iterdir() if folder.is_dir()), str(base)])


def remove(folders: Iterable[str]) -> None:
    """After the last process has left."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def find(name: str, *, root: Path = ROOT, membership: str | None = None) -> Cgroups:
    """What can be had here: `name` is made below this process's own cgroups (`membership`: /proc/self/cgroup)."""
    own = dict(_memberships(Path("/proc/self/cgroup").read_text() if membership is None else membership))
    if (root / "cgroup.controllers").exists():
        base = _base_v2(root / own.get("", "/").lstrip("/"), name)
        return Cgroups(base, base, 2)
    memory, cpu = (
        _base_v1(root / controller / own[controller].lstrip("/"), name) if controller in own else None
        for controller in ("memory", "cpu")
    )
    return Cgroups(memory, cpu, 1)


def _memberships(text: str) -> list[tuple[str, str]]:
    """Controller → path of the cgroup; version 2's has no controller."""
    found = []
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found += [(controller, path) for controller in controllers.split(",")]
    return found


def _base_v2(own: Path, name: str) -> Path | None:
    """A cgroup with processes cannot hand controllers to its children, so this works only where the parent of ours
    does already (a systemd unit with Delegate=yes and its processes in a sub-cgroup, or the root cgroup)."""
    base = own.parent / name if own != ROOT else own / name
    for folder in (base, own / name):
        try:
            folder.mkdir(exist_ok=True)
            _write(folder / "cgroup.subtree_control", "+memory +cpu")
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()
        else:
            return folder
    return None


def _base_v1(own: Path, name: str) -> Path | None:
    folder = own / name
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder / "cgroup.procs", os.W_OK) else None


def _folder(base: Path, instance: str) -> Path:
    folder = base / instance
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(file: Path, value: int | str) -> None:
    file.write_text(str(value))
