"""The platform as its users meet it: stack.yml deployed by the command, calls by HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.command import ROOT, tidemill
from tests.support.functions import Functions
from tests.support.platform import Platform
from tidemill.contract.stackfile import load_stack


@pytest.fixture(scope="package")
def app(stack: Platform) -> Iterator[Platform]:
    """The platform with the sample application on it."""
    done = tidemill(stack.settings, "deploy")
    assert done.code == 0, done.text
    yield stack
    for name in load_stack(ROOT / "stack.yml", environ={}).functions:
        stack.remove(name)


@pytest.fixture
def functions(stack: Platform, tmp_path: Path) -> Iterator[Functions]:
    """For functions of this test alone."""
    deployed = Functions(stack, tmp_path)
    yield deployed
    deployed.close()


@pytest.fixture
def http(stack: Platform) -> Iterator[httpx.Client]:
    """A caller without a login."""
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        yield client
