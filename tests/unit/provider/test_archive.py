"""Archives from outside, friendly and hostile."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.contract.errors import BadRequest, TooLarge
from tidemill.provider.archive import Limits, safe_path, unpack


def archive(tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    path = tmp_path / "upload.tar"
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_files_and_folders(tmp_path: Path, target: Path, mode: str) -> None:
    """Contents and executable bits; owners, set-uid and times of the archive mean nothing."""
    path = archive(
        tmp_path,
        (member("context", kind=tarfile.DIRTYPE), b""),
        (member("./context/a.py", mode=0o4755), b"a"),
        (member("context/deep/er/b.py"), b"b"),
        mode=mode,
    )
    unpack(path, target)
    assert (target / "context/a.py").stat().st_mode & 0o7777 == 0o755
    assert (target / "context/deep/er/b.py").read_bytes() == b"b"
    assert (target / "context/deep/er/b.py").stat().st_uid == os.geteuid()


HOSTILE: dict[str, Callable[[], list[tuple[tarfile.TarInfo, bytes]]]] = {
    "absolute": lambda: [(member("/etc/passwd"), b"x")],
    "parent": lambda: [(member("../x"), b"x")],
    "parent in the middle": lambda: [(member("a/../../x"), b"x")],
    "parent folder": lambda: [(member("a/..", kind=tarfile.DIRTYPE), b"")],
    "symbolic link": lambda: [(member("a", kind=tarfile.SYMTYPE, link="/etc"), b"")],
    "through a link": lambda: [(member("a", kind=tarfile.SYMTYPE, link="/tmp"), b""), (member("a/x"), b"x")],
    "hard link": lambda: [(member("a", kind=tarfile.LNKTYPE, link="../../etc/passwd"), b"")],
    "device": lambda: [(member("a", kind=tarfile.CHRTYPE), b"")],
    "fifo": lambda: [(member("a", kind=tarfile.FIFOTYPE), b"")],
    "file twice": lambda: [(member("a"), b"x"), (member("a"), b"y")],
    "file as folder": lambda: [(member("a"), b"x"), (member("a/b"), b"y")],
    "folder over a file": lambda: [(member("a"), b"x"), (member("a", kind=tarfile.DIRTYPE), b"")],
    "backslash": lambda: [(member("a\\..\\b"), b"x")],
    "too long a name": lambda: [(member("a" * 2000), b"x")],
    "too long a part": lambda: [(member("a" * 300), b"x")],
    "too deep": lambda: [(member("a/" * 100 + "b"), b"x")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_members_are_refused(
    tmp_path: Path, target: Path, members: Callable[[], list[tuple[tarfile.TarInfo, bytes]]]
) -> None:
    """Nothing is ever written outside of the target."""
    before = sorted(path.name for path in tmp_path.iterdir())
    path = archive(tmp_path, *members())
    with pytest.raises(BadRequest):
        unpack(path, target)
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted([*before, "upload.tar"])
    assert not any(found.is_symlink() for found in target.rglob("*"))


def test_a_link_chain_of_cve_2025_4517_is_refused(tmp_path: Path, target: Path) -> None:
    """Long names and links that together lead outside of the filter's sight: no link is ever made."""
    long, steps = "d" * 247, "abcdefghijklmnop"
    members, path = [], ""
    for step in steps:
        members.append((member(f"{path}{long}", kind=tarfile.DIRTYPE), b""))
        members.append((member(f"{path}{step}", kind=tarfile.SYMTYPE, link=long), b""))
        path += f"{long}/"
    with pytest.raises(BadRequest, match="neither a regular file nor a folder"):
        unpack(archive(tmp_path, *members), target)


def test_limits(tmp_path: Path, target: Path) -> None:
    """By what is unpacked, not by what was sent."""
    path = archive(tmp_path, (member("a"), b"\0" * 5000), (member("b"), b"\0" * 5000), mode="w:gz")
    assert path.stat().st_size < 1000
    with pytest.raises(TooLarge, match="bytes"):
        unpack(path, target, Limits(total_bytes=8000))
    with pytest.raises(TooLarge, match="members"):
        unpack(path, target, Limits(members=0))


@pytest.mark.parametrize("content", [b"", b"not a tar at all", b"\x1f\x8b garbage", b"PK\x03\x04"])
def test_what_is_no_archive(tmp_path: Path, target: Path, content: bytes) -> None:
    """400, not 500."""
    path = tmp_path / "upload.tar"
    path.write_bytes(content)
    with pytest.raises(BadRequest, match="not a tar archive"):
        unpack(path, target)


def test_an_archive_whose_compression_is_broken(tmp_path: Path, target: Path) -> None:
    """Also where it goes wrong in the middle of a member."""
    path = archive(tmp_path, (member("a"), b"".join(b"%d\n" % number for number in range(100_000))), mode="w:gz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    with pytest.raises(BadRequest, match="not a tar archive"):
        unpack(path, target)


def test_an_archive_that_was_cut_off(tmp_path: Path, target: Path) -> None:
    """A broken connection must not build half a function."""
    path = archive(tmp_path, (member("a"), b"x" * 4000))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadRequest):
        unpack(path, target)


def test_a_sparse_member_is_refused(tmp_path: Path, target: Path) -> None:
    """It may claim any size at no cost."""
    path = tmp_path / "upload.tar"
    info = member("a")
    info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000000", "GNU.sparse.name": "a"}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises((BadRequest, TooLarge)):
        unpack(path, target)


@pytest.mark.parametrize(("name", "path"), [("a/./b", "a/b"), ("./a", "a"), ("a//b", "a/b"), ("./", ".")])
def test_paths_are_normalised(name: str, path: str) -> None:
    """The same file has one name."""
    assert str(safe_path(name)) == path


@pytest.mark.parametrize("name", ["", "/", "..", "a/..", "a\0b"])
def test_paths_that_cannot_be_used(name: str) -> None:
    """Refused before anything is touched."""
    with pytest.raises(BadRequest):
        safe_path(name)
