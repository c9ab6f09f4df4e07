"""What is done in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.names import FunctionRef
from tidemill.provider.plan import (
    Announce,
    Drop,
    Forget,
    Plan,
    Put,
    Remember,
    Route,
    Start,
    Stop,
    make_spec,
    plan_deploy,
    plan_remove,
    plan_resize,
    plan_scale,
    plan_undo,
)
from tidemill.provider.records import FunctionRecord

REF = FunctionRef("hello")


def record(image: str = "hello:1", replicas: int = 1, **fields: Any) -> FunctionRecord:
    deployment = FunctionDeployment("hello", image, **fields)
    spec = make_spec(
        deployment,
        kind="python3-http",
        python=Path("/envs/a/bin/python"),
        env_hash="a",
        preload=(),
        source_digest=image,
        functions_dir=Path("/functions"),
        secrets={},
        secret_digests={},
        platform_environ={"OPENFAAS_NAME": "hello"},
        uid=None,
    )
    return FunctionRecord(deployment, image, spec, replicas, datetime(2026, 1, 1, tzinfo=UTC))


ONE, TWO = record(), record("hello:2")


def test_a_new_function() -> None:
    """It is ready before anybody is told of it."""
    assert plan_deploy(ONE, None) == Plan(
        (Put(ONE.spec, 1), Start(ONE.spec, 0), Route(REF, ONE, 1), Remember(ONE), Announce())
    )


def test_an_update_drops_the_old_version_last() -> None:
    """And keeps the slots that load called for, within the new maximum."""
    plan = plan_deploy(TWO, ONE, current_slots=9)
    assert (plan.steps[0], plan.steps[2]) == (Put(TWO.spec, 4), Route(REF, TWO, 4))
    assert plan.later == (Drop(ONE.spec),)


def test_more_than_one_replica_at_rest() -> None:
    """The first one decides; the others follow."""
    three = replace(ONE, replicas=3)
    plan = plan_deploy(three, None)
    assert [step for step in plan.steps if isinstance(step, Start)] == [Start(three.spec, 0)]
    assert plan.later == (Start(three.spec, 1), Start(three.spec, 2))


def test_none_at_rest_still_has_to_be_able_to_start() -> None:
    """A broken handler is found at deploy, not at the first call."""
    assert Start(ONE.spec, 0) in plan_deploy(replace(ONE, replicas=0), None).steps


@pytest.mark.parametrize(
    ("current", "routed", "steps"),
    [
        (None, False, (Drop(TWO.spec),)),
        (None, True, (Route(REF, None, 0), Drop(TWO.spec))),
        (ONE, True, (Route(REF, ONE, 2), Drop(TWO.spec))),
        (TWO, True, (Route(REF, TWO, 2),)),
    ],
)
def test_undo(current: FunctionRecord | None, routed: bool, steps: Any) -> None:
    """Nothing of the failed version stays, and nothing of the old one goes."""
    slots = 2 if current else 0
    assert plan_undo(TWO, current, current_slots=slots, routed=routed) == steps


def test_scale_down_stops_what_is_too_many_later() -> None:
    """Once the edge sends nothing there any more."""
    one = replace(ONE, replicas=1)
    plan = plan_scale(replace(ONE, replicas=3), replicas=1, current_slots=3)
    assert plan.steps == (Put(ONE.spec, 1), Start(ONE.spec, 0), Route(REF, one, 1), Remember(one), Announce())
    assert plan.later == (Stop(ONE.spec, 1), Stop(ONE.spec, 2))


def test_scale_to_zero_keeps_slot_0_bound() -> None:
    """Its replica goes, its socket stays in the picture."""
    zero = replace(ONE, replicas=0)
    plan = plan_scale(ONE, replicas=0, current_slots=1)
    assert plan == Plan((Put(ONE.spec, 1), Route(REF, zero, 1), Remember(zero), Announce()), (Stop(ONE.spec, 0),))


def test_resize() -> None:
    """Up: bound and routed. Down: routed, then stopped. To nothing: stopped."""
    assert plan_resize(ONE, wanted=3, current_slots=1) == Plan((Put(ONE.spec, 3), Route(REF, ONE, 3)))
    assert plan_resize(ONE, wanted=1, current_slots=3) == Plan(
        (Route(REF, ONE, 1),), (Stop(ONE.spec, 1), Stop(ONE.spec, 2))
    )
    assert plan_resize(ONE, wanted=0, current_slots=1) == Plan((), (Stop(ONE.spec, 0),))


def test_remove_forgets_first() -> None:
    """What is not recorded does not come back."""
    assert plan_remove(ONE) == Plan((Forget(REF), Announce(), Route(REF, None, 0)), (Drop(ONE.spec),))


@pytest.mark.parametrize(
    "other",
    [
        record("hello:2"),
        record(env_vars={"A": "1"}),
        record(env_vars={"exec_timeout": "5s"}),
        record(limits={"memory": "64Mi"}),
        record(annotations={"com.tidemill.threads": "2"}),
        record(annotations={"com.tidemill.max-body": "1Ki"}),
    ],
)
def test_a_version_changes_with_all_that_a_replica_could_tell_apart(other: FunctionRecord) -> None:
    """Source, environment, limits, threads."""
    assert other.version != ONE.version


@pytest.mark.parametrize(
    "other", [record(labels={"com.openfaas.scale.max": "9"}), record(annotations={"com.tidemill.route": "GET /x"})]
)
def test_a_version_does_not_change_with_what_concerns_the_edge_only(other: FunctionRecord) -> None:
    """A new route restarts nothing."""
    assert other.version == ONE.version


def test_a_spec_has_everything_in_the_units_of_the_spawner() -> None:
    """Durations in seconds, memory in bytes; the user's variables win over the platform's."""
    spec = record(
        env_vars={"exec_timeout": "90s", "write_timeout": "10s", "OPENFAAS_NAME": "mine"},
        limits={"memory": "64Mi", "cpu": "250m"},
        annotations={"com.tidemill.max-body": "1Ki"},
    ).spec
    assert (spec.exec_timeout_s, spec.grace_s, spec.memory_bytes, spec.cpu_cores) == (90, 10, 64 << 20, 0.25)
    assert spec.max_body_bytes == 1024
    assert spec.environ["OPENFAAS_NAME"] == "mine"
    assert spec.source_dir == f"/functions/openfaas-fn/hello/{spec.version}"


def test_a_record_survives_its_document() -> None:
    """JSON and back."""
    full = record(labels={"a": "b"}, annotations={"com.tidemill.route": "GET /x"}, secrets=("s",))
    assert FunctionRecord.from_document(full.as_document()) == full
