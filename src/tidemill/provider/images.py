"""Image references of the process backend: `tidemill.local/NAME@sha256:DIGEST` names a source kept by the builder."""

from __future__ import annotations

import re

from tidemill.contract.errors import BadRequest

REGISTRY = "tidemill.local"
DIGEST = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(rf"{re.escape(REGISTRY)}/([a-z0-9._/-]+)@sha256:({DIGEST.pattern})")
_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")


def reference(name: str, digest: str) -> str:
    return f"{REGISTRY}/{name}@sha256:{digest}"


def digest_of(image: str) -> str | None:
    """The digest in a reference of ours; None where the image is anything else."""
    match = _OURS.fullmatch(image)
    return match[2] if match else None


def repository_name(image: str) -> str:
    """`hello` of `ghcr.io/team/hello:1.2`. Raises BadRequest."""
    last = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if not _NAME.fullmatch(last):
        raise BadRequest(f"image {image[:200]!r} is not an image name such as hello:latest")
    return last
