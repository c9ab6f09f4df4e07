"""The idempotency record, what to do about one (pure), and the promise of a store of records."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from tidemill.contract.errors import Unavailable, Unprocessable


class State(Enum):
    """EXPIRED is never stored: it is what the other two become in time."""

    INPROGRESS = "INPROGRESS"
    COMPLETED = "COMPLETED"
    EXPIRED = "EXPIRED"


class InProgress(Unavailable):
    """Somebody else is at it; ask again when their lease has ended at the latest."""

    code = "in_progress"


class PayloadMismatch(Unprocessable):
    """The key was used before with another payload."""

    code = "payload_mismatch"


class LeaseLost(Unavailable):
    """The work took longer than its lease, and somebody else has taken it over."""

    code = "lease_lost"


@dataclass(frozen=True, slots=True)
class Record:
    """One key: who holds it and until when, or the answer that was given."""

    key: str
    payload_hash: str
    owner: str
    """Random, new with every take: the fencing token."""
    stored: State
    until: datetime
    """End of the lease (INPROGRESS) or of the answer's keeping (COMPLETED)."""
    answer: Any = None

    def __post_init__(self) -> None:
        if self.until.tzinfo is None:
            raise ValueError("a record's end must be an aware datetime")
        if self.stored is State.EXPIRED:
            raise ValueError("EXPIRED is a matter of time and is not stored")

    def state(self, now: datetime) -> State:
        return State.EXPIRED if now >= self.until else self.stored


class Records(Protocol):
    """Where records are kept. Each method is one atomic step, and changes are guarded by the owner they expect, so
    of several that race for a key exactly one wins. May raise Unavailable."""

    def get(self, key: str) -> Record | None: ...

    def insert(self, record: Record) -> bool:
        """False where the key is there already, whatever its state."""
        ...

    def replace(self, record: Record, *, owner: str) -> bool:
        """Puts `record` in the place of the one that `owner` holds; False where that is no longer so."""
        ...

    def remove(self, key: str, *, owner: str) -> bool:
        """False where `owner` does not hold it."""
        ...


class Step(Enum):
    """What a caller does about the record it found."""

    INSERT = "insert"
    TAKE_OVER = "take over"
    REPEAT_ANSWER = "repeat answer"
    WAIT = "wait"
    REFUSE = "refuse"


def decide_step(found: Record | None, *, payload_hash: str, now: datetime) -> Step:
    """An expired record counts for nothing, not even its payload, where it was completed; a lease that ran out
    still names the work that was begun, so another payload is refused there too."""
    if found is None:
        return Step.INSERT
    state = found.state(now)
    if state is State.EXPIRED and found.stored is State.COMPLETED:
        return Step.TAKE_OVER
    if found.payload_hash != payload_hash:
        return Step.REFUSE
    if state is State.EXPIRED:
        return Step.TAKE_OVER
    return Step.REPEAT_ANSWER if state is State.COMPLETED else Step.WAIT


def payload_hash(payload: Any) -> str:
    """The same for equal JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
