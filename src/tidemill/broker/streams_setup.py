"""Makes the server hold what `streams` says: created where absent, brought in line where it differs."""

from __future__ import annotations

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from tidemill.broker.streams import (
    DUPLICATE_WINDOW_S,
    KEY_BUCKETS,
    OBJECT_BUCKETS,
    STREAMS,
    BucketSpec,
    StreamSpec,
)


async def ensure_all(jetstream: JetStreamContext) -> None:
    """Repeatable; two processes may do it at once."""
    for stream in STREAMS:
        await _ensure(jetstream, _stream_config(stream))
    for bucket in KEY_BUCKETS:
        await _ensure(jetstream, _key_bucket_config(bucket))
    for bucket in OBJECT_BUCKETS:
        await _ensure(jetstream, _object_bucket_config(bucket))


async def _ensure(jetstream: JetStreamContext, config: StreamConfig) -> None:
    """Creating with an equal configuration is no error; with another one it is, and then it is updated."""
    try:
        await jetstream.add_stream(config)
    except nats.js.errors.BadRequestError:
        await jetstream.update_stream(config)


def _stream_config(spec: StreamSpec) -> StreamConfig:
    return StreamConfig(
        name=spec.name,
        subjects=list(spec.subjects),
        retention=RetentionPolicy.WORK_QUEUE if spec.work_queue else RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_msgs_per_subject=1 if spec.one_per_subject else -1,
        max_age=spec.kept_s,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=True,
        allow_atomic=True,
    )


def _key_bucket_config(spec: BucketSpec) -> StreamConfig:
    """As nats-py's `create_key_value` makes it, so that any KV client can read it."""
    return StreamConfig(
        name=f"KV_{spec.name}",
        subjects=[f"$KV.{spec.name}.>"],
        storage=StorageType.FILE,
        max_msgs_per_subject=1,
        max_age=spec.kept_s,
        duplicate_window=min(DUPLICATE_WINDOW_S, spec.kept_s or DUPLICATE_WINDOW_S),
        discard=DiscardPolicy.NEW,
        allow_rollup_hdrs=True,
        allow_direct=True,
        allow_msg_ttl=True,
        deny_delete=True,
    )


def _object_bucket_config(spec: BucketSpec) -> StreamConfig:
    """As nats-py's `create_object_store` makes it."""
    return StreamConfig(
        name=f"OBJ_{spec.name}",
        subjects=[f"$O.{spec.name}.C.>", f"$O.{spec.name}.M.>"],
        storage=StorageType.FILE,
        max_age=spec.kept_s,
        discard=DiscardPolicy.NEW,
        allow_rollup_hdrs=True,
        allow_direct=True,
    )
