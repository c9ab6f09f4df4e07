"""Our side: the embedded platform as a user starts it, in a data folder and on ports of its own."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.client import READ_BYTES, connect, first_byte_s
from bench.http import Address, Request
from bench.peers.environment import ROOT
from bench.processes import BenchError, Usage, command_line, free_ports, process_tree, processes_with, usage, wait_for
from bench.queue_probe import QueueProbe, sync_interval
from tidemill.lib.settings import Settings

TIDEMILL = Path(sys.executable).parent / "tidemill"
STACK_FILE = ROOT / "bench" / "stack.yml"
QUEUE_USER = "worker"
"""The broker's user whose permissions let the probe read the queue's state."""

COMMAND_TIMEOUT_S = 240.0
"""`deploy` may install a function's environment the first time."""
END_TIMEOUT_S = 20.0
"""After `tidemill down`, or SIGTERM, before SIGKILL."""


class Stack:
    """One platform. `close()` leaves no process of it behind, whatever state it was in."""

    def __init__(self, data_dir: Path, *, log: Path) -> None:
        gateway, metrics, nats, mongo, s3 = free_ports(5)
        self.settings = Settings(
            data_dir=data_dir,
            gateway_port=gateway,
            metrics_port=metrics,
            nats_port=nats,
            mongo_port=mongo,
            s3_port=s3,
        )
        self._log = log

    @property
    def edge(self) -> Address:
        return Address(self.settings.gateway_port)

    def up(self) -> float:
        """Seconds until `tidemill up` says that the platform is ready. Raises BenchError."""
        start = time.perf_counter()
        self.tidemill("up", "--no-deploy")
        return time.perf_counter() - start

    def deploy(self, stack_file: Path = STACK_FILE) -> None:
        self.tidemill("deploy", "-f", str(stack_file))

    def down(self) -> None:
        self.tidemill("down")
        wait_for(lambda: not self.pids(), what="every process of the platform ended", timeout_s=END_TIMEOUT_S)

    def tidemill(self, *words: str) -> str:
        """Output of one command, run as a user would in a shell of this platform's settings. Raises BenchError."""
        environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE",)}
        environ.update(self.settings.as_env(), OPENFAAS_URL=self.settings.gateway_url)
        with self._log.open("ab") as log:
            log.write(f"$ tidemill {' '.join(words)}\n".encode())
            try:
                done = subprocess.run(
                    [TIDEMILL, *words],
                    cwd=STACK_FILE.parent,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    timeout=COMMAND_TIMEOUT_S,
                    check=False,
                )
            except subprocess.TimeoutExpired as cause:
                raise BenchError(f"tidemill {' '.join(words)} took more than {COMMAND_TIMEOUT_S:g} s") from cause
            log.write(done.stdout)
        if done.returncode:
            tail = self._log.read_text(errors="replace")[-1500:]
            raise BenchError(f"tidemill {' '.join(words)} ended with {done.returncode}\n{tail}")
        return done.stdout.decode(errors="replace")

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """One call of /system with the platform's own login; the JSON of its answer. Raises BenchError."""
        user, password = (
            (self.settings.secrets_dir / f"basic-auth-{part}").read_text().strip() for part in ("user", "password")
        )
        request = urllib.request.Request(
            self.settings.gateway_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode(),
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.URLError as cause:
            raise BenchError(f"{method} {path}: {cause}") from cause
        return json.loads(text) if text else None

    def scale(self, function: str, replicas: int) -> None:
        """Returns once that many processes serve it."""
        body = {"serviceName": function, "replicas": replicas}
        self.api("POST", f"/system/scale-function/{function}", body)
        wait_for(
            lambda: self.api("GET", f"/system/function/{function}")["availableReplicas"] == replicas,
            what=f"{function} has {replicas} replicas",
            timeout_s=END_TIMEOUT_S,
        )

    def answers(self, function: str) -> bool:
        try:
            first_byte_s(self.edge, Request(f"/function/{function}"))
        except (BenchError, OSError):
            return False
        return True

    def replica_socket(self, answer: bytes) -> str:
        """Of the replica slots' sockets, one behind which a function answers GET / with `answer` at the start.

        Found by asking, as nothing but their folder is public. Raises BenchError.
        """
        for path in sorted((self.settings.run_dir / "s").glob("*.sock")):
            with connect(Address(socket=str(path))) as connection:
                connection.sendall(Request("/").as_bytes())
                if connection.recv(READ_BYTES).partition(b"\r\n\r\n")[2].startswith(answer):
                    return str(path)
        raise BenchError(f"no replica in {self.settings.run_dir} answers {answer!r}")

    def queue(self) -> QueueProbe:
        password = (self.settings.secrets_dir / f"nats-{QUEUE_USER}").read_text().strip()
        return QueueProbe(
            self.settings.nats_port,
            user=QUEUE_USER,
            password=password,
            sync_interval=sync_interval(self._nats_config().read_text()),
        )

    def _nats_config(self) -> Path:
        """The file that the running nats-server was started with. Raises BenchError."""
        for pid in self.pids():
            words = command_line(pid)
            if Path(words[0]).name == "nats-server":
                for flag, value in pairwise(words):
                    if flag in ("-c", "--config"):
                        return Path(value)
        raise BenchError("no nats-server with a configuration file among the platform's processes")

    def pids(self) -> set[int]:
        """Every process of this platform: what carries its data folder in its environment, and all below."""
        return process_tree(processes_with("TIDEMILL_DATA_DIR", str(self.settings.data_dir)))

    def usage(self) -> Usage:
        return usage(self.pids())

    @contextmanager
    def held(self, service: str) -> Iterator[None]:
        """One process of the platform stopped in its tracks inside the block (SIGSTOP, SIGCONT)."""
        pids = self.service_pids(service)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def service_pids(self, service: str) -> list[int]:
        """Processes of `tidemill.services.SERVICE`, of this platform only. Raises BenchError where there is none."""
        wanted = f"tidemill.services.{service}"
        found = [pid for pid in self.pids() if wanted in command_line(pid)]
        if not found:
            raise BenchError(f"no process of this platform runs {wanted}")
        return found

    def close(self) -> None:
        try:
            if self.pids():
                self.tidemill("down")
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                deadline = time.monotonic() + END_TIMEOUT_S
                for pid in self.pids():
                    _signal(pid, number)
                while self.pids() and time.monotonic() < deadline:
                    time.sleep(0.05)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
