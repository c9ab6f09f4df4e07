"""Seconds from `tidemill up` in a used data folder until a deployed function answers."""

from __future__ import annotations

import time

from bench.figures import Row, Target
from bench.harness import Bench, Case
from bench.processes import wait_for

ANSWER_TIMEOUT_S = 60.0


def run(bench: Bench) -> list[Row]:
    stack = bench.fresh_stack("second-run")
    try:
        stack.up()
        stack.deploy()

        def ready_s() -> float:
            stack.down()
            start = time.perf_counter()
            stack.up()
            wait_for(lambda: stack.answers("hello"), what="hello answers", timeout_s=ANSWER_TIMEOUT_S)
            return time.perf_counter() - start

        samples = bench.interleave({"up": ready_s}, warm_up=False)
    finally:
        stack.close()
    return [
        Row(
            case=CASE.name,
            what="second `up` → ready",
            unit="s",
            target=Target(floor=5, aim=2, at_most=True),
            ours=samples["up"],
            conditions="everything installed and three functions deployed before; ends when one of them answers",
        )
    ]


CASE = Case("up_second_run", run, limit_s=600)
