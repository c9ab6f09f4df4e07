"""Python environments for functions: one a content, made once, shared by every version that needs the same.

    requirements of the handler + runtime.lock + interpreter → hash → envs/HASH present? that one
      → uv venv and uv pip install into a folder beside it → modules to preload noted → renamed into place

The rename is the commit: a build that is killed leaves a folder that nobody looks at and the next start removes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tidemill.contract.errors import BadRequest, DeployFailed
from tidemill.provider import requirements
from tidemill.provider.files import remove_old
from tidemill.provider.privileges import Privileges
from tidemill.provider.toplevel import top_level_modules

RUNTIME_LOCK = Path(__file__).with_name("runtime.lock")
"""What every environment starts from; a copy of requirements/runtime.lock that travels with the package."""
META_FILE = "tidemill-environment.json"
INSTALL_TIMEOUT_S = 600.0
REASON_LINES = 12
"""How much of the resolver's complaint the user is shown."""
UNSAID = ("Using Python ", "warning: Requirements file `requirements.txt` does not contain any dependencies")
"""How lines of the installer's begin that are no news to anybody."""
PASSED_ON = ("PATH", "LANG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
PASSED_ON_PREFIXES = ("UV_", "SSL_CERT_", "NETRC")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """An installed environment."""

    hash: str
    python: Path
    preload: tuple[str, ...]
    """Modules that the handler's own requirements brought, importable in this environment."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an environment is made from."""

    requirements: str
    from_source: bool = False
    """Source distributions may be built, which runs their code; else wheels only."""

    @property
    def hash(self) -> str:
        parts = (RUNTIME_LOCK.read_text(), self.requirements, sys.version, sys.base_prefix, str(self.from_source))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Environments:
    """The environments below one folder."""

    def __init__(self, envs_dir: Path, *, privileges: Privileges, uv: Path | None = None) -> None:
        self._dir = envs_dir
        self._cache = envs_dir / ".cache"
        self._privileges = privileges
        self._uv = uv or find_uv()
        self._building: dict[str, asyncio.Task[Environment]] = {}

    async def ensure(self, wanted: Wanted, progress: Progress = lambda line: None) -> Environment:
        """The environment, installed if it is not there yet; concurrent calls for one hash share the work. Raises
        BadRequest for a line that cannot be used and DeployFailed with the installer's last lines."""
        requirements.distributions(wanted.requirements)
        if wanted.from_source and not self._privileges.may_run_foreign_code:
            raise BadRequest(
                "source distributions cannot be built here: their code would run as root",
                hint="run the platform as another user, or from folders that other users may enter",
            )
        found = await asyncio.to_thread(self._find, wanted.hash)
        if found is not None:
            progress(f"environment {wanted.hash} is installed already")
            return found
        task = self._building.get(wanted.hash)
        if task is None:
            task = asyncio.create_task(self._install(wanted, progress))
            self._building[wanted.hash] = task
            task.add_done_callback(lambda _: self._building.pop(wanted.hash, None))
        else:
            progress(f"environment {wanted.hash} is being installed by another deployment; waiting for it")
        return await asyncio.shield(task)

    def tidy(self, used: Iterable[str], *, before: float) -> None:
        """Removes environments that no function has and none was deployed with since this time."""
        remove_old(self._dir.glob("[0-9a-f]*"), keep={self._dir / env_hash for env_hash in used}, before=before)

    def sweep(self) -> None:
        """Removes what killed builds left behind; call it before the first `ensure`."""
        for leftover in self._dir.glob(".building-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _find(self, env_hash: str) -> Environment | None:
        try:
            meta = json.loads((self._dir / env_hash / META_FILE).read_text())
            os.utime(self._dir / env_hash)  # in use: `tidy` leaves it alone
        except FileNotFoundError:
            return None
        return Environment(env_hash, self._dir / env_hash / "bin/python", tuple(meta["preload"]))

    async def _install(self, wanted: Wanted, progress: Progress) -> Environment:
        building = await asyncio.to_thread(self._prepare, wanted)
        try:
            await self._uv_run(
                ["venv", "--python", _interpreter(), str(building / "env"), "--quiet"], building, wanted, progress
            )
            await self._uv_run(_install_arguments(building, wanted), building, wanted, progress)
            await asyncio.to_thread(self._commit, building, wanted)
        finally:
            await asyncio.to_thread(shutil.rmtree, building, True)
        found = self._find(wanted.hash)
        assert found is not None
        return found

    def _prepare(self, wanted: Wanted) -> Path:
        for folder in (self._dir, self._cache):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=self._dir))
        building.chmod(0o755)
        (building / "requirements.txt").write_text(wanted.requirements)
        shutil.copyfile(RUNTIME_LOCK, building / "runtime.lock")
        self._privileges.give_to_installer(building, foreign_code=wanted.from_source)
        self._privileges.give_to_installer(self._cache, foreign_code=False)
        return building

    def _commit(self, building: Path, wanted: Wanted) -> None:
        env = building / "env"
        site = next((env / "lib").glob("python3*/site-packages"))
        preload = top_level_modules(site, requirements.distributions(wanted.requirements))
        self._privileges.take_back(env)
        (env / META_FILE).write_text(json.dumps({"preload": preload, "requirements": wanted.requirements}))
        env.rename(self._dir / wanted.hash)

    async def _uv_run(self, arguments: list[str], building: Path, wanted: Wanted, progress: Progress) -> None:
        # What may run foreign code gets a cache of its own, and as root a user that cannot write to the other one.
        cache = building / "cache" if wanted.from_source else self._cache
        process = await asyncio.create_subprocess_exec(
            str(self._uv), *arguments, "--cache-dir", str(cache), "--no-config", "--color", "never",
            "--link-mode", self._privileges.link_mode,
            cwd=building,
            env=_environ(building),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            **self._privileges.installer_arguments(foreign_code=wanted.from_source),
        )  # fmt: skip
        lines: list[str] = []
        try:
            async with asyncio.timeout(INSTALL_TIMEOUT_S):
                assert process.stdout is not None
                async for raw in process.stdout:
                    line = raw.decode(errors="replace").rstrip()
                    if line and not line.startswith(UNSAID):
                        lines.append(line)
                        progress(line)
                status = await process.wait()
        except TimeoutError:
            raise DeployFailed(f"installing the requirements took longer than {INSTALL_TIMEOUT_S:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status != 0:
            reason = "\n".join(lines[-REASON_LINES:])
            raise DeployFailed(f"the requirements could not be installed:\n{reason}", hint=_hint(reason))


def find_uv() -> Path:
    """The uv that is installed beside the interpreter, else the one on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise FileNotFoundError(
            "uv is neither beside the interpreter nor on PATH; it is in requirements/platform.lock"
        )
    return Path(found)


def _interpreter() -> str:
    """The interpreter below our own virtual environment."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = (Path(sys.base_prefix) / "bin" / version, Path(sys.base_prefix) / "bin/python3")
    return next((str(path) for path in candidates if path.exists()), sys.executable)


def _install_arguments(building: Path, wanted: Wanted) -> list[str]:
    arguments = ["pip", "install", "--python", str(building / "env/bin/python"), "--compile-bytecode"]
    arguments += ["-r", str(building / "runtime.lock"), "-r", str(building / "requirements.txt")]
    return arguments if wanted.from_source else [*arguments, "--no-build"]


def _environ(home: Path) -> dict[str, str]:
    """Nothing of the platform's own environment but what reaching the package index takes."""
    passed = {
        name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    return {**passed, "HOME": str(home), "UV_PYTHON_DOWNLOADS": "never"}


def _hint(reason: str) -> str | None:
    if "--no-build" in reason or "building source distributions is disabled" in reason:
        return "only wheels are installed; the build argument TIDEMILL_FROM_SOURCE=true allows source distributions"
    if "UnknownIssuer" in reason:
        return "where a proxy has certificates of its own, start the platform with UV_SYSTEM_CERTS=true"
    return None
