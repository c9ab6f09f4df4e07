"""secret create, update, list, remove."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli import options
from tidemill.cli.failures import BadUsage, Exists
from tidemill.cli.output import Output
from tidemill.cli.session import connect

app = typer.Typer(help="Secrets that functions find as files.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME")]
Literal = Annotated[
    str | None, typer.Option("--from-literal", help="The value itself; it stays in the shell's history.")
]
FromFile = Annotated[Path | None, typer.Option("--from-file", help="The value from a file; else standard input.")]
Trim = Annotated[bool, typer.Option("--trim/--no-trim", help="Drop the newline at the value's end.")]


@app.command()
def create(
    name: Name,
    literal: Literal = None,
    file: FromFile = None,
    trim: Trim = True,
    replace: Annotated[bool, typer.Option("--replace", help="Update it where it exists.")] = False,
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Create a secret from standard input, a file or a literal."""
    output = Output(as_json=as_json)
    value = _value(literal, file, trim=trim)
    done = "created"
    with connect(gateway) as client:
        try:
            client.write_secret(name, value, namespace, update=False)
        except Exists as cause:
            if not replace:
                raise Exists(str(cause), hint="replace it with --replace, or: tidemill secret update") from cause
            client.write_secret(name, value, namespace, update=True)
            done = "updated"
    _tell(output, name, done)


@app.command()
def update(
    name: Name,
    literal: Literal = None,
    file: FromFile = None,
    trim: Trim = True,
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Give a secret another value."""
    output = Output(as_json=as_json)
    value = _value(literal, file, trim=trim)
    with connect(gateway) as client:
        client.write_secret(name, value, namespace, update=True)
    _tell(output, name, "updated")


@app.command("list")
def list_(
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """List the names of secrets; values are never shown."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        secrets = client.secrets(namespace)
    if as_json:
        output.result(secrets)
        return
    rows = [(str(secret["name"]), str(secret.get("namespace", ""))) for secret in secrets]
    output.table(("SECRET", "NAMESPACE"), rows, empty="there are no secrets")


@app.command()
def remove(
    name: Name,
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Remove a secret."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        client.remove_secret(name, namespace)
    _tell(output, name, "removed")


def _tell(output: Output, name: str, done: str) -> None:
    if output.as_json:
        output.result({"name": name, "status": done})
    output.note(f"{name}: {done}")


def _value(literal: str | None, file: Path | None, *, trim: bool) -> bytes:
    if literal is not None and file is not None:
        raise BadUsage("--from-literal and --from-file cannot be used together")
    if literal is not None:
        value = literal.encode()
    elif file is not None:
        try:
            value = file.read_bytes()
        except OSError as cause:
            raise BadUsage(f"{file} cannot be read: {cause.strerror}") from cause
    elif sys.stdin.isatty():
        value = typer.prompt("Value", hide_input=True).encode()
    else:
        value = sys.stdin.buffer.read()
    value = value.rstrip(b"\r\n") if trim else value
    if not value:
        raise BadUsage("the secret's value is empty")
    return value
