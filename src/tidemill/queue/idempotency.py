"""An Idempotency-Key is a durable record: which call it made, and what was asked.

nobody has the key          → reserve it under our call id, publish, mark it accepted
same key, other request     → Unprocessable
same key, marked accepted   → the first call's answer
same key, still reserved    → somebody is publishing, or died before or after it: the message itself tells.
                              It is published again only where neither queue nor record knows the call.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson

from tidemill.broker.base import Broker, Exists
from tidemill.contract.errors import BadRequest, Unavailable, Unprocessable
from tidemill.contract.names import (
    KV_IDEMPOTENCY,
    STREAM_CALLS,
    STREAM_QUEUE,
    FunctionRef,
    calls_subject,
    queue_subject,
)

KEY_MOST_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Reservation:
    call_id: str
    start_time: str
    fingerprint: str
    accepted: bool = False

    def as_wire(self) -> dict[str, Any]:
        return {
            "v": 1,
            "call_id": self.call_id,
            "start_time": self.start_time,
            "fingerprint": self.fingerprint,
            "accepted": self.accepted,
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> Reservation:
        wire = orjson.loads(data)
        return cls(wire["call_id"], wire["start_time"], wire["fingerprint"], wire["accepted"])

    def as_bytes(self) -> bytes:
        return orjson.dumps(self.as_wire())


def record_key(function: FunctionRef, key: str) -> str:
    """Of the record of this caller's key: scoped to the function. Raises BadRequest."""
    if not key or len(key) > KEY_MOST_CHARACTERS:
        raise BadRequest(f"Idempotency-Key must have 1 to {KEY_MOST_CHARACTERS} characters")
    return hashlib.sha256(f"{function.namespace}\n{function.name}\n{key}".encode()).hexdigest()


def fingerprint(path: str, query: str, body_sha256: str) -> str:
    return hashlib.sha256(f"{path}\n{query}\n{body_sha256}".encode()).hexdigest()


class Idempotency:
    """Safe under concurrent repeats, also of several doors, and when a door dies at any point."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def once(
        self, function: FunctionRef, key: str, wanted: Reservation, publish: Callable[[str], Awaitable[None]]
    ) -> Reservation:
        """The reservation that holds: `wanted`, or the first one made under this key. `publish(call_id)` is awaited
        where this call has to bring the message onto the queue; it must refuse a second message of that id with
        Exists. Raises Unprocessable."""
        name = record_key(function, key)
        async with _Turn(self._locks, name):
            held, is_new = await self._reserve(name, wanted)
            if held.fingerprint != wanted.fingerprint:
                raise Unprocessable(
                    f"this Idempotency-Key was used for another request (call {held.call_id})",
                    hint="use a new key for a new request",
                )
            if not held.accepted:
                await self._bring_about(name, function, held, publish, is_new=is_new)
            return held

    async def _reserve(self, name: str, wanted: Reservation) -> tuple[Reservation, bool]:
        try:
            await self._broker.key_create(KV_IDEMPOTENCY, name, wanted.as_bytes())
        except Exists:
            stored = await self._broker.key_get(KV_IDEMPOTENCY, name)
            if stored is None:  # it expired this very moment
                raise Unavailable("the Idempotency-Key expired while it was looked up; send it again") from None
            return Reservation.from_bytes(stored), False
        return wanted, True

    async def _bring_about(
        self,
        name: str,
        function: FunctionRef,
        held: Reservation,
        publish: Callable[[str], Awaitable[None]],
        *,
        is_new: bool,
    ) -> None:
        # In this order: a message that leaves the queue has its record by then.
        if is_new or not (
            await self._broker.last(STREAM_QUEUE, queue_subject(function, held.call_id))
            or await self._broker.last(STREAM_CALLS, calls_subject(held.call_id))
        ):
            with suppress(Exists):  # another door was quicker
                await publish(held.call_id)
        await self._broker.key_put(KV_IDEMPOTENCY, name, replace(held, accepted=True).as_bytes())


class _Turn:
    """A lock per name, forgotten when nobody holds it."""

    def __init__(self, locks: dict[str, tuple[asyncio.Lock, int]], name: str) -> None:
        self._locks = locks
        self._name = name

    async def __aenter__(self) -> None:
        lock, users = self._locks.get(self._name) or (asyncio.Lock(), 0)
        self._locks[self._name] = (lock, users + 1)
        await lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        lock, users = self._locks[self._name]
        lock.release()
        if users == 1:
            del self._locks[self._name]
        else:
            self._locks[self._name] = (lock, users - 1)
