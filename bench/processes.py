"""Start, watch and stop the processes of a measurement: by pid, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.005
"""Between two looks at a condition: well under anything that is timed by waiting."""
STOP_GRACE_S = 10.0
"""From SIGTERM to SIGKILL: gunicorn and Celery finish what they have within it."""
LOG_TAIL_BYTES = 2000


class BenchError(Exception):
    """A measurement cannot be made; the sentence says why."""


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nothing listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(
    condition: Callable[[], bool],
    *,
    what: str,
    timeout_s: float,
    process: Process | None = None,
    poll_s: float = POLL_S,
) -> None:
    """Return once `condition` holds. Raises BenchError after `timeout_s`, or at once when `process` has ended."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if process is not None and process.returncode is not None:
            raise BenchError(f"{process.name} ended with {process.returncode} before {what}\n{process.log_tail()}")
        if time.monotonic() > deadline:
            tail = f"\n{process.log_tail()}" if process else ""
            raise BenchError(f"waited {timeout_s:g} s in vain for {what}{tail}")
        time.sleep(poll_s)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A child in a session of its own; leaving the context ends it and all that it started in that session."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Iterable[int] = (),
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [str(part) for part in argv],
                env=_environment(environ or {}),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        return self._popen.poll()

    def log_tail(self) -> str:
        return self._log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")

    def signal_session(self, number: signal.Signals) -> None:
        """To the child and its own children; SIGSTOP and SIGCONT hold back a consumer while its queue is filled."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self) -> None:
        self.signal_session(signal.SIGCONT)
        self._popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(STOP_GRACE_S)
        self.signal_session(signal.SIGKILL)
        self._popen.wait()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours plus `extra`, and compiled modules allowed: without them each start would compile the world again."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **extra}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a set of processes has used so far, and holds now."""

    cpu_s: float
    pss_bytes: int
    processes: int


def parse_stat(text: str) -> tuple[int, int]:
    """(parent pid, CPU ticks of the process and of the children it has waited for) from /proc/PID/stat."""
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(int(ticks) for ticks in fields[11:15])


def parse_pss_bytes(text: str) -> int:
    """The `Pss:` line of /proc/PID/smaps_rollup; 0 where there is none (a process that just ended)."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def descendants(parents: Mapping[int, int], roots: Iterable[int]) -> set[int]:
    """`roots` and everything below them, given pid → parent pid."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    todo = [pid for pid in roots if pid in parents]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def process_tree(roots: Iterable[int]) -> set[int]:
    parents = {}
    for pid in _pids():
        if stat := _read(pid, "stat"):
            parents[pid] = parse_stat(stat)[0]
    return descendants(parents, roots)


def command_line(pid: int) -> list[str]:
    return _read(pid, "cmdline").split("\0")


def processes_with(variable: str, value: str) -> set[int]:
    """Pids whose environment holds `variable=value`: finds what a supervisor started, wherever it was re-parented."""
    wanted = f"{variable}={value}"
    return {pid for pid in _pids() if wanted in _read(pid, "environ").split("\0")} - {os.getpid()}


def usage(pids: Iterable[int]) -> Usage:
    """Children that ended are in the ticks of the parent that waited for them: nothing is lost or counted twice."""
    ticks = pss = count = 0
    for pid in pids:
        if stat := _read(pid, "stat"):
            ticks += parse_stat(stat)[1]
            pss += parse_pss_bytes(_read(pid, "smaps_rollup"))
            count += 1
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pss, count)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> str:
    """Empty where the process has ended or belongs to somebody else."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
