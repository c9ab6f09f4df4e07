"""What every backend promises. Each test takes a `case`: a backend, an image that works and one that does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tidemill.contract.errors import BadRequest, NotFound
from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.replicas import ReplicaSpec
from tidemill.provider.backends.base import Backend
from tidemill.provider.secrets import SecretStore


@dataclass(frozen=True)
class Case:
    backend: Backend
    good: str
    broken: str
    secrets: SecretStore

    async def prepare(self, image: str = "", **fields: Any) -> ReplicaSpec:
        deployment = FunctionDeployment("hello", image or self.good, **fields)
        pinned = await self.backend.pin(deployment.image)
        return await self.backend.prepare(deployment, pinned=pinned, uids=(), uid=None)


class BackendConformance:
    async def test_preparing_again_changes_nothing(self, case: Case) -> None:
        """The same deployment is the same version."""
        assert await case.prepare() == await case.prepare()

    async def test_what_is_not_here_is_named(self, case: Case) -> None:
        """Images and secrets."""
        with pytest.raises(BadRequest, match="nginx"):
            await case.backend.pin("nginx:latest")
        with pytest.raises(BadRequest, match="secret nope"):
            await case.prepare(secrets=("nope",))

    async def test_a_secrets_value_is_part_of_the_version(self, case: Case) -> None:
        """Its path is in the spec, its value is not."""
        case.secrets.create("openfaas-fn", "token", b"one")
        first = await case.prepare(secrets=("token",))
        case.secrets.update("openfaas-fn", "token", b"two")
        assert (await case.prepare(secrets=("token",))).version != first.version
        assert first.secrets == {"token": str(case.secrets.path("openfaas-fn", "token"))}

    async def test_life_of_a_replica(self, case: Case) -> None:
        """Bound, ready, stopped with its socket in place, dropped."""
        backend, spec = case.backend, await case.prepare()
        (idle,) = await backend.put(spec, 1)
        assert (idle.state, idle.slot, idle.version) == ("idle", 0, spec.version)
        ready = await backend.start(spec, 0)
        assert (ready.state, ready.socket) == ("ready", idle.socket)
        assert ready.pid is not None
        assert (await backend.start(spec, 0)).pid == ready.pid
        stopped = await backend.stop(spec, 0)
        assert (stopped.state, stopped.socket, stopped.pid) == ("idle", idle.socket, None)
        await backend.drop(spec.ref, spec.version)
        assert await backend.list() == []

    async def test_slots_are_added_and_never_taken_by_put(self, case: Case) -> None:
        """Asking again answers what is there."""
        backend, spec = case.backend, await case.prepare()
        assert len(await backend.put(spec, 2)) == 2
        three = await backend.put(spec, 3)
        assert len({status.socket for status in three}) == 3
        assert [status.slot for status in await backend.put(spec, 1)] == [0, 1, 2]
        await backend.drop(spec.ref, spec.version)

    async def test_a_version_that_cannot_start_says_why(self, case: Case) -> None:
        """The last line of its traceback."""
        backend, spec = case.backend, await case.prepare(case.broken)
        await backend.put(spec, 1)
        failed = await backend.start(spec, 0)
        assert failed.state == "failed"
        assert "nowhere" in (failed.reason or "")
        await backend.drop(spec.ref, spec.version)

    async def test_what_was_not_put(self, case: Case) -> None:
        """Starting it is an error, dropping it is none."""
        spec = await case.prepare()
        with pytest.raises(NotFound):
            await case.backend.start(spec, 0)
        await case.backend.drop(spec.ref, spec.version)
