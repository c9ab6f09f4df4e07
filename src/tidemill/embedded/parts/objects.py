"""The S3 server: the user's own by S3_ENDPOINT, a `minio` on PATH, else versitygw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tidemill.embedded.parts.part import Part, ask_version, on_path
from tidemill.embedded.parts.versitygw import find_versitygw
from tidemill.lib.settings import Settings

_MINIO = Part(
    name="objects",
    engine="minio",
    needs="any release",
    durability="synced (O_DSYNC): neither kill -9 nor a power cut loses an acknowledged object",
)


def objects_dir(settings: Settings, engine: str) -> Path:
    """Each engine has its own: neither reads the other's files."""
    return settings.data_dir / "objects" / engine


def find_objects(settings: Settings, environ: Mapping[str, str]) -> Part:
    """A data directory stays with the engine that wrote it: a `minio` installed later does not hide its objects."""
    if settings.s3_endpoint:
        return replace(_MINIO, engine="external", where="S3_ENDPOINT", durability="as your server is set up")
    minio = on_path("minio", environ)
    if minio is not None and not objects_dir(settings, "versitygw").exists():
        asked = ask_version(minio, "--version", r"version (?:RELEASE\.)?(\S+)")
        if not asked.problem:
            return replace(_MINIO, where="PATH", path=minio, version=asked.version)
    return find_versitygw(environ)
