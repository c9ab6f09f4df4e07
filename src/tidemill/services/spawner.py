"""The process that binds replica slots and forks functions into them: `python -m tidemill.services.spawner`."""

from __future__ import annotations

import asyncio
import os
import resource
import signal

from tidemill.lib import log
from tidemill.lib.settings import Settings
from tidemill.spawn import api
from tidemill.spawn.spawner import Spawner


async def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; then drains every replica."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    logger = log.get_logger("spawner")
    spawner = Spawner(settings)
    async with api.serve(spawner, settings.socket("spawner")):
        logger.info("ready", socket=str(settings.socket("spawner")))
        await ending.wait()
    logger.info("draining")
    await spawner.close()


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a socket a slot, three pipes a replica
    asyncio.run(run(Settings.from_env(os.environ)))


if __name__ == "__main__":
    main()
