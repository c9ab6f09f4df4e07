"""What the platform costs while nobody calls it: CPU of the whole tree, and its memory."""

from __future__ import annotations

import time

from bench.figures import Row, Target
from bench.harness import Bench, Case

WATCH_S = 30.0
SETTLE_S = 5.0
"""After the last deployment, or the case before: what it left running ends within it."""


def run(bench: Bench) -> list[Row]:
    stack = bench.stack
    time.sleep(SETTLE_S)
    cpu, memory, processes = [], [], 0
    for _ in range(bench.rounds):
        before, start = stack.usage(), time.monotonic()
        time.sleep(WATCH_S)
        after, passed = stack.usage(), time.monotonic() - start
        cpu.append(100 * (after.cpu_s - before.cpu_s) / passed)
        memory.append(after.pss_bytes / 1e6)
        processes = after.processes
    conditions = f"{WATCH_S:g} s a round; {processes} processes, functions with one replica each included"
    return [
        Row(
            case=CASE.name,
            what="idle: CPU of the whole tree (100 % = one core)",
            unit="%",
            target=Target(floor=2, aim=0.5, at_most=True),
            ours=tuple(cpu),
            conditions=conditions,
        ),
        Row(
            case=CASE.name,
            what="idle: memory of the whole tree (PSS)",
            unit="MB",
            target=Target(floor=600, aim=400, at_most=True),
            ours=tuple(memory),
            conditions=conditions,
        ),
    ]


CASE = Case("idle", run, limit_s=600)
