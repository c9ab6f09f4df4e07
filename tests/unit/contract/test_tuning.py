"""What labels, annotations and environment ask for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract import tuning
from tidemill.contract.errors import BadRequest
from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.tuning import RetryPolicy, Tuning, retry_policy


def tuned(**parts: Any) -> Tuning:
    return Tuning.of(FunctionDeployment("f", "image", **parts))


def test_nothing_asked_is_the_default() -> None:
    """And empty text asks for nothing, as envsubst leaves it."""
    assert tuned() == Tuning()
    assert tuned(env_vars={"exec_timeout": " "}, labels={tuning.SCALE_MIN: ""}) == Tuning()


def test_everything_can_be_asked() -> None:
    """Each key of the module's table."""
    asked = tuned(
        env_vars={"exec_timeout": "1m30s", "write_timeout": "5s", "max_inflight": "3"},
        labels={tuning.SCALE_MIN: "0", tuning.SCALE_MAX: "7"},
        annotations={
            tuning.ROUTE: "GET /a/{x}",
            tuning.THREADS: "2",
            tuning.PREFETCH: "9",
            tuning.MAX_BODY: "1Mi",
            tuning.QUEUE_INFLIGHT: "5",
            tuning.RETRY_ATTEMPTS: "4",
            tuning.RETRY_CODES: "503, 418",
            tuning.RETRY_MIN_WAIT: "500ms",
            tuning.RETRY_MAX_WAIT: "3s",
        },
    )
    assert [str(route) for route in asked.routes] == ["GET /a/{x}"]
    assert (asked.exec_timeout_s, asked.grace_s, asked.max_inflight) == (90, 5, 3)
    assert (asked.threads, asked.prefetch, asked.max_body_bytes) == (2, 9, 1 << 20)
    assert (asked.scale_min, asked.scale_max, asked.queue_inflight) == (0, 7, 5)
    assert asked.retry == RetryPolicy(4, frozenset({418, 503}), 0.5, 3)


def test_one_thing_follows_from_another() -> None:
    """Grace from the timeout, threads and prefetch from the limit, the most replicas from the least."""
    assert tuned(env_vars={"exec_timeout": "7s"}).grace_s == 7
    limited = tuned(env_vars={"max_inflight": "3"})
    assert (limited.threads, limited.prefetch) == (3, 3)
    assert tuned(env_vars={"max_inflight": "1000"}).threads == tuning.MOST_THREADS
    assert tuned(annotations={tuning.THREADS: "16"}).prefetch == 16
    assert tuned(labels={tuning.SCALE_MIN: "9"}).scale_max == 9
    assert retry_policy({tuning.RETRY_MIN_WAIT: "10m"}).max_wait_s == 600


@pytest.mark.parametrize(
    ("where", "key", "bad"),
    [
        ("env_vars", "exec_timeout", "soon"),
        ("env_vars", "exec_timeout", "0s"),
        ("env_vars", "write_timeout", "0"),
        ("env_vars", "max_inflight", "-1"),
        ("env_vars", "max_inflight", "²"),
        ("labels", tuning.SCALE_MIN, "many"),
        ("labels", tuning.SCALE_MAX, "0"),
        ("labels", tuning.SCALE_MAX, "65"),
        ("annotations", tuning.ROUTE, "GET items"),
        ("annotations", tuning.THREADS, "0"),
        ("annotations", tuning.PREFETCH, "1001"),
        ("annotations", tuning.MAX_BODY, "ten"),
        ("annotations", tuning.QUEUE_INFLIGHT, "0"),
        ("annotations", tuning.RETRY_ATTEMPTS, "0"),
        ("annotations", tuning.RETRY_CODES, "503,teapot"),
        ("annotations", tuning.RETRY_CODES, ","),
        ("annotations", tuning.RETRY_CODES, "99"),
        ("annotations", tuning.RETRY_MIN_WAIT, "1 day"),
        ("annotations", tuning.RETRY_MAX_WAIT, "x"),
    ],
)
def test_a_typo_is_named(where: str, key: str, bad: str) -> None:
    """It must not quietly become a default."""
    with pytest.raises(BadRequest, match=key.replace(".", r"\.") if key != tuning.ROUTE else "route"):
        tuned(**{where: {key: bad}})


def test_a_bad_route_names_the_annotation() -> None:
    """Like any other bad value."""
    with pytest.raises(BadRequest, match=r"com\.tidemill\.route: "):
        tuned(annotations={tuning.ROUTE: "GET items"})


def test_waits_must_be_in_order() -> None:
    """A longest wait below the first one is a contradiction."""
    with pytest.raises(BadRequest, match="max_wait"):
        retry_policy({tuning.RETRY_MIN_WAIT: "10s", tuning.RETRY_MAX_WAIT: "1s"})


def test_the_least_replicas_must_not_be_above_the_most() -> None:
    """Both are named."""
    with pytest.raises(BadRequest, match=r"scale\.min.*scale\.max"):
        tuned(labels={tuning.SCALE_MIN: "5", tuning.SCALE_MAX: "2"})


@given(st.text(), st.sampled_from(["env", "label", "annotation"]))
def test_no_value_breaks_the_reading(text: str, where: str) -> None:
    """A tuning within its bounds, or a BadRequest."""
    try:
        found = tuned(
            env_vars={"exec_timeout": text, "max_inflight": text} if where == "env" else {},
            labels={tuning.SCALE_MIN: text} if where == "label" else {},
            annotations={tuning.THREADS: text, tuning.RETRY_CODES: text} if where == "annotation" else {},
        )
    except BadRequest:
        return
    assert found.exec_timeout_s > 0 and found.scale_min <= found.scale_max
