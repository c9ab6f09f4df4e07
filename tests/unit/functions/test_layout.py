"""What holds for all sample functions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.functions.conftest import FUNCTIONS
from tidemill.contract.stackfile import load_stack
from tidemill.contract.tuning import Tuning
from tidemill.contract.units import parse_memory_bytes
from tidemill.contract.workload import PLATFORM_SECRETS

ROOT = FUNCTIONS.parent
STACK = load_stack(ROOT / "stack.yml", environ={}).functions
NAMES = sorted(path.name for path in FUNCTIONS.iterdir() if path.is_dir())


def test_the_stack_names_every_function() -> None:
    """None is forgotten, none is missing."""
    assert sorted(STACK) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_complete(name: str) -> None:
    """Handler, requirements with exact versions, and a page that says what it does."""
    folder = FUNCTIONS / name
    assert "def handle(event, context)" in (folder / "handler.py").read_text()
    assert (folder / "README.md").read_text().startswith(f"# {name}\n")
    for line in (folder / "requirements.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line)


def test_environments_are_shared() -> None:
    """Each distinct requirements.txt costs one more warm process."""
    assert len({(FUNCTIONS / name / "requirements.txt").read_text() for name in NAMES}) == 2


@pytest.mark.parametrize("name", NAMES)
def test_its_settings_make_sense_to_the_platform(name: str) -> None:
    """As the provider will read them: it has a route or is called by the queue, and is bounded in memory."""
    deployment = STACK[name].deployment("image")
    tuning = Tuning.of(deployment)
    assert tuning.routes or name == "process-job"
    assert deployment.limits and deployment.limits["memory"]
    assert set(deployment.secrets) <= set(PLATFORM_SECRETS)


def test_the_edge_lets_the_largest_photo_through() -> None:
    """In a form, which is a little larger: the function's own sentence is the better one."""
    upload = STACK["upload"].deployment("image")
    assert Tuning.of(upload).max_body_bytes > parse_memory_bytes(upload.env_vars["upload_max_bytes"]) + 64 * 1024


def test_the_largest_picture_fits_into_memory() -> None:
    """Decoding WebP takes some 16 bytes a pixel, measured; the rest is for Python."""
    job = STACK["process-job"].deployment("image")
    assert job.limits
    decoded_bytes = 16 * int(job.env_vars["image_max_pixels"])
    assert decoded_bytes + 64 * 1024 * 1024 <= parse_memory_bytes(job.limits["memory"])


def test_another_environment_can_be_chosen() -> None:
    """By variable, as envsubst has it."""
    found = load_stack(ROOT / "stack.yml", environ={"TIDEMILL_ENV": "prod"}).functions["process-job"]
    assert found.environment["job_lease"] == "60s"


def test_every_environment_sets_the_same() -> None:
    """What is configurable in one is so in all, as text."""
    settings = {path.name: yaml.safe_load(path.read_text())["environment"] for path in (ROOT / "config").iterdir()}
    assert len({tuple(sorted(values)) for values in settings.values()}) == 1
    assert all(isinstance(value, str) for values in settings.values() for value in values.values())


@pytest.mark.parametrize("name", NAMES)
def test_importing_a_handler_connects_to_nothing(name: str, tmp_path: Path) -> None:
    """It is imported right after a fork: no thread, no socket, no secret before the first call."""
    program = f"""
import sys, socket, threading
def refuse(event, args):
    if event in ("socket.connect", "socket.bind"): raise SystemExit(f"connects: {{args}}")
sys.addaudithook(refuse)
from tidemill.testing import load_handler
load_handler({str(FUNCTIONS / name)!r})
assert threading.active_count() == 1, threading.enumerate()
"""
    environ = {"PATH": "/usr/bin", **STACK[name].environment}
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
