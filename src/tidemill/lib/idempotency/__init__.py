"""Doing once what may be asked twice: a record per key, held by a lease, keeping the answer.

    guard = Idempotency(MongoRecords(database["idempotency"]), lease_s=15)
    answer = guard.run("charge/42", payload, lambda hold: charge(42, hold))

The first caller does the work and its answer is stored; whoever asks again under the same key gets that answer.
While it is being done, others get `InProgress`. A holder that dies loses the key when its lease ends, and the next
caller takes over: the work may then have been started before, so its effects must be guarded (`Hold.owner`).
"""

from tidemill.lib.idempotency.guard import Hold, Idempotency
from tidemill.lib.idempotency.record import (
    InProgress,
    LeaseLost,
    PayloadMismatch,
    Record,
    Records,
    State,
    payload_hash,
)

__all__ = [
    "Hold",
    "Idempotency",
    "InProgress",
    "LeaseLost",
    "PayloadMismatch",
    "Record",
    "Records",
    "State",
    "payload_hash",
]
