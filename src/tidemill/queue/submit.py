"""Accepts an asynchronous call: function known → body taken → message on disk → 202, and nothing before the disk.

The common call (small body, no Idempotency-Key) joins a group commit; the others go alone.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from tidemill.broker.base import MESSAGE_ID, Broker, Exists, Message, Rejected
from tidemill.broker.group_commit import GroupCommit
from tidemill.contract import headers
from tidemill.contract.calls import QueuedCall
from tidemill.contract.names import CALL_ID, CLAIM_CHECK_BYTES, OBJECTS_PAYLOADS
from tidemill.lib.correlation import from_values
from tidemill.lib.log import Logger
from tidemill.queue.callback_url import CallbackRules
from tidemill.queue.codec import queue_message
from tidemill.queue.directory import Directory
from tidemill.queue.door_settings import DoorSettings
from tidemill.queue.idempotency import Idempotency, Reservation, fingerprint
from tidemill.queue.payloads import Payload, collect, small, too_large
from tidemill.queue.web import Answer, Request

PREFIX = "/async-function/"

_CALLBACK_URL = headers.CALLBACK_URL.lower()
_NOT_KEPT = frozenset(
    {
        "connection",
        "proxy-connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "expect",
        _CALLBACK_URL,
        "x-openfaas-internal",
    }
)
"""Hop by hop (openfaas-compat 3.1), written anew by whoever sends, or ours alone."""
_OURS = "x-tidemill-"
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]*")
_SAFE_IN_PATH = "/:@!$&'()*+,;=~"
"""Characters of a path that need no escape (RFC 3986)."""


@dataclass(frozen=True, slots=True)
class _Ids:
    call_id: str
    start_time: str
    correlation_id: str
    trace_id: str


class Submissions:
    """The door's main work."""

    def __init__(
        self,
        broker: Broker,
        commit: GroupCommit,
        directory: Directory,
        callbacks: CallbackRules,
        settings: DoorSettings,
        *,
        spool_dir: Path,
        log: Logger,
    ) -> None:
        self._broker = broker
        self._commit = commit
        self._directory = directory
        self._callbacks = callbacks
        self._settings = settings
        self._idempotency = Idempotency(broker)
        self._spool_dir = spool_dir
        self._log = log

    async def submit(self, request: Request) -> Answer:
        """202. Raises FunctionNotFound, BadRequest, TooLarge, Unprocessable, Unavailable."""
        name, _, rest = request.path[len(PREFIX) :].partition("/")
        function = self._directory.known(name) or await self._directory.find(name)
        found = dict(request.headers)
        ids = _ids(found)
        callback_url = found.get(_CALLBACK_URL)
        if callback_url is not None:
            self._callbacks.parse(callback_url)
        key = found.get("idempotency-key")
        payload = await self._take(request, found, ids.call_id, with_hash=key is not None)
        call = QueuedCall(
            call_id=ids.call_id,
            function=function,
            method=request.method,
            path=_path(rest),
            query=request.query,
            headers=_kept(request.headers, ids),
            accepted_at=datetime.now(UTC),
            size_bytes=payload.size_bytes,
            payload_object=payload.object_name,
            callback_url=callback_url,
            correlation_id=ids.correlation_id,
            trace_id=ids.trace_id,
        )
        if key is not None:
            return await self._submit_once(call, payload, key, ids)
        await self._commit.submit(queue_message(call, payload.data))
        self._accepted(call)
        return _accepted_answer(call.call_id, ids.start_time)

    async def _submit_once(self, call: QueuedCall, payload: Payload, key: str, ids: _Ids) -> Answer:
        published = referred = False

        async def publish(call_id: str) -> None:
            nonlocal published, referred
            message = queue_message(replace(call, call_id=call_id, headers=_with_id(call, call_id)), payload.data)
            shielded = {**message.headers, MESSAGE_ID: call_id}
            referred = True
            try:
                await self._broker.publish(Message(message.subject, message.data, shielded), only_if_absent=True)
            except (Exists, Rejected):
                referred = False
                raise
            published = True

        wanted = Reservation(call.call_id, ids.start_time, fingerprint(call.path, call.query, payload.sha256))
        try:
            held = await self._idempotency.once(call.function, key, wanted, publish)
        finally:
            if payload.object_name and not referred:  # a message that was not confirmed may be there all the same
                await self._broker.object_delete(OBJECTS_PAYLOADS, payload.object_name)
        if published:
            self._accepted(replace(call, call_id=held.call_id))
        return _accepted_answer(held.call_id, held.start_time)

    async def _take(self, request: Request, found: dict[str, str], call_id: str, *, with_hash: bool) -> Payload:
        limit = self._settings.max_body_bytes
        length = found.get("content-length", "")
        if length.isdigit():
            if int(length) > limit:
                raise too_large(limit)
            if int(length) <= CLAIM_CHECK_BYTES:
                return small(await request.body(), with_hash=with_hash)
        return await collect(
            request.body, limit_bytes=limit, broker=self._broker, call_id=call_id, folder=self._spool_dir
        )

    def _accepted(self, call: QueuedCall) -> None:
        self._log.info(
            "accepted",
            function=str(call.function),
            call_id=call.call_id,
            correlation_id=call.correlation_id,
            trace_id=call.trace_id,
            size_bytes=call.size_bytes,
        )


def _ids(found: dict[str, str]) -> _Ids:
    """The edge made them; where it is not in front, they are made here."""
    call_id = found.get("x-call-id", "")
    if not CALL_ID.fullmatch(call_id):
        call_id = str(uuid.uuid4())
    told = from_values(
        call_id=call_id,
        correlation_id=found.get("x-correlation-id", ""),
        traceparent=found.get("traceparent", ""),
        attempt="",
        function="",
    )
    start_time = found.get("x-start-time", "")
    if not start_time.isdigit():
        start_time = str(time.time_ns())
    return _Ids(call_id, start_time, told.correlation_id or call_id, told.trace_id)


def _kept(given: list[tuple[str, str]], ids: _Ids) -> tuple[tuple[str, str], ...]:
    """The caller's headers without hop-by-hop ones and ours, with ids that are surely there."""
    kept = [pair for pair in given if pair[0] not in _NOT_KEPT and not pair[0].startswith(_OURS)]
    names = {name for name, _ in kept}
    for name, value in (
        ("x-call-id", ids.call_id),
        ("x-correlation-id", ids.correlation_id),
        ("x-start-time", ids.start_time),
    ):
        if name not in names:
            kept.append((name, value))
    return tuple(kept)


def _with_id(call: QueuedCall, call_id: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, call_id if name == "x-call-id" else value) for name, value in call.headers)


def _path(rest: str) -> str:
    """The server hands over the path unescaped; escaped again, it is one line and means the same."""
    return "/" + (rest if _PLAIN_PATH.fullmatch(rest) else quote(rest, safe=_SAFE_IN_PATH))


def _accepted_answer(call_id: str, start_time: str) -> Answer:
    return Answer(
        202,
        [
            (headers.CALL_ID, call_id),
            (headers.START_TIME, start_time),
            ("Location", f"{PREFIX}{call_id}"),
        ],
    )
