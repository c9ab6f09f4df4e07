"""Jobs a second from accepted to processed and acked, both queues filled before the clock starts."""

from __future__ import annotations

import time

from bench.figures import Row, Target
from bench.harness import Bench, Case
from bench.http import Request
from bench.load import send
from bench.peers.celery import celery
from bench.processes import wait_for

JOBS = 3000
"""A round: several seconds for Celery, most of one for us."""
CONNECTIONS = 64
DRAIN_TIMEOUT_S = 60.0
SUBMIT_TIMEOUT_S = 60.0
LOOK_S = 0.02
"""Between two looks at a queue: a look costs the broker little beside hundreds of jobs."""

JOB = b'{"id": "item-1", "key": "photos/item-1.jpg"}'
SUBMIT = Request("/async-function/hello", "POST", {"Content-Type": "application/json"}, JOB)


def run(bench: Bench) -> list[Row]:
    stack = bench.stack
    with celery(bench.scratch("celery"), stack.edge, "/function/hello") as peer, stack.queue() as queue:

        def ours_per_s() -> float:
            with stack.held("worker"):
                send(stack.edge, SUBMIT, connections=CONNECTIONS, count=JOBS, timeout_s=SUBMIT_TIMEOUT_S)
                start = time.perf_counter()
            wait_for(
                lambda: queue.waiting() == 0, what="our queue is empty", timeout_s=DRAIN_TIMEOUT_S, poll_s=LOOK_S
            )
            return JOBS / (time.perf_counter() - start)

        def celery_per_s() -> float:
            peer.hold()
            try:
                peer.submit(JOBS)
                start = time.perf_counter()
            finally:
                peer.release()
            wait_for(
                lambda: peer.waiting() == 0, what="Celery's queue is empty", timeout_s=DRAIN_TIMEOUT_S, poll_s=LOOK_S
            )
            return JOBS / (time.perf_counter() - start)

        samples = bench.interleave({"ours": ours_per_s, "celery": celery_per_s})
        durability = f"ours: {queue.durability()}; Celery: {peer.redis.durability()}, acks_late"
    return [
        Row(
            case=CASE.name,
            what="async: accepted → processed and acked, jobs/s / Celery",
            unit="jobs/s",
            target=Target(floor=6, aim=10, at_most=False),
            ours=samples["ours"],
            peer=samples["celery"],
            conditions=f"{JOBS} jobs accepted while the workers are held, then drained; each is one POST to the same "
            f"Flask handler on the same server; durability: {durability}",
        )
    ]


CASE = Case("async_drain", run, limit_s=600)
