"""Start, stop and look at the embedded platform: what the command line and the tests call.

    prepare(settings, progress)     every server found or installed, credentials and configuration written
    start(settings, progress)       the supervisor in the background; returns when every service is ready
    stop(settings, progress)        all of it ended in order; nothing acknowledged is lost
    status(settings)                what runs now

All may be called again at any time: what is done already is not done twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence

from tidemill.contract.errors import TidemillError, Unavailable
from tidemill.embedded.lock import is_locked
from tidemill.embedded.parts import Part, Progress, find_parts, unheard
from tidemill.embedded.prepare import prepare
from tidemill.embedded.service import ServiceStatus
from tidemill.embedded.status import Status, require_same, settled_status, status
from tidemill.embedded.talk import talk
from tidemill.lib.settings import Settings

__all__ = ["StartFailed", "Status", "prepare", "requirements", "restart", "start", "status", "stop"]

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 180.0
"""Above what the stages of `tree` may take together."""
END_TIMEOUT_S = 10.0
"""From the supervisor's last word to its end."""
DEATHS_MOST = 3
"""A service that died this often before it was ready will not get better by waiting."""


class StartFailed(TidemillError):
    """The platform did not start."""

    code = "start_failed"


def requirements(settings: Settings, environ: Mapping[str, str] = os.environ) -> tuple[Part, ...]:
    """Every server the platform needs, as found on this machine, for `doctor`."""
    return tuple(find_parts(settings, environ))


def start(settings: Settings, progress: Progress = unheard) -> None:
    """After `prepare`. Raises Conflict where it runs with other settings, StartFailed with a taken port or the last
    lines of what does not start; what did not run before does not run then."""
    running = settled_status(settings)
    if running.running:
        require_same(settings, running)
        _await_ready(settings, progress)
        return
    _start_supervisor(settings)
    try:
        _await_ready(settings, progress)
    except StartFailed:
        stop(settings)
        raise


def stop(settings: Settings, progress: Progress = unheard) -> None:
    """Nothing of it runs afterwards. Raises Unavailable where it does not end in time."""
    if not status(settings).running:
        return
    with (
        contextlib.suppress(ConnectionError),
        talk(settings.socket("supervisor"), timeout_s=STOP_TIMEOUT_S) as talking,
    ):
        talking.ask({"verb": "stop"})
        told: set[str] = set()
        for wire in talking.listen({"verb": "watch"}):
            stopped = {service.name for service in Status.from_wire(wire).services if service.state == "stopped"}
            for name in sorted(stopped - told):
                progress(name, "stopped")
            told |= stopped
    _await_end(settings)


def restart(settings: Settings, service: str) -> None:
    """Returns when its old process is gone. Raises Refused for an unknown name, Unavailable where nothing runs."""
    try:
        with talk(settings.socket("supervisor"), timeout_s=STOP_TIMEOUT_S) as talking:
            talking.ask({"verb": "restart", "name": service})
    except OSError as cause:
        raise Unavailable("the platform does not run here", hint="start it with `tidemill up`") from cause


def _start_supervisor(settings: Settings) -> None:
    """It goes into the background once its socket answers. Raises StartFailed with what it says where it cannot."""
    done = subprocess.run(
        [sys.executable, "-m", "tidemill.services.supervisor", "--background"],
        env=_environment(settings),
        cwd=settings.data_dir,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise _told_by(done.stderr.decode(errors="replace").strip()) or StartFailed(
            f"the supervisor ended with exit code {done.returncode}"
        )


def _environment(settings: Settings) -> dict[str, str]:
    """Without the variable that would have every start compile every module again."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | settings.as_env()


def _told_by(stderr: str) -> StartFailed | None:
    last = stderr.splitlines()[-1] if stderr else ""
    try:
        told = json.loads(last)
        return StartFailed(told["error"], hint=told.get("hint"))
    except (ValueError, TypeError, KeyError):
        return StartFailed(stderr) if stderr else None


def _await_ready(settings: Settings, progress: Progress) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    told: set[str] = set()
    last: Status | None = None
    try:
        with talk(settings.socket("supervisor"), timeout_s=START_TIMEOUT_S) as talking:
            for wire in talking.listen({"verb": "watch"}):
                last = Status.from_wire(wire)
                ready = {service.name for service in last.services if service.state == "ready"}
                for name in sorted(ready - told):
                    progress(name, "ready")
                told |= ready
                if last.ready:
                    return
                _require_hope(last.services)
                talking.set_timeout(max(0.01, deadline - time.monotonic()))
    except TimeoutError:
        missing = [service for service in last.services if service.state != "ready"] if last else []
        raise _start_failed(f"not ready after {START_TIMEOUT_S:g} s", missing) from None
    except ConnectionError as cause:
        raise StartFailed(f"the supervisor ended; see {settings.logs_dir}/supervisor.ndjson") from cause


def _require_hope(services: Iterable[ServiceStatus]) -> None:
    hopeless = [each for each in services if each.restarts >= DEATHS_MOST and each.state == "waiting"]
    if hopeless:
        raise _start_failed("cannot be started", hopeless)


def _start_failed(what: str, services: Sequence[ServiceStatus]) -> StartFailed:
    names = ", ".join(service.name for service in services)
    reports = [
        "\n".join(
            [f"{service.name}: {service.reason or service.state}", *(f"  {line}" for line in service.last_lines)]
        )
        for service in services
    ]
    return StartFailed("\n".join([f"{names} {what}", *reports]))


def _await_end(settings: Settings) -> None:
    deadline = time.monotonic() + END_TIMEOUT_S
    while is_locked(settings):
        if time.monotonic() > deadline:
            raise Unavailable("the supervisor does not end", hint=f"see {settings.logs_dir}/supervisor.ndjson")
        time.sleep(0.01)
