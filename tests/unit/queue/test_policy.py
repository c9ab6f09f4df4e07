"""Which outcome leads to success, another attempt or death, and after how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.calls import Attempt
from tidemill.contract.tuning import RetryPolicy
from tidemill.queue.policy import (
    RETRY_AFTER_MOST_S,
    Dead,
    Outcome,
    RetryIn,
    Succeeded,
    backoff_s,
    decide,
    decide_exhausted,
    parse_retry_after_s,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = RetryPolicy(attempts=4, min_wait_s=2.0, max_wait_s=60.0)


def attempts(count: int, *, carried: bool = True) -> list[Attempt]:
    return [Attempt(number, NOW, 0.1, 500, "failed", carried) for number in range(1, count + 1)]


def after(outcome: Outcome, count: int = 1, *, random: float = 0.5, policy: RetryPolicy = POLICY) -> object:
    return decide(outcome, attempts(count, carried=outcome.carried), policy, now=NOW, random=random)


@pytest.mark.parametrize("status", [200, 202, 204, 301, 304, 399])
def test_an_answer_below_400_is_success(status: int) -> None:
    """Redirects are answers: nobody follows them."""
    assert after(Outcome(status)) == Succeeded()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 501])
def test_what_cannot_succeed_is_given_up_at_once(status: int) -> None:
    """A function's own answer that is no retry code."""
    decision = after(Outcome(status))
    assert isinstance(decision, Dead) and decision.code == "gave_up"
    assert str(status) in decision.reason


@pytest.mark.parametrize(
    "outcome",
    [
        *(Outcome(status) for status in (408, 429, 500, 502, 503, 504)),
        Outcome(None, reason="the connection was closed"),
        *(Outcome(status, internal=True) for status in (404, 429, 500, 501, 503, 504)),
    ],
)
def test_what_may_succeed_is_tried_again(outcome: Outcome) -> None:
    """Retry codes, no answer, and what the platform itself answered."""
    assert isinstance(after(outcome), RetryIn)


@pytest.mark.parametrize("status", [400, 413])
def test_the_platforms_own_refusals_of_the_request_are_final(status: int) -> None:
    """Another attempt sends the same request."""
    assert isinstance(after(Outcome(status, internal=True)), Dead)


def test_the_last_attempt_is_followed_by_death() -> None:
    """With the number of attempts and the last reason."""
    assert isinstance(after(Outcome(500), 3), RetryIn)
    decision = after(Outcome(500), 4)
    assert decision == Dead("4 of 4 attempts failed; the last one: failed", "attempts_used_up")


def test_being_turned_away_by_the_platform_uses_a_larger_budget() -> None:
    """Ten times the attempts; and the function's own attempts are not touched by it."""
    turned_away = Outcome(503, internal=True)
    assert isinstance(after(turned_away, 39), RetryIn)
    assert isinstance(after(turned_away, 40), Dead)
    mixed = [*attempts(30, carried=False), *attempts(3)]
    assert decide_exhausted(mixed, POLICY) is None


def test_an_empty_history_is_not_exhausted() -> None:
    """A first delivery is always attempted."""
    assert decide_exhausted([], POLICY) is None


@given(attempt=st.integers(0, 5000), low=st.floats(0, 100), high=st.floats(0, 1000), dice=st.floats(0, 1))
def test_backoff_stays_within_its_bounds(attempt: int, low: float, high: float, dice: float) -> None:
    """Never negative, never above the cap, whatever the attempt."""
    high = max(low, high)
    assert 0 <= backoff_s(attempt, min_wait_s=low, max_wait_s=high, random=dice) <= high


@given(st.integers(1, 20))
def test_backoff_doubles_up_to_the_cap(attempt: int) -> None:
    """Full jitter: the dice scale the bound."""
    bound = backoff_s(attempt, min_wait_s=1.0, max_wait_s=100.0, random=1.0)
    assert bound == min(100.0, 2.0 ** (attempt - 1))
    assert backoff_s(attempt, min_wait_s=1.0, max_wait_s=100.0, random=0.25) == bound / 4


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_replaces_the_computed_delay(status: int) -> None:
    """No shorter than min_wait, no longer than a day."""
    for text, expected in (("30", 30.0), ("0", 2.0), ("99999999", RETRY_AFTER_MOST_S)):
        assert after(Outcome(status, retry_after=text)) == RetryIn(expected)


def test_retry_after_counts_on_429_and_503_only() -> None:
    """On a 500 it means nothing."""
    assert after(Outcome(500, retry_after="30"), random=1.0) == RetryIn(2.0)


def test_retry_after_may_be_a_date() -> None:
    """An HTTP date in the future, in the past, and nonsense."""
    future = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    assert parse_retry_after_s(future, NOW) == 90.0
    assert parse_retry_after_s(format_datetime(NOW - timedelta(hours=1), usegmt=True), NOW) == 0.0
    assert parse_retry_after_s("soon", NOW) is None


@given(st.text())
def test_no_text_in_retry_after_is_fatal(text: str) -> None:
    """It comes from a function: anything may stand there."""
    delay = parse_retry_after_s(text, NOW)
    assert delay is None or delay >= 0


@given(
    status=st.one_of(st.none(), st.integers(100, 599)),
    internal=st.booleans(),
    count=st.integers(1, 60),
    retry_after=st.one_of(st.none(), st.text(max_size=8)),
    dice=st.floats(0, 1, exclude_max=True),
)
def test_every_outcome_has_a_decision(
    status: int | None, internal: bool, count: int, retry_after: str | None, dice: float
) -> None:
    """And no call lives for ever: with the attempts used up nothing is tried again."""
    outcome = Outcome(status, internal, retry_after)
    decision = decide(outcome, attempts(count, carried=outcome.carried), POLICY, now=NOW, random=dice)
    if isinstance(decision, RetryIn):
        assert 0 <= decision.delay_s <= RETRY_AFTER_MOST_S
        assert count < (POLICY.attempts if outcome.carried else POLICY.attempts * 10)
