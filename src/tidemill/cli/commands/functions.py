"""deploy, remove, list, describe, scale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli import options
from tidemill.cli.failures import BadUsage, Failure, Missing
from tidemill.cli.output import Output
from tidemill.cli.session import connect, open_project, read_pairs, select

Name = Annotated[str, typer.Argument(metavar="NAME", help="The function.")]


def deploy(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Else every function.")] = None,
    file: options.StackFile = None,
    glob: options.Filter = None,
    regex: options.Regex = None,
    env: options.EnvVars = None,
    label: options.Labels = None,
    annotation: options.Annotations = None,
    secret: options.Secrets = None,
    constraint: options.Constraints = None,
    image: Annotated[
        str | None,
        typer.Option("--image", metavar="IMAGE", help="Deploy this image as NAME, without stack file and build."),
    ] = None,
    environment: options.Environment = None,
    envsubst: options.Envsubst = "true",
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Build the functions of the stack file and deploy them."""
    from tidemill.cli.deploying import deploy_all
    from tidemill.cli.progress import shown
    from tidemill.cli.session import Project
    from tidemill.contract.stack import Overrides, Stack, StackFunction, check_deployments

    output = Output(as_json=as_json)
    overrides = Overrides(
        env_vars=read_pairs(env, "--env"),
        labels=read_pairs(label, "--label"),
        annotations=read_pairs(annotation, "--annotation"),
        secrets=tuple(secret or ()),
        constraints=tuple(constraint or ()),
        namespace=namespace,
    )
    if image:
        if len(names or ()) != 1:
            raise BadUsage("--image needs exactly one NAME")
        name = (names or [""])[0]
        project = Project(Stack("--image", {name: StackFunction(name, line=1, image=image)}), folder=Path.cwd())
    else:
        project = open_project(file, envsubst=envsubst == "true", environment=environment)
        project = Project(select(project.stack, names=names or (), glob=glob, regex=regex), project.folder)
    check_deployments(project.stack, overrides)
    with connect(gateway, stack=project.stack) as client, shown(output) as report:
        outcomes = deploy_all(client, project, report, overrides)
        url = client.url
    if as_json:
        output.result({"gateway": url, "functions": [outcome.as_wire() for outcome in outcomes]})
    failed = [outcome.name for outcome in outcomes if outcome.failure]
    if failed:
        raise Failure(f"{len(failed)} of {len(outcomes)} functions could not be deployed: {', '.join(failed)}")
    for outcome in outcomes:
        output.note(f"{url}/function/{outcome.name}" + _suffix(outcome.namespace))


def remove(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Else all in the stack file.")] = None,
    file: options.StackFile = None,
    glob: options.Filter = None,
    regex: options.Regex = None,
    envsubst: options.Envsubst = "true",
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Remove functions; their queued calls become dead letters."""
    output = Output(as_json=as_json)
    stack = None
    wanted = [(name, namespace) for name in names or ()]
    if not wanted:
        stack = select(open_project(file, envsubst=envsubst == "true").stack, glob=glob, regex=regex)
        wanted = [(name, namespace or function.namespace) for name, function in stack.functions.items()]
    missing: list[str] = []
    removed: list[str] = []
    with connect(gateway, stack=stack) as client:
        for name, where in wanted:
            try:
                client.remove(name, where)
            except Missing:
                missing.append(name)
                continue
            removed.append(name)
            output.note(f"{name}: removed")
    if as_json:
        output.result({"removed": removed, "missing": missing})
    if missing:
        raise Missing(f"not deployed: {', '.join(missing)}")


def list_(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Names only.")] = False,
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """List the functions of a namespace."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        functions = sorted(client.functions(namespace), key=lambda each: str(each["name"]))
    if as_json:
        output.result(functions)
    elif quiet:
        for function in functions:
            output.line(function["name"])
    else:
        rows = [
            (
                str(function["name"]),
                f"{function.get('availableReplicas', 0)}/{function.get('replicas', 0)}",
                f"{function.get('invocationCount', 0):.0f}",
                str(function.get("createdAt", "")),
            )
            for function in functions
        ]
        output.table(("FUNCTION", "READY", "CALLS", "CREATED"), rows, empty="no functions are deployed")


def describe(
    name: Name,
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Show all about one function."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        function = client.function(name, namespace)
        url = client.url
    path = name + _suffix(function.get("namespace"))
    function["url"] = f"{url}/function/{path}"
    function["asyncUrl"] = f"{url}/async-function/{path}"
    if as_json:
        output.result(function)
        return
    ready = function.get("availableReplicas", 0)
    usage = function.get("usage") or {}
    output.pairs(
        (
            ("name", str(function["name"])),
            ("namespace", str(function.get("namespace", ""))),
            ("status", "ready" if ready else "no replica runs; the first call starts one"),
            ("replicas", f"{ready} of {function.get('replicas', 0)} ready"),
            ("calls", f"{function.get('invocationCount', 0):.0f}"),
            ("image", str(function.get("image", ""))),
            ("url", function["url"]),
            ("async url", function["asyncUrl"]),
            ("created", str(function.get("createdAt", ""))),
            ("memory", f"{usage['totalMemoryBytes'] / 2**20:.1f} MiB" if "totalMemoryBytes" in usage else ""),
            ("process", str(function.get("envProcess", ""))),
            *((key, _lines(function.get(wire))) for key, wire in _MAPS),
        )
    )


def scale(
    name: Name,
    replicas: Annotated[int, typer.Argument(metavar="REPLICAS", min=0, help="0: none until the next call.")],
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Set how many replicas a function has now."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        client.scale(name, replicas, namespace)
    if as_json:
        output.result({"name": name, "replicas": replicas})
    output.note(f"{name}: scaling to {replicas}")


_MAPS = (
    ("environment", "envVars"),
    ("secrets", "secrets"),
    ("labels", "labels"),
    ("annotations", "annotations"),
    ("constraints", "constraints"),
    ("limits", "limits"),
    ("requests", "requests"),
)


def _lines(value: dict[str, str] | list[str] | None) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}={text}" for key, text in sorted(value.items()))
    return "\n".join(value or ())


def _suffix(namespace: str | None) -> str:
    from tidemill.contract.names import DEFAULT_NAMESPACE

    return "" if namespace in (None, "", DEFAULT_NAMESPACE) else f".{namespace}"
