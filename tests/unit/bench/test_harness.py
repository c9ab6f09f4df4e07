"""Rounds and bounds."""

from pathlib import Path

import pytest

from bench.harness import Bench, bench, fsync_ms, time_limit
from bench.processes import BenchError, wait_for


def test_rounds_are_interleaved(tmp_path: Path) -> None:
    """After one warm-up each, both sides are measured in every round and take turns in going first."""
    calls: list[str] = []

    def side(name: str, value: float) -> float:
        calls.append(name)
        return value

    samples = Bench(2, tmp_path).interleave({"ours": lambda: side("o", 2), "peer": lambda: side("p", 1)})
    assert "".join(calls) == "op" + "op" + "po"
    assert samples == {"ours": (2, 2), "peer": (1, 1)}


def test_a_case_that_takes_too_long_is_given_up() -> None:
    """The bench stops itself."""
    with pytest.raises(BenchError, match=r"idle took more than 0\.05 s"), time_limit(0.05, "idle"):
        wait_for(lambda: False, what="the end of time", timeout_s=20)


def test_a_limit_ends_with_its_block() -> None:
    """A case that kept its time is not interrupted later."""
    with time_limit(0.05, "quick"):
        pass
    with pytest.raises(BenchError, match="in vain"):
        wait_for(lambda: False, what="an alarm", timeout_s=0.1)


def test_the_work_folder_goes_with_the_run() -> None:
    """Unless it is asked for."""
    with bench(rounds=1, keep=False) as running:
        folder = running.folder
        assert folder.is_dir()
        assert fsync_ms(folder) > 0
    assert not folder.exists()
