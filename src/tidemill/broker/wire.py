"""The few lines of the NATS protocol that the hot path writes itself: a whole batch, or many acks, in one write.

The connection stays nats-py's: reading, reconnecting and flow control are its work. What is used of its internals
is named in `write`, and tests/integration/queue holds it to that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nats.aio.client import Client

from tidemill.broker.base import MESSAGE_MOST_BYTES, Rejected


def header_block(headers: Mapping[str, str]) -> str:
    """Without the closing empty line, so that more can follow. Raises ValueError for a value that would end its
    line."""
    block = "NATS/1.0\r\n" + "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if block.count("\n") != len(headers) + 1 or block.count("\r") != len(headers) + 1:
        raise ValueError("a header's value may not hold a line break")
    return block


def read_headers(block: bytes) -> dict[str, str]:
    """Of a message that came; what is no header line is skipped."""
    found = {}
    for line in block.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            found[name] = value.strip()
    return found


def status_of(block: bytes) -> str:
    """`404` of `NATS/1.0 404 No Messages`; empty where the server only carries what somebody published."""
    return block[9:12].decode("ascii", "replace") if block[8:9] == b" " else ""


def publication(subject: str, reply: str, block: str, data: bytes) -> bytes:
    """HPUB. `block` is a header block with its closing empty line. Raises Rejected for a message above the limit:
    the server would close the connection over it."""
    head = block.encode()
    if len(head) + len(data) > MESSAGE_MOST_BYTES:
        raise Rejected(f"a message may have {MESSAGE_MOST_BYTES} bytes, this one has {len(head) + len(data)}")
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (
        subject.encode(),
        reply.encode(),
        len(head),
        len(head) + len(data),
        head,
        data,
    )


def plain(subject: str, data: bytes = b"") -> bytes:
    """PUB without headers or reply: acks."""
    return b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(data), data)


def write(connection: Client, data: bytes) -> None:
    """Hands bytes to the connection's own buffer and wakes its flusher, without waiting. Uses `_pending`,
    `_pending_data_size` and `_flush_queue` of nats-py 2.16."""
    client: Any = connection
    client._pending.append(data)
    client._pending_data_size += len(data)
    if client._flush_queue.empty():
        client._flush_queue.put_nowait(asyncio.get_running_loop().create_future())
