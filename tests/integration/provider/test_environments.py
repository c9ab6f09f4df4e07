"""Environments with the real installer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tidemill.contract.errors import DeployFailed
from tidemill.provider.environments import Environments, Wanted
from tidemill.provider.privileges import Privileges


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "envs", privileges=Privileges(functions=False, installer=False))


async def test_an_environment_has_the_runtime_and_the_requirements(environments: Environments) -> None:
    """Its interpreter imports both, compiled; the handler's own modules are there to preload."""
    environment = await environments.ensure(Wanted("six\n"))
    assert environment.preload == ("six",)
    code = "import six, flask, granian, prometheus_client; print(six.__cached__)"
    ran = subprocess.run([environment.python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert Path(ran.stdout.strip()).is_file()


async def test_requirements_that_contradict_the_runtime(environments: Environments) -> None:
    """The resolver's own words."""
    with pytest.raises(DeployFailed, match="flask"):
        await environments.ensure(Wanted("flask<1\n"))
