"""HAProxy's runtime API over its admin socket: one command a connection, answers parsed into values."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tidemill.contract.errors import Unavailable

ANSWER_TIMEOUT_S = 10.0
PAYLOAD_BYTES = 8 * 1024
"""Per command; HAProxy's buffer for one is 16 KiB."""


class CommandFailed(Exception):
    """HAProxy refused a runtime command; the text has the command and its answer."""


@dataclass(frozen=True, slots=True)
class RuntimeServer:
    """A server line as HAProxy has it at the moment."""

    max_connections: int
    ready: bool
    """False: it is drained or in maintenance and takes no new call."""
    in_flight: int


@dataclass(frozen=True, slots=True)
class RuntimeBackend:
    servers: dict[str, RuntimeServer]
    queued: int
    total: int


class AdminSocket:
    """Every method raises Unavailable where HAProxy cannot be reached."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, command: str) -> str:
        """The answer to one command, whatever it says."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(str(self._path))
                try:
                    writer.write(command.encode() + b"\n")
                    await writer.drain()
                    return (await reader.read(-1)).decode(errors="replace").strip()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as cause:
            raise Unavailable(f"HAProxy does not answer on {self._path}: {cause or 'timeout'}") from cause

    async def tell(self, command: str, *, says: str = "") -> None:
        """A command whose answer must be, or begin with, `says`. Raises CommandFailed."""
        answer = await self.ask(command)
        if answer != says and not (says and answer.startswith(says)):
            raise CommandFailed(f"{command.splitlines()[0]}: {answer or 'no answer'}")

    async def fingerprint(self) -> str:
        """Of the configuration that runs (render.Rendering.fingerprint); empty where it is not one of ours."""
        for line in (await self.ask("show info")).splitlines():
            key, _, value = line.partition(": ")
            if key == "description":
                return value
        return ""

    async def backends(self) -> dict[str, RuntimeBackend]:
        """All of them with their servers, read at one moment."""
        return parse_stat(await self.ask("show stat -1 6 -1"))

    async def map_pairs(self, name: str) -> list[tuple[str, str]]:
        """Keys and values in the order of matching."""
        return parse_map(await self.ask(f"show map {name}"))

    async def replace_map(self, name: str, pairs: Iterable[tuple[str, str]]) -> None:
        """All at once for whoever looks something up: the new content is prepared aside, then committed."""
        prepared = await self.ask(f"prepare map {name}")
        version = prepared.removeprefix("New version created: ")
        if not version.isdigit():
            raise CommandFailed(f"prepare map {name}: {prepared}")
        for chunk in _chunks(f"{key} {value}\n" for key, value in pairs):
            await self.tell(f"add map @{version} {name} <<\n{chunk}")
        await self.tell(f"commit map @{version} {name}")


def parse_stat(text: str) -> dict[str, RuntimeBackend]:
    """`show stat` as CSV: rows of servers and, per backend, one named BACKEND. Read every second, mostly for rows of
    backends without a function: so only the columns needed are split off; none before them is ever quoted."""
    header, *rows = text.removeprefix("# ").splitlines()
    names = header.split(",")
    wanted = [names.index(name) for name in ("pxname", "svname", "qcur", "scur", "slim", "stot", "status")]
    backends: dict[str, RuntimeBackend] = {}
    servers: dict[str, dict[str, RuntimeServer]] = {}
    for row in rows:
        if not row:
            continue
        columns = row.split(",", wanted[-1] + 1)
        proxy, server, queued, in_flight, limit, total, status = (columns[index] for index in wanted)
        if server == "BACKEND":
            backends[proxy] = RuntimeBackend(servers.setdefault(proxy, {}), int(queued or 0), int(total or 0))
        else:
            servers.setdefault(proxy, {})[server] = RuntimeServer(
                max_connections=int(limit or 0),
                ready=not status.startswith(("MAINT", "DRAIN")),
                in_flight=int(in_flight or 0),
            )
    return backends


def parse_map(text: str) -> list[tuple[str, str]]:
    """Lines such as `0x55d0c8 key value`."""
    pairs = []
    for line in text.splitlines():
        _, _, entry = line.partition(" ")
        key, _, value = entry.partition(" ")
        if key:
            pairs.append((key, value))
    return pairs


def _chunks(lines: Iterable[str]) -> Iterator[str]:
    """Lines joined to payloads that HAProxy takes in one command."""
    chunk = ""
    for line in lines:
        if chunk and len(chunk.encode()) + len(line.encode()) > PAYLOAD_BYTES:
            yield chunk
            chunk = ""
        chunk += line
    if chunk:
        yield chunk
