"""The loop that brings functions back: once at the start, then whenever the spawner or the edge forgot something."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from time import monotonic

from tidemill.contract.errors import Unavailable
from tidemill.lib.log import Logger
from tidemill.provider.backends.base import Backend
from tidemill.provider.functions import Functions
from tidemill.provider.namespaces import Namespaces

START_RETRY_S = 0.1
LOOK_S = 0.25
"""How long a spawner that restarted goes unnoticed at most: a look at its epoch costs a microsecond."""
LOOKS_BETWEEN_CHECKS = 40
"""Now and then everything is compared, whatever the epoch says."""
TIDY_EVERY_S = 24 * 3600.0
"""A platform that runs for months must not wait for its next start to give disk back."""


class Keeper:
    """Runs until cancelled."""

    def __init__(self, *, functions: Functions, namespaces: Namespaces, backend: Backend, log: Logger) -> None:
        self._functions = functions
        self._namespaces = namespaces
        self._backend = backend
        self._log = log

    async def run(self) -> None:
        epoch = self._backend.epoch()
        await self._bring_back()
        tidied = monotonic()
        for look in count(1):
            if monotonic() - tidied > TIDY_EVERY_S:
                await self._functions.tidy()
                tidied = monotonic()
            await asyncio.sleep(LOOK_S)
            newest = self._backend.epoch()
            if newest == epoch and not self._functions.edge_is_behind and look % LOOKS_BETWEEN_CHECKS:
                continue
            with suppress(Unavailable):
                await self._functions.heal()
                epoch = newest

    async def _bring_back(self) -> None:
        """Waits for the broker and the spawner, however long they take."""
        waiting_for = ""
        while not self._functions.loaded:
            try:
                await self._namespaces.load()
                await self._functions.reconcile()
            except Unavailable as error:
                if str(error) != waiting_for:
                    waiting_for = str(error)
                    self._log.info("waiting", error=waiting_for)
                await asyncio.sleep(START_RETRY_S)
        live = self._functions.all()
        self._log.info("ready", functions=len(live))
        for function in live:
            await self._functions.warm(function.record)
        await self._functions.tidy()
