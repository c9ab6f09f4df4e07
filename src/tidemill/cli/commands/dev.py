"""dev: deploys the stack, then again what changes, and shows the functions' logs meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
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


def dev(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Else every function.")] = None,
    file: options.StackFile = None,
    environment: options.Environment = None,
    envsubst: options.Envsubst = "true",
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Deploy the stack's functions, and each again on save. Shows their logs; Ctrl-C ends it, they stay deployed."""
    from tidemill.contract.stack import check_deployments

    output = Output(as_json=as_json)

    def read() -> Project:
        whole = open_project(file, envsubst=envsubst == "true", environment=environment)
        project = Project(select(whole.stack, names=names or ()), whole.folder)
        check_deployments(project.stack)
        return project

    project: Project | None = read()
    assert project is not None
    with connect(gateway, stack=project.stack) as client, closing(LogTails(client, output)) as tails:
        client.info()  # a platform that is away, or refuses the login, ends the command here
        while project is not None:
            project = _until_stack_changes(client, output, tails, project, environment, read)
    output.note(f"the functions stay deployed; remove them with: {' '.join(('tidemill remove', *(names or ())))}")


def _until_stack_changes(
    client: Gateway,
    output: Output,
    tails: LogTails,
    project: Project,
    environment: str | None,
    read: Callable[[], Project],
) -> Project | None:
    """Deploys all, then what is saved. The project anew when its stack file or an environment file changed; None at
    Ctrl-C. Watching begins before anything is read for a deployment, so that no save is missed."""
    from tidemill.cli.deploying import deploy_all
    from tidemill.cli.progress import Endings, Lines
    from tidemill.cli.watching import Watcher, decide_redeploy

    with suppress(KeyboardInterrupt), Watcher(project, environment) as watcher:
        with _told(output):
            deploy_all(client, project, Lines(output))
        tails.follow(project)
        watcher.await_watching()
        output.note(f"watching {', '.join(project.stack.functions)} at {client.url}; end with Ctrl-C")
        for changed in watcher:
            plan = decide_redeploy(project, changed, settings_files=watcher.settings_files)
            with _told(output):
                if plan.stack_changed:
                    return read()
                if plan.functions:
                    part = Project(select(project.stack, names=plan.functions), project.folder)
                    deploy_all(client, part, Endings(output))
    return None


@contextmanager
def _told(output: Output) -> Iterator[None]:
    """A half-written file, a platform that restarts: it is told, and the next save heals it."""
    try:
        yield
    except Failure as error:
        output.failure(error)
    except TidemillError as error:
        output.failure(of_error(error))


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
            self._output.entry(entry, readable(entry))
