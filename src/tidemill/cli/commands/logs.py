"""logs: what functions and the platform wrote, by function, by call or by user action."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from tidemill.cli import options, tailing
from tidemill.cli.failures import BadUsage
from tidemill.cli.output import Output
from tidemill.cli.session import connect


def logs(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The function.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new lines come.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="A duration such as 10m, or an RFC 3339 time.")
    ] = None,
    tail: Annotated[int | None, typer.Option("--tail", min=0, help="Only the last lines.")] = None,
    instance: Annotated[
        str | None, typer.Option("--instance", metavar="REPLICA", help="Only of this replica.")
    ] = None,
    correlation: Annotated[
        str | None, typer.Option("--correlation", metavar="ID", help="Every hop of one user action.")
    ] = None,
    call: Annotated[str | None, typer.Option("--call", metavar="ID", help="Every line of one call.")] = None,
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Show logs of a function, of a call or of a user action."""
    if sum(each is not None for each in (name, correlation, call)) != 1:
        raise BadUsage("name a function, or one of --call and --correlation")
    output = Output(as_json=as_json)
    params = {
        "name": name,
        "namespace": namespace,
        "follow": "true" if follow else "false",
        "since": since_time(since, datetime.now(UTC)) if since else None,
        "tail": None if tail is None else str(tail),
        "instance": instance,
        "correlation": correlation,
        "call": call,
    }
    asked = {key: value for key, value in params.items() if value is not None}
    with connect(gateway) as client:
        lines = 0
        for entry in tailing.tail(client, asked, closed=threading.Event()) if follow else client.logs(asked):
            output.entry(entry, readable(entry))
            lines += 1
    if not lines:
        output.note("there are no such lines")


def since_time(text: str, now: datetime) -> str:
    """RFC 3339 of `10m` ago, or of the time itself. Raises BadUsage."""
    from tidemill.contract.functions import rfc3339
    from tidemill.contract.units import parse_duration_s

    try:
        return rfc3339(now - timedelta(seconds=parse_duration_s(text)))
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
        return rfc3339(when)
    except ValueError as cause:
        raise BadUsage(f"--since {text} is neither a duration such as 10m nor a time with its zone") from cause


def readable(entry: dict[str, Any]) -> str:
    """One line for a person, of a function's output (OpenFaaS's shape) or of the platform's own log."""
    import json

    fields = dict(entry)
    text = str(fields.pop("text", "")).rstrip("\n")
    if text.startswith("{"):
        try:
            inner = json.loads(text)
        except ValueError:
            inner = None
        if isinstance(inner, dict):
            fields, text = {**fields, **inner}, str(inner.get("text", ""))
            fields.pop("text", None)
    stamp = fields.pop("timestamp", "")
    stamp = str(fields.pop("ts", "") or stamp)
    who = str(fields.pop("function", "") or fields.pop("name", "") or fields.get("source", ""))
    instance = str(fields.pop("instance", ""))
    event = str(fields.pop("event", ""))
    level = str(fields.pop("level", ""))
    source = str(fields.pop("source", ""))
    trace = str(fields.pop("traceback", ""))
    for key in _IDS:
        fields.pop(key, None)
    parts = [stamp, *([source] if source and source != who else []), f"{who}[{instance}]" if instance else who]
    if level and level not in ("info", "debug"):
        parts.append(level.upper())
    if event and event != "output":
        parts.append(event)
    if text:
        parts.append(text)
    parts += (f"{key}={_short(value)}" for key, value in fields.items() if value not in (None, ""))
    return " ".join(part for part in parts if part) + (f"\n{trace.rstrip()}" if trace else "")


_IDS = ("name", "namespace", "correlation_id", "trace_id", "span_id")
"""Shown by --json; for a person they are noise, the call's id is kept."""


def _short(value: Any) -> str:
    import json

    return value if isinstance(value, str) and " " not in value else json.dumps(value, ensure_ascii=False)
