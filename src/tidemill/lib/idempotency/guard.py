"""Runs work at most once per key: take, work, complete."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tidemill.contract.errors import Unavailable
from tidemill.lib.clock import utc_now
from tidemill.lib.idempotency.record import (
    InProgress,
    LeaseLost,
    PayloadMismatch,
    Record,
    Records,
    State,
    Step,
    decide_step,
    payload_hash,
)

Clock = Callable[[], datetime]

DAY_S = 24 * 3600.0
MOST_RACES = 10
"""How often a take may be lost to others before the caller is told to come back."""


@dataclass(slots=True)
class Hold:
    """A key in hand: given to the work, which guards its effects by `owner`."""

    records: Records
    record: Record
    lease_s: float
    clock: Clock

    @property
    def owner(self) -> str:
        return self.record.owner

    def renew(self) -> None:
        """A new full lease from now; for work of several steps. Raises LeaseLost where another has taken over."""
        self._replace(replace(self.record, until=self.clock() + timedelta(seconds=self.lease_s)))

    def complete(self, answer: Any, *, keep_s: float) -> None:
        """Stores the answer. Raises LeaseLost."""
        until = self.clock() + timedelta(seconds=keep_s)
        self._replace(replace(self.record, stored=State.COMPLETED, answer=answer, until=until))

    def release(self) -> None:
        """Gives the key back: whoever asks next begins anew. Nothing happens where it was lost; where the store is
        away, the lease ends by itself."""
        with suppress(Unavailable):
            self.records.remove(self.record.key, owner=self.owner)

    def _replace(self, record: Record) -> None:
        if not self.records.replace(record, owner=self.owner):
            raise LeaseLost()
        self.record = record


class Idempotency:
    """At most one holder per key at a time, and one stored answer.

    `lease_s` should be longer than the work usually takes, and short enough to wait for when a holder dies.
    `keep_s` is how long an answer is repeated.
    """

    def __init__(self, records: Records, *, lease_s: float, keep_s: float = DAY_S, clock: Clock = utc_now) -> None:
        self._records = records
        self._lease_s = lease_s
        self._keep_s = keep_s
        self._clock = clock

    def run(self, key: str, payload: Any, work: Callable[[Hold], Any]) -> Any:
        """The stored answer, or that of `work`, which must be a JSON value. What `work` raises passes through and
        gives the key back at once. Raises InProgress, PayloadMismatch, LeaseLost, Unavailable."""
        taken = self._take(key, payload_hash(payload))
        if taken.stored is State.COMPLETED:
            return taken.answer
        hold = Hold(self._records, taken, self._lease_s, self._clock)
        try:
            answer = work(hold)
        except Exception:
            hold.release()
            raise
        hold.complete(answer, keep_s=self._keep_s)
        return answer

    def _take(self, key: str, digest: str) -> Record:
        """A record that is ours in progress, or one that is completed."""
        for _ in range(MOST_RACES):
            now = self._clock()
            found = self._records.get(key)
            step = decide_step(found, payload_hash=digest, now=now)
            wanted = Record(
                key, digest, secrets.token_hex(16), State.INPROGRESS, now + timedelta(seconds=self._lease_s)
            )
            if found is None:
                if self._records.insert(wanted):
                    return wanted
            elif step is Step.TAKE_OVER:
                if self._records.replace(wanted, owner=found.owner):
                    return wanted
            elif step is Step.REPEAT_ANSWER:
                return found
            elif step is Step.WAIT:
                raise InProgress(retry_after_s=(found.until - now).total_seconds())
            else:
                raise PayloadMismatch(f"key {key} was used before with another payload")
        raise InProgress()
