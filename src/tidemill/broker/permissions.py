"""What each service may say and hear on the broker: a user per service, nothing for functions.

Subjects in NATS's own terms; the embedded stack renders them into the server's configuration. A user is allowed what
stands here and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tidemill.broker.streams import KEY_BUCKETS, OBJECT_BUCKETS, OBJECTS_RESULTS, STREAM_CALLBACKS, STREAMS
from tidemill.contract.names import (
    KV_FUNCTIONS,
    KV_IDEMPOTENCY,
    KV_NAMESPACES,
    OBJECTS_PAYLOADS,
    STREAM_CALLS,
    STREAM_DEAD,
    STREAM_QUEUE,
)

User = Literal["control", "door", "worker"]
USERS: tuple[User, ...] = ("control", "door", "worker")

FUNCTIONS_CHANGED = "tm.functions.changed"
"""Published by control after every change of the deployed functions."""
CALL_CANCELLED = "tm.cancelled"
"""Published by the door: a call that must not start again."""
CALL_RUNNING = "tm.running"
"""Asked by the door: is this call under way, and since when?"""


@dataclass(frozen=True, slots=True)
class Permissions:
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(user: User) -> Permissions:
    """The allow lists of one user."""
    inbox = (f"_INBOX.{user}.>",)
    if user == "control":
        return Permissions(
            publish=(
                FUNCTIONS_CHANGED,
                *_prepare(),
                *_keys(KV_FUNCTIONS, KV_NAMESPACES),
                f"$JS.API.CONSUMER.INFO.{STREAM_QUEUE}.*",  # how much waits, for scaling
                f"$JS.API.CONSUMER.LIST.{STREAM_QUEUE}",
            ),
            subscribe=inbox,
        )
    if user == "door":
        return Permissions(
            publish=(
                "tm.queue.>",
                "tm.calls.*",
                CALL_CANCELLED,
                CALL_RUNNING,
                *_prepare(),
                *_read(STREAM_QUEUE, STREAM_CALLS, STREAM_DEAD),
                *_remove(STREAM_QUEUE, STREAM_DEAD),
                *_keys(KV_IDEMPOTENCY),
                *_objects(OBJECTS_PAYLOADS, OBJECTS_RESULTS),
            ),
            subscribe=(FUNCTIONS_CHANGED, *inbox),
        )
    return Permissions(
        publish=(
            "tm.calls.*",
            "tm.dead.>",
            "tm.callbacks.*",
            *_prepare(),
            *_read(STREAM_QUEUE, STREAM_CALLS, STREAM_DEAD, STREAM_CALLBACKS),
            *_remove(STREAM_QUEUE),
            *_consume(STREAM_QUEUE, STREAM_CALLBACKS),
            *_objects(OBJECTS_PAYLOADS, OBJECTS_RESULTS),
            "_INBOX.door.>",  # answers to CALL_RUNNING
        ),
        subscribe=(FUNCTIONS_CHANGED, CALL_CANCELLED, CALL_RUNNING, *inbox),
    )


def _prepare() -> tuple[str, ...]:
    """Every service makes sure at its start that the streams are there."""
    names = [stream.name for stream in STREAMS]
    names += [f"KV_{bucket.name}" for bucket in KEY_BUCKETS]
    names += [f"OBJ_{bucket.name}" for bucket in OBJECT_BUCKETS]
    verbs = ("CREATE", "UPDATE", "INFO")
    return ("$JS.API.INFO", *(f"$JS.API.STREAM.{verb}.{name}" for name in names for verb in verbs))


def _read(*streams: str) -> tuple[str, ...]:
    return tuple(f"$JS.API.DIRECT.GET.{stream}{rest}" for stream in streams for rest in ("", ".>"))


def _remove(*streams: str) -> tuple[str, ...]:
    return tuple(f"$JS.API.STREAM.{verb}.{stream}" for stream in streams for verb in ("MSG.DELETE", "PURGE"))


def _consume(*streams: str) -> tuple[str, ...]:
    found: list[str] = []
    for stream in streams:
        found += [f"$JS.API.CONSUMER.{verb}.{stream}.>" for verb in ("CREATE", "DURABLE.CREATE", "INFO", "DELETE")]
        found += [f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*", f"$JS.ACK.{stream}.>"]
        found += [f"$JS.API.CONSUMER.LIST.{stream}", f"$JS.API.CONSUMER.NAMES.{stream}"]
    return tuple(found)


def _keys(*buckets: str) -> tuple[str, ...]:
    """Read, write, watch and forget keys."""
    found: list[str] = []
    for bucket in buckets:
        stream = f"KV_{bucket}"
        found += [f"$KV.{bucket}.>", *_read(stream), *_remove(stream), *_watch(stream)]
        found.append(f"$JS.API.STREAM.MSG.GET.{stream}")
    return tuple(found)


def _objects(*buckets: str) -> tuple[str, ...]:
    found: list[str] = []
    for bucket in buckets:
        stream = f"OBJ_{bucket}"
        found += [f"$O.{bucket}.>", *_read(stream), *_remove(stream), *_watch(stream)]
        found.append(f"$JS.API.STREAM.MSG.GET.{stream}")
    return tuple(found)


def _watch(stream: str) -> tuple[str, ...]:
    """nats-py reads objects and watches keys through an ephemeral ordered consumer."""
    return (
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.DELETE.{stream}.*",
        f"$JS.API.CONSUMER.INFO.{stream}.*",
        f"$JS.FC.{stream}.>",
        "$JS.API.STREAM.NAMES",
    )
