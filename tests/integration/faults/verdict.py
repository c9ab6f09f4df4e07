"""Whether a run kept the promise: every accepted job ends processed or dead-lettered, and none twice in effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Verdict:
    """What went wrong; empty where the promise was kept."""

    lost: list[str] = field(default_factory=list)
    """Accepted calls that did not come to an end."""
    undone: list[int] = field(default_factory=list)
    """Jobs with a call that succeeded, and no effect."""
    doubled: list[int] = field(default_factory=list)
    """Jobs with more than one effect."""

    @property
    def kept(self) -> bool:
        return not (self.lost or self.undone or self.doubled)


def judge(accepted: Mapping[str, int], states: Mapping[str, str], effects: Mapping[int, int]) -> Verdict:
    """`accepted`: call id → job. `states`: call id → state, absent where the platform knows no such call.
    `effects`: job → how often it was done."""
    return Verdict(
        lost=[call_id for call_id in accepted if states.get(call_id) not in ("succeeded", "dead")],
        undone=sorted(
            {job for call_id, job in accepted.items() if states.get(call_id) == "succeeded" and not effects.get(job)}
        ),
        doubled=sorted(job for job, times in effects.items() if times > 1),
    )
