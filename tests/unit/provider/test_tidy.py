"""Disk is given back, and never what somebody needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidemill.provider.builds import Builds
from tidemill.provider.environments import Environments
from tidemill.provider.files import remove_old
from tidemill.provider.images import reference
from tidemill.provider.privileges import Privileges

NOW = 1_000_000.0


def folder(path: Path, *, age_s: float) -> Path:
    (path / "content").mkdir(parents=True)
    os.utime(path, (NOW - age_s, NOW - age_s))
    return path


def test_old_and_unused_folders_go(tmp_path: Path) -> None:
    """What is used or young stays."""
    old, used = folder(tmp_path / "old", age_s=100), folder(tmp_path / "used", age_s=100)
    young, gone = folder(tmp_path / "young", age_s=1), tmp_path / "removed-meanwhile"
    assert remove_old([old, used, young, gone], keep={used}, before=NOW - 50) == [old]
    assert sorted(tmp_path.iterdir()) == [used, young]


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "envs", privileges=Privileges(functions=False, installer=False))


def test_sources_that_are_deployed_or_tagged_stay(tmp_path: Path, environments: Environments) -> None:
    """A tag can still be deployed; anything else below the folder is none of its business."""
    deployed, tagged, unused = ("a" * 64, "b" * 64, "c" * 64)
    for digest in (deployed, tagged, unused):
        folder(tmp_path / "builds" / digest, age_s=100)
    (tmp_path / "builds/tags").mkdir()
    (tmp_path / "builds/tags/hello").write_text(tagged)
    os.utime(tmp_path / "builds/tags", (0, 0))
    Builds(tmp_path / "builds", environments).tidy([reference("x", deployed)], before=NOW)
    assert sorted(path.name for path in (tmp_path / "builds").iterdir()) == [deployed, tagged, "tags"]


def test_environments_in_use_stay(tmp_path: Path, environments: Environments) -> None:
    """The installer's cache too."""
    for name in ("a" * 16, "b" * 16, ".cache"):
        folder(tmp_path / "envs" / name, age_s=100)
    environments.tidy(["a" * 16], before=NOW)
    assert sorted(path.name for path in (tmp_path / "envs").iterdir()) == [".cache", "a" * 16]


def test_nothing_there_yet(tmp_path: Path, environments: Environments) -> None:
    """The first start of all."""
    environments.tidy([], before=NOW)
    Builds(tmp_path / "builds", environments).tidy([], before=NOW)
