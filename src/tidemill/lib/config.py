"""A function's own configuration: environment variables (`config/<environment>.yml`) and secrets, read strictly.

A value that cannot be used raises BadSetting naming the variable; nothing falls back quietly. Read it once per
replica, where it is needed first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tidemill.contract.units import parse_duration_s, parse_memory_bytes
from tidemill.contract.workload import ENV_SECRETS_DIR, SECRETS_DIR
from tidemill.lib.settings import BadSetting

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Config:
    """Typed readers over one environment. Without a default a variable is required."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def text(self, name: str, default: str | None = None) -> str:
        return self._read(name, default, str)

    def whole(self, name: str, default: int | None = None, *, least: int = 0) -> int:
        def parse(text: str) -> int:
            if not (text.isascii() and text.isdigit()) or int(text) < least:
                raise ValueError(f"{text!r} is not a whole number from {least} on")
            return int(text)

        return self._read(name, default, parse)

    def duration_s(self, name: str, default: float | None = None) -> float:
        """A Go duration such as `15s`."""
        return self._read(name, default, parse_duration_s)

    def size_bytes(self, name: str, default: int | None = None) -> int:
        """A memory quantity such as `10Mi`."""
        return self._read(name, default, parse_memory_bytes)

    def secret(self, name: str) -> str:
        """The secret's value, stripped. Raises BadSetting where the function was not given it."""
        path = Path(self.environ.get(ENV_SECRETS_DIR, SECRETS_DIR)) / name
        try:
            return path.read_text().strip()
        except OSError as cause:
            raise BadSetting(f"secret {name} cannot be read; does the function list it under `secrets`?") from cause

    def _read(self, name: str, default: _T | None, parse: Callable[[str], _T]) -> _T:
        text = self.environ.get(name, "").strip()
        if text:
            try:
                return parse(text)
            except ValueError as cause:
                raise BadSetting(f"{name}: {cause}") from cause
        if default is None:
            raise BadSetting(f"{name} is not set")
        return default
