"""Processes as the supervisor starts them: each dies with it, and takes its own children along."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

MARK = "TIDEMILL_SUPERVISED"
"""In the environment of every child: the data directory of the platform it belongs to."""

READ_BYTES = 64 * 1024
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """A process in a group of its own that the kernel kills when the supervisor is gone, however that ends.

    What it prints is handed on as it comes. Its death is seen by its pid alone: a grandchild that still holds the
    pipe, as a worker of a killed master does, must not hide it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path,
        on_output: Callable[[bytes], None],
    ) -> None:
        """Raises OSError where it cannot be started."""
        self._loop = asyncio.get_running_loop()
        self._on_output = on_output
        self._process = subprocess.Popen(
            argv,
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self._loop.add_reader(self._pipe.fileno(), self._read)
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Its exit code, negative for a signal; all that it printed was handed on and its group is gone."""
        return await asyncio.shield(self._exited)

    def signal(self, number: signal.Signals) -> None:
        """No error where it has ended."""
        self._process.send_signal(number)

    def _read(self) -> None:
        try:
            chunk = os.read(self._pipe.fileno(), READ_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._on_output(chunk)
        else:
            self._loop.remove_reader(self._pipe.fileno())

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._process.wait()
        _kill_group(self.pid)
        self._loop.remove_reader(self._pipe.fileno())
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._pipe.fileno(), READ_BYTES):
                self._on_output(chunk)
        self._pipe.close()
        self._exited.set_result(code)


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process and all below it; what has gone meanwhile counts as nothing."""
    return sum(_pss_bytes(each) for each in [pid, *descendants(pid)])


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def processes_of(data_dir: Path) -> list[int]:
    """Processes that a supervisor of this data directory started, seen by their environment."""
    mark = f"{MARK}={data_dir}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def _die_with(parent: int) -> Callable[[], None]:
    """For the moment between fork and exec."""

    def before_exec() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return before_exec


def _kill_group(leader: int) -> None:
    """Ends what a dead process left in its group, so that nothing holds the port the next one needs."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _pss_bytes(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
