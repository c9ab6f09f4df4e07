"""What a replica gives up before anything of the function's runs, and what it gets instead.

As root: into its cgroups, its secrets on a private tmpfs, limits, then its own user for good. Otherwise only the
limits, and the secrets as files of its working directory. What this does not isolate: the network, the process list,
and files that other users may read.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidemill.contract.names import FunctionRef
from tidemill.contract.workload import ENV_NAME, ENV_NAMESPACE, ENV_SECRETS_DIR, SECRETS_DIR
from tidemill.runtime.wire import ForkOrder

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 16384, 1 << 18
SECRETS_MOUNT = MS_NOSUID | MS_NODEV | MS_NOEXEC

KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ")
"""Of the platform's own environment; a function must not find the rest of it."""

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """SIGKILL as soon as the process `parent` is gone. To be called after the last change of user: that undoes it."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:  # it went before we asked
        os._exit(1)


def confine(order: ForkOrder, *, parent: int) -> None:
    """Raises OSError where something of the above cannot be had."""
    os.setsid()
    for cgroup in order.cgroups:
        Path(cgroup, "cgroup.procs").write_text("0")
    secrets_dir = _place_secrets(order)
    _limit(order)
    if order.uid is not None:
        os.setgroups([])
        os.setresgid(order.uid, order.uid, order.uid)
        os.setresuid(order.uid, order.uid, order.uid)
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    die_with_parent(parent)
    os.chdir(order.work_dir)
    tempfile.tempdir = None
    _settle(_environment(order, secrets_dir))
    _reseed()


def _place_secrets(order: ForkOrder) -> str | None:
    """Where the secrets are, if not in SECRETS_DIR."""
    if not order.secrets:
        return None
    values = {name: Path(file).read_bytes() for name, file in order.secrets.items()}
    if os.geteuid() == 0:
        try:
            _mount_secrets(values, order.uid)
            return None
        except PermissionError:
            pass  # root of a container that may not mount
    folder = Path(order.work_dir, "secrets")
    folder.mkdir(mode=0o700, exist_ok=True)
    _write_secrets(folder, values, order.uid)
    return str(folder)


def _mount_secrets(values: Mapping[str, bytes], uid: int | None) -> None:
    folder = Path(SECRETS_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", SECRETS_DIR, "tmpfs", SECRETS_MOUNT, "mode=0700,size=4m")
    _write_secrets(folder, values, uid)
    _mount(None, SECRETS_DIR, None, MS_REMOUNT | MS_RDONLY | SECRETS_MOUNT)


def _write_secrets(folder: Path, values: Mapping[str, bytes], uid: int | None) -> None:
    for name, value in values.items():
        file = folder / name
        file.write_bytes(value)
        file.chmod(0o400)
        if uid is not None:
            os.chown(file, uid, uid)
    if uid is not None:
        os.chown(folder, uid, uid)


def _limit(order: ForkOrder) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if order.data_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (order.data_bytes, order.data_bytes))


def _environment(order: ForkOrder, secrets_dir: str | None) -> dict[str, str]:
    ref = FunctionRef.parse(order.ref)
    return {
        **({ENV_SECRETS_DIR: secrets_dir} if secrets_dir else {}),
        **order.environ,
        ENV_NAME: ref.name,
        ENV_NAMESPACE: ref.namespace,
        "HOSTNAME": order.instance,
        "HOME": order.work_dir,
        "TMPDIR": order.work_dir,
    }


def _settle(environment: Mapping[str, str]) -> None:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update({**kept, **environment})


def _reseed() -> None:
    """Replicas of one zygote must not draw the same numbers."""
    random.seed()
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    options = None if data is None else data.encode()
    _check(_libc.mount(*encoded, ctypes.c_ulong(flags), options), f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
