"""What follows from the outcome of an attempt. Pure: no clock, no dice, no broker.

- A status below 400 is an answer: succeeded.
- Another attempt is worth it after a status of the function's retry codes, after no answer at all, and after the
  platform's own 5xx, 404, 408, 425 and 429.
- What the platform turned away before the function had it (its own 404, 429 and 503) comes out of a budget ten times
  as large: a platform that is away for a while must not kill jobs.
- Anything else, such as 400 or 413, cannot succeed: given up at once.

The delay grows exponentially from `min_wait` to `max_wait` with full jitter. `Retry-After` on 429 and 503 takes its
place, no shorter than `min_wait`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tidemill.contract.calls import Attempt, DeathCode
from tidemill.contract.tuning import RetryPolicy

PATIENCE = 10
"""How many attempts that the platform turned away count as one."""
TURNED_AWAY_MOST = 1000
"""Of them at most: each is kept with the call."""
TURNED_AWAY_MIN_WAIT_S = 1.0
"""First delay after such an attempt, where `min_wait` is longer: a restart of ours takes a second."""
RETRY_AFTER_MOST_S = 24 * 3600.0

_TURNED_AWAY = frozenset({404, 429, 503})
_PLATFORM_RETRY = frozenset({404, 408, 425, 429})


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one attempt. `status` None: no answer came, `reason` says why."""

    status: int | None
    internal: bool = False
    """The answer carries the platform's mark: no function made it."""
    retry_after: str | None = None
    reason: str = ""

    @property
    def carried(self) -> bool:
        """Whether the function may have had the call."""
        return not (self.internal and self.status in _TURNED_AWAY)


@dataclass(frozen=True, slots=True)
class Succeeded:
    pass


@dataclass(frozen=True, slots=True)
class RetryIn:
    delay_s: float


@dataclass(frozen=True, slots=True)
class Dead:
    reason: str
    code: DeathCode


Decision = Succeeded | RetryIn | Dead


def decide(
    outcome: Outcome, attempts: Sequence[Attempt], policy: RetryPolicy, *, now: datetime, random: float
) -> Decision:
    """`attempts` ends with this one; `random` is from [0, 1)."""
    if outcome.status is not None and outcome.status < 400:
        return Succeeded()
    if not _is_worth_another(outcome, policy):
        return Dead(f"{describe(outcome)}; another attempt cannot change that", "gave_up")
    if death := decide_exhausted(attempts, policy):
        return death
    return RetryIn(_delay_s(outcome, attempts, policy, now=now, random=random))


def decide_exhausted(attempts: Sequence[Attempt], policy: RetryPolicy) -> Dead | None:
    """Whether there is an attempt left. Also asked before the first one of a delivery, since earlier ones may have
    taken the worker with them."""
    carried = sum(attempt.carried for attempt in attempts)
    turned_away = len(attempts) - carried
    last = attempts[-1].reason if attempts else ""
    if carried >= policy.attempts:
        return Dead(f"{carried} of {policy.attempts} attempts failed; the last one: {last}", "attempts_used_up")
    if turned_away >= min(policy.attempts * PATIENCE, TURNED_AWAY_MOST):
        return Dead(f"the platform could not carry it {turned_away} times; the last time: {last}", "attempts_used_up")
    return None


def describe(outcome: Outcome) -> str:
    """For people: what happened in this attempt."""
    if outcome.status is None:
        return outcome.reason
    who = "the platform" if outcome.internal else "the function"
    return f"{who} answered {outcome.status}" + (f": {outcome.reason}" if outcome.reason else "")


def backoff_s(attempt: int, *, min_wait_s: float, max_wait_s: float, random: float) -> float:
    """Full jitter: anything from nothing to the exponential bound."""
    doublings = min(max(attempt - 1, 0), 62)
    return random * min(max_wait_s, min_wait_s * 2.0**doublings)


def _is_worth_another(outcome: Outcome, policy: RetryPolicy) -> bool:
    if outcome.status is None or outcome.status in policy.codes:
        return True
    return outcome.internal and (outcome.status >= 500 or outcome.status in _PLATFORM_RETRY)


def _delay_s(
    outcome: Outcome, attempts: Sequence[Attempt], policy: RetryPolicy, *, now: datetime, random: float
) -> float:
    if outcome.status in (429, 503) and outcome.retry_after:
        asked = parse_retry_after_s(outcome.retry_after, now)
        if asked is not None:
            return max(policy.min_wait_s, min(asked, RETRY_AFTER_MOST_S))
    same = sum(attempt.carried == outcome.carried for attempt in attempts)
    min_wait_s = policy.min_wait_s if outcome.carried else min(policy.min_wait_s, TURNED_AWAY_MIN_WAIT_S)
    return backoff_s(same, min_wait_s=min_wait_s, max_wait_s=policy.max_wait_s, random=random)


def parse_retry_after_s(text: str, now: datetime) -> float | None:
    """Seconds, or an HTTP date; None where it is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_MOST_S)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now) / timedelta(seconds=1))
