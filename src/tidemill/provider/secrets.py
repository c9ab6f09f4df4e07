"""Functions' secrets: one file a secret, `NAMESPACE/NAME`, 0600. Values never leave by HTTP."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from tidemill.contract.errors import BadRequest, Conflict, NotFound
from tidemill.contract.names import DEFAULT_NAMESPACE
from tidemill.contract.workload import SECRET_MONGODB_URI, SECRET_S3_ACCESS_KEY, SECRET_S3_SECRET_KEY
from tidemill.provider.files import replace_file

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
"""A DNS subdomain, as Kubernetes names secrets."""
MOST_NAME_CHARACTERS = 253
MAX_VALUE_BYTES = 1024 * 1024

PLATFORM_FILES = {
    SECRET_MONGODB_URI: "mongodb-functions-uri",
    SECRET_S3_ACCESS_KEY: "s3-access-key",
    SECRET_S3_SECRET_KEY: "s3-secret-key",
}
"""Secret of the default namespace → file of the platform's own credentials that it is made from."""


class SecretStore:
    """Secrets below one folder. Every write is atomic: a function sees the old value or the new one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, namespace: str) -> list[str]:
        folder = self._folder / namespace
        return sorted(file.name for file in folder.iterdir() if _NAME.fullmatch(file.name)) if folder.is_dir() else []

    def create(self, namespace: str, name: str, value: bytes) -> None:
        """Raises Conflict."""
        if self.path(namespace, name).exists():
            raise Conflict(f"secret {name} exists already in namespace {namespace}")
        self._write(namespace, name, value)

    def update(self, namespace: str, name: str, value: bytes) -> None:
        """Raises NotFound."""
        self._require(namespace, name)
        self._write(namespace, name, value)

    def delete(self, namespace: str, name: str) -> None:
        """Raises NotFound."""
        self._require(namespace, name).unlink()

    def adopt(self, secrets_dir: Path) -> list[str]:
        """Makes the platform's secrets in the default namespace from its credentials; answers the names written.
        Files that are not there, and values that are there already, are left alone."""
        written = []
        for name, file in PLATFORM_FILES.items():
            try:
                value = (secrets_dir / file).read_bytes().strip()
            except FileNotFoundError:
                continue
            path = self.path(DEFAULT_NAMESPACE, name)
            if not path.exists() or path.read_bytes() != value:
                self._write(DEFAULT_NAMESPACE, name, value)
                written.append(name)
        return written

    def paths(self, namespace: str, names: Iterable[str]) -> dict[str, Path]:
        """Where each one's value is. Raises BadRequest naming the first that does not exist."""
        found = {}
        for name in names:
            path = self.path(namespace, name)
            if not path.is_file():
                raise BadRequest(
                    f"secret {name} does not exist in namespace {namespace}",
                    hint=f"make it with: tidemill secret create {name}",
                )
            found[name] = path
        return found

    def path(self, namespace: str, name: str) -> Path:
        """Raises BadRequest for a name that cannot be one."""
        if len(name) > MOST_NAME_CHARACTERS or not _NAME.fullmatch(name):
            raise BadRequest(f"secret name {name[:80]!r} is not a DNS subdomain (lowercase letters, digits, - and .)")
        return self._folder / namespace / name

    def _require(self, namespace: str, name: str) -> Path:
        path = self.path(namespace, name)
        if not path.is_file():
            raise NotFound(f"secret {name} does not exist in namespace {namespace}")
        return path

    def _write(self, namespace: str, name: str, value: bytes) -> None:
        if len(value) > MAX_VALUE_BYTES:
            raise BadRequest(f"secret {name} is longer than {MAX_VALUE_BYTES} bytes")
        folder = self._folder / namespace
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(folder / name, value)  # its temporary names start with a dot, which no secret's does


def content_digests(paths: dict[str, Path]) -> dict[str, str]:
    """A digest of each value, so that a version changes with its secrets without holding them."""
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()}
