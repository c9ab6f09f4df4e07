"""202s a second at 64 clients, each after fsync, beside a door that publishes each request alone."""

from __future__ import annotations

from bench.figures import Row, Target
from bench.harness import Bench, Case
from bench.http import Address, Request
from bench.load import throughput
from bench.peers.publish_door import DURABILITY, publish_door
from bench.processes import wait_for

CLIENTS = 64
SECONDS = 1.0
"""A round; what it accepted is worked off before the next one, outside the clock."""
DRAIN_TIMEOUT_S = 60.0
LOOK_S = 0.1
JOB = b'{"id": "item-1", "key": "photos/item-1.jpg"}'
SUBMIT = Request("/async-function/hello", "POST", {"Content-Type": "application/json"}, JOB)


def run(bench: Bench) -> list[Row]:
    stack = bench.stack
    with publish_door(bench.scratch("publish-door")) as peer, stack.queue() as queue:

        def per_s(address: Address) -> float:
            return throughput(address, SUBMIT, connections=CLIENTS, seconds=SECONDS).per_s

        def ours_per_s() -> float:
            with stack.held("worker"):
                rate = per_s(stack.edge)
            wait_for(
                lambda: queue.waiting() == 0, what="our queue is empty", timeout_s=DRAIN_TIMEOUT_S, poll_s=LOOK_S
            )
            return rate

        samples = bench.interleave({"ours": ours_per_s, "peer": lambda: per_s(peer)})
        durability = f"ours: {queue.durability()}; peer: {DURABILITY}"
    return [
        Row(
            case=CASE.name,
            what=f"async accept/s at {CLIENTS} clients / one JetStream publish per request",
            unit="req/s",
            target=Target(floor=3, aim=6, at_most=False),
            ours=samples["ours"],
            peer=samples["peer"],
            conditions=f"{SECONDS:g} s a round; ours through the edge, the peer directly; our worker is held, the "
            f"peer has none; durability: {durability}",
        )
    ]


CASE = Case("async_accept", run, limit_s=400)
