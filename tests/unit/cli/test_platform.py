"""up: what it asks of the platform, with the platform's own start replaced by one that only notes it."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Tidemill
from tests.unit.cli.gateway import World
from tidemill.contract.errors import Conflict
from tidemill.embedded import launch, separation
from tidemill.embedded.launch import Status
from tidemill.lib.settings import Settings


@dataclass
class Launched:
    """Which settings were prepared and started."""

    prepared: list[Settings] = field(default_factory=list)
    started: list[Settings] = field(default_factory=list)
    stopped: list[Settings] = field(default_factory=list)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Launched:
    noted = Launched()
    monkeypatch.setattr(launch, "prepare", lambda settings, progress: noted.prepared.append(settings))
    monkeypatch.setattr(launch, "start", lambda settings, progress: noted.started.append(settings))
    monkeypatch.setattr(launch, "stop", lambda settings, progress: noted.stopped.append(settings))
    monkeypatch.setattr(launch, "status", lambda settings, **_: Status(running=True, pid=1))
    return noted


def test_up_starts_deploys_and_says_where(tidemill: Tidemill, world: World, launched: Launched) -> None:
    """The stack file is deployed to what was started; the password's file is told, never the password."""
    done = tidemill("up")
    assert done.code == 0, done.err
    assert set(world.functions) == {"hello", "world"}
    assert launched.prepared == launched.started
    assert world.url in done.out
    assert "data/secrets/basic-auth-password" in done.out
    assert "right" not in done.out


def test_up_says_how_the_command_is_found(
    tidemill: Tidemill, world: World, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make up` puts it into a folder that the shell does not know; where it does, nothing is said."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert 'export PATH="' in tidemill("up").out
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert "export PATH" not in tidemill("up").out


@pytest.mark.parametrize("command", ["up", "doctor"])
def test_that_functions_run_as_root_is_said(
    tidemill: Tidemill, world: World, launched: Launched, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Whoever starts the platform below a folder of root's own learns it at once, and what to do."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(separation, "closed_to_functions", lambda folder: Path("/root"))
    done = tidemill(command)
    assert "functions run as root, since other users may not enter /root" in done.out + done.err
    assert "/srv/tidemill" in done.out + done.err


def test_up_deploys_to_this_machine_whatever_the_environment_says(
    tidemill: Tidemill, world: World, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPENFAAS_URL may name a team's production."""
    monkeypatch.setenv("OPENFAAS_URL", "http://production.example:8080")
    assert tidemill("up").code == 0
    assert set(world.functions) == {"hello", "world"}


def test_the_flags_of_up_are_settings(tidemill: Tidemill, world: World, launched: Launched, tmp_path: Path) -> None:
    """Ports, address and data directory; --no-deploy leaves the functions alone."""
    shutil.copytree(tmp_path / "data", tmp_path / "other")
    flags = ["--gateway-port", "1", "--nats-port", "2", "--bind", "0.0.0.0", "--data-dir", str(tmp_path / "other")]
    assert tidemill("up", "--no-deploy", *flags).code == 0
    settings = launched.started[0]
    assert (settings.gateway_port, settings.nats_port, settings.bind_host) == (1, 2, "0.0.0.0")
    assert settings.data_dir == tmp_path / "other"
    assert world.functions == {}
    assert tidemill("up", "--gateway-port", "0").code == 2


def test_up_as_json(tidemill: Tidemill, world: World, launched: Launched) -> None:
    """URLs, files of the login, services and functions in one value; a failed function is exit code 1."""
    world.broken_builds.add("hello:1")
    done = tidemill("up", "--json")
    assert done.code == 1
    assert done.json["gateway"] == world.url
    assert [function["status"] for function in done.json["functions"]] == ["failed", "deployed"]
    assert done.error["error"] == "the platform runs, but could not deploy hello"


def test_up_without_a_stack_file(tidemill: Tidemill, world: World, launched: Launched, project: Path) -> None:
    """It starts the platform; the demonstration needs the sample application and says so before anything starts."""
    (project / "stack.yml").unlink()
    assert tidemill("up").code == 0
    launched.started.clear()
    assert tidemill("up", "--demo").code == 2
    assert launched.started == []


def test_what_the_platform_refuses_is_an_exit_code(
    tidemill: Tidemill, world: World, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running already with other ports is a conflict, told in the platform's sentence."""

    def refuse(*_: object) -> None:
        raise Conflict("the platform runs already", hint="stop it first")

    monkeypatch.setattr(launch, "start", refuse)
    done = tidemill("up")
    assert done.code == 6
    assert "the platform runs already" in done.err


def test_down_says_what_it_did(tidemill: Tidemill, launched: Launched) -> None:
    """Both ways end with exit code 0, so that a script may always call it."""
    assert tidemill("down", "--json").json == {"was_running": True}
    assert len(launched.stopped) == 1
