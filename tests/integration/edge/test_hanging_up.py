"""Callers that leave in the middle."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from tests.integration.edge.conftest import Edge, until
from tests.integration.edge.replicas import Answer, Received, Replica
from tests.integration.edge.test_calls import HELLO, deploy, target_of


async def test_a_caller_that_hangs_up_gives_its_place_back(edge: Edge) -> None:
    """A call nobody waits for any more leaves the replica, and does not hold up a stop of the edge."""
    arrived = asyncio.Event()

    async def forever(_: Received) -> Answer:
        arrived.set()
        await asyncio.Event().wait()
        return Answer()

    async with Replica(Path(edge.settings.run_dir) / "hello.sock", forever) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        with socket.create_connection(("127.0.0.1", edge.settings.gateway_port)) as caller:
            caller.sendall(b"GET /function/hello HTTP/1.1\r\nHost: a\r\n\r\n")
            await arrived.wait()
            assert (await edge.traffic.load())[HELLO].in_flight == 1

        async def free() -> bool:
            return (await edge.traffic.load())[HELLO].in_flight == 0

        await until(free)
