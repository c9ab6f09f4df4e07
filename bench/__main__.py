"""`python -m bench [--only NAME …] [--rounds N] [--json] [--keep]`. Exit 0: every floor reached; 1: not; 2: usage."""

from __future__ import annotations

import argparse
import os
import sys

from bench.cases import CASES
from bench.figures import Row
from bench.harness import LEAST_ROUNDS, bench, fsync_ms, run_case
from bench.load import generator
from bench.processes import BenchError
from bench.report import Failure, Machine, as_json, as_table


def main(argv: list[str]) -> int:
    arguments = _parser().parse_args(argv)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # both sides start from compiled modules, or none is compared
    rows: list[Row] = []
    failures: list[Failure] = []
    with bench(rounds=arguments.rounds, keep=arguments.keep) as running:
        machine = Machine.here(fsync_ms=fsync_ms(running.folder), generator=generator())
        for name in arguments.only or CASES:
            try:
                rows += run_case(CASES[name], running)
            except (BenchError, OSError) as error:
                failures.append(Failure(name, str(error)))
                print(f"{name}: {error}", file=sys.stderr)
        if arguments.keep:
            print(f"kept: {running.folder}", file=sys.stderr)
    print((as_json if arguments.json else as_table)(rows, failures, machine))
    if arguments.rounds < LEAST_ROUNDS:
        print(f"{arguments.rounds} rounds only: a try, not a result", file=sys.stderr)
    return 1 if failures or any(row.verdict == "short" for row in rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Tidemill beside its peers, in one run.")
    parser.add_argument("--only", action="append", choices=CASES, metavar="NAME", help=f"of: {', '.join(CASES)}")
    parser.add_argument("--rounds", type=_rounds, default=LEAST_ROUNDS, help=f"default {LEAST_ROUNDS}")
    parser.add_argument("--json", action="store_true", help="every sample of every round, on standard output")
    parser.add_argument("--keep", action="store_true", help="leave the work folder with all logs in .bench/")
    return parser


def _rounds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 50:
        raise argparse.ArgumentTypeError("a number from 1 to 50")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
