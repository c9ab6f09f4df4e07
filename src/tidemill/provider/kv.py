"""The record store on JetStream's key-value buckets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from nats.errors import Error as NatsError
from nats.js.errors import KeyDeletedError, KeyNotFoundError, NoKeysError
from nats.js.kv import KeyValue

from tidemill.broker.connection import Connection
from tidemill.contract.errors import Unavailable
from tidemill.provider.store import Document


class KvRecordStore:
    """One bucket."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection = connection
        self._bucket_name = bucket

    def require_reachable(self) -> None:
        _ = self._connection.client

    async def all(self) -> dict[str, Document]:
        with _translated():
            bucket = await self._bucket()
            try:
                keys = await bucket.keys()
            except NoKeysError:
                return {}
            return {key: document for key in keys if (document := await _read(bucket, key)) is not None}

    async def put(self, key: str, document: Document) -> None:
        with _translated():
            bucket = await self._bucket()
            await bucket.put(key, json.dumps(document, separators=(",", ":")).encode())

    async def delete(self, key: str) -> None:
        with _translated():
            bucket = await self._bucket()
            await bucket.delete(key)

    async def _bucket(self) -> KeyValue:
        """The connection makes the buckets before it calls itself ready."""
        return await self._connection.jetstream.key_value(self._bucket_name)


async def _read(bucket: KeyValue, key: str) -> Document | None:
    try:
        entry = await bucket.get(key)
    except (KeyNotFoundError, KeyDeletedError):
        return None
    return json.loads(entry.value) if entry.value else None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError, TimeoutError) as cause:
        raise Unavailable("the record of deployments cannot be reached", hint="is nats-server running?") from cause
