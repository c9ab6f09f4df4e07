"""Functions over time: restarts, parts that come back, changes that overtake each other."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from tests.unit.provider.conftest import Provider
from tidemill.contract.errors import DeployFailed, Unavailable
from tidemill.contract.names import FunctionRef
from tidemill.lib.log import Logger
from tidemill.provider.background import Background
from tidemill.provider.functions import Functions
from tidemill.provider.routing import Routing

HELLO = FunctionRef("hello")


def restarted(provider: Provider, background: Background) -> Functions:
    """Control anew: only the record, the backend and the edge are the old ones."""
    return Functions(
        backend=provider.backend,
        routing=Routing(provider.traffic),
        store=provider.store,
        namespaces=provider.namespaces,
        announce=_nobody_listens,
        background=background,
        log=Logger("control", stream=provider.log),
    )


async def test_deployed_functions_survive_a_restart_of_everything(provider: Provider) -> None:
    """The record alone brings them back, with the scale that was asked for."""
    await provider.deploy()
    await provider.client.post("/system/scale-function/hello", json={"serviceName": "hello", "replicas": 2})
    await provider.background.idle()
    before = provider.traffic.targets
    provider.backend.restart()
    provider.traffic.targets = {}
    functions = restarted(provider, provider.background)
    await functions.reconcile()
    assert provider.traffic.targets == before
    assert functions.get(HELLO).record == provider.functions.get(HELLO).record
    await functions.warm(functions.get(HELLO).record)
    assert [status.state for status in await provider.backend.list()] == ["ready", "ready"]


async def test_what_nobody_asked_for_is_dropped(provider: Provider) -> None:
    """A version whose deployment was cut off by a crash does not stay."""
    await provider.deploy()
    await provider.deploy("other")
    await provider.store.delete("other.openfaas-fn")
    functions = restarted(provider, provider.background)
    await functions.reconcile()
    assert {ref for ref, _ in provider.backend.puts} == {"hello.openfaas-fn"}


async def test_a_changed_secret_is_picked_up_by_a_restart(provider: Provider) -> None:
    """The platform's own credentials may have changed while it was down."""
    provider.secrets.create("openfaas-fn", "token", b"one")
    await provider.deploy(secrets=["token"])
    provider.secrets.update("openfaas-fn", "token", b"two")
    functions = restarted(provider, provider.background)
    await functions.reconcile()
    assert functions.get(HELLO).record.version != provider.functions.get(HELLO).record.version
    assert (await provider.store.all())["hello.openfaas-fn"]["spec"]["version"] == functions.get(HELLO).record.version


async def test_a_tag_that_moved_changes_nothing_by_itself(provider: Provider) -> None:
    """What was deployed comes back after a restart, not what was built since under the same name."""
    provider.backend.tags["hello:latest"] = "hello:1"
    await provider.deploy(image="hello:latest")
    provider.backend.tags["hello:latest"] = "broken:1"
    functions = restarted(provider, provider.background)
    await functions.reconcile()
    assert functions.get(HELLO).record == provider.functions.get(HELLO).record
    assert (await provider.status())["image"] == "hello:latest"


async def test_a_function_that_cannot_be_prepared_does_not_hold_up_the_others(provider: Provider) -> None:
    """It comes back as it was recorded."""
    await provider.deploy()
    await provider.deploy("other", image="hello:2")
    provider.backend.images = {"hello:2": None}
    functions = restarted(provider, provider.background)
    await functions.reconcile()
    assert [str(live.record.ref) for live in functions.all()] == ["hello.openfaas-fn", "other.openfaas-fn"]


async def test_a_record_that_cannot_be_read_does_not_hold_up_the_others(provider: Provider) -> None:
    """It is logged and left alone."""
    await provider.deploy()
    await provider.store.put("odd.openfaas-fn", {"deployment": {}})
    functions = restarted(provider, provider.background)
    await functions.reconcile()
    assert [str(live.record.ref) for live in functions.all()] == ["hello.openfaas-fn"]
    assert b"odd.openfaas-fn" in provider.log.getvalue()
    assert "odd.openfaas-fn" in await provider.store.all()


async def test_a_function_that_cannot_be_put_is_tried_again(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile it is shown with no replica, and the others are served."""

    async def refuse(*_: object) -> NoReturn:
        raise DeployFailed("the interpreter is gone")

    await provider.deploy()
    provider.backend.restart()
    functions = restarted(provider, provider.background)
    with monkeypatch.context() as broken:
        broken.setattr(provider.backend, "put", refuse)
        await functions.reconcile()
    assert functions.get(HELLO).slots == 0
    await functions.heal()
    assert functions.get(HELLO).slots == 1


async def test_a_scaling_that_cannot_be_recorded_is_taken_back(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is shown is what a restart would bring back."""

    async def refuse(*_: object) -> NoReturn:
        raise Unavailable

    await provider.deploy()
    monkeypatch.setattr(provider.store, "put", refuse)
    with pytest.raises(Unavailable):
        await provider.functions.scale(HELLO, 3)
    assert provider.functions.get(HELLO).record.replicas == 1
    assert len(provider.traffic.targets[HELLO].servers) == 1


async def test_a_spawner_that_restarted_is_told_everything_again(provider: Provider) -> None:
    """And its replicas are started."""
    await provider.deploy()
    provider.backend.restart()
    await provider.functions.heal()
    (status,) = await provider.backend.list()
    assert (status.ref, status.state) == ("hello.openfaas-fn", "ready")
    pictures = len(provider.traffic.pictures)
    await provider.functions.heal()
    assert len(provider.traffic.pictures) == pictures


async def test_an_edge_that_was_away_at_the_start_is_told_later(fresh: Provider) -> None:
    """The start does not wait for it for ever."""
    from tidemill.provider import routing

    fresh.traffic.reachable = False
    original, routing.EDGE_PATIENCE_S = routing.EDGE_PATIENCE_S, 0.0
    try:
        await fresh.functions.reconcile()
    finally:
        routing.EDGE_PATIENCE_S = original
    assert fresh.functions.loaded
    fresh.traffic.reachable = True
    await fresh.functions.heal()
    assert fresh.traffic.pictures == [{}]


async def test_the_old_version_stays_until_its_calls_have_ended(provider: Provider) -> None:
    """Only then is it dropped."""
    await provider.deploy()
    old = next(iter(provider.backend.puts))
    provider.traffic.drained.clear()
    update = asyncio.create_task(provider.deploy(image="hello:2"))
    await asyncio.wait_for(provider.traffic.draining.wait(), 20)
    assert old in provider.backend.puts
    provider.traffic.drained.set()
    assert (await update).status_code == 202
    await provider.background.idle()
    assert old not in provider.backend.puts


async def test_a_way_back_overtakes_the_end_of_the_old_version(provider: Provider) -> None:
    """1 → 2 → 1 while calls at 1 go on: version 1 is not dropped under the feet of the second deployment."""
    from tidemill.provider import deployer

    await provider.deploy()
    first = next(iter(provider.backend.puts))
    original, deployer.ROUTE_PATIENCE_S = deployer.ROUTE_PATIENCE_S, 0.01
    provider.traffic.drained.clear()
    try:
        await provider.deploy(image="hello:2")
        await provider.deploy(image="hello:1")
    finally:
        deployer.ROUTE_PATIENCE_S = original
    provider.traffic.drained.set()
    await provider.background.idle()
    assert list(provider.backend.puts) == [first]
    assert (await provider.status())["availableReplicas"] == 1


async def test_deployments_of_one_function_wait_for_each_other(provider: Provider) -> None:
    """Whatever their order, one version is left, and it is the one the edge knows."""
    await asyncio.gather(*(provider.deploy(image=f"hello:{1 + number % 2}") for number in range(6)))
    await provider.background.idle()
    ((_, version),) = provider.backend.puts
    (server,) = provider.traffic.targets[HELLO].servers
    assert server.name == f"{version}-0"


async def test_of_two_functions_that_claim_a_route_at_once_one_gets_it(provider: Provider) -> None:
    """The claim counts from the beginning of a deployment."""
    answers = await asyncio.gather(
        *(provider.deploy(name, annotations={"com.tidemill.route": "GET /x"}) for name in ("one", "two"))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 400]


async def test_slots_that_load_called_for_stay_through_an_update(provider: Provider) -> None:
    """A rolling update under load does not fall back to one slot."""
    await provider.deploy()
    await provider.functions.resize(HELLO, 3)
    await provider.deploy(image="hello:2")
    assert len(provider.traffic.targets[HELLO].servers) == 3


async def _nobody_listens() -> None:
    return
