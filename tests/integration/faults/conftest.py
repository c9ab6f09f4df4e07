"""Functions whose effects can be counted, on the platform whose parts are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import ROOT, tidemill
from tests.support.platform import Platform
from tidemill.contract.stackfile import load_stack

EFFECTS = Path(__file__).parent / "effects"
SOON = {
    "com.openfaas.retry.attempts": "200",
    "com.openfaas.retry.min_wait": "50ms",
    "com.openfaas.retry.max_wait": "1s",
}


def deploy_effects(platform: Platform, name: str, **environment: str) -> str:
    """The counting function under a name of its own. Returns the name."""
    platform.deploy(
        EFFECTS,
        name=name,
        annotations=SOON,
        labels={"com.openfaas.scale.min": "2", "com.openfaas.scale.max": "2"},
        secrets=["mongodb-uri"],
        envVars={"exec_timeout": "20s", **environment},
    )
    return name


@pytest.fixture(scope="package")
def effects(stack: Platform) -> Iterator[str]:
    """The name of a function that counts each job once."""
    yield deploy_effects(stack, "effects")
    stack.remove("effects")


@pytest.fixture(scope="package")
def app(stack: Platform) -> Iterator[Platform]:
    """The sample application; a job whose worker died is free again soon."""
    done = tidemill(stack.settings, "deploy", "--env", "job_lease=2s")
    assert done.code == 0, done.text
    yield stack
    for name in load_stack(ROOT / "stack.yml", environ={}).functions:
        stack.remove(name)
