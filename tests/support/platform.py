"""The real embedded platform under test, in a folder and on ports of its own."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import httpx

from tests.support.context import context_of
from tests.support.settings import settings_in
from tests.support.waiting import wait_until
from tidemill.embedded import launch
from tidemill.embedded.children import processes_of
from tidemill.embedded.service import ServiceStatus
from tidemill.lib.auth import Credentials
from tidemill.lib.settings import Settings

REQUEST_TIMEOUT_S = 60.0
BUILD_TIMEOUT_S = 150.0
"""A function's own packages may have to be installed."""


class Platform:
    """Started by `start`; `close` leaves no process and no file behind."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tidemill-test-"))
        self._folder.chmod(0o711)  # functions run as users of their own and must reach their source
        self.settings: Settings = settings_in(self._folder)
        self._client: httpx.Client | None = None

    @property
    def url(self) -> str:
        return self.settings.gateway_url

    @property
    def credentials(self) -> Credentials:
        return Credentials.load(self.settings.secrets_dir)

    @property
    def client(self) -> httpx.Client:
        """Speaks to the gateway with the operator's login; functions get no login."""
        if self._client is None:
            login = (self.credentials.user, self.credentials.password)
            self._client = httpx.Client(base_url=self.url, auth=login, timeout=REQUEST_TIMEOUT_S)
        return self._client

    def start(self) -> None:
        launch.prepare(self.settings)
        launch.start(self.settings)

    def stop(self) -> None:
        launch.stop(self.settings)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        try:
            self.stop()
        finally:
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self._folder, ignore_errors=True)
            shutil.rmtree(self.settings.run_dir, ignore_errors=True)

    def deploy(self, handler: Path, *, name: str, kind: str = "python3-http", **fields: Any) -> str:
        """Builds and deploys a folder that holds handler.py; returns the image reference when the function is ready.
        `fields` are those of the OpenFaaS deployment (labels, annotations, envVars, secrets, namespace …)."""
        image = self.build(handler, name=name, kind=kind)
        answer = self.client.post("/system/functions", json={"service": name, "image": image, **fields})
        assert answer.status_code == 202, answer.text
        return image

    def build(self, handler: Path, *, name: str, kind: str = "python3-http") -> str:
        context = context_of(handler, image=f"test/{name}:latest", kind=kind)
        answer = self.client.post("/build", content=context, timeout=BUILD_TIMEOUT_S)
        assert answer.status_code in (200, 202), answer.text
        image = answer.json()["image"]
        assert isinstance(image, str)
        return image

    def remove(self, name: str, *, namespace: str | None = None) -> None:
        body = {"functionName": name} | ({"namespace": namespace} if namespace else {})
        answer = self.client.request("DELETE", "/system/functions", json=body)
        assert answer.status_code in (202, 404), answer.text

    def service(self, name: str) -> ServiceStatus:
        return next(each for each in launch.status(self.settings).services if each.name == name)

    def kill(self, name: str) -> None:
        """kill -9 of one service's process."""
        pid = self.service(name).pid
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """kill -9 of everything, the supervisor first, as a power cut would."""
        supervisor = launch.status(self.settings).pid
        for pid in [*([supervisor] if supervisor else []), *self.pids()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        wait_until(lambda: not self.pids(), "every process is gone")

    def await_ready(self, *, timeout_s: float = 60.0) -> None:
        """Every service is ready again."""
        wait_until(lambda: launch.status(self.settings).ready, "every service is ready", timeout_s=timeout_s)

    def pids(self) -> list[int]:
        """Every process that belongs to this platform, whoever watches it."""
        return processes_of(self.settings.data_dir)
