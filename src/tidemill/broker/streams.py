"""The streams and buckets that the broker holds, and what each keeps. Names are in contract/names."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.contract.names import (
    KV_FUNCTIONS,
    KV_IDEMPOTENCY,
    KV_NAMESPACES,
    OBJECTS_PAYLOADS,
    STREAM_CALLS,
    STREAM_DEAD,
    STREAM_QUEUE,
)

STREAM_CALLBACKS = "TM_CALLBACKS"
OBJECTS_RESULTS = "tm_results"

DAY_S = 24 * 3600.0
CALLS_KEPT_S = 7 * DAY_S
"""How long state and result of a call can be asked for."""
IDEMPOTENCY_KEPT_S = DAY_S
DUPLICATE_WINDOW_S = 120.0


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """All are in files; the server's `sync_interval: always` makes an ack durable."""

    name: str
    subjects: tuple[str, ...]
    work_queue: bool = False
    """A message leaves when it is acknowledged."""
    one_per_subject: bool = False
    """A newer message replaces the older one."""
    kept_s: float = 0.0
    """0: for ever."""


@dataclass(frozen=True, slots=True)
class BucketSpec:
    name: str
    kept_s: float = 0.0


STREAMS = (
    StreamSpec(STREAM_QUEUE, ("tm.queue.*.*.*",), work_queue=True),
    StreamSpec(STREAM_CALLS, ("tm.calls.*",), one_per_subject=True, kept_s=CALLS_KEPT_S),
    StreamSpec(STREAM_DEAD, ("tm.dead.*.*.*",), one_per_subject=True),
    StreamSpec(STREAM_CALLBACKS, ("tm.callbacks.*",), work_queue=True),
)
KEY_BUCKETS = (
    BucketSpec(KV_FUNCTIONS),
    BucketSpec(KV_NAMESPACES),
    BucketSpec(KV_IDEMPOTENCY, kept_s=IDEMPOTENCY_KEPT_S),
)
OBJECT_BUCKETS = (
    BucketSpec(OBJECTS_PAYLOADS),
    BucketSpec(OBJECTS_RESULTS, kept_s=CALLS_KEPT_S),
)


def callbacks_subject(call_id: str) -> str:
    return f"tm.callbacks.{call_id}"
