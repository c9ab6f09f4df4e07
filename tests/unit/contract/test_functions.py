"""OpenFaaS function types on the wire."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tidemill.contract.errors import BadRequest, BadStack, DeployFailed, RouteClash, TooManyRequests, Unavailable
from tidemill.contract.functions import FunctionDeployment, FunctionStatus, rfc3339
from tidemill.contract.replicas import ReplicaSpec, ReplicaStatus

FULL: dict[str, Any] = {
    "service": "hello",
    "image": "tidemill.local/hello@sha256:00",
    "namespace": "shop",
    "envProcess": "python index.py",
    "envVars": {"a": "1"},
    "constraints": ["node=1"],
    "secrets": ["key"],
    "labels": {"com.openfaas.scale.max": "3"},
    "annotations": {"com.tidemill.route": "GET /hello"},
    "limits": {"memory": "128Mi", "cpu": "100m"},
    "requests": {"memory": "64Mi"},
    "readOnlyRootFilesystem": True,
}


def test_a_deployment_round_trips() -> None:
    """What a client deploys is what it reads back, string for string."""
    assert FunctionDeployment.from_wire(FULL).as_wire() == FULL


def test_unknown_keys_and_nulls_are_tolerated() -> None:
    """Go clients send null maps and legacy keys."""
    deployment = FunctionDeployment.from_wire(
        {"service": "a", "image": "b", "labels": None, "limits": {"memory": ""}, "network": "func_functions"}
    )
    assert deployment.as_wire() == {"service": "a", "image": "b", "namespace": "openfaas-fn"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"service": ""}, "service"),
        ({"image": None}, "image"),
        ({"service": "No_Label"}, "DNS label"),
        ({"namespace": 5}, "namespace"),
        ({"envVars": {"a": 1}}, "envVars"),
        ({"labels": ["a"]}, "labels"),
        ({"secrets": "one"}, "secrets"),
        ({"limits": {"memory": "much"}}, "limits.memory"),
        ({"requests": {"cpu": "fast"}}, "requests.cpu"),
    ],
)
def test_a_bad_deployment_names_the_field(change: dict[str, Any], names: str) -> None:
    """The message is what faas-cli prints to its user."""
    with pytest.raises(BadRequest, match=names):
        FunctionDeployment.from_wire({**FULL, **change})


def test_a_body_that_is_no_object_is_refused() -> None:
    """A list or a string is not a deployment."""
    with pytest.raises(BadRequest, match="JSON object"):
        FunctionDeployment.from_wire([])


def test_a_status_is_typed_as_go_reads_it() -> None:
    """Timestamps carry a zone, replica counts are integers, absent usage is absent."""
    created = datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=timezone(timedelta(hours=1)))
    deployment = FunctionDeployment.from_wire(FULL)
    wire = FunctionStatus(deployment, 2, 1, 7.0, created).as_wire()
    assert wire["name"] == "hello" and "service" not in wire
    assert wire["createdAt"] == "2026-01-02T02:04:05.123Z"
    assert wire["labels"] == {"com.openfaas.scale.max": "3", "faas_function": "hello"}
    assert "usage" not in wire
    usage = FunctionStatus(deployment, 1, 1, 0, created, usage_cpu_millicores=3.5, usage_memory_bytes=10.0).as_wire()
    assert usage["usage"] == {"cpu": 3.5, "totalMemoryBytes": 10.0}


def test_naive_times_never_reach_the_wire() -> None:
    """faas-cli cannot parse them."""
    with pytest.raises(ValueError, match="naive"):
        rfc3339(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test
    assert rfc3339(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_replica_words_round_trip() -> None:
    """Spawner and provider speak JSON lines of these."""
    spec = ReplicaSpec(
        "a.b", "0" * 12, "python3-http", "/src", "/py", "hash", preload=("pymongo",), environ={"x": "y"}
    )
    assert ReplicaSpec.from_wire({**spec.as_wire(), "preload": ["pymongo"]}) == spec
    status = ReplicaStatus("a.b", "0" * 12, 0, "/s", "idle")
    assert ReplicaStatus.from_wire(status.as_wire()) == status


def test_errors_are_rows_of_one_table() -> None:
    """Code, status, sentence, hint and ids: the wire body of every platform error."""
    assert DeployFailed().as_wire() == {"error": DeployFailed.__doc__, "code": "deploy_failed"}
    body = Unavailable("the broker is down", retry_after_s=2, hint="tidemill status").as_wire(call_id="c1")
    assert body == {
        "error": "the broker is down",
        "code": "unavailable",
        "hint": "tidemill status",
        "call_id": "c1",
    }
    assert str(BadStack("unknown key", file="stack.yml", line=3)) == "stack.yml:3: unknown key"
    assert str(BadStack("not found", file="stack.yml")) == "stack.yml: not found"
    clash = RouteClash("GET /a", holder="x.ns", claimant="y.ns")
    assert "x.ns" in str(clash) and "y.ns" in str(clash)
    assert TooManyRequests().retry_after_s == 1.0
