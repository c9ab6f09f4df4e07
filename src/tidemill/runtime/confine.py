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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tidemill.contract.names import FunctionRef
from tidemill.contract.workload import ENV_NAME, ENV_NAMESPACE, ENV_SECRETS_DIR, SECRETS_DIR
from tidemill.runtime import mounts
from tidemill.runtime.wire import ForkOrder

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ")
"""Of the platform's own environment; a function must not find the rest of it."""

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """SIGKILL as soon as the process `parent` is gone. To be called after the last change of user: that undoes it."""
    mounts.check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:  # it went before we asked
        os._exit(1)


def confine(order: ForkOrder, *, parent: int, closed: Mapping[Path, Sequence[Path]]) -> None:
    """`closed`: see mounts.closed_folders. Raises OSError where something of the above cannot be had."""
    os.setsid()
    for cgroup in order.cgroups:
        Path(cgroup, "cgroup.procs").write_text("0")
    secrets_dir = _build_view(order, closed)
    _limit(order)
    if order.uid is not None:
        os.setgroups([])
        os.setresgid(order.uid, order.uid, order.uid)
        os.setresuid(order.uid, order.uid, order.uid)
    mounts.check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    die_with_parent(parent)
    os.chdir(order.work_dir)
    tempfile.tempdir = None
    _settle(_environment(order, secrets_dir))
    _reseed()


def _build_view(order: ForkOrder, closed: Mapping[Path, Sequence[Path]]) -> str | None:
    """Where the secrets are, if not in SECRETS_DIR."""
    secrets = {name: Path(file).read_bytes() for name, file in order.secrets.items()}
    ways = closed if order.uid is not None else {}
    if os.geteuid() == 0 and (secrets or ways):
        try:
            mounts.enter_own_view()
        except PermissionError:
            pass  # root of a container that may not mount
        else:
            mounts.open_ways(ways)
            mounts.mount_secrets(Path(SECRETS_DIR), secrets, order.uid)
            return None
    if not secrets:
        return None
    folder = Path(order.work_dir, "secrets")
    folder.mkdir(mode=0o700)
    mounts.write_secrets(folder, secrets, order.uid)
    return str(folder)


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
