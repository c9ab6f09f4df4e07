"""The process backend on a real spawner, with real environments."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.context import context_of
from tests.support.settings import settings_in
from tests.support.waiting import wait_until
from tests.unit.provider.backend_conformance import BackendConformance, Case
from tidemill.lib.log import Logger
from tidemill.lib.settings import Settings
from tidemill.provider.backends.process import ProcessBackend
from tidemill.provider.builds import Builds
from tidemill.provider.environments import Environments
from tidemill.provider.privileges import Privileges
from tidemill.provider.secrets import SecretStore
from tidemill.spawn.client import SpawnerClient

HANDLER = "def handle(event, context):\n    return 'x'\n"
BROKEN = "import nowhere\n"


@pytest.fixture(scope="module")
def spawner() -> Iterator[Settings]:
    """A spawner of its own for this file, which also shares the installed environment."""
    folder = Path(tempfile.mkdtemp(prefix="tidemill-spawner-"))
    folder.chmod(0o711)
    settings = settings_in(folder)
    for needed in (settings.data_dir, settings.logs_dir, settings.run_dir):
        needed.mkdir(mode=0o711, parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "tidemill.services.spawner"], env=settings.as_env(), stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: settings.socket("spawner").exists(), "the spawner listens")
        yield settings
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        shutil.rmtree(folder)
        shutil.rmtree(settings.run_dir, ignore_errors=True)


class TestProcessBackend(BackendConformance):
    @pytest.fixture
    async def case(self, spawner: Settings, tmp_path: Path) -> AsyncIterator[Case]:
        privileges = Privileges.detect(spawner.data_dir, log=Logger("test", stream=io.BytesIO()))
        environments = Environments(spawner.envs_dir, privileges=privileges)
        builds = Builds(tmp_path / "builds", environments)
        secrets = SecretStore(tmp_path / "secrets")
        images = [await self.build(builds, tmp_path, code) for code in (HANDLER, BROKEN)]
        async with SpawnerClient(spawner.socket("spawner")) as client:
            backend = ProcessBackend(
                spawner=client,
                spawner_socket=spawner.socket("spawner"),
                builds=builds,
                environments=environments,
                secrets=secrets,
                privileges=privileges,
                functions_dir=spawner.functions_dir,
                gateway_url=spawner.gateway_url,
                s3_endpoint="http://127.0.0.1:1",
            )
            yield Case(backend, *images, secrets)

    async def build(self, builds: Builds, tmp_path: Path, code: str) -> str:
        handler = tmp_path / "handler"
        handler.mkdir(exist_ok=True)
        (handler / "handler.py").write_text(code)
        archive = tmp_path / "context.tar"
        archive.write_bytes(context_of(handler, image="hello:latest", kind="python3-http"))
        return await builds.build(archive)
