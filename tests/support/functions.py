"""Small functions that a test writes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.platform import Platform


class Functions:
    """Deploys handlers given as text; `close` removes them all."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self._platform = platform
        self._folder = folder
        self._names: set[str] = set()

    def write(self, name: str, code: str, *, requirements: str = "") -> Path:
        """A function's folder."""
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "handler.py").write_text(code)
        (folder / "requirements.txt").write_text(requirements)
        return folder

    def deploy(
        self, name: str, code: str, *, requirements: str = "", kind: str = "python3-http", **fields: Any
    ) -> str:
        """Ready when it returns; the name is returned for use in URLs."""
        self._names.add(name)
        self._platform.deploy(self.write(name, code, requirements=requirements), name=name, kind=kind, **fields)
        return name

    def will_remove(self, name: str) -> str:
        """For one that was deployed in another way."""
        self._names.add(name)
        return name

    def close(self) -> None:
        for name in self._names:
            self._platform.remove(name)
