"""calls: queued calls, one call with its attempts and result, and cancelling one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from tidemill.cli import options
from tidemill.cli.failures import BadUsage
from tidemill.cli.output import Output
from tidemill.cli.session import connect


def calls(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="ID | cancel ID", help="One call; else the latest ones.")
    ] = None,
    function: Annotated[str | None, typer.Option("--function", metavar="NAME", help="Only of this function.")] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="queued, running, retrying, succeeded, dead or cancelled."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    result: Annotated[bool, typer.Option("--result", help="Print the function's answer only, as it was.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the call to its end first.")] = False,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """List queued calls, show one, or cancel one (calls cancel ID). One is shown with its attempts and its result."""
    output = Output(as_json=as_json)
    match what or []:
        case []:
            _list(output, gateway, function=function, state=state, limit=limit)
        case ["cancel", call_id]:
            _cancel(output, gateway, call_id)
        case ["cancel"]:
            raise BadUsage("calls cancel needs the call's ID")
        case [call_id]:
            _show(output, gateway, call_id, result_only=result, wait=wait)
        case _:
            raise BadUsage("calls takes one ID, or cancel and one ID")


def _list(output: Output, gateway: str | None, *, function: str | None, state: str | None, limit: int) -> None:
    with connect(gateway) as client:
        found = client.calls(function=function, state=state, limit=limit)
    if output.as_json:
        output.result(found)
        return
    rows = [
        (
            str(call["call_id"]),
            str(call.get("function", "")),
            str(call["state"]),
            str(len(call.get("attempts") or ())),
            str(call.get("accepted_at", "")),
            _took(call),
        )
        for call in found
    ]
    output.table(("CALL", "FUNCTION", "STATE", "ATTEMPTS", "ACCEPTED", "TOOK"), rows, empty="there are no calls")


def _took(call: dict[str, Any]) -> str:
    """From its acceptance to its end; nothing while it has none."""
    if not call.get("ended_at") or not call.get("accepted_at"):
        return ""
    took = datetime.fromisoformat(call["ended_at"]) - datetime.fromisoformat(call["accepted_at"])
    return f"{took.total_seconds():.1f} s"


def _cancel(output: Output, gateway: str | None, call_id: str) -> None:
    with connect(gateway) as client:
        client.cancel(call_id)
    if output.as_json:
        output.result({"call_id": call_id, "status": "cancelled"})
    output.note(f"{call_id}: it will not start again")


def _show(output: Output, gateway: str | None, call_id: str, *, result_only: bool, wait: bool) -> None:
    from tidemill.cli.following import follow

    with connect(gateway) as client:
        state = follow(client, call_id, output) if wait else client.call(call_id)
        if result_only:
            output.raw(client.call_result(call_id).content)
            return
        body = _result_text(client.call_result(call_id)) if _has_result(state) else None
    if output.as_json:
        output.result({**state, "body": body} if body is not None else state)
        return
    output.pairs(
        (
            ("call", str(state["call_id"])),
            ("function", str(state.get("function", ""))),
            ("state", str(state["state"])),
            ("accepted", str(state.get("accepted_at", ""))),
            ("next attempt", str(state.get("next_attempt_at", ""))),
            ("ended", str(state.get("ended_at", ""))),
            ("correlation", str(state.get("correlation_id", ""))),
            ("trace", str(state.get("trace_id", ""))),
            ("attempts", "\n".join(attempt_line(attempt) for attempt in state.get("attempts") or ())),
            ("result", _result_line(state)),
            ("body", body or ""),
        )
    )


def attempt_line(attempt: dict[str, Any]) -> str:
    """`2: 500 after 0.120 s at 2026-…: reason`."""
    told = f"{attempt.get('number', '?')}:"
    if attempt.get("status"):
        told += f" {attempt['status']}"
    if attempt.get("duration_s") is not None:
        told += f" after {attempt['duration_s']:.3f} s"
    if attempt.get("started_at"):
        told += f" at {attempt['started_at']}"
    return told + (f": {attempt['reason']}" if attempt.get("reason") else "")


def _has_result(state: dict[str, Any]) -> bool:
    return bool(state.get("result"))


def _result_line(state: dict[str, Any]) -> str:
    result = state.get("result") or {}
    parts = (str(result.get("status", "")), str(result.get("content_type", "")))
    size = f"{result['size_bytes']} bytes" if "size_bytes" in result else ""
    return ", ".join(part for part in (*parts, size) if part)


def _result_text(answer: Any) -> str:
    try:
        return str(answer.content.decode())
    except UnicodeDecodeError:
        return f"({len(answer.content)} bytes that are no text; print them with --result)"
