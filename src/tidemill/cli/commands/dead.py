"""dead list, show, redrive, purge: calls that were given up."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import typer

from tidemill.cli import options
from tidemill.cli.commands.calls import attempt_line
from tidemill.cli.failures import BadUsage
from tidemill.cli.output import Output
from tidemill.cli.session import connect

app = typer.Typer(help="Dead letters: calls that were given up.", no_args_is_help=True)

CallIds = Annotated[list[str] | None, typer.Argument(metavar="ID")]
Function = Annotated[str | None, typer.Option("--function", metavar="NAME", help="Only of this function.")]
All = Annotated[bool, typer.Option("--all", help="Every one, of --function where that is given.")]


@app.command("list")
def list_(
    function: Function = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """List dead letters, newest first."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        letters = client.dead_letters(function=function, limit=limit)
    if as_json:
        output.result(letters)
        return
    rows = [
        (
            str(letter["call_id"]),
            str(letter.get("function", "")),
            str(len(letter.get("attempts") or ())),
            str(letter.get("died_at", "")),
            str(letter.get("reason", "")),
        )
        for letter in letters
    ]
    output.table(("CALL", "FUNCTION", "ATTEMPTS", "DIED", "REASON"), rows, empty="there are no dead letters")


@app.command()
def show(
    call_id: Annotated[str, typer.Argument(metavar="ID")],
    payload: Annotated[bool, typer.Option("--payload", help="Print the payload only, as it was sent.")] = False,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Show one dead letter with its payload and every attempt."""
    output = Output(as_json=as_json)
    with connect(gateway) as client:
        letter = client.dead_letter(call_id)
    body = base64.b64decode(letter.get("payload") or "")
    if payload:
        output.raw(body)
    elif as_json:
        output.result(letter)
    else:
        _print(output, letter, body)


@app.command()
def redrive(
    call_ids: CallIds = None,
    every: All = False,
    function: Function = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Queue dead letters again under their ids, attempts counted from one."""
    _check_choice(call_ids, every=every)
    with connect(gateway) as client:
        done = client.redrive_all(function) if every else sum(client.redrive(each) for each in call_ids or ())
    _tell(Output(as_json=as_json), "redriven", done)


@app.command()
def purge(
    call_ids: CallIds = None,
    every: All = False,
    function: Function = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Remove dead letters for good."""
    _check_choice(call_ids, every=every)
    with connect(gateway) as client:
        done = client.purge_all(function) if every else sum(client.purge(each) for each in call_ids or ())
    _tell(Output(as_json=as_json), "purged", done)


def _check_choice(call_ids: list[str] | None, *, every: bool) -> None:
    if bool(call_ids) == every:
        raise BadUsage("name the calls by ID, or all of them with --all")


def _tell(output: Output, done: str, count: int) -> None:
    if output.as_json:
        output.result({done: count})
    output.note(f"{done}: {count}")


def _print(output: Output, letter: dict[str, Any], body: bytes) -> None:
    query = f"?{letter['query']}" if letter.get("query") else ""
    output.pairs(
        (
            ("call", str(letter["call_id"])),
            ("function", str(letter.get("function", ""))),
            ("reason", str(letter.get("reason", ""))),
            ("code", str(letter.get("code", ""))),
            ("accepted", str(letter.get("accepted_at", ""))),
            ("died", str(letter.get("died_at", ""))),
            ("correlation", str(letter.get("correlation_id", ""))),
            ("request", f"{letter.get('method', 'POST')} {letter.get('path', '/')}{query}"),
            ("attempts", "\n".join(attempt_line(attempt) for attempt in letter.get("attempts") or ())),
            ("headers", "\n".join(f"{name}: {value}" for name, value in (letter.get("headers") or {}).items())),
            ("payload", _readable(body)),
        )
    )


def _readable(body: bytes) -> str:
    try:
        text = body[:2000].decode()
    except UnicodeDecodeError:
        return f"({len(body)} bytes that are no text; print them with --payload)"
    return text if len(body) <= 2000 else f"{text}… ({len(body)} bytes; all of them with --payload)"
