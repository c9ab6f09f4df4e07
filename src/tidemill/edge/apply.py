"""The edge as the provider sees it: makes HAProxy agree with a picture of functions, without a reload.

Stages of one `apply`: the new picture is rendered, checked by HAProxy and swapped in on disk; servers are added over
the admin socket; maps are replaced, each in one transaction; servers that are no longer wanted take no new call, are
waited for, and deleted. Only what no runtime command can change (the pool of backends ran out, the operator's lines
or a port changed) is a reload, through the master, which answers when the new worker took over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from tidemill.contract.errors import Unavailable
from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Load, Target
from tidemill.edge.admin import AdminSocket, CommandFailed
from tidemill.edge.haproxy import install, installed_picture
from tidemill.edge.picture import Picture
from tidemill.edge.plan import Line, loads, needs_reload, plan
from tidemill.edge.render import Rendering, backend_name
from tidemill.lib.log import Logger, get_logger
from tidemill.lib.settings import Settings

LONGEST_PAUSE_S = 0.25
"""Between two looks at servers that are being drained; the first comes after 5 ms."""
BREAK_OFF_S = 5.0
"""How much longer than the function's timeout a removed server may have calls before they are broken off."""


class HaproxyTraffic:
    """Implements `Traffic`. Safe for concurrent use: changes go one after another, waiting for drained servers does
    not keep the next change waiting."""

    def __init__(self, settings: Settings, *, log: Logger | None = None) -> None:
        self._settings = settings
        self._log = log or get_logger("edge")
        self._admin = AdminSocket(settings.socket("haproxy-admin"))
        self._master = AdminSocket(settings.socket("haproxy-master"))
        self._changes = asyncio.Lock()
        self._leaving: set[Line] = set()
        self._picture: Picture | None = None

    async def apply(self, targets: Mapping[FunctionRef, Target]) -> None:
        """See `Traffic.apply`. Raises DeployFailed as well, where HAProxy refuses the rendered configuration: then
        nothing has changed."""
        async with self._changes:
            before = await self._current()
            after = before.following(targets)
            rendering = await asyncio.to_thread(install, self._settings, after)
            self._picture = after
            try:
                leaving = await self._converge(before, after, rendering)
            except CommandFailed as cause:
                self._log.warning("edge reloaded", reason=str(cause))
                await self._reload()
                leaving = set()
        if leaving:
            try:
                await self._wait_until_gone(leaving, _patience_s(leaving, before))
            finally:
                self._leaving -= leaving

    async def load(self) -> Mapping[FunctionRef, Load]:
        """See `Traffic.load`."""
        return loads(await self._current(), await self._admin.backends())

    async def _current(self) -> Picture:
        if self._picture is None:
            self._picture = await asyncio.to_thread(installed_picture, self._settings)
        return self._picture

    async def _converge(self, before: Picture, after: Picture, rendering: Rendering) -> set[Line]:
        """Everything but the waiting; returns the lines to wait for."""
        if needs_reload(before, after) or await self._admin.fingerprint() != rendering.fingerprint:
            await self._reload()
            return set()
        steps = plan(after, await self._admin.backends())
        for command in steps.grow:
            await self._admin.tell(command.text, says=command.says)
        for name, pairs in rendering.maps.items():
            if await self._admin.map_pairs(name) != list(pairs):
                await self._admin.replace_map(name, pairs)
        leaving = set(steps.shrink) - self._leaving
        for line in sorted(leaving):
            await self._admin.tell(f"set server {line} state drain")
        self._leaving |= leaving
        return leaving

    async def _wait_until_gone(self, leaving: Iterable[Line], patience_s: float) -> None:
        """Delete each line once it has no call; after `patience_s` its calls are broken off."""
        remaining = set(leaving)
        deadline = asyncio.get_running_loop().time() + patience_s
        pause_s = 0.005
        while True:
            async with self._changes:
                remaining = await self._delete_idle(remaining)
                if remaining and asyncio.get_running_loop().time() > deadline:
                    for line in sorted(remaining):
                        self._log.warning("calls broken off", server=str(line))
                        await self._admin.ask(f"shutdown sessions server {line}")
            if not remaining:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _delete_idle(self, lines: set[Line]) -> set[Line]:
        """The lines that are still there and still not wanted."""
        runtime = await self._admin.backends()
        wanted = {
            Line(backend_name(place), name)
            for place, servers in (await self._current()).servers().items()
            for name in servers
        }
        remaining = set()
        for line in lines - wanted:
            server = runtime[line.backend].servers.get(line.server) if line.backend in runtime else None
            if server is None:
                continue
            if server.in_flight or not await self._deleted(line):
                remaining.add(line)
        return remaining

    async def _deleted(self, line: Line) -> bool:
        """False where a connection is still being closed. Entering maintenance is what closes idle connections, and
        a call that ends later leaves one: so maintenance comes last, and is entered anew each time."""
        await self._admin.ask(f"set server {line} state maint")
        if (await self._admin.ask(f"del server {line}")).startswith(("Server deleted", "No such server")):
            return True
        await self._admin.ask(f"set server {line} state drain")
        return False

    async def _reload(self) -> None:
        """A new worker from what is on disk; the old one finishes its calls. Raises Unavailable."""
        answer = await self._master.ask("reload")
        if not answer.startswith("Success=1"):
            raise Unavailable(f"HAProxy did not reload: {answer[-500:]}")
        self._log.info("edge reloaded")


def _patience_s(leaving: Iterable[Line], before: Picture) -> float:
    """As long as the slowest of the functions concerned may take for a call."""
    backends = {line.backend for line in leaving}
    timeouts = [
        target.timeout_s for ref, target in before.targets.items() if backend_name(before.places[ref]) in backends
    ]
    return max(timeouts, default=0.0) + BREAK_OFF_S
