"""Start, stop and look at the embedded platform: what the command line and the tests call.

    prepare(settings, progress)     every server found or installed, credentials and configuration written
    start(settings, progress)       the supervisor in the background; returns when every service is ready
    stop(settings, progress)        all of it ended in order; nothing acknowledged is lost
    status(settings)                what runs now

All may be called again at any time: what is done already is not done twice.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidemill.broker.permissions import USERS, permissions
from tidemill.contract.errors import BadRequest, Conflict, TidemillError, Unavailable
from tidemill.edge.haproxy import prepare as prepare_edge
from tidemill.embedded.config_nats import NatsUser, render_nats
from tidemill.embedded.credentials import ensure_credentials, nats_file, read_credential, write_private
from tidemill.embedded.parts import Part, Parts, Progress, find_parts, install_parts
from tidemill.embedded.parts.objects import objects_dir
from tidemill.embedded.service import ServiceStatus
from tidemill.embedded.talk import talk
from tidemill.embedded.tree import NATS_CONFIG
from tidemill.lib.settings import Settings

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 180.0
"""Above what the stages of `tree` may take together."""
END_TIMEOUT_S = 10.0
"""From the supervisor's last word to its end."""
ANSWER_TIMEOUT_S = 10.0
DEATHS_MOST = 3
"""A service that died this often before it was ready will not get better by waiting."""


class StartFailed(TidemillError):
    """The platform did not start."""

    code = "start_failed"


@dataclass(frozen=True, slots=True)
class Status:
    """The platform at one moment; no services where it does not run."""

    running: bool
    pid: int | None = None
    services: tuple[ServiceStatus, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """The environment variables it runs with."""

    @property
    def ready(self) -> bool:
        return self.running and all(service.state == "ready" for service in self.services)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Status:
        return cls(
            running=True,
            pid=wire["pid"],
            services=tuple(ServiceStatus.from_wire(service) for service in wire["services"]),
            settings=wire["settings"],
        )


def silent(step: str, detail: str = "") -> None:
    """A Progress for those who do not listen."""


def requirements(settings: Settings, environ: Mapping[str, str] = os.environ) -> tuple[Part, ...]:
    """Every server the platform needs, as found on this machine, for `doctor`."""
    return tuple(find_parts(settings, environ))


def prepare(settings: Settings, progress: Progress = silent, environ: Mapping[str, str] = os.environ) -> Parts:
    """Raises PartMissing, InstallFailed, BadRequest, DeployFailed (the edge's configuration)."""
    with _told_full_disk(settings):
        for folder, mode in _folders(settings):
            folder.mkdir(parents=True, exist_ok=True, mode=mode)
        _make_run_dir(settings)
        parts = install_parts(settings, environ, progress)
        if parts.objects.engine in ("versitygw", "minio"):
            objects_dir(settings, parts.objects.engine).mkdir(parents=True, exist_ok=True, mode=0o700)
        ensure_credentials(settings, environ)
        write_private(settings.data_dir / "nats" / NATS_CONFIG, _nats_config(settings))
        prepare_edge(settings)
    return parts


def start(settings: Settings, progress: Progress = silent) -> None:
    """After `prepare`. Raises Conflict where it runs with other settings, StartFailed with a taken port or the last
    lines of what does not start; nothing new runs then."""
    running = status(settings)
    if running.running:
        _require_same(settings, running)
    else:
        _start_supervisor(settings)
    try:
        _await_ready(settings, progress)
    except StartFailed:
        stop(settings)
        raise


def stop(settings: Settings, progress: Progress = silent) -> None:
    """Nothing of it runs afterwards. Raises Unavailable where it does not end in time."""
    pid = status(settings).pid
    if pid is None:
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
    _await_end(pid)


def status(settings: Settings, *, with_memory: bool = False) -> Status:
    """Raises nothing where the platform does not run."""
    try:
        with talk(settings.socket("supervisor"), timeout_s=ANSWER_TIMEOUT_S) as talking:
            return Status.from_wire(talking.ask({"verb": "status", "memory": with_memory}))
    except OSError:
        return Status(running=False)


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
        env={**os.environ, **settings.as_env()},
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


def _require_same(settings: Settings, running: Status) -> None:
    wanted = settings.as_env()
    differing = [f"{name}={value}" for name, value in running.settings.items() if wanted.get(name) != value]
    if differing:
        raise Conflict(
            f"the platform runs already, with {', '.join(differing)}", hint="stop it with `tidemill down` first"
        )


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + END_TIMEOUT_S
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise Unavailable(f"the supervisor, process {pid}, does not end")
        time.sleep(0.01)


def _folders(settings: Settings) -> Iterator[tuple[Path, int]]:
    """With their modes: functions run as users of their own and must reach their source below the data directory."""
    yield settings.data_dir, 0o755
    yield settings.logs_dir, 0o700
    for server in ("nats", "mongo", "objects"):
        yield settings.data_dir / server, 0o700


def _make_run_dir(settings: Settings) -> None:
    """Raises BadRequest where another user holds its name: in a shared folder such as /tmp anyone may make it."""
    settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = settings.run_dir.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
        raise BadRequest(
            f"{settings.run_dir} belongs to another user", hint="set XDG_RUNTIME_DIR to a folder of yours"
        )


def _nats_config(settings: Settings) -> str:
    users = [NatsUser(user, read_credential(settings, nats_file(user)), permissions(user)) for user in USERS]
    return render_nats(port=settings.nats_port, store_dir=settings.data_dir / "nats", users=users)


@contextmanager
def _told_full_disk(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        if cause.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StartFailed(f"the disk of {settings.data_dir} is full", hint="make room, then start again") from cause
