"""Following logs: a stream that ends or breaks is taken up again where it was, so that each line is shown once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tidemill.cli.failures import Failure

if TYPE_CHECKING:
    from tidemill.cli.client import Gateway

AGAIN_S = 1.0
"""How long a stream that ended is left alone before it is asked for again."""


def tail(
    client: Gateway, params: Mapping[str, str], *, closed: threading.Event, patient: bool = False
) -> Iterator[dict[str, Any]]:
    """Lines until `closed` is set. Raises Failure where the very first request fails, unless `patient`: the function
    may be deployed later."""
    asked = dict(params)
    latest: list[dict[str, Any]] = []
    """The lines of the last moment seen: `since` gives them again."""
    answered = patient
    while not closed.is_set():
        try:
            for entry in client.logs(asked):
                answered = True
                moment = _moment(entry)
                if entry in latest:
                    continue
                if not latest or moment != _moment(latest[0]):
                    latest = []
                latest.append(entry)
                yield entry
            answered = True
        except Failure:
            if not answered:
                raise
        if latest:
            asked = {**params, "since": _moment(latest[0])}
            asked.pop("tail", None)
        closed.wait(AGAIN_S)


def _moment(entry: Mapping[str, Any]) -> str:
    return str(entry.get("timestamp") or entry.get("ts") or "")
