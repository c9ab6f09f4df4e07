"""Batches staged in memory, with a real nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.queue.servers import PASSWORD, NatsServer, eventually, nats_server
from tidemill.broker.base import Message, Rejected
from tidemill.broker.jetstream import JetStream
from tidemill.broker.staging import Staging
from tidemill.lib.log import Logger

STREAM = "jetstream/jetstream/$G/streams/TM_QUEUE"


async def test_batches_survive_a_killed_server(folder: Path) -> None:
    """What was confirmed before kill -9 is there afterwards, and the link, which the server takes away when it
    starts, is made again; at the end the memory is empty."""
    memory, stream_dir = folder / "memory" / "TM_QUEUE", folder / STREAM
    with nats_server(folder) as server:
        async with _door(server, Staging(stream_dir, memory)) as broker:
            await broker.publish_batch([_message(number) for number in range(50)])
            assert (stream_dir / "batches").readlink() == memory
            server.kill()
            left_over = memory / "half-a-batch"
            left_over.mkdir()
            made = broker.connections
            server.start()
            await eventually(lambda: _connected_again(broker, made))
            assert (stream_dir / "batches").readlink() == memory
            assert not left_over.exists()
            await broker.publish_batch([_message(number) for number in range(50, 100)])
            assert await broker.count("TM_QUEUE") == 100
        assert not memory.exists()


async def test_batches_work_after_the_memory_was_cleared(folder: Path) -> None:
    """The first batch after it is refused, so that its members go alone; the next ones are taken."""
    memory = folder / "memory" / "TM_QUEUE"
    with nats_server(folder) as server:
        async with _door(server, Staging(folder / STREAM, memory)) as broker:
            await broker.publish_batch([_message(1), _message(2)])
            memory.rmdir()
            with pytest.raises(Rejected):
                await broker.publish_batch([_message(3), _message(4)])
            await broker.publish_batch([_message(3), _message(4)])
            assert await broker.count("TM_QUEUE") == 4


@asynccontextmanager
async def _door(server: NatsServer, staging: Staging) -> AsyncIterator[JetStream]:
    async with JetStream(server.url, user="door", password=PASSWORD, log=Logger("test"), staging=staging) as broker:
        async with asyncio.timeout(20):
            await broker.wait_ready()
        yield broker


def _message(number: int) -> Message:
    return Message(f"tm.queue.ns.fn.{number}", b"x")


async def _connected_again(broker: JetStream, made: int) -> bool:
    return broker.is_connected and broker.connections > made
