"""versitygw, the S3 server of the embedded default: built once from its Go module into a cache that outlives it all.

The version is pinned; that what arrives is what was published is the business of Go's checksum database.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tidemill.embedded.parts.golang import InstallFailed, go_program
from tidemill.embedded.parts.part import Part, Progress, ask_version, cache_dir

VERSION = "1.8.0"
MODULE = f"github.com/versity/versitygw/cmd/versitygw@v{VERSION}"
USUAL = "one to two minutes"
"""How long the build takes on two cores, for the one who waits."""
_TELL_EVERY_S = 5.0

_VERSITYGW = Part(
    name="objects",
    engine="versitygw",
    needs=f"versitygw {VERSION}",
    durability="renamed into place but not fsynced: kill -9 loses nothing, a power cut may lose acknowledged objects",
)


def find_versitygw(environ: Mapping[str, str]) -> Part:
    program = _place(environ)
    if not program.exists():
        return replace(
            _VERSITYGW,
            problem=f"versitygw {VERSION} has not been built yet, no `minio` is on PATH, and S3_ENDPOINT is not set",
            hint=f"`make up` builds it once ({USUAL}), or put `minio` on PATH, or set S3_ENDPOINT",
            installable=True,
        )
    asked = ask_version(program, "--version", r"Version\s*:\s*(\S+)")  # a build by `go install` calls itself `git`
    if asked.problem:
        return replace(_VERSITYGW, problem=asked.problem, hint=f"delete {program} and run `make up`")
    return replace(_VERSITYGW, where="built by go install", path=program, version=VERSION)


def install_versitygw(environ: Mapping[str, str], progress: Progress) -> None:
    """Builds it if nobody did; of several at once one builds and the others wait. Raises InstallFailed."""
    program = _place(environ)
    _make_cache(program.parent)
    with _alone(program.with_name(f"{program.name}.lock"), progress):
        if program.exists():
            return
        with tempfile.TemporaryDirectory(prefix="build-", dir=program.parent) as scratch:
            built = _build(Path(scratch), environ, progress)
            built.replace(program)


def _make_cache(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as cause:
        raise InstallFailed(
            f"versitygw would be kept in {folder}, which cannot be written: {cause.strerror}",
            hint="name another folder by TIDEMILL_CACHE, or put `minio` on PATH, or set S3_ENDPOINT",
        ) from cause


def _place(environ: Mapping[str, str]) -> Path:
    return cache_dir(environ) / f"versitygw-{VERSION}-{os.uname().machine}"


def _build(scratch: Path, environ: Mapping[str, str], progress: Progress) -> Path:
    go = go_program(environ, scratch=scratch, progress=progress)
    log = scratch / "go.log"
    command = [str(go), "install", "-trimpath", "-ldflags=-s -w", MODULE]
    started = time.monotonic()
    with log.open("wb") as output:
        build = subprocess.Popen(
            command, env=_environment(scratch, environ), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while _still_runs(build):
                elapsed_s = time.monotonic() - started
                progress("objects", f"building versitygw {VERSION}, once: {elapsed_s:.0f} s (it takes {USUAL})")
        except BaseException:
            build.kill()
            build.wait()
            raise
    if build.returncode:
        raise InstallFailed(
            f"versitygw {VERSION} could not be built: {_last_line(log)}",
            hint="put `minio` on PATH or set S3_ENDPOINT; the Go module proxy must be reachable to build it",
        )
    progress("objects", f"built versitygw {VERSION} in {time.monotonic() - started:.0f} s")
    return scratch / "bin" / "versitygw"


def _environment(scratch: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Go's own folders inside `scratch`, so that nothing but the program stays behind."""
    kept = {name: value for name, value in environ.items() if name not in ("GOFLAGS", "GOROOT", "GOOS", "GOARCH")}
    return kept | {
        "GOPATH": str(scratch),
        "GOBIN": str(scratch / "bin"),
        "GOCACHE": str(scratch / "cache"),
        "GOMODCACHE": str(scratch / "mod"),
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "HOME": environ.get("HOME", str(scratch)),
    }


def _still_runs(build: subprocess.Popen[bytes]) -> bool:
    try:
        build.wait(_TELL_EVERY_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if not line.startswith("go: downloading")]
    return lines[-1] if lines else "it told no reason"


@contextmanager
def _alone(lock: Path, progress: Progress) -> Iterator[None]:
    handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("objects", "waiting for another process that builds versitygw")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
