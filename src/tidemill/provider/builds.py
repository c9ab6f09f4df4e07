"""The builder: an uploaded context becomes a source kept by digest, under a reference that deployments name.

    tar → unpacked beside builds/ → template and handler found → digest of kind, build arguments and files
      → builds/DIGEST/{function/…, build.json} (renamed into place) → environment installed → reference, tag noted

The digest covers content only, so an unchanged function keeps its reference whatever its files' times are.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tidemill.contract.errors import BadRequest
from tidemill.provider import images
from tidemill.provider.archive import unpack
from tidemill.provider.environments import Environments, Wanted
from tidemill.provider.files import remove_old, replace_file
from tidemill.provider.templates import find_handler

CONFIG_FILE = "com.openfaas.docker.config"
SECRETS_FILE = "com.openfaas.secrets"
BUILD_FILE = "build.json"
UPLOAD_PREFIX = ".upload-"
"""Of an archive that is kept beside the builds until it is unpacked."""
FROM_SOURCE = "TIDEMILL_FROM_SOURCE"
"""Build argument: `true` lets the installer run source distributions' own code."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """A kept source."""

    digest: str
    folder: Path
    """Holds the package `function/`."""
    kind: str
    from_source: bool

    @property
    def environment(self) -> Wanted:
        file = self.folder / "function/requirements.txt"
        try:
            text = file.read_text() if file.exists() else ""
        except UnicodeDecodeError:
            raise BadRequest("requirements.txt is not UTF-8 text") from None
        return Wanted(text, from_source=self.from_source)


class Builds:
    """The sources below one folder."""

    def __init__(self, builds_dir: Path, environments: Environments) -> None:
        self._dir = builds_dir
        self._tags = builds_dir / "tags"
        self._environments = environments

    async def build(self, archive: Path, progress: Progress = lambda line: None) -> str:
        """The image reference. Raises BadRequest, TooLarge, DeployFailed (requirements)."""
        image, source = await asyncio.to_thread(self._keep, archive)
        progress(f"source {source.digest[:12]} kept, template {source.kind}")
        await self._environments.ensure(source.environment, progress)
        await asyncio.to_thread(self._tag, image, source.digest)
        return images.reference(images.repository_name(image), source.digest)

    def resolve(self, image: str) -> Source:
        """The source behind a reference of ours or a tag that was built here. Raises BadRequest otherwise."""
        digest = images.digest_of(image) or self._tagged(image)
        if digest is None:
            raise BadRequest(
                f"image {image[:200]!r} is not one that was built here",
                hint="build it with `faas-cli up --remote-builder` or `tidemill deploy`; "
                "images of a registry need the Docker backend",
            )
        try:
            build = json.loads((self._dir / digest / BUILD_FILE).read_text())
        except FileNotFoundError:
            raise BadRequest(f"the source of image {image[:200]!r} is not kept here: build it again") from None
        return Source(digest, self._dir / digest, build["kind"], build["from_source"])

    def tidy(self, pinned: Iterable[str], *, before: float) -> None:
        """Removes sources that are neither deployed nor tagged, last built before this time."""
        digests = {digest for image in pinned if (digest := images.digest_of(image))}
        digests |= {tag.read_text() for tag in self._tags.glob("[!.]*")}
        sources = (folder for folder in self._dir.glob("*") if images.DIGEST.fullmatch(folder.name))
        remove_old(sources, keep={self._dir / digest for digest in digests}, before=before)

    def sweep(self) -> None:
        """Removes what killed builds left behind, and uploads that were never built. Call it before the first."""
        for leftover in self._dir.glob(".building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for upload in self._dir.glob(f"{UPLOAD_PREFIX}*"):
            upload.unlink(missing_ok=True)

    def _keep(self, archive: Path) -> tuple[str, Source]:
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=self._dir))
        try:
            unpack(archive, work / "upload")
            config = _read_config(work / "upload")
            handler = find_handler(work / "upload/context")
            build = {"kind": handler.kind, "from_source": config["from_source"]}
            kept = work / "kept"
            kept.mkdir()
            handler.folder.rename(kept / "function")
            (kept / BUILD_FILE).write_text(json.dumps(build))
            digest = content_digest(kept)
            try:
                kept.rename(self._dir / digest)
            except OSError:
                if not (self._dir / digest).is_dir():
                    raise
                os.utime(self._dir / digest)  # the same source is kept already: it was built again just now
            return config["image"], Source(digest, self._dir / digest, handler.kind, config["from_source"])
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _tag(self, image: str, digest: str) -> None:
        self._tags.mkdir(mode=0o700, exist_ok=True)
        replace_file(self._tags / quote(image, safe=""), digest.encode())

    def _tagged(self, image: str) -> str | None:
        try:
            return (self._tags / quote(image, safe="")).read_text()
        except OSError:
            return None


def content_digest(folder: Path) -> str:
    """SHA-256 of every file's path, executable bit and bytes."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o100}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _read_config(upload: Path) -> dict[str, Any]:
    if (upload / SECRETS_FILE).exists():
        raise BadRequest("build secrets cannot be used: no image is built here, and nothing would read them")
    try:
        config = json.loads((upload / CONFIG_FILE).read_bytes())
    except FileNotFoundError:
        raise BadRequest(f"the archive has no {CONFIG_FILE}") from None
    except ValueError as cause:
        raise BadRequest(f"{CONFIG_FILE} is not JSON: {cause}") from cause
    if not isinstance(config, dict) or not isinstance(config.get("image"), str):
        raise BadRequest(f"{CONFIG_FILE} names no image")
    images.repository_name(config["image"])
    arguments = config.get("buildArgs") or {}
    if not isinstance(arguments, Mapping):
        raise BadRequest(f"{CONFIG_FILE}: buildArgs must be an object of strings")
    return {"image": config["image"], "from_source": arguments.get(FROM_SOURCE) == "true"}
