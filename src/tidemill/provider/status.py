"""What GET answers about functions: the record, the backend's replicas and the edge's counts put together."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import monotonic

from tidemill.contract.errors import Unavailable
from tidemill.contract.functions import FunctionStatus
from tidemill.contract.replicas import ReplicaStatus
from tidemill.provider.backends.base import Backend
from tidemill.provider.routing import Live

RUNNING = ("starting", "ready", "failed")
COUNTS_TIMEOUT_S = 1.0
USAGE_SAMPLE_S = 0.1

Counts = Callable[[], Awaitable[Mapping[str, float]]]


class StatusReader:
    """Answers also while the backend or the counts are away: with no replica available and a count of 0."""

    def __init__(self, *, backend: Backend, counts: Counts) -> None:
        self._backend = backend
        self._counts = counts

    async def read(self, functions: Iterable[Live], *, usage: bool = False) -> list[FunctionStatus]:
        replicas, counts = await asyncio.gather(self._replicas(), self._counts())
        cpu = await self._cpu_millicores(replicas) if usage else {}
        return [_status(live, replicas, counts, cpu if usage else None) for live in functions]

    async def _replicas(self) -> list[ReplicaStatus]:
        try:
            return await self._backend.list()
        except Unavailable:
            return []

    async def _cpu_millicores(self, before: list[ReplicaStatus]) -> dict[int, float]:
        """By pid, over a short sample."""
        began = monotonic()
        await asyncio.sleep(USAGE_SAMPLE_S)
        after = {status.pid: status for status in await self._replicas()}
        elapsed = monotonic() - began
        return {
            status.pid: 1000 * _cpu_spent(status, after[status.pid]) / elapsed
            for status in before
            if status.pid is not None and status.pid in after
        }


def http_counts(host: str, port: int) -> Counts:
    """Calls by `name.namespace`, from the service that reads the edge's log."""

    def fetch() -> Mapping[str, float]:
        connection = http.client.HTTPConnection(host, port, timeout=COUNTS_TIMEOUT_S)
        try:
            connection.request("GET", "/counts")
            answer = connection.getresponse()
            body = json.loads(answer.read()) if answer.status == 200 else {}
            return body if isinstance(body, dict) else {}
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()

    async def counts() -> Mapping[str, float]:
        return await asyncio.to_thread(fetch)

    return counts


def _cpu_spent(before: ReplicaStatus, after: ReplicaStatus) -> float:
    return max(0.0, (after.cpu_seconds or 0.0) - (before.cpu_seconds or 0.0))


def _status(
    live: Live, replicas: list[ReplicaStatus], counts: Mapping[str, float], cpu: dict[int, float] | None
) -> FunctionStatus:
    record = live.record
    mine = [status for status in replicas if (status.ref, status.version) == (record.spec.ref, record.version)]
    running = sum(status.state in RUNNING for status in mine)
    return FunctionStatus(
        deployment=record.deployment,
        replicas=max(record.replicas, running),
        available_replicas=sum(status.state == "ready" for status in mine),
        invocation_count=counts.get(str(record.ref), 0),
        created_at=record.created_at,
        usage_cpu_millicores=None if cpu is None else sum(cpu.get(status.pid or 0, 0.0) for status in mine),
        usage_memory_bytes=None if cpu is None else float(sum(status.memory_bytes or 0 for status in mine)),
    )
