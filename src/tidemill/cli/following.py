"""Following one queued call to its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tidemill.cli.failures import Failure, Missing
from tidemill.cli.output import Output

if TYPE_CHECKING:
    from tidemill.cli.client import Gateway

ENDED = ("succeeded", "dead", "cancelled")
FIRST_PAUSE_S = 0.02
"""A quick function has answered by the first look."""
LONGEST_PAUSE_S = 1.0
GRACE_S = 5.0
"""How long a call that was just accepted may be unknown, where the reader lags behind the writer."""


def next_pause_s(pause_s: float) -> float:
    """Half as long again each time, so that a long job is asked about once a second."""
    return min(pause_s * 1.5, LONGEST_PAUSE_S)


def follow(client: Gateway, call_id: str, output: Output, *, timeout_s: float | None = None) -> dict[str, Any]:
    """The call's state when it has ended; each change is noted. Raises Failure where the time is over."""
    started = time.monotonic()
    pause_s = FIRST_PAUSE_S
    noted = ""
    while True:
        state = _state(client, call_id, waited_s=time.monotonic() - started)
        if (change := describe(state)) != noted:
            output.note(f"{call_id}: {change}")
            noted = change
        if state["state"] in ENDED:
            return state
        if timeout_s is not None and time.monotonic() - started > timeout_s:
            hint = f"it goes on; see it with: tidemill calls {call_id}"
            raise Failure(f"the call has not ended in {timeout_s:g} s", call_id=call_id, hint=hint, code="timeout")
        time.sleep(pause_s)
        pause_s = next_pause_s(pause_s)


def describe(state: dict[str, Any]) -> str:
    """One line: the state, and the last attempt where one failed."""
    attempts = state.get("attempts") or []
    told = str(state["state"])
    if attempts and state["state"] != "succeeded":
        last = attempts[-1]
        told += f", attempt {last.get('number', len(attempts))}"
        if reason := last.get("reason"):
            told += f": {reason}"
    if state.get("next_attempt_at"):
        told += f"; again at {state['next_attempt_at']}"
    return told


def _state(client: Gateway, call_id: str, *, waited_s: float) -> dict[str, Any]:
    try:
        return client.call(call_id)
    except Missing:
        if waited_s > GRACE_S:
            raise
        return {"call_id": call_id, "state": "queued"}
