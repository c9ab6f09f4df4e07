"""The printed table."""

import json

import pytest

from bench.figures import Row, Target
from bench.report import Failure, Machine, as_json, as_table, bound, number

MACHINE = Machine(cores=2, memory_gib=24, kernel="6.1", python="3.11.7", fsync_ms=0.2, generator="wrk")
RATIO = Row(
    case="cold_start",
    what="cold / plain",
    unit="ms",
    target=Target(floor=1 / 8, aim=1 / 25, at_most=True),
    ours=(14.0, 15.0, 13.0),
    peer=(280.0, 300.0, 260.0),
    conditions="warm files",
)
TIME = Row(case="up", what="second up", unit="s", target=Target(floor=5, aim=2, at_most=True), ours=(6.0, 7.0, 5.5))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.214, "ratio", "3.21×"),
        (0.05, "ratio", "1/20"),
        (0.0709, "ratio", "1/14.1"),
        (0.97, "ratio", "0.97×"),
        (412.3, "MB", "412 MB"),
        (1234.5, "MB", "1234 MB"),
        (0.412, "%", "0.412 %"),
    ],
)
def test_numbers_have_three_digits(value: float, unit: str, text: str) -> None:
    """Small ratios read as one part of N."""
    assert number(value, unit) == text


def test_bounds_read_as_in_the_issue() -> None:
    """With the side they bound from."""
    assert bound(1.15, Target(1.5, 1.15, at_most=True), "ratio") == "≤ 1.15×"
    assert bound(1 / 8, Target(1 / 8, 1 / 25, at_most=True), "ratio") == "≤ 1/8"
    assert bound(10, Target(6, 10, at_most=False), "ratio") == "≥ 10×"


def test_the_table_prints_ratios_with_their_spread() -> None:
    """Median, lowest and highest round, bounds, verdict; conditions and machine below."""
    lines = as_table([RATIO, TIME], [Failure("idle", "no process\nsecond line")], MACHINE).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:5]]
    assert cells == [
        ["cold / plain", "1/20 (1/20 to 1/20)", "≤ 1/8", "≤ 1/25", "floor reached"],
        ["second up", "6 s (5.5 s to 7 s)", "≤ 5 s", "≤ 2 s", "SHORT"],
        ["idle", "not measured", "", "", "no process"],
    ]
    assert lines[-2:] == [
        "- cold_start: warm files",
        "- machine: 2 cores, 24 GiB, Linux 6.1, Python 3.11.7; one fsync 0.20 ms; load by wrk",
    ]


def test_json_carries_every_sample() -> None:
    """So that a ratio can be recomputed."""
    document = json.loads(as_json([RATIO], [], MACHINE))
    assert document["rows"][0]["samples"] == {"unit": "ms", "ours": [14, 15, 13], "peer": [280, 300, 260]}
    assert document["machine"]["cores"] == 2
