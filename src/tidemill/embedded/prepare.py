"""Everything that must be on disk before the supervisor starts: servers, folders, credentials, configuration."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tidemill.broker.permissions import USERS, permissions
from tidemill.contract.errors import BadRequest, TidemillError
from tidemill.edge.haproxy import prepare as prepare_edge
from tidemill.embedded.config_nats import NatsUser, render_nats
from tidemill.embedded.credentials import ensure_credentials, nats_file, read_credential, write_private
from tidemill.embedded.mongo_dir import prepare_mongo_dir
from tidemill.embedded.parts import Parts, Progress, find_parts, install_parts, unheard
from tidemill.embedded.parts.objects import objects_dir
from tidemill.embedded.status import require_same, settled_status
from tidemill.embedded.tree import NATS_CONFIG
from tidemill.lib.settings import Settings


class DiskFull(TidemillError):
    """There is no room on the disk."""

    code = "disk_full"


def prepare(settings: Settings, progress: Progress = unheard, environ: Mapping[str, str] = os.environ) -> Parts:
    """Raises PartMissing, InstallFailed, BadRequest, DiskFull, DeployFailed (what an operator added to the edge), and
    Conflict where the platform runs with other settings. Where it runs with these, everything is there already."""
    running = settled_status(settings)
    if running.running:
        require_same(settings, running)
        return find_parts(settings, environ)
    with _told_full_disk(settings):
        _make_folders(settings)
        parts = install_parts(settings, environ, progress)
        if parts.objects.engine in ("versitygw", "minio"):
            objects_dir(settings, parts.objects.engine).mkdir(mode=0o700, exist_ok=True)
        if parts.mongo.engine == "mongod":
            prepare_mongo_dir(settings)
        ensure_credentials(settings, environ)
        write_private(settings.data_dir / "nats" / NATS_CONFIG, _nats_config(settings))
        prepare_edge(settings)
    return parts


def _make_folders(settings: Settings) -> None:
    """Functions run as users of their own and must reach their source below the data directory; the rest is ours."""
    if not settings.data_dir.exists():
        settings.data_dir.mkdir(parents=True)
        settings.data_dir.chmod(0o755)
    for folder in (settings.logs_dir, *(settings.data_dir / server for server in ("nats", "objects"))):
        folder.mkdir(mode=0o700, exist_ok=True)
    _make_run_dir(settings)


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
        raise DiskFull(f"the disk of {settings.data_dir} is full", hint="make room, then start again") from cause
