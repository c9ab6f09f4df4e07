"""A warm hello through the edge beside the same replica called directly, one call at a time."""

from __future__ import annotations

import statistics

from bench.client import latencies_s
from bench.figures import Row, Target
from bench.harness import Bench, Case
from bench.http import Address, Request
from bench.peers.function_server import function_server

CALLS = 2000
"""A round: about half a second a side, and a steady median."""


def run(bench: Bench) -> list[Row]:
    stack = bench.stack
    direct = Address(socket=stack.replica_socket(b"hello, "))
    with function_server(bench.scratch("function-server")) as by_tcp:
        samples = bench.interleave(
            {
                "edge": lambda: p50_ms(stack.edge, Request("/function/hello")),
                "direct": lambda: p50_ms(direct, Request("/")),
                "direct by TCP": lambda: p50_ms(by_tcp, Request("/")),
            }
        )
    return [
        Row(
            case=CASE.name,
            what="warm call through the edge / function server directly, c=1, p50",
            unit="ms",
            target=Target(floor=1.5, aim=1.15, at_most=True),
            ours=samples["edge"],
            peer=samples["direct"],
            conditions=f"edge by TCP, the same replica by its unix socket; {CALLS} calls a round, one connection",
        ),
        Row(
            case=CASE.name,
            what="the same, the function server directly by TCP as well",
            unit="ms",
            target=None,
            ours=samples["edge"],
            peer=samples["direct by TCP"],
            conditions="by TCP: the same function server and handler on a port, in a process of its own",
        ),
    ]


def p50_ms(address: Address, request: Request) -> float:
    return statistics.median(latencies_s(address, request, count=CALLS)) * 1000


CASE = Case("warm_latency", run, limit_s=120)
