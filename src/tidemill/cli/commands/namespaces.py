"""namespace create, get, update, list, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from tidemill.cli import options
from tidemill.cli.output import Output
from tidemill.cli.session import connect, read_pairs

app = typer.Typer(help="Namespaces that keep functions and secrets apart.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAMESPACE")]
MARK = {"openfaas": "1"}
"""What OpenFaaS's tools put on a namespace that is for functions."""


@app.command()
def create(
    name: Name,
    label: options.Labels = None,
    annotation: options.Annotations = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Create a namespace."""
    _write(name, label, annotation, gateway, as_json=as_json, update=False)


@app.command()
def update(
    name: Name,
    label: options.Labels = None,
    annotation: options.Annotations = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Replace a namespace's labels and annotations."""
    _write(name, label, annotation, gateway, as_json=as_json, update=True)


@app.command()
def get(name: Name, gateway: options.GatewayUrl = None, as_json: options.Json = False) -> None:
    """Show one namespace."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        found = client.namespace(name)
    if as_json:
        output.result(found)
        return
    maps = ((kind, found.get(kind) or {}) for kind in ("labels", "annotations"))
    lines = ((kind, "\n".join(f"{key}={value}" for key, value in sorted(pairs.items()))) for kind, pairs in maps)
    output.pairs((("name", str(found["name"])), *lines))


@app.command("list")
def list_(gateway: options.GatewayUrl = None, as_json: options.Json = False) -> None:
    """List namespaces."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        names = client.namespaces()
    if as_json:
        output.result(names)
        return
    for name in names:
        output.line(name)


@app.command()
def remove(name: Name, gateway: options.GatewayUrl = None, as_json: options.Json = False) -> None:
    """Remove a namespace."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        client.remove_namespace(name)
    _tell(output, name, "removed")


def _write(
    name: str,
    label: list[str] | None,
    annotation: list[str] | None,
    gateway: str | None,
    *,
    as_json: bool,
    update: bool,
) -> None:
    labels = {**MARK, **read_pairs(label, "--label")}
    annotations = {**MARK, **read_pairs(annotation, "--annotation")}
    with connect(gateway) as client:
        client.write_namespace(name, labels=labels, annotations=annotations, update=update)
    _tell(Output(as_json=as_json), name, "updated" if update else "created")


def _tell(output: Output, name: str, done: str) -> None:
    if output.as_json:
        output.result({"name": name, "status": done})
    output.note(f"{name}: {done}")
