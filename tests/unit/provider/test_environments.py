"""Environments without installing anything: a stand-in for uv shows what is asked of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tidemill.contract.errors import BadRequest, DeployFailed
from tidemill.provider import environments as module
from tidemill.provider.environments import RUNTIME_LOCK, Environments, Wanted
from tidemill.provider.privileges import Privileges

UV = """#!/bin/sh
echo "$@" >> "{log}"
case "$1" in
venv) mkdir -p "$4/bin" "$4/lib/python3.11/site-packages"; : > "$4/bin/python" ;;
pip) {install} ;;
esac
"""


def stand_in(tmp_path: Path, install: str = "echo installing") -> Path:
    uv = tmp_path / "uv"
    uv.write_text(UV.format(log=tmp_path / "asked", install=install))
    uv.chmod(0o755)
    return uv


def environments(tmp_path: Path, install: str = "echo installing") -> Environments:
    return Environments(
        tmp_path / "envs", privileges=Privileges(functions=False, installer=False), uv=stand_in(tmp_path, install)
    )


async def test_one_content_is_installed_once(tmp_path: Path) -> None:
    """Also when several ask at the same moment; later it is found at once."""
    found = environments(tmp_path)
    first, *others = await asyncio.gather(*(found.ensure(Wanted("six\n")) for _ in range(5)))
    assert others == [first] * 4
    assert await found.ensure(Wanted("six\n")) == first
    assert await environments(tmp_path).ensure(Wanted("six\n")) == first
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["venv", "pip"]
    assert "--no-build" in asked[1] and "--compile-bytecode" in asked[1]


async def test_progress_and_failure(tmp_path: Path) -> None:
    """The installer's lines as they come, without small talk; its last ones are the reason; nothing stays."""
    found, lines = (
        environments(
            tmp_path,
            "echo Using Python 3.11 environment at: env; echo Resolved 3 packages; echo No solution >&2; exit 1",
        ),
        list[str](),
    )
    with pytest.raises(DeployFailed, match="No solution"):
        await found.ensure(Wanted("six"), lines.append)
    assert lines == ["Resolved 3 packages", "No solution"]
    assert [path.name for path in (tmp_path / "envs").iterdir()] == [".cache"]


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("building source distributions is disabled", "TIDEMILL_FROM_SOURCE"),
        ("invalid peer certificate: UnknownIssuer", "UV_SYSTEM_CERTS"),
    ],
)
async def test_the_installers_complaint_is_followed_by_what_helps(tmp_path: Path, said: str, hint: str) -> None:
    """In our own terms: its flags cannot be given here."""
    with pytest.raises(DeployFailed) as caught:
        await environments(tmp_path, f"echo '{said}'; exit 1").ensure(Wanted("six"))
    assert hint in (caught.value.hint or "")


async def test_a_failed_installation_is_tried_again(tmp_path: Path) -> None:
    """The package index may have been away."""
    with pytest.raises(DeployFailed):
        await environments(tmp_path, "exit 1").ensure(Wanted("six"))
    assert (await environments(tmp_path).ensure(Wanted("six"))).python.exists()


async def test_an_installer_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment fails in the end."""
    monkeypatch.setattr(module, "INSTALL_TIMEOUT_S", 0.1)
    with pytest.raises(DeployFailed, match="longer than"):
        await environments(tmp_path, "exec sleep 60").ensure(Wanted("six"))


async def test_source_distributions_are_not_built_as_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one they get a cache of their own, so that they cannot touch other functions' packages."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(BadRequest, match="as root"):
        await environments(tmp_path).ensure(Wanted("six", from_source=True))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    await environments(tmp_path).ensure(Wanted("six", from_source=True))
    install = (tmp_path / "asked").read_text().splitlines()[-1]
    assert "--no-build" not in install
    assert str(tmp_path / "envs/.cache") not in install


async def test_a_line_that_cannot_be_used_installs_nothing(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(BadRequest, match=r"requirements.txt:1"):
        await environments(tmp_path).ensure(Wanted("-r /etc/passwd"))
    assert not (tmp_path / "asked").exists()


def test_the_hash_covers_what_is_installed() -> None:
    """Requirements and the way they are installed."""
    assert len({Wanted("a").hash, Wanted("b").hash, Wanted("a", from_source=True).hash}) == 3
    assert Wanted("a").hash == Wanted("a").hash


def test_leftovers_of_a_killed_build_go(tmp_path: Path) -> None:
    """They were never an environment."""
    (tmp_path / "envs/.building-x/env").mkdir(parents=True)
    environments(tmp_path).sweep()
    assert list((tmp_path / "envs").iterdir()) == []


def test_the_packaged_lock_is_the_repositorys() -> None:
    """requirements/runtime.lock is generated; the package carries a copy of it."""
    checkout = Path(module.__file__).parents[3] / "requirements/runtime.lock"
    assert RUNTIME_LOCK.read_bytes() == checkout.read_bytes()


def test_without_uv_the_error_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is named."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="uv"):
        module.find_uv()
