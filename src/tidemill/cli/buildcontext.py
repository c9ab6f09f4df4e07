"""A function's build context as the tar of the Function Builder API, made in memory.

    template folder → handler laid over it in `handler_folder` → `configuration.copy` below that → tar

The tar depends on contents only: names sorted, times zero, owners nobody's, and only the executable bit of a mode.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from tidemill.cli.failures import BadUsage, Failure
from tidemill.cli.templates import Template
from tidemill.contract.stack import StackFunction

CONFIG_FILE = "com.openfaas.docker.config"
EXCLUDED = (
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    "node_modules",
    "__pycache__",
    "*.py[co]",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tox",
    ".tidemill",
    ".DS_Store",
    "*.swp",
    "*~",
)
"""Never part of a function: what tools leave behind, and version control."""
NOT_OF_HANDLER = ("build", "template")
"""Entries of a handler's folder that the OpenFaaS tools skip too: a handler may be the project itself."""
MAX_CONTEXT_BYTES = 256 * 1024 * 1024
"""The platform refuses more; a dataset in the handler's folder is the usual reason."""

Files = dict[PurePosixPath, Path]


def build_context(
    function: StackFunction, template: Template | None, *, project: Path, copy: tuple[str, ...]
) -> bytes:
    """The tar. `template` is None for `lang: dockerfile`, whose handler folder is the context itself.
    Raises BadUsage naming the path that is missing or leads out of the project."""
    if function.build_secrets:
        message = f"functions.{function.name}: build_secrets cannot be used: no image is made that needs them"
        raise BadUsage(message)
    handler_folder = PurePosixPath(template.handler_folder) if template else PurePosixPath()
    files: Files = {}
    if template:
        files.update(_below(template.folder))
    handler = handler_path(function, project)
    for name, path in _below(handler).items():
        if name.parts[0] not in NOT_OF_HANDLER:
            files[handler_folder / name] = path
    for extra in copy:
        files.update(_copied(extra, project, handler_folder))
    return _tar(_config(function, template), files)


def handler_path(function: StackFunction, project: Path) -> Path:
    """Raises BadUsage where it is no folder."""
    assert function.handler is not None
    handler = project / function.handler
    if not handler.is_dir():
        raise BadUsage(f"functions.{function.name}: the handler folder {handler} does not exist")
    return handler


def is_excluded(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in EXCLUDED)


def _config(function: StackFunction, template: Template | None) -> bytes:
    arguments = dict(function.build_args)
    packages: list[str] = []
    for option in function.build_options:
        if template is None or option not in template.packages:
            known = ", ".join(template.packages) if template and template.packages else "none"
            message = f"functions.{function.name}: the template has no build option {option}"
            raise BadUsage(message, hint=f"it has: {known}")
        packages += template.packages[option]
    if packages:
        given = arguments.get("ADDITIONAL_PACKAGE", "").split()
        arguments["ADDITIONAL_PACKAGE"] = " ".join(dict.fromkeys((*given, *packages)))
    config: dict[str, object] = {"image": function.build_image}
    if arguments:
        config["buildArgs"] = arguments
    if function.platforms:
        config["platforms"] = [part.strip() for part in function.platforms.split(",")]
    return json.dumps(config, sort_keys=True).encode()


def _copied(extra: str, project: Path, handler_folder: PurePosixPath) -> Files:
    root = project.resolve()
    source = (project / extra).resolve()
    if source == root or not source.is_relative_to(root):
        raise BadUsage(f"configuration.copy: {extra} must be a path inside the project {root}")
    if not source.exists():
        raise BadUsage(f"configuration.copy: {extra} does not exist in {root}")
    below = handler_folder / source.relative_to(root).as_posix()
    if source.is_file():
        return {below: source}
    return {below / name: path for name, path in _below(source).items()}


def _below(folder: Path) -> Files:
    return {PurePosixPath(path.relative_to(folder).as_posix()): path for path in _walk(folder)}


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not is_excluded(name))
        for name in (*folders, *names):
            path = Path(root, name)
            if path.is_symlink() and path.is_dir():
                raise BadUsage(f"{path} is a link to a folder, which cannot be sent", hint="copy the folder instead")
        yield from (Path(root, name) for name in sorted(names) if not is_excluded(name))


def _tar(config: bytes, files: Files) -> bytes:
    buffer = io.BytesIO()
    total = 0
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, CONFIG_FILE, config, executable=False)
        for name in sorted(files):
            path = files[name]
            try:
                content = path.read_bytes()
                executable = bool(path.stat().st_mode & 0o100)
            except OSError as cause:
                raise Failure(f"{path} cannot be read: {cause.strerror}") from cause
            total += len(content)
            if total > MAX_CONTEXT_BYTES:
                raise BadUsage(f"the build context holds more than {MAX_CONTEXT_BYTES >> 20} MiB, {path} included")
            _add(tar, f"context/{name}", content, executable=executable)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, executable: bool) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o755 if executable else 0o644
    tar.addfile(member, io.BytesIO(content))
