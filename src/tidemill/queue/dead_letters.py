"""Calls that were given up: shown, queued again, or thrown away."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress

from tidemill.broker.base import Broker, Exists, Stored
from tidemill.contract.errors import NotFound
from tidemill.contract.names import (
    CALL_ID,
    OBJECTS_PAYLOADS,
    STREAM_DEAD,
    FunctionRef,
)
from tidemill.lib.log import Logger
from tidemill.queue.calls import read_limit
from tidemill.queue.codec import Unreadable, body_of, head_of, queue_message, read_call, read_dead_letter
from tidemill.queue.directory import Directory
from tidemill.queue.web import Answer, Request, json_answer

SCAN = 100_000


class DeadLetters:
    """Handlers of `/system/dead-letters…`."""

    def __init__(self, broker: Broker, directory: Directory, log: Logger) -> None:
        self._broker = broker
        self._directory = directory
        self._log = log

    async def list(self, request: Request, given: Mapping[str, str]) -> Answer:
        limit, found = read_limit(given), []
        for stored in await self._of(given.get("function")):
            try:
                found.append(read_dead_letter(stored).as_summary())
            except Unreadable as error:
                self._log.warning("dead letter unreadable", subject=stored.subject, error=str(error))
            if len(found) == limit:
                break
        return json_answer(found)

    async def show(self, request: Request, given: Mapping[str, str]) -> Answer:
        stored = await self._one(given["call_id"])
        letter = read_dead_letter(stored)
        payload: bytes | None = body_of(stored)
        if letter.call.payload_object:
            payload = await self._broker.object_get(OBJECTS_PAYLOADS, letter.call.payload_object)
        wire = letter.as_summary()
        wire["headers"] = dict(letter.call.headers)
        wire["payload"] = base64.b64encode(payload or b"").decode()
        return json_answer(wire)

    async def redrive_one(self, request: Request, given: Mapping[str, str]) -> Answer:
        await self._redrive(await self._one(given["call_id"]))
        return json_answer({"call_id": given["call_id"], "redriven": 1}, 202)

    async def redrive_all(self, request: Request, given: Mapping[str, str]) -> Answer:
        letters = await self._of(given.get("function"))
        redriven = 0
        for listed in reversed(letters):  # oldest first, as they were accepted
            stored = await self._broker.last(STREAM_DEAD, listed.subject)
            if stored is not None and stored.sequence == listed.sequence:
                await self._redrive(stored)
                redriven += 1
        return json_answer({"redriven": redriven}, 202)

    async def purge_one(self, request: Request, given: Mapping[str, str]) -> Answer:
        await self._purge(await self._one(given["call_id"]))
        return json_answer({"purged": 1}, 202)

    async def purge_all(self, request: Request, given: Mapping[str, str]) -> Answer:
        letters = await self._of(given.get("function"))
        for stored in letters:
            await self._purge(stored)
        return json_answer({"purged": len(letters)}, 202)

    async def _redrive(self, stored: Stored) -> None:
        """Queued first, then forgotten: a door that dies in between leaves both, and a second redrive finds the
        message there. Attempts start from 1, since the message is a new one."""
        call = read_call(stored)
        await self._directory.find(str(call.function))
        message = queue_message(call, body_of(stored))
        with suppress(Exists):  # it is queued already
            await self._broker.publish(message, only_if_absent=True)
        await self._broker.delete(STREAM_DEAD, stored.sequence)
        self._log.info("redriven", function=str(call.function), call_id=call.call_id)

    async def _purge(self, stored: Stored) -> None:
        await self._broker.delete(STREAM_DEAD, stored.sequence)
        call = read_call(stored)
        if call.payload_object:
            await self._broker.object_delete(OBJECTS_PAYLOADS, call.payload_object)
        self._log.info("purged", function=str(call.function), call_id=call.call_id)

    async def _of(self, function: str | None) -> Sequence[Stored]:
        """Without their payloads."""
        subject = "tm.dead.*.*.*"
        if function:
            ref = FunctionRef.parse(function)
            subject = f"tm.dead.{ref.namespace}.{ref.name}.*"
        return await self._broker.newest(STREAM_DEAD, subject, scan=SCAN, keep=head_of)

    async def _one(self, call_id: str) -> Stored:
        """Raises NotFound."""
        stored = (
            await self._broker.last(STREAM_DEAD, f"tm.dead.*.*.{call_id}") if CALL_ID.fullmatch(call_id) else None
        )
        if stored is None:
            raise NotFound(f"there is no dead letter {call_id[:64]}")
        return stored
