"""What happens to a replica slot: a pure choice from its state and an event; no process and no clock in here.

    idle ──connected, start──► starting ──ready──► ready ──stop──► draining ──exited──► idle
      ▲                           │  └─failed, exited, too slow─┐    │ └─exited young─┐
      │                           ▼                             ▼    ▼                ▼
      └──────── back-off over ──────────────────────────────── failed ◄───────────────┘

While a slot is idle its socket is watched, while it is failed the spawner answers on it; otherwise the replica does
(`attention`). An event of an earlier process of the slot is the runner's to drop, by the process's number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto

START_TIMEOUT_S = 60.0
"""From fork to ready: the time to import the handler, for which a large model may load; it must end some time."""
YOUNG_S = 10.0
"""A replica that dies before this has something wrong with it; later, it is one accident."""
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
KILL_MARGIN_S = 2.0
"""After `grace_s`, within which a replica ends by itself, the spawner ends it."""


class State(StrEnum):
    IDLE = auto()
    STARTING = auto()
    READY = auto()
    DRAINING = auto()
    FAILED = auto()


class Action(Enum):
    FORK = auto()
    TERMINATE = auto()
    """Ask the process to finish its calls and go."""
    KILL = auto()
    LET_GO = auto()
    """The process ends by itself and no longer belongs to the slot; kill it if it takes longer than its grace."""


class Attention(Enum):
    """Who looks after the slot's socket."""

    WATCH = auto()
    """The spawner waits for a connection, and leaves it in the backlog for the replica."""
    REFUSE = auto()
    """The spawner accepts and answers 503."""
    NONE = auto()
    """The replica."""


@dataclass(frozen=True, slots=True)
class Slot:
    state: State = State.IDLE
    since: float = 0.0
    deadline: float | None = None
    """When `DeadlinePassed` is due."""
    restarts: int = 0
    """Processes that ended without being asked."""
    crashes: int = 0
    """Of these, in a row, those that died young or never became ready."""
    reason: str | None = None
    """Why the last one ended, where it should not have."""


@dataclass(frozen=True, slots=True)
class Connected:
    """Somebody is in the backlog of an idle slot."""


@dataclass(frozen=True, slots=True)
class StartAsked:
    pass


@dataclass(frozen=True, slots=True)
class StopAsked:
    pass


@dataclass(frozen=True, slots=True)
class BecameReady:
    pass


@dataclass(frozen=True, slots=True)
class CouldNotStart:
    """The replica said so, or there is no zygote to fork it from."""

    reason: str


@dataclass(frozen=True, slots=True)
class Left:
    """The replica accepts no more, by its own choice."""

    reason: str


@dataclass(frozen=True, slots=True)
class Exited:
    reason: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    pass


Event = Connected | StartAsked | StopAsked | BecameReady | CouldNotStart | Left | Exited | DeadlinePassed
Decision = tuple[Slot, tuple[Action, ...]]


def decide(slot: Slot, event: Event, now: float, *, grace_s: float) -> Decision:
    """The slot after `event`, and what to do, in order. Events that do not concern the state change nothing."""
    match slot.state, event:
        case State.IDLE, Connected() | StartAsked():
            return _start(slot, now)
        case State.FAILED, StartAsked():
            return _start(slot, now)
        case State.FAILED, DeadlinePassed() | StopAsked():
            return replace(slot, state=State.IDLE, since=now, deadline=None), ()
        case State.STARTING, BecameReady():
            return replace(slot, state=State.READY, since=now, deadline=None, reason=None), ()
        case State.STARTING, CouldNotStart(reason):
            return _fail(slot, reason, now), (Action.LET_GO,)
        case State.STARTING, DeadlinePassed():
            return _fail(slot, f"not ready within {START_TIMEOUT_S:g} s of its start", now), (
                Action.KILL,
                Action.LET_GO,
            )
        case State.STARTING, Exited(reason):
            return _fail(slot, f"{reason} before it was ready", now), ()
        case State.STARTING | State.READY, StopAsked():
            draining = replace(slot, state=State.DRAINING, since=now, deadline=now + grace_s + KILL_MARGIN_S)
            return draining, (Action.TERMINATE,)
        case State.READY, Left(reason):
            return _idle_again(slot, reason, now), (Action.LET_GO,)
        case State.READY, Exited(reason):
            return _died(slot, reason, now), ()
        case State.DRAINING, DeadlinePassed():
            return replace(slot, deadline=None), (Action.KILL,)
        case State.DRAINING, Exited():
            return Slot(since=now, restarts=slot.restarts), ()
    return slot, ()


def attention(slot: Slot) -> Attention:
    match slot.state:
        case State.IDLE:
            return Attention.WATCH
        case State.FAILED:
            return Attention.REFUSE
    return Attention.NONE


def delay_s(crashes: int) -> float:
    """How long a slot stays failed after this many in a row: none after the first death, then 0.5 s, doubling."""
    return 0.0 if crashes <= 1 else min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(crashes - 2, 16))


def _start(slot: Slot, now: float) -> Decision:
    return replace(slot, state=State.STARTING, since=now, deadline=now + START_TIMEOUT_S), (Action.FORK,)


def _fail(slot: Slot, reason: str, now: float) -> Slot:
    """It never became ready: no reason to hope that the very next one will."""
    crashes = max(2, slot.crashes + 1)
    return replace(
        slot,
        state=State.FAILED,
        since=now,
        deadline=now + delay_s(crashes),
        restarts=slot.restarts + 1,
        crashes=crashes,
        reason=reason,
    )


def _died(slot: Slot, reason: str, now: float) -> Slot:
    crashes = slot.crashes + 1 if now - slot.since < YOUNG_S else 1
    died = replace(slot, restarts=slot.restarts + 1, crashes=crashes, reason=reason, since=now)
    wait_s = delay_s(crashes)
    if not wait_s:
        return replace(died, state=State.IDLE, deadline=None)
    return replace(died, state=State.FAILED, deadline=now + wait_s)


def _idle_again(slot: Slot, reason: str, now: float) -> Slot:
    return replace(
        slot, state=State.IDLE, since=now, deadline=None, restarts=slot.restarts + 1, crashes=0, reason=reason
    )
