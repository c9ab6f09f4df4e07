"""Unpacking archives from outside: regular files and folders only, below the target, within limits.

Written out instead of `tarfile`'s own filter, which can be led outside by links on the interpreters we support
(CVE-2025-4517): here links are not made at all.
"""

from __future__ import annotations

import shutil
import tarfile
import zlib
from dataclasses import dataclass
from gzip import BadGzipFile
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from tidemill.contract.errors import BadRequest, TooLarge

MAX_MEMBERS = 20_000
MAX_TOTAL_BYTES = 256 * 1024 * 1024
MAX_NAME_BYTES = 1024
MAX_PART_BYTES = 255
"""What file systems take for one name."""
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Limits:
    members: int = MAX_MEMBERS
    total_bytes: int = MAX_TOTAL_BYTES


def unpack(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Writes the archive's files below `target`, which must be empty; owners and modes of the archive are not kept,
    only whether the owner may execute. Raises BadRequest naming the member, TooLarge; `target` is then half full."""
    limits = limits or Limits()
    members = total = 0
    try:
        with tarfile.open(archive, mode="r:*") as tar:
            for member in tar:
                members += 1
                total += member.size
                if members > limits.members:
                    raise TooLarge(f"the archive has more than {limits.members} members")
                if total > limits.total_bytes:
                    raise TooLarge(f"the archive holds more than {limits.total_bytes} bytes")
                _write(tar, member, target)
    except (tarfile.TarError, BadGzipFile, zlib.error, LZMAError, EOFError, ValueError, OverflowError) as cause:
        raise BadRequest(f"the body is not a tar archive: {cause}") from cause


def safe_path(name: str) -> PurePosixPath:
    """The member's path, relative and normalised. Raises BadRequest."""
    if not name or len(name.encode(errors="surrogateescape")) > MAX_NAME_BYTES or "\0" in name or "\\" in name:
        raise BadRequest(f"archive member {name[:100]!r} has a name that cannot be used")
    path = PurePosixPath(name)
    if any(len(part.encode(errors="surrogateescape")) > MAX_PART_BYTES for part in path.parts):
        raise BadRequest(f"archive member {name[:100]!r} has a name that is too long for a file")
    if path.is_absolute() or ".." in path.parts or len(path.parts) > MAX_DEPTH:
        raise BadRequest(f"archive member {name[:100]!r} leads outside of the archive")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = target / safe_path(member.name)
    try:
        if member.isdir():
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
            return
        # A sparse member's real size is not what it takes in the archive: a way around the limits.
        if not member.isreg() or member.issparse():
            raise BadRequest(
                f"archive member {member.name[:100]!r} is neither a regular file nor a folder",
                hint="copy what links point at into the handler's folder",
            )
        content = tar.extractfile(member)
        assert content is not None
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with content, path.open("xb") as file:
            shutil.copyfileobj(content, file)
        path.chmod(0o755 if member.mode & 0o100 else 0o644)
    except (FileExistsError, NotADirectoryError) as cause:
        raise BadRequest(f"archive member {member.name[:100]!r} stands twice") from cause
