"""A function's folder as the tar that `POST /build` takes."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

SKIPPED = ("__pycache__", ".pytest_cache")


def context_of(handler: Path, *, image: str, kind: str) -> bytes:
    """`handler` holds handler.py; `kind` is the template, such as `python3-http`."""
    tar_file = io.BytesIO()
    with tarfile.open(fileobj=tar_file, mode="w") as tar:
        _add(tar, "com.openfaas.docker.config", json.dumps({"image": image}).encode())
        _add(tar, "context/template.yml", f"language: {kind}\n".encode())
        for path in sorted(handler.rglob("*")):
            if path.is_file() and not any(part in SKIPPED for part in path.parts):
                _add(tar, f"context/function/{path.relative_to(handler)}", path.read_bytes())
    return tar_file.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
