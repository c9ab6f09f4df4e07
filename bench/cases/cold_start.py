"""A function scaled to zero, to the first byte of its answer, beside a plain start of the same handler."""

from __future__ import annotations

from bench.client import first_byte_s
from bench.figures import Row, Target
from bench.harness import Bench, Case
from bench.http import Request
from bench.peers.plain_start import plain_start_s

FUNCTION = "imports"


def run(bench: Bench) -> list[Row]:
    folder = bench.scratch("plain-start")

    def cold_ms() -> float:
        bench.stack.scale(FUNCTION, 0)
        return first_byte_s(bench.stack.edge, Request(f"/function/{FUNCTION}")) * 1000

    samples = bench.interleave({"cold": cold_ms, "plain": lambda: plain_start_s(folder) * 1000})
    return [
        Row(
            case=CASE.name,
            what="scaled to zero → first byte / plain start of the same handler",
            unit="ms",
            target=Target(floor=1 / 8, aim=1 / 25, at_most=True),
            ours=samples["cold"],
            peer=samples["plain"],
            conditions="the handler imports pymongo, minio and nats; the plain start has compiled modules, warm "
            "files and a socket that listens already",
        )
    ]


CASE = Case("cold_start", run, limit_s=180)
