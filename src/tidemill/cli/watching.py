"""Watching the files of a project, and deciding which functions a change belongs to."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tidemill.cli.buildcontext import is_excluded
from tidemill.cli.failures import Failure
from tidemill.cli.session import Project

QUIET_MS = 50
"""A change is acted on after so long without another: editors write a file in several steps."""
TELL_AFTER_MS = 500
"""How long a watch waits before it tells that nothing changed."""


@dataclass(frozen=True, slots=True)
class Redeploy:
    """What a set of changes asks for."""

    stack_changed: bool = False
    """The stack file or one of its environment files: read it again, deploy everything."""
    functions: tuple[str, ...] = ()
    """In the stack's order."""


def decide_redeploy(project: Project, changed: Iterable[Path], *, settings_files: Iterable[Path]) -> Redeploy:
    """`settings_files`: the stack file and all environment files. Paths are absolute."""
    settings = {path.resolve() for path in settings_files}
    paths = [path for path in changed if not _is_noise(path, project.folder.resolve())]
    if any(path in settings for path in paths):
        return Redeploy(stack_changed=True, functions=tuple(project.stack.functions))
    touched = tuple(
        name
        for name in project.stack.functions
        if any(path.is_relative_to(source) for source in sources(project, name) for path in paths)
    )
    return Redeploy(functions=touched)


def sources(project: Project, name: str) -> list[Path]:
    """The folders and files that a function is built from."""
    function = project.stack.functions[name]
    if not function.builds or function.handler is None:
        return []
    root = project.folder.resolve()
    found = [root / function.handler, *(root / extra for extra in project.stack.copy)]
    if function.lang:
        found.append(root / "template" / function.lang)
    return [path.resolve() for path in found]


def settings_files(project: Project, environment: str | None) -> list[Path]:
    """Files that change every function's settings."""
    from tidemill.contract.stackfile import environment_path

    files = [Path(project.stack.file)] if not project.stack.file.startswith("http") else []
    for function in project.stack.functions.values():
        files += (project.folder / file for file in function.environment_files)
    if environment:
        files.append(environment_path(project.folder, environment))
    return list(dict.fromkeys(file.resolve() for file in files))


class Watcher:
    """A context manager that yields sets of changed files for ever.

    Sources are watched with all folders below them; the stack file and environment files by their folder alone, which
    may be a project's root with a virtual environment in it.
    """

    def __init__(self, project: Project, environment: str | None) -> None:
        self.settings_files = settings_files(project, environment)
        below = [path for name in project.stack.functions for path in sources(project, name)]
        self._deep = sorted({path for path in below if path.is_dir()})
        flat = {path.parent for path in (*self.settings_files, *below) if not path.is_dir()}
        self._flat = sorted(path for path in flat if path.is_dir())
        self._changes: queue.SimpleQueue[set[Path] | Failure] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._watching: list[threading.Event] = []

    def __enter__(self) -> Self:
        for folders, recursive in ((self._deep, True), (self._flat, False)):
            if folders:
                begun = threading.Event()
                self._watching.append(begun)
                arguments = (folders, recursive, begun)
                threading.Thread(target=self._watch, args=arguments, name="watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def await_watching(self) -> None:
        """Returns when no later change can be missed."""
        for begun in self._watching:
            begun.wait()

    def __iter__(self) -> Iterator[set[Path]]:
        """Raises Failure where the system refuses to watch."""
        while True:
            changed = self._next()
            while not self._changes.empty():  # what came while a deployment ran goes together
                changed |= self._next()
            yield changed

    def _next(self) -> set[Path]:
        news = self._changes.get()
        if isinstance(news, Failure):
            raise news
        return news

    def _watch(self, folders: list[Path], recursive: bool, begun: threading.Event) -> None:
        from watchfiles import watch

        try:
            # An empty set comes after each timeout: the first one tells that the watch is set up.
            for changes in watch(
                *folders,
                recursive=recursive,
                step=QUIET_MS,
                rust_timeout=TELL_AFTER_MS,
                yield_on_timeout=True,
                stop_event=self._stop,
            ):
                begun.set()
                if changes:
                    self._changes.put({Path(path) for _, path in changes})
        except (OSError, RuntimeError) as cause:
            hint = "raise the limit: sysctl fs.inotify.max_user_watches=524288"
            self._changes.put(Failure(f"the files cannot be watched: {cause}", hint=hint))
        finally:
            begun.set()


def _is_noise(path: Path, root: Path) -> bool:
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return any(is_excluded(part) for part in inside.parts)
