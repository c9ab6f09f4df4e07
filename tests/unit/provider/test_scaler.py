"""The loop around the elastic decisions."""

from __future__ import annotations

import pytest

from tests.unit.provider.conftest import Provider
from tidemill.contract.errors import Unavailable
from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Load
from tidemill.lib.log import Logger
from tidemill.provider.scaler import Scaler

HELLO = FunctionRef("hello")


@pytest.fixture
def scaler(provider: Provider) -> Scaler:
    return Scaler(
        functions=provider.functions,
        traffic=provider.traffic,
        background=provider.background,
        log=Logger("control", stream=provider.log),
    )


async def test_slots_follow_the_load(provider: Provider, scaler: Scaler) -> None:
    """More servers at the edge while calls wait, up to scale.max; one again after a quiet while."""
    await provider.deploy(labels={"com.openfaas.scale.max": "3"})
    provider.traffic.loads[HELLO] = Load(in_flight=4, queued=10, total=20)
    for look in range(6):
        assert await scaler.look(0.2 * look)
        await provider.background.idle()
    assert len(provider.traffic.targets[HELLO].servers) == 3
    provider.traffic.loads[HELLO] = Load(in_flight=0, queued=0, total=20)
    for second in range(2, 80):
        await scaler.look(float(second))
        await provider.background.idle()
    assert len(provider.traffic.targets[HELLO].servers) == 1
    assert not await scaler.look(100.0)


async def test_a_function_wanted_at_rest_keeps_its_replica(provider: Provider, scaler: Scaler) -> None:
    """However long nobody calls."""
    await provider.deploy()
    for second in range(100):
        await scaler.look(float(second))
        await provider.background.idle()
    assert (await provider.status())["availableReplicas"] == 1


async def test_a_function_with_none_at_rest_goes_to_zero(provider: Provider, scaler: Scaler) -> None:
    """Its slot stays in the picture for the next call."""
    await provider.deploy(labels={"com.openfaas.scale.min": "0"})
    assert (await provider.status())["availableReplicas"] == 1
    for second in range(40):
        await scaler.look(float(second))
        await provider.background.idle()
    assert (await provider.status())["replicas"] == 0
    assert len(provider.traffic.targets[HELLO].servers) == 1


async def test_a_function_is_left_alone_while_it_is_being_changed(provider: Provider, scaler: Scaler) -> None:
    """A slow drain does not pile up decisions."""
    await provider.deploy()
    provider.traffic.loads[HELLO] = Load(in_flight=4, queued=10, total=20)
    provider.traffic.drained.clear()
    for look in range(10):
        await scaler.look(0.2 * look)
    provider.traffic.drained.set()
    await provider.background.idle()
    assert len(provider.traffic.targets[HELLO].servers) == 2


async def test_an_edge_that_is_away_is_no_reason_to_stop(provider: Provider, scaler: Scaler) -> None:
    """Nothing is decided without a look."""
    await provider.deploy()
    provider.traffic.reachable = False
    with pytest.raises(Unavailable):
        await provider.traffic.load()
    assert not await scaler.look(0.0)
