"""dev: which function a change belongs to, and that a save is deployed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.gateway import World
from tidemill.cli.session import Project, open_project
from tidemill.cli.watching import Redeploy, decide_redeploy, settings_files

DEADLINE_S = 20.0


@pytest.fixture
def opened(project: Path) -> Project:
    (project / "shared").mkdir()
    (project / "shared/tool.py").touch()
    (project / "env.yml").write_text("environment: {A: b}\n")
    text = (
        project / "stack.yml"
    ).read_text() + "    environment_file: [env.yml]\nconfiguration:\n  copy: [./shared]\n"
    (project / "stack.yml").write_text(text)
    return open_project(None)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["hello/handler.py"], Redeploy(functions=("hello",))),
        (["world/deep/a.txt", "hello/handler.py"], Redeploy(functions=("hello", "world"))),
        (["shared/tool.py"], Redeploy(functions=("hello", "world"))),
        (["template/python3-http/index.py"], Redeploy(functions=("hello", "world"))),
        (["stack.yml"], Redeploy(stack_changed=True, functions=("hello", "world"))),
        (["env.yml", "hello/handler.py"], Redeploy(stack_changed=True, functions=("hello", "world"))),
        (["README.md", "helloworld/handler.py"], Redeploy()),
        (["hello/__pycache__/handler.pyc", "hello/.handler.py.swp", "hello/handler.py~"], Redeploy()),
    ],
)
def test_what_a_change_asks_for(project: Path, opened: Project, changed: list[str], expected: Redeploy) -> None:
    """Own files: one function. Shared files and templates: all that use them. The stack file and environment files:
    everything. What editors and Python leave behind: nothing."""
    paths = [project / name for name in changed]
    assert decide_redeploy(opened, paths, settings_files=settings_files(opened, None)) == expected


def test_a_project_below_an_excluded_name(project: Path, opened: Project) -> None:
    """Only names inside the project count: a checkout in a folder called `venv` is watched like any."""
    moved = project.parent / "venv"
    project.rename(moved)
    there = Project(opened.stack, moved)
    changed = [moved / "hello/handler.py"]
    assert decide_redeploy(there, changed, settings_files=[]).functions == ("hello",)


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_S:g} s"
        time.sleep(0.01)


def test_a_save_is_deployed(world: World, project: Path) -> None:
    """The running command deploys everything, then what is saved; a broken stack file does not end it; Ctrl-C does,
    with exit code 0."""
    command = [sys.executable, "-m", "tidemill.cli.main", "dev"]
    with subprocess.Popen(command, cwd=project, env=dict(os.environ), stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            said: list[str] = []
            for line in running.stderr:
                said.append(line)
                if line.startswith("watching"):
                    break
            assert set(world.functions) == {"hello", "world"}, said
            world.contexts.clear()
            (project / "hello/handler.py").write_text("# saved\n")
            _until(lambda: bool(world.contexts), "the redeployment")
            assert list(world.contexts) == ["hello:1"]
            (project / "stack.yml").write_text("functions: [\n")
            for line in running.stderr:
                if "stack.yml:2" in line:
                    break
            assert running.poll() is None
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(DEADLINE_S)
    assert running.returncode == 0
