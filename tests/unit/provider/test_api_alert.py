"""Alertmanager's webhook."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.provider.conftest import Provider
from tidemill.contract.tuning import Tuning
from tidemill.provider.api.alert import alert_factor, alert_replicas


def alert(status: str, name: str = "hello.openfaas-fn") -> dict[str, Any]:
    return {"status": status, "labels": {"alertname": "APIHighInvocationRate", "function_name": name}}


async def test_firing_scales_up_and_resolved_goes_back(provider: Provider) -> None:
    """A tenth of the maximum at a time."""
    await provider.deploy(labels={"com.openfaas.scale.max": "20"})
    for status, expected in (("firing", 3), ("firing", 5), ("resolved", 1)):
        body = {"status": status, "receiver": "x", "alerts": [alert(status)]}
        assert (await provider.client.post("/system/alert", json=body)).status_code == 200
        assert (await provider.status())["replicas"] >= expected
        await provider.background.idle()
    assert (await provider.status())["replicas"] == 1


async def test_errors_are_listed(provider: Provider) -> None:
    """The other alerts of the batch are followed."""
    await provider.deploy()
    body = {"alerts": [alert("firing", "nobody"), alert("firing")]}
    answer = await provider.client.post("/system/alert", json=body)
    assert (answer.status_code, "nobody" in answer.json()["error"]) == (500, True)
    assert (await provider.status())["replicas"] == 2


@pytest.mark.parametrize("body", [{}, {"alerts": [{}]}, {"alerts": [{"status": "odd", "labels": {}}]}, []])
async def test_an_unreadable_alert_is_400(provider: Provider, body: Any) -> None:
    """Nothing is scaled."""
    assert (await provider.client.post("/system/alert", json=body)).status_code == 400


@pytest.mark.parametrize(("current", "factor", "expected"), [(1, 10, 2), (4, 10, 4), (1, 100, 4), (1, 0, 1)])
def test_replicas_stay_below_the_maximum(current: int, factor: int, expected: int) -> None:
    """ceil(max / 100 × factor) more, at most the maximum."""
    assert alert_replicas("firing", current=current, factor=factor, tuning=Tuning()) == expected


@pytest.mark.parametrize(("label", "factor"), [("", 10), ("25", 25), ("101", 10), ("x", 10)])
def test_factor(label: str, factor: int) -> None:
    """Out of 0 to 100 is the default."""
    assert alert_factor(label) == factor
