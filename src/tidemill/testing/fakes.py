"""In memory: the gateway's queue and an object store. Each can be told to be down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tidemill.contract.errors import Conflict, NotFound, TooLarge, Unavailable
from tidemill.lib.correlation import outgoing
from tidemill.lib.outages import RETRY_AFTER_S


@dataclass
class Down:
    """A part that can be away: set `down`, and every use of it raises Unavailable."""

    down: bool = False

    def check(self) -> None:
        if self.down:
            raise Unavailable("it is down, as the test asked", retry_after_s=RETRY_AFTER_S)


@dataclass(frozen=True)
class QueuedCall:
    """A call that the fake queue has accepted."""

    call_id: str
    function: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass
class FakeGateway(Down):
    """`tidemill.lib.gateway.Gateway`; `calls` has what was queued, in order, each key once."""

    calls: list[QueuedCall] = field(default_factory=list)
    _by_key: dict[tuple[str, str], QueuedCall] = field(default_factory=dict)

    def call_later(self, function: str, body: Mapping[str, Any], *, key: str) -> str:
        self.check()
        sent = json.loads(json.dumps(body))
        known = self._by_key.get((function, key))
        if known is None:
            known = self._by_key[function, key] = QueuedCall(uuid4().hex, function, sent, outgoing())
            self.calls.append(known)
        if known.body != sent:
            raise Conflict(f"key {key} was used for another call of {function}")
        return known.call_id


@dataclass
class MemoryObjects(Down):
    """`tidemill.lib.objects.Objects`; `stored` is key → (bytes, content type)."""

    stored: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    def put(self, key: str, data: bytes, *, content_type: str) -> None:
        self.check()
        self.stored[key] = (bytes(data), content_type)

    def get(self, key: str, *, max_bytes: int) -> bytes:
        self.check()
        if key not in self.stored:
            raise NotFound(f"there is no object {key}")
        data, _ = self.stored[key]
        if len(data) > max_bytes:
            raise TooLarge(f"object {key} is larger than {max_bytes} bytes")
        return data

    def remove(self, key: str) -> None:
        self.check()
        self.stored.pop(key, None)
