"""dev: deploys the stack, then again what changes, and shows the functions' logs meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli import options
from tidemill.cli.commands.logs import readable
from tidemill.cli.failures import Failure, of_error
from tidemill.cli.output import Output
from tidemill.cli.session import Project, connect, open_project, select
from tidemill.cli.tailing import tail
from tidemill.contract.errors import TidemillError
from tidemill.contract.functions import rfc3339

if TYPE_CHECKING:
    from tidemill.cli.client import Gateway
    from tidemill.cli.watching import Watcher


def dev(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Else every function.")] = None,
    file: options.StackFile = None,
    environment: options.Environment = None,
    envsubst: options.Envsubst = "true",
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Deploy the stack's functions, redeploy each on save, show their logs. Ctrl-C ends it; they stay deployed."""
    from tidemill.cli.deploying import deploy_all
    from tidemill.cli.progress import Lines
    from tidemill.cli.watching import Watcher
    from tidemill.contract.stack import check_deployments

    output = Output(as_json=as_json)

    def read() -> Project:
        whole = open_project(file, envsubst=envsubst == "true", environment=environment)
        return Project(select(whole.stack, names=names or ()), whole.folder)

    project = read()
    check_deployments(project.stack)
    with connect(gateway, stack=project.stack) as client, closing(LogTails(client, output)) as tails:
        deploy_all(client, project, Lines(output))
        while True:
            tails.follow(project)
            output.note(f"watching {', '.join(project.stack.functions)} at {client.url}; end with Ctrl-C")
            with suppress(KeyboardInterrupt), Watcher(project, environment) as watcher:
                project = _redeploy_until_stack_changes(client, output, project, watcher, read)
                continue
            break
    output.note("the functions stay deployed; remove them with: tidemill remove")


def _redeploy_until_stack_changes(
    client: Gateway, output: Output, project: Project, watcher: Watcher, read: Callable[[], Project]
) -> Project:
    """The project as it is after the stack file or an environment file changed, all of it deployed."""
    from tidemill.cli.deploying import deploy_all
    from tidemill.cli.progress import Endings
    from tidemill.cli.watching import decide_redeploy
    from tidemill.contract.stack import check_deployments

    for changed in watcher:
        plan = decide_redeploy(project, changed, settings_files=watcher.settings_files)
        if not plan.functions:
            continue
        try:
            project = read() if plan.stack_changed else project
            check_deployments(project.stack)
            wanted = project.stack if plan.stack_changed else select(project.stack, names=plan.functions)
            deploy_all(client, Project(wanted, project.folder), Endings(output))
        except (
            Failure,
            TidemillError,
        ) as error:  # half-written files, a platform that restarts: the next save heals
            output.failure(error if isinstance(error, Failure) else of_error(error))
            continue
        if plan.stack_changed:
            return project
    raise AssertionError("a watcher ends by Ctrl-C only")


class LogTails:
    """Shows what functions write, from a thread each."""

    def __init__(self, client: Gateway, output: Output) -> None:
        self._client = client
        self._output = output
        self._followed: set[str] = set()
        self._closed = threading.Event()

    def follow(self, project: Project) -> None:
        """Those functions that are not followed yet."""
        for name, function in project.stack.functions.items():
            if name not in self._followed:
                self._followed.add(name)
                arguments = (name, function.namespace)
                threading.Thread(target=self._show, args=arguments, name=f"logs-{name}", daemon=True).start()

    def close(self) -> None:
        self._closed.set()

    def _show(self, name: str, namespace: str | None) -> None:
        params = {"name": name, "follow": "true", "since": rfc3339(datetime.now(UTC))}
        if namespace:
            params["namespace"] = namespace
        for entry in tail(self._client, params, closed=self._closed, patient=True):
            self._output.result_line(entry) if self._output.as_json else self._output.line(readable(entry))
