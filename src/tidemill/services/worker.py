"""The queue worker: JetStream → edge → function."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

from tidemill.broker.group_commit import GroupCommit
from tidemill.broker.jetstream import JetStream, jetstream
from tidemill.broker.permissions import FUNCTIONS_CHANGED
from tidemill.broker.streams import STREAM_CALLBACKS, callbacks_subject
from tidemill.contract.names import STREAM_CALLS
from tidemill.invoke.client import Client
from tidemill.lib.auth import Credentials
from tidemill.lib.log import Logger
from tidemill.lib.settings import Settings
from tidemill.queue.callback_url import CallbackRules, gateway_origins
from tidemill.queue.callbacks import AT_ONCE, CONSUMER, Callbacks
from tidemill.queue.calling import Caller
from tidemill.queue.directory import Directory
from tidemill.queue.door_settings import DoorSettings
from tidemill.queue.endings import Endings
from tidemill.queue.fleet import Fleet
from tidemill.queue.line import Line
from tidemill.queue.process import hear, run
from tidemill.queue.window import Window
from tidemill.queue.worker import Worker

GATHER_S = 0.008
"""Records of results may wait a little: the function is free meanwhile, and each fsync spared is CPU for calls."""


async def serve(settings: Settings, own: DoorSettings, log: Logger) -> None:
    """Until SIGTERM or SIGINT; then hands back what it has not begun and finishes the rest."""
    credentials = Credentials.load(settings.secrets_dir)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(jetstream(settings, "worker", log, batches_of=STREAM_CALLS))
        control = await stack.enter_async_context(Client(f"unix:{settings.socket('control')}"))
        edge = await stack.enter_async_context(Client(f"unix:{settings.socket('edge')}"))
        directory = Directory(control, authorization=credentials.header, log=log)
        commit = GroupCommit(broker.publish, broker.publish_batch, gather_s=GATHER_S, growth=2)
        stack.push_async_callback(commit.close)
        worker = Worker(broker, Caller(edge, log), Endings(broker, commit, log), log)
        fleet = Fleet(broker, worker, directory, log)
        callbacks = _callbacks(broker, edge, settings, own, log)
        log.info("started", edge=str(settings.socket("edge")))
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(work)
                for work in (
                    directory.run(),
                    hear(broker.listen(FUNCTIONS_CHANGED, directory.notice)),
                    worker.listen(),
                    fleet.run(),
                    callbacks.run(),
                )
            ]
            await stopped.wait()
            for task in running:
                task.cancel()
    log.info("stopped")


def _callbacks(broker: JetStream, edge: Client, settings: Settings, own: DoorSettings, log: Logger) -> Line:
    rules = CallbackRules(
        gateway_urls=gateway_origins(settings.bind_host, settings.gateway_port), allow=own.callback_allow
    )
    return Line(
        broker,
        stream=STREAM_CALLBACKS,
        consumer=CONSUMER,
        subject=callbacks_subject("*"),
        window=Window(AT_ONCE),
        work=Callbacks(broker, edge, rules, log).deliver,
        log=log,
    )


def main() -> None:
    run("worker", serve)


if __name__ == "__main__":
    main()
