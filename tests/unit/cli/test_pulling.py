"""Templates fetched with git, from repositories on this machine."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Tidemill
from tests.unit.cli.gateway import World
from tidemill.cli.pulling import split_source

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Holds template `mine`: first with `version one`, tagged v1, then with `version two`."""
    folder = tmp_path / "templates"
    (folder / "template/mine/function").mkdir(parents=True)
    (folder / "template/mine/function/handler.py").touch()
    git(folder, "init", "--quiet")
    for version in ("one", "two"):
        (folder / "template/mine/template.yml").write_text(f"language: python3-http\n# version {version}\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", version)
        if version == "one":
            git(folder, "tag", "v1")
    return folder


def write_stack(project: Path, source: str) -> None:
    function = "  own:\n    lang: mine\n    handler: ./hello\n"
    templates = f"configuration:\n  templates:\n    - name: mine\n      source: {source}\n"
    (project / "stack.yml").write_text(f"functions:\n{function}{templates}")


@pytest.mark.parametrize(("suffix", "version"), [("", "two"), ("#v1", "one"), ("#sha-COMMIT", "one")])
def test_a_missing_template_is_fetched(
    tidemill: Tidemill, world: World, project: Path, repository: Path, suffix: str, version: str
) -> None:
    """The newest, a tag, or one commit; where it came from is written beside it."""
    commit = git(repository, "rev-parse", "v1")
    write_stack(project, f"file://{repository}{suffix.replace('COMMIT', commit)}")
    assert tidemill("deploy", "--json").code == 0
    assert f"version {version}" in (project / "template/mine/template.yml").read_text()
    meta = json.loads((project / "template/mine/meta.json").read_text())
    assert (meta["sha"] == commit) == (version == "one")
    assert "own" in world.functions


def test_a_template_that_is_there_is_left_alone(tidemill: Tidemill, world: World, project: Path) -> None:
    """No network where none is needed."""
    (project / "template/mine").mkdir()
    (project / "template/mine/template.yml").write_text("language: python3-http\n")
    write_stack(project, "file:///nothing/there")
    assert tidemill("deploy").code == 0


@pytest.mark.parametrize(
    ("source", "says"), [("file:///nothing/there", "cannot be fetched"), ("#", "cannot be fetched")]
)
def test_a_source_that_is_not_there(tidemill: Tidemill, world: World, project: Path, source: str, says: str) -> None:
    """git's own last line is the reason; nothing is deployed."""
    write_stack(project, f"'{source}'")
    done = tidemill("deploy")
    assert done.code == 1
    assert "cannot be fetched" in done.err
    assert world.functions == {}


def test_a_repository_without_the_template(tidemill: Tidemill, world: World, project: Path, repository: Path) -> None:
    """It is named."""
    git(repository, "mv", "template/mine", "template/other")
    git(repository, "commit", "--quiet", "-m", "renamed")
    write_stack(project, f"file://{repository}")
    assert "has no template mine" in tidemill("deploy").err


def test_the_version_of_a_source() -> None:
    """What stands behind the `#`."""
    assert split_source("https://x/y") == ("https://x/y", None)
    assert split_source("https://x/y#v1.2") == ("https://x/y", "v1.2")
