"""The cases, in the order of the table."""

from __future__ import annotations

from bench.cases import async_accept, async_drain, cold_start, idle, up_second_run, warm_latency, warm_throughput
from bench.harness import Case

CASES: dict[str, Case] = {
    module.CASE.name: module.CASE
    for module in (warm_latency, warm_throughput, cold_start, async_drain, async_accept, up_second_run, idle)
}
