"""One attempt: the stored request becomes a call through the edge, the answer becomes an outcome."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from tidemill.contract import headers
from tidemill.contract.calls import Attempt, QueuedCall
from tidemill.contract.tuning import Tuning
from tidemill.invoke.client import AnswerLost, Client, Unreachable
from tidemill.invoke.http1 import Answer
from tidemill.lib.log import Logger
from tidemill.queue.policy import Outcome, describe

EDGE_MARGIN_S = 20.0
"""Beyond exec_timeout: the edge's own queue (10 s) and a cold start."""
EDGE_AWAY_MOST_S = 2.0
"""Longest pause between two looks for an edge that is away."""
REASON_MOST_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Tried:
    outcome: Outcome
    attempt: Attempt
    answer: Answer | None


class Caller:
    """Calls functions through one edge."""

    def __init__(self, edge: Client, log: Logger) -> None:
        self._edge = edge
        self._log = log
        self._is_away = False

    async def attempt(self, call: QueuedCall, payload: bytes, number: int, tuning: Tuning) -> Tried:
        """While the edge cannot be reached it waits: nothing was tried, so nothing is counted."""
        target = f"/function/{call.function}{call.path}" + (f"?{call.query}" if call.query else "")
        sent = [*call.headers, (headers.ATTEMPT, str(number))]
        pause_s = 0.05
        while True:
            started = datetime.now(UTC)
            answer: Answer | None = None
            try:
                answer = await self._edge.request(
                    call.method, target, headers=sent, body=payload, timeout_s=tuning.exec_timeout_s + EDGE_MARGIN_S
                )
                outcome = _outcome(answer)
            except Unreachable as error:
                self._note_away(error)
                await asyncio.sleep(pause_s)
                pause_s = min(EDGE_AWAY_MOST_S, pause_s * 2)
                continue
            except AnswerLost as error:
                outcome = Outcome(None, reason=str(error))
            except ValueError as error:
                outcome = Outcome(400, internal=True, reason=str(error))
            self._is_away = False
            succeeded = outcome.status is not None and outcome.status < 400
            attempt = Attempt(
                number=number,
                started_at=started,
                duration_s=(datetime.now(UTC) - started).total_seconds(),
                status=outcome.status,
                reason=None if succeeded else describe(outcome),
                carried=outcome.carried,
            )
            return Tried(outcome, attempt, answer)

    def _note_away(self, error: Unreachable) -> None:
        if not self._is_away:
            self._is_away = True
            self._log.warning("edge unreachable", error=str(error))


def _outcome(answer: Answer) -> Outcome:
    if answer.status < 400:
        return Outcome(answer.status)
    return Outcome(
        answer.status,
        internal=answer.header(headers.INTERNAL) is not None,
        retry_after=answer.header(headers.RETRY_AFTER),
        reason=_reason(answer),
    )


def _reason(answer: Answer) -> str:
    """What the body says of the error: the `error` of a JSON object, else its beginning."""
    text = answer.body[:4096].decode("utf-8", "replace").strip()
    if text.startswith("{"):
        with suppress(KeyError, ValueError):
            text = str(orjson.loads(answer.body)["error"])
    return text[:REASON_MOST_CHARACTERS]
