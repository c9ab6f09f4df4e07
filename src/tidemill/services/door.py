"""The async door: HAProxy → door.sock → JetStream."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

from granian.constants import Interfaces
from granian.server.embed import Server

from tidemill.broker.group_commit import GroupCommit
from tidemill.broker.jetstream import jetstream
from tidemill.broker.permissions import FUNCTIONS_CHANGED
from tidemill.contract.names import STREAM_QUEUE
from tidemill.invoke.client import Client
from tidemill.lib.auth import Credentials
from tidemill.lib.log import Logger
from tidemill.lib.settings import Settings
from tidemill.queue.callback_url import CallbackRules, gateway_origins
from tidemill.queue.calls import Calls
from tidemill.queue.dead_letters import DeadLetters
from tidemill.queue.directory import Directory
from tidemill.queue.door import Door
from tidemill.queue.door_settings import DoorSettings
from tidemill.queue.process import hear, run
from tidemill.queue.submit import Submissions

BACKLOG = 1024
BACKPRESSURE = 4096
"""Requests in hand at once; each waits for the disk, so many may wait together."""


async def serve(settings: Settings, own: DoorSettings, log: Logger) -> None:
    """Until SIGTERM or SIGINT; calls in hand are finished first."""
    credentials = Credentials.load(settings.secrets_dir)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(jetstream(settings, "door", log, batches_of=STREAM_QUEUE))
        control = await stack.enter_async_context(Client(f"unix:{settings.socket('control')}"))
        directory = Directory(control, authorization=credentials.header, log=log)
        commit = GroupCommit(broker.publish, broker.publish_batch)
        stack.push_async_callback(commit.close)
        rules = CallbackRules(
            gateway_urls=gateway_origins(settings.bind_host, settings.gateway_port), allow=own.callback_allow
        )
        spool_dir = settings.data_dir / "spool"
        spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        submissions = Submissions(broker, commit, directory, rules, own, spool_dir=spool_dir, log=log)
        door = Door(submissions, Calls(broker), DeadLetters(broker, directory, log), credentials, log)
        async with asyncio.TaskGroup() as tasks:
            refreshing = tasks.create_task(directory.run())
            listening = tasks.create_task(hear(broker.listen(FUNCTIONS_CHANGED, directory.notice)))
            server = _server(door, settings)
            serving = tasks.create_task(server.serve())
            log.info("started", socket=str(settings.socket("door")))
            await stopped.wait()
            server.stop()  # type: ignore[no-untyped-call]
            await serving
            refreshing.cancel()
            listening.cancel()
    log.info("stopped")


def _server(door: Door, settings: Settings) -> Server:
    path = settings.socket("door")
    path.unlink(missing_ok=True)  # left by one that was killed
    server = Server(
        door,
        uds=path,
        interface=Interfaces.RSGI,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        websockets=False,
        log_enabled=False,
    )
    server.uds_permissions = 0o600
    return server


def main() -> None:
    run("door", serve)


if __name__ == "__main__":
    main()
