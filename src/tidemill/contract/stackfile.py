"""The stack file on disk, with the environment files it names and the one of the environment that is asked for.

A function's variables come from, the later the stronger: `environment:` in the stack file, each `environment_file` in
its order, `config/NAME.yml` of the environment NAME (such as `dev`), and the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tidemill.contract.errors import BadStack
from tidemill.contract.stack import Stack, parse_environment, parse_stack

DEFAULT_FILES = ("stack.yaml", "stack.yml")


def find_stack_file(folder: Path) -> Path | None:
    """The stack file that is meant where none is named."""
    return next((folder / name for name in DEFAULT_FILES if (folder / name).is_file()), None)


def load_stack(path: Path, *, environ: Mapping[str, str] | None, environment: str | None = None) -> Stack:
    """Raises BadStack. Paths in the file are relative to its folder."""
    text = _read(path)
    return complete(parse_stack(text, file=str(path), environ=environ), path.parent, environment=environment)


def complete(stack: Stack, project: Path, *, environment: str | None = None) -> Stack:
    """The stack with the variables of its environment files. Raises BadStack."""
    chosen: dict[str, str] = {}
    if environment:
        chosen = _environment(environment_path(project, environment))
    functions = {}
    for name, function in stack.functions.items():
        layers = [_environment(project / file) for file in function.environment_files]
        functions[name] = function.with_environment(*layers, chosen)
    return replace(stack, functions=functions)


def environment_path(project: Path, environment: str) -> Path:
    """`config/dev.yml` for `dev`; `.yaml` where that is what there is. Raises BadStack where there is neither."""
    paths = [project / "config" / f"{environment}{suffix}" for suffix in (".yml", ".yaml")]
    for path in paths:
        if path.is_file():
            return path
    known = sorted({path.stem for path in (project / "config").glob("*.y*ml")})
    raise BadStack(
        f"there is no environment {environment}",
        file=str(paths[0]),
        hint=f"there are: {', '.join(known)}" if known else "make that file, with a mapping under environment:",
    )


def _environment(path: Path) -> dict[str, str]:
    return parse_environment(_read(path), file=str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else "it is not UTF-8 text"
        raise BadStack(f"the file cannot be read: {reason}", file=str(path)) from cause
