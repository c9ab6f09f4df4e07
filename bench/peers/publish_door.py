"""One JetStream publish per request: the async door that everyone writes first, with our broker's settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.http import Address
from bench.peers.environment import PROGRAMS, ensure, nats_server
from bench.processes import Process, free_ports, listens, wait_for

START_TIMEOUT_S = 30.0
DURABILITY = "JetStream file storage, sync_interval always, work queue"


def nats_config(port: int, store: Path) -> str:
    return f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{store}", sync_interval: always }}\n'


@contextmanager
def publish_door(folder: Path) -> Iterator[Address]:
    """POST /async-function/NAME → publish → ack → 202; a nats-server of its own, files in `folder`."""
    nats_port, port = free_ports(2)
    config = folder / "nats.conf"
    config.write_text(nats_config(nats_port, folder / "jetstream"))
    log = folder / "publish-door.log"
    with Process("nats-server", [nats_server(), "-c", config], log=folder / "nats.log") as broker:
        wait_for(lambda: listens(nats_port), what="nats listens", timeout_s=START_TIMEOUT_S, process=broker)
        argv: list[str | Path] = [
            ensure() / "granian",
            "--interface",
            "asgi",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        argv += ["--loop", "uvloop", "--no-ws", "--log-level", "warning", "publish_door:app"]
        environ = {"BENCH_NATS": f"nats://127.0.0.1:{nats_port}"}
        with Process("publish door", argv, log=log, environ=environ, cwd=PROGRAMS) as door:
            wait_for(lambda: listens(port), what="the door listens", timeout_s=START_TIMEOUT_S, process=door)
            yield Address(port)
