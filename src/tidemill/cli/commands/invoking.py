"""invoke: call a function and print its answer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidemill.cli import options
from tidemill.cli.failures import BadUsage, Failure
from tidemill.cli.output import Output
from tidemill.cli.session import connect, read_pairs
from tidemill.contract import headers

if TYPE_CHECKING:
    import httpx


def invoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The function, or NAME.NAMESPACE.")],
    data: Annotated[str | None, typer.Option("--data", "-d", help="The body; @FILE reads a file.")] = None,
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="The body; - is input.")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", metavar="NAME=VALUE")] = None,
    event: Annotated[
        str | None, typer.Option("--event", metavar="KIND", help="A sample event: cron, kafka, nats, s3 or sqs.")
    ] = None,
    method: Annotated[str, typer.Option("--method", "-m", metavar="METHOD", help="HTTP method.")] = "POST",
    query: Annotated[list[str] | None, typer.Option("--query", "-q", metavar="NAME=VALUE")] = None,
    path: Annotated[str, typer.Option("--path", metavar="PATH", help="Path behind the function's name.")] = "",
    content_type: Annotated[
        str | None, typer.Option("--content-type", metavar="TYPE", help="Else text/plain.")
    ] = None,
    asynchronous: Annotated[bool, typer.Option("--async", "-a", help="Queue the call and print its id.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Queue the call, follow it, print its result.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0, help="Seconds to --wait; 0: no limit.")] = 0,
    namespace: options.Namespace = None,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Call a function. The body comes from --data, --file or standard input."""
    from httpx import Headers

    from tidemill.cli.client import failure_of
    from tidemill.cli.following import follow

    output = Output(as_json=as_json)
    sent = Headers({"Content-Type": "text/plain"})  # as with any HTTP client, the case of a name does not matter
    if event is None:
        body = _body(data, file)
    else:
        body, event_headers = _event(event, data, file)
        sent.update(event_headers)
    sent.update({"Content-Type": content_type} if content_type else {})
    sent.update(_headers(header))
    queued = asynchronous or wait
    if queued and method.upper() != "POST":
        raise BadUsage("a queued call is always a POST")
    target = _target(name, namespace, path, queued=queued)
    with connect(gateway) as client:
        answer = client.invoke(
            target,
            method=method.upper(),
            body=body,
            query=[pair for text in query or () for pair in read_pairs([text], "--query").items()],
            extra=sent,
        )
        if not queued:
            _show(output, answer)
            return
        if not answer.is_success:
            raise failure_of(answer)
        call_id = answer.headers[headers.CALL_ID]
        if not wait:
            output.entry({"call_id": call_id, "url": f"{client.url}/async-function/{call_id}"}, call_id)
            return
        state = follow(client, call_id, output, timeout_s=timeout_s or None)
        if state["state"] != "succeeded":
            raise Failure(_how_it_ended(state), call_id=call_id, code=state["state"])
        _show(output, client.call_result(call_id), call_id=call_id)


def _body(data: str | None, file: Path | None) -> bytes:
    if data is not None and file is not None:
        raise BadUsage("--data and --file cannot be used together")
    if data is not None and data.startswith("@"):
        file, data = Path(data[1:]), None
    if data is not None:
        return data.encode()
    if file is not None and str(file) != "-":
        try:
            return file.read_bytes()
        except OSError as cause:
            raise BadUsage(f"{file} cannot be read: {cause.strerror}") from cause
    if file is None and sys.stdin.isatty():
        return b""
    return sys.stdin.buffer.read()


def _event(kind: str, data: str | None, file: Path | None) -> tuple[bytes, Mapping[str, str]]:
    """The sample's body, unless the user gives one, and its headers."""
    from tidemill.cli.events import KINDS, sample_event

    if kind not in KINDS:
        raise BadUsage(f"there is no sample event {kind}", hint=f"there are: {', '.join(KINDS)}")
    event = sample_event(kind, datetime.now(UTC))
    given = data is not None or file is not None
    return (_body(data, file) if given else event.body), event.headers


def _headers(given: list[str] | None) -> dict[str, str]:
    """`NAME=VALUE` as faas-cli takes them, or `NAME: VALUE` as curl does."""
    found = {}
    for text in given or ():
        at = min((place for mark in "=:" if (place := text.find(mark)) > 0), default=0)
        if not at:
            raise BadUsage(f"--header {text} is not NAME=VALUE")
        found[text[:at].strip()] = text[at + 1 :].strip()
    return found


def _target(name: str, namespace: str | None, path: str, *, queued: bool) -> str:
    from tidemill.contract.names import DEFAULT_NAMESPACE, FunctionRef

    ref = FunctionRef.parse(name) if not namespace else FunctionRef(name, namespace)
    shown = ref.name if ref.namespace == DEFAULT_NAMESPACE else str(ref)
    return f"/{'async-function' if queued else 'function'}/{shown}" + (f"/{path.lstrip('/')}" if path else "")


def _show(output: Output, answer: httpx.Response, *, call_id: str | None = None) -> None:
    """Prints the function's answer. Raises Failure where it is none, or not a success."""
    from tidemill.cli.client import failure_of

    if answer.headers.get(headers.INTERNAL) and not answer.is_success:
        raise failure_of(answer)
    if output.as_json:
        output.result(
            {
                "status": answer.status_code,
                "call_id": call_id or answer.headers.get(headers.CALL_ID),
                "headers": dict(answer.headers),
                "body": _readable(answer),
            }
        )
    else:
        output.raw(answer.content)
    if answer.status_code >= 400:
        sent_id = call_id or answer.headers.get(headers.CALL_ID)
        raise Failure(f"the function answered {answer.status_code}", call_id=sent_id, code="function_error")


def _readable(answer: httpx.Response) -> Any:
    """JSON as it is, text as text, anything else in base64."""
    import base64

    try:
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.content.decode()
    except ValueError:
        return {"base64": base64.b64encode(answer.content).decode()}


def _how_it_ended(state: dict[str, Any]) -> str:
    attempts = state.get("attempts") or []
    last = attempts[-1] if attempts else {}
    reason = last.get("reason") or (f"the last answer was {last['status']}" if last.get("status") else "")
    told = f"the call is {state['state']} after {len(attempts)} attempt{'s' if len(attempts) != 1 else ''}"
    return f"{told}: {reason}" if reason else told
