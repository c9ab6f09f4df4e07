"""Durations and quantities as OpenFaaS writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.units import parse_cpu_cores, parse_duration_s, parse_memory_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300ms", 0.3), ("20s", 20), ("1m30s", 90), ("2h", 7200), ("15", 15), ("1.5s", 1.5), (" 5s ", 5), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    """Go durations, or a bare integer of seconds."""
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("bad", ["", "s", "-1s", "5 s", "1d", "1m30", "soon", "½s"])
def test_what_is_not_a_duration_is_refused(bad: str) -> None:
    """The caller decides on the default; parsing does not guess."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration_s(bad)


@given(st.integers(0, 1000), st.integers(0, 59), st.integers(0, 59))
def test_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    """`XhYmZs` is the sum of its parts."""
    assert parse_duration_s(f"{hours}h{minutes}m{seconds}s") == pytest.approx(hours * 3600 + minutes * 60 + seconds)


@pytest.mark.parametrize(
    ("text", "size"), [("128Mi", 128 << 20), ("1Gi", 1 << 30), ("256M", 256 * 10**6), ("4096", 4096), ("1.5Ki", 1536)]
)
def test_memory(text: str, size: int) -> None:
    """Kubernetes quantities."""
    assert parse_memory_bytes(text) == size


@pytest.mark.parametrize("bad", ["", "lots", "-1", "1Zi", "12 Mi"])
def test_what_is_not_memory_is_refused(bad: str) -> None:
    """Each error quotes what was given."""
    with pytest.raises(ValueError, match="memory quantity"):
        parse_memory_bytes(bad)


@pytest.mark.parametrize(("text", "cores"), [("100m", 0.1), ("0.5", 0.5), ("2", 2.0)])
def test_cpu(text: str, cores: float) -> None:
    """Millicores or cores."""
    assert parse_cpu_cores(text) == pytest.approx(cores)


@pytest.mark.parametrize("bad", ["", "m", "fast", "-1", "1..2"])
def test_what_is_not_cpu_is_refused(bad: str) -> None:
    """Each error quotes what was given."""
    with pytest.raises(ValueError, match="CPU quantity"):
        parse_cpu_cores(bad)
