"""Jobs brought to the platform by callers that do not give up, and followed to their ends."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.integration.faults.verdict import Verdict, judge
from tests.support.platform import Platform
from tests.support.waiting import eventually
from tidemill.embedded.credentials import functions_uri
from tidemill.invoke.client import Client, InvokeError
from tidemill.invoke.http1 import Answer

CALLERS = 16
AGAIN_S = 0.05
"""A refused or cut off caller's pause before it tries again."""
HOPELESS_EVERY = 50


def is_hopeless(job: int) -> bool:
    """Whether this job can never succeed, and must end as a dead letter."""
    return job % HOPELESS_EVERY == 7


class Load:
    """`count` jobs for one function. Every other one comes with an Idempotency-Key; the others may be queued twice
    when an answer gets lost, and must have one effect all the same."""

    def __init__(self, platform: Platform, function: str, count: int) -> None:
        self._platform = platform
        self._function = function
        self.count = count
        self.ledger = uuid4().hex
        self.accepted: dict[str, int] = {}
        """Call id → job, for every 202."""
        self.refused: list[Answer] = []
        self.cut_off = 0
        self._states: dict[str, dict[str, Any]] = {}

    @asynccontextmanager
    async def submitting(self) -> AsyncIterator[None]:
        """The callers work while the block does; both are over when it is left."""
        async with Client(self._platform.url) as client, asyncio.TaskGroup() as group:
            jobs = iter(range(self.count))
            for _ in range(CALLERS):
                group.create_task(self._caller(client, jobs))
            yield

    async def _caller(self, client: Client, jobs: Any) -> None:
        for job in jobs:
            accepted = await self._submit(client, job)
            while not accepted:
                await asyncio.sleep(AGAIN_S)
                accepted = await self._submit(client, job)

    async def _submit(self, client: Client, job: int) -> bool:
        """Whether it was accepted."""
        answer = await self._send(client, job)
        if answer is None:
            return False
        if answer.status != 202:
            self.refused.append(answer)
            return False
        self.accepted[answer.header("X-Call-Id") or ""] = job
        return True

    async def _send(self, client: Client, job: int, *headers: tuple[str, str]) -> Answer | None:
        """None where no answer came."""
        body = {"ledger": self.ledger, "job": job, "hopeless": is_hopeless(job)}
        key = [("Idempotency-Key", f"{self.ledger}-{job}")] if job % 2 else []
        target = f"/async-function/{self._function}"
        try:
            return await client.request(
                "POST", target, headers=[*key, *headers], body=json.dumps(body).encode(), timeout_s=20
            )
        except InvokeError:
            self.cut_off += 1
            return None

    async def processed(self, least: int) -> None:
        """Returns when so many jobs had their effect."""

        async def enough() -> bool:
            return len(await asyncio.to_thread(self.effects)) >= least

        await eventually(enough, f"{least} jobs are processed", timeout_s=90)

    async def submitted(self, least: int) -> None:
        async def enough() -> bool:
            return len(self.accepted) >= least

        await eventually(enough, f"{least} jobs are accepted", timeout_s=60)

    async def end(self, *, timeout_s: float = 90.0) -> Verdict:
        """Follows every accepted call until it has ended, or the time is over."""
        async with Client(self._platform.url) as client:

            async def all_ended() -> bool:
                open_ids = [each for each in self.accepted if "ended_at" not in self._states.get(each, {})]
                ids = iter(open_ids)
                await asyncio.gather(*(self._look(client, ids) for _ in range(CALLERS)))
                return all("ended_at" in self._states.get(each, {}) for each in open_ids)

            with suppress(AssertionError):  # the verdict names those that have not
                await eventually(all_ended, "every accepted call has ended", timeout_s=timeout_s)
        states = {call_id: state["state"] for call_id, state in self._states.items()}
        return judge(self.accepted, states, await asyncio.to_thread(self.effects))

    async def _look(self, client: Client, ids: Any) -> None:
        for call_id in ids:
            try:
                answer = await client.request("GET", f"/async-function/{call_id}", timeout_s=20)
            except InvokeError:
                continue
            if answer.status == 200:
                self._states[call_id] = json.loads(answer.body)

    def ends(self) -> Counter[str]:
        return Counter(state["state"] for state in self._states.values())

    def attempts(self) -> int:
        """Of the call that needed most."""
        return max(len(state["attempts"]) for state in self._states.values())

    def effects(self) -> dict[int, int]:
        """Job → how often it was done. Empty while the database is away."""
        client: MongoClient[dict[str, Any]] = MongoClient(
            functions_uri(self._platform.settings), serverSelectionTimeoutMS=1000, socketTimeoutMS=5000
        )
        with client:
            try:
                found = client.get_default_database("tidemill").effects.find({"ledger": self.ledger})
                return {each["job"]: each["effects"] for each in found}
            except PyMongoError:
                return {}
