"""What the bench makes of its samples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Row, Summary, Target, ratios, round_order

AT_MOST = Target(floor=1.5, aim=1.15, at_most=True)
AT_LEAST = Target(floor=3, aim=6, at_most=False)


def row(ours: tuple[float, ...], peer: tuple[float, ...] | None, target: Target | None = AT_LEAST) -> Row:
    return Row(case="c", what="w", unit="req/s", target=target, ours=ours, peer=peer)


def test_a_summary_is_the_median_and_the_extremes() -> None:
    """One odd round moves the spread, not the figure."""
    assert Summary.of([3.0, 100.0, 2.0, 4.0, 5.0]) == Summary(median=4.0, low=2.0, high=100.0, rounds=5)


def test_no_rounds_is_no_summary() -> None:
    """An empty measurement cannot pass for a result."""
    with pytest.raises(ValueError, match="no round"):
        Summary.of([])


@pytest.mark.parametrize(
    ("target", "median", "verdict"),
    [
        (AT_MOST, 1.15, "aim"),
        (AT_MOST, 1.16, "floor"),
        (AT_MOST, 1.51, "short"),
        (AT_LEAST, 6, "aim"),
        (AT_LEAST, 5.9, "floor"),
        (AT_LEAST, 2.9, "short"),
    ],
)
def test_verdicts(target: Target, median: float, verdict: str) -> None:
    """The bounds themselves count as reached."""
    assert target.verdict(median) == verdict


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down for one round slows both sides: the ratio stays."""
    assert ratios((10.0, 5.0, 10.0), (2.0, 1.0, 2.0)) == (5.0, 5.0, 5.0)


@pytest.mark.parametrize(("ours", "peer"), [((1.0,), (1.0, 2.0)), ((1.0, 1.0), (1.0, 0.0))])
def test_ratios_of_what_was_not_measured_are_refused(ours: tuple[float, ...], peer: tuple[float, ...]) -> None:
    """A missing or an empty round is an error, never a flattering figure."""
    with pytest.raises(ValueError, match="round"):
        ratios(ours, peer)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True))
def test_each_side_goes_first_equally_often(sides: list[str]) -> None:
    """Over as many rounds as there are sides, every side leads once, and none is left out of a round."""
    orders = [round_order(tuple(sides), number) for number in range(len(sides))]
    assert sorted(order[0] for order in orders) == sorted(sides)
    assert all(sorted(order) == sorted(sides) for order in orders)


def test_a_row_with_a_peer_is_judged_by_its_ratio() -> None:
    """Absolute rates differ between machines; only the ratio has a bound."""
    judged = row((300.0, 330.0, 360.0), (100.0, 100.0, 100.0))
    assert (judged.summary.median, judged.verdict, judged.as_wire()["unit"]) == (3.3, "floor", "ratio")


def test_a_row_without_a_peer_is_judged_by_its_own_samples() -> None:
    """Seconds to ready, CPU and memory are bounds in themselves."""
    judged = row((1.0, 2.0, 1.5), None, AT_MOST)
    assert (judged.summary.median, judged.verdict, judged.as_wire()["unit"]) == (1.5, "floor", "req/s")


def test_a_row_for_information_has_no_verdict() -> None:
    """What has no bound is neither reached nor short."""
    assert row((1.0,), None, None).verdict is None
