"""Bodies above the claim-check size lie in the object store; the message carries their name."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import tempfile
from collections.abc import AsyncIterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from tidemill.broker.base import Broker
from tidemill.contract.errors import TooLarge
from tidemill.contract.names import CLAIM_CHECK_BYTES, OBJECTS_PAYLOADS


@dataclass(frozen=True, slots=True)
class Payload:
    """A body, in memory or by name."""

    data: bytes
    size_bytes: int
    sha256: str
    """Empty where nobody asked for it."""
    object_name: str | None = None


def too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"the body is over the limit of {limit_bytes} bytes for asynchronous calls",
        hint="the operator can raise TIDEMILL_MAX_ASYNC_BODY; better upload to the object store and send the key",
    )


def small(data: bytes, *, with_hash: bool) -> Payload:
    return Payload(data, len(data), hashlib.sha256(data).hexdigest() if with_hash else "")


async def collect(
    chunks: AsyncIterable[bytes], *, limit_bytes: int, broker: Broker, call_id: str, folder: Path
) -> Payload:
    """Reads a body of unknown or large size; what is above the claim-check size goes through a file into the object
    store, so that memory stays small. Raises TooLarge before more than the limit was taken."""
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(max_size=CLAIM_CHECK_BYTES, dir=str(folder)) as spool:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit_bytes:
                raise too_large(limit_bytes)
            digest.update(chunk)
            if size > CLAIM_CHECK_BYTES:
                await asyncio.to_thread(spool.write, chunk)
            else:
                spool.write(chunk)
        spool.seek(0)
        if size <= CLAIM_CHECK_BYTES:
            return Payload(spool.read(), size, digest.hexdigest())
        name = f"{call_id}.{secrets.token_hex(8)}"
        await broker.object_put(OBJECTS_PAYLOADS, name, cast(BinaryIO, spool))
    return Payload(b"", size, digest.hexdigest(), name)


async def store_answer(broker: Broker, bucket: str, name: str, body: bytes) -> None:
    await broker.object_put(bucket, name, BytesIO(body))
