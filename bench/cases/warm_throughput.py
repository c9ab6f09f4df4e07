"""Warm hellos a second at 16 connections beside gunicorn's threads serving the same handler directly."""

from __future__ import annotations

from collections.abc import Callable

from bench.figures import Row, Target
from bench.harness import Bench, Case
from bench.http import Address, Request
from bench.load import throughput
from bench.peers.gunicorn import THREADS, WORKERS, gunicorn

CONNECTIONS = 16
SECONDS = 3.0

OURS = {"hello": "default prefetch", "hello-one": "max_inflight=1"}
PEERS = {
    f"gunicorn gthread by its guide ({WORKERS} workers × {THREADS} threads)": (WORKERS, THREADS),
    f"one gunicorn gthread worker ({THREADS} threads)": (1, THREADS),
}
TARGET = Target(floor=3, aim=4.5, at_most=False)


def run(bench: Bench) -> list[Row]:
    stack = bench.stack
    folder = bench.scratch("gunicorn")
    guided, single = PEERS.values()
    with (
        gunicorn(folder, workers=guided[0], threads=guided[1]) as by_guide,
        gunicorn(folder, workers=single[0], threads=single[1]) as one_worker,
    ):
        sides = {name: per_s(stack.edge, f"/function/{name}") for name in OURS}
        sides |= dict(zip(PEERS, (per_s(by_guide, "/"), per_s(one_worker, "/")), strict=True))
        samples = bench.interleave(sides)
    return [
        Row(
            case=CASE.name,
            what=f"warm req/s at c={CONNECTIONS}, {label} / {peer}",
            unit="req/s",
            target=TARGET if function == "hello" else None,
            ours=samples[function],
            peer=samples[peer],
            conditions=f"{SECONDS:g} s a round; replicas as deployed by default; every connection kept alive",
        )
        for peer in PEERS
        for function, label in OURS.items()
    ]


def per_s(address: Address, path: str) -> Callable[[], float]:
    return lambda: throughput(address, Request(path), connections=CONNECTIONS, seconds=SECONDS).per_s


CASE = Case("warm_throughput", run, limit_s=300)
