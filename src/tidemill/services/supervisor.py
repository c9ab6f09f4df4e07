"""The process that starts all others and keeps them running. `--background` leaves it there once it answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

from tidemill.contract.errors import TidemillError, Unavailable
from tidemill.embedded.children import MARK, processes_of
from tidemill.embedded.lock import take_lock
from tidemill.embedded.output import LossyFile
from tidemill.embedded.parts import find_parts
from tidemill.embedded.ports import require_free
from tidemill.embedded.supervisor import Supervisor, listen
from tidemill.embedded.tree import services
from tidemill.lib.log import Logger
from tidemill.lib.settings import BadSetting, Settings

LEFTOVERS_TIMEOUT_S = 10.0
FILES_MOST = 65536
"""Open files of each service: connections are files, and a login's usual 1024 are few."""


def main() -> int:
    try:
        settings = Settings.from_env(os.environ)
        take_lock(settings)
        _end_leftovers(settings)
        require_free(settings)
        supervisor = _supervisor(settings)
    except (TidemillError, BadSetting, OSError) as cause:
        error = cause if isinstance(cause, TidemillError) else TidemillError(str(cause))
        print(json.dumps(error.as_wire()), file=sys.stderr)  # noqa: T201 -- read by whoever started us
        return 1
    _allow_files()
    if "--background" in sys.argv[1:]:
        _go_to_background(settings.logs_dir / "supervisor.ndjson")
    asyncio.run(_run(supervisor))
    return 0


async def _run(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    await supervisor.run()


def _supervisor(settings: Settings) -> Supervisor:
    """Raises PartMissing where a server has gone since the platform was prepared."""
    environ = {**os.environ, **settings.as_env(), MARK: str(settings.data_dir)}
    return Supervisor(
        services(settings, find_parts(settings, os.environ)),
        environ=environ,
        cwd=settings.data_dir,
        logs_dir=settings.logs_dir,
        listener=listen(settings.socket("supervisor")),
        log=Logger("supervisor", stream=LossyFile(sys.stdout.fileno(), "w", closefd=False)),
        described=settings.as_env(),
    )


def _end_leftovers(settings: Settings) -> None:
    """We hold the lock, so nobody watches what an earlier supervisor started, and it may hold ports and files.

    Raises Unavailable where something does not end.
    """
    deadline = time.monotonic() + LEFTOVERS_TIMEOUT_S
    while left := processes_of(settings.data_dir):
        if time.monotonic() > deadline:
            raise Unavailable(f"processes of an earlier start do not end: {', '.join(map(str, left))}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _allow_files() -> None:
    """Raises the soft limit that our children inherit as far as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MOST if hard == resource.RLIM_INFINITY else min(hard, FILES_MOST)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _go_to_background(log: Path) -> None:
    """Returns in a child of its own session; the process that was started ends. The socket listens already, so
    whoever waited for that end can talk to it at once."""
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)


if __name__ == "__main__":
    sys.exit(main())
