"""The services of the embedded platform: the one list of what runs, and how each is seen ready and is stopped.

| stage | stopped together | why then |
|---|---|---|
| 1 | worker | takes no more jobs; finishes or hands back what it has, for which it needs the edge and the functions |
| 2 | haproxy | takes no more calls; those in hand end |
| 3 | door, control, logs | nobody calls them any more; the door stores what it accepted |
| 4 | spawner | replicas are drained by now |
| 5 | nats, mongo, objects | all who write are gone; each closes its files cleanly |

Everything is started at once: each of ours waits for what it needs.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tidemill.edge.haproxy import haproxy_argv
from tidemill.embedded.credentials import S3_ACCESS_KEY, S3_SECRET_KEY, read_credential
from tidemill.embedded.mongo_dir import mongo_dir, users_mark
from tidemill.embedded.parts import Part, Parts
from tidemill.embedded.parts.objects import objects_dir
from tidemill.embedded.probes import HttpOk, PortOpen, Probe, SocketOpen
from tidemill.embedded.service import Logs, Service
from tidemill.lib.settings import Settings

NATS_CONFIG = "nats.conf"
NATS_BROKEN_AT = ("Critical write error", "will be DISABLED")
"""After one failed write, as on a full disk, nats-server takes nothing more on that stream, or on none at all, also
when there is room again."""
CALL_GRACE_S = 35.0
"""Above the default exec_timeout: a call in hand ends, and a job in hand need not come again."""


def services(settings: Settings, parts: Parts) -> tuple[Service, ...]:
    """What is to run on this machine; servers of the user's own are not in it."""
    servers = [_nats(settings, parts.nats)]
    if parts.mongo.engine == "mongod":
        servers.append(_mongo(settings, parts.mongo))
    if parts.objects.engine in ("versitygw", "minio"):
        servers.append(_objects(settings, parts.objects))
    return (
        *servers,
        _ours("spawner", SocketOpen(settings.socket("spawner")), stop_stage=4),
        _ours("control", HttpOk(settings.socket("control"), "/healthz"), stop_stage=3),
        _ours("door", SocketOpen(settings.socket("door")), stop_stage=3),
        _ours("worker", Logs("started"), stop_stage=1, stop_grace_s=CALL_GRACE_S),
        _ours("logs", SocketOpen(settings.socket("logs")), stop_stage=3),
        _haproxy(settings),
    )


def _ours(name: str, ready: Probe | Logs, *, stop_stage: int, stop_grace_s: float = 10.0) -> Service:
    return Service(
        name=name,
        argv=(sys.executable, "-m", f"tidemill.services.{name}"),
        ready=ready,
        stop_stage=stop_stage,
        stop_grace_s=stop_grace_s,
    )


def _nats(settings: Settings, part: Part) -> Service:
    return Service(
        name="nats",
        argv=(str(part.program), "--config", str(settings.data_dir / "nats" / NATS_CONFIG)),
        ready=PortOpen(settings.nats_port),
        stop_stage=5,
        stop_grace_s=30.0,
        broken_at=NATS_BROKEN_AT,
    )


def _mongo(settings: Settings, part: Part) -> Service:
    argv = [str(part.program), "--auth", "--quiet", "--nounixsocket", "--bind_ip", "127.0.0.1"]
    argv += ["--port", str(settings.mongo_port), "--dbpath", str(mongo_dir(settings))]
    argv += ["--wiredTigerCacheSizeGB", "0.25"]
    argv += ["--networkMessageCompressors", "disabled"]  # the wheel's release has a fault in zlib's
    argv += ["--setParameter", "diagnosticDataCollectionEnabled=false"]  # writes every second, for nobody
    make_users = (sys.executable, "-m", "tidemill.embedded.mongo_users")
    return Service(
        name="mongo",
        argv=tuple(argv),
        ready=PortOpen(settings.mongo_port),
        stop_stage=5,
        stop_grace_s=60.0,
        after_start=None if users_mark(settings).exists() else make_users,
    )


def _objects(settings: Settings, part: Part) -> Service:
    folder = objects_dir(settings, part.engine)
    address = f"127.0.0.1:{settings.s3_port}"
    keys = read_credential(settings, S3_ACCESS_KEY), read_credential(settings, S3_SECRET_KEY)
    if part.engine == "minio":
        argv = [str(part.program), "server", str(folder), "--address", address, "--quiet"]
        environ = {"MINIO_ROOT_USER": keys[0], "MINIO_ROOT_PASSWORD": keys[1], "MINIO_BROWSER": "off"}
    else:
        argv = [str(part.program), "--port", address, "--quiet", "--keep-alive", "posix"]
        argv += [] if _has_attributes(folder) else ["--sidecar", str(folder.with_name("versitygw-attributes"))]
        argv += [str(folder)]
        environ = {"ROOT_ACCESS_KEY": keys[0], "ROOT_SECRET_KEY": keys[1]}
    return Service(name="objects", argv=tuple(argv), environ=environ, ready=PortOpen(settings.s3_port), stop_stage=5)


def _haproxy(settings: Settings) -> Service:
    return Service(
        name="haproxy",
        argv=tuple(haproxy_argv(settings)),
        ready=PortOpen(settings.gateway_port, settings.bind_host),
        stop_stage=2,
        stop_signal=signal.SIGUSR1,  # calls in hand end; SIGTERM would cut them
        stop_grace_s=CALL_GRACE_S,
    )


def _has_attributes(folder: Path) -> bool:
    """Whether this file system keeps extended attributes, where versitygw puts what it knows of an object."""
    try:
        os.setxattr(folder, "user.tidemill", b"1")
        os.removexattr(folder, "user.tidemill")
    except OSError:
        return False
    return True
