"""Celery with acks_late on a Redis that fsyncs: each task calls the handler over HTTP and is acked after success."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.http import Address
from bench.peers.environment import PROGRAMS, ensure
from bench.peers.redis import Redis, redis
from bench.processes import BenchError, Process, wait_for

POOL = ("--pool", "prefork", "--concurrency", "4")
START_TIMEOUT_S = 30.0
SUBMIT_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Celery:
    redis: Redis
    worker: Process
    environ: dict[str, str]

    def hold(self) -> None:
        """Stop taking jobs, as a whole, until `release`."""
        self.worker.signal_session(signal.SIGSTOP)

    def release(self) -> None:
        self.worker.signal_session(signal.SIGCONT)

    def submit(self, count: int) -> None:
        """Returns once Redis has written and replied to each. Raises BenchError."""
        command = [str(ensure() / "python"), "celery_jobs.py", str(count)]
        done = subprocess.run(
            command, cwd=PROGRAMS, env=self.environ, capture_output=True, timeout=SUBMIT_TIMEOUT_S, check=False
        )
        if done.returncode:
            raise BenchError(f"submitting to Celery failed: {done.stderr.decode(errors='replace')[-500:]}")

    def waiting(self) -> int:
        """Jobs not yet acked."""
        return int(self.redis.command("LLEN", "celery")[0]) + int(self.redis.command("HLEN", "unacked")[0])


@contextmanager
def celery(folder: Path, target: Address, path: str, *, pool: tuple[str, ...] = POOL) -> Iterator[Celery]:
    """A ready worker whose jobs POST to `path` at `target`."""
    with redis(folder) as broker:
        environ = {
            "PATH": "/usr/bin:/bin",
            "BENCH_BROKER": broker.url,
            "BENCH_TARGET": f"127.0.0.1:{target.port}{path}",
        }
        # Gossip, mingle and heartbeats are for clusters; Celery's guide turns them off for speed on one machine.
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        argv: list[str | Path] = [ensure() / "celery", "-A", "celery_jobs", "worker", *pool, *quiet]
        log = folder / "celery.log"
        with Process("celery", argv, log=log, environ=environ, cwd=PROGRAMS) as worker:
            peer = Celery(broker, worker, environ)
            peer.submit(1)
            wait_for(lambda: peer.waiting() == 0, what="Celery works", timeout_s=START_TIMEOUT_S, process=worker)
            yield peer
