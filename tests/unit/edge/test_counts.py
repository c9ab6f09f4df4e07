"""Counting: histograms, what is kept over a crash, rotation, and the metrics' text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tidemill.edge.access_file import AccessFile
from tidemill.edge.counts import Counts
from tidemill.edge.metrics import Gateway, Moment


def line(function: str = "hello.openfaas-fn", *, status: int = 200, took_us: int = 1500) -> bytes:
    told = ["-"] * 18
    told[0], told[8], told[9], told[11] = function, "/x", str(status), str(took_us)
    return json.dumps(told).encode()


Open = Callable[..., AccessFile]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens files as the service does. At the end they are closed as a crash would: no snapshot."""
    files: list[AccessFile] = []

    def open_file(folder: Path, **options: Any) -> AccessFile:
        files.append(AccessFile(folder, **options))
        return files[-1]

    yield open_file
    for file in files:
        file._file.close()


def kept(folder: Path) -> list[bytes]:
    return (folder / "access.ndjson").read_bytes().splitlines()


def test_calls_are_counted_by_function_and_lines_without_one_are_kept_only(opened: Open, tmp_path: Path) -> None:
    """Platform requests are in the file and in no count."""
    file = opened(tmp_path)
    file.take([line(), line(status=500), line("other.dev"), line("-")])
    file.close()
    assert file.counts.by_function() == {"hello.openfaas-fn": 2, "other.dev": 1}
    assert len(kept(tmp_path)) == 4


def test_lost_and_unreadable_lines_are_counted_apart(opened: Open, tmp_path: Path) -> None:
    """They stop nothing."""
    file = opened(tmp_path)
    file.take([b"12 events dropped", b"garbage", line()])
    assert (file.counts.dropped, file.counts.bad, file.counts.by_function()) == (12, 1, {"hello.openfaas-fn": 1})


def test_a_crash_between_snapshots_forgets_and_repeats_nothing(opened: Open, tmp_path: Path) -> None:
    """What was written after the snapshot is counted from the file."""
    file = opened(tmp_path)
    file.take([line()] * 3)
    file.snapshot()
    file.take([line()] * 4)
    again = opened(tmp_path)
    assert again.counts.by_function() == {"hello.openfaas-fn": 7}
    again.close()
    assert opened(tmp_path).counts == again.counts


def test_a_file_that_was_removed_is_made_anew(opened: Open, tmp_path: Path) -> None:
    """Whoever clears up by hand stops neither the log nor the counts."""
    file = opened(tmp_path, rotate_bytes=1)
    file.take([line()])
    file.path.unlink()
    for _ in range(2):
        file.take([line()])
    assert file.counts.by_function() == {"hello.openfaas-fn": 3}
    assert file.path.exists()


def test_a_rotation_keeps_one_older_file_and_every_count(opened: Open, tmp_path: Path) -> None:
    """Also where the crash comes right after it, before the snapshot."""
    file = opened(tmp_path, rotate_bytes=400)
    file.take([line()])
    file.snapshot()
    before = (tmp_path / "access.counts.json").read_text()
    for _ in range(2):
        file.take([line()])
    assert (tmp_path / "access.ndjson.1").exists()
    (tmp_path / "access.counts.json").write_text(before)
    assert opened(tmp_path).counts.by_function() == {"hello.openfaas-fn": 3}
    file.take([line()] * 10)
    assert opened(tmp_path).counts.by_function() == {"hello.openfaas-fn": 13}


def test_half_a_line_left_by_a_crash_stays_alone(opened: Open, tmp_path: Path) -> None:
    """The next line begins on a line of its own."""
    (tmp_path / "access.ndjson").write_bytes(b'{"function":"hel')
    file = opened(tmp_path)
    file.take([line()])
    assert [part[:8] for part in kept(tmp_path)] == [b'{"functi', b'{"ts":"2']
    assert file.counts.by_function() == {"hello.openfaas-fn": 1}


def test_counts_of_other_bounds_are_not_mixed_in(opened: Open, tmp_path: Path) -> None:
    """A snapshot of another release is left behind; the file is counted anew."""
    file = opened(tmp_path)
    file.take([line()])
    file.snapshot()
    state = json.loads((tmp_path / "access.counts.json").read_text())
    state["counts"]["bounds"] = [1.0]
    (tmp_path / "access.counts.json").write_text(json.dumps(state))
    assert opened(tmp_path).counts.by_function() == {"hello.openfaas-fn": 1}


def test_a_full_disk_loses_the_line_not_the_count(opened: Open, tmp_path: Path) -> None:
    """The error is the caller's to report."""
    file = opened(tmp_path)
    file._file.close()
    file._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115 (closed with the object)
    with pytest.raises(OSError, match="No space left"):
        file.take([line()])
    assert file.counts.by_function() == {"hello.openfaas-fn": 1}


def test_the_metrics_have_openfaas_names_and_labels() -> None:
    """Counter, histogram, started and service count, for `name.namespace`."""
    counts = Counts()
    counts.add("hello.openfaas-fn", 200, 0.0015)
    counts.add("hello.openfaas-fn", 200, 120.0)
    text = Gateway().text(Moment(counts, {"hello.openfaas-fn": 1}, {"idle.dev": 0})).decode()
    labels = 'code="200",function_name="hello.openfaas-fn"'
    for expected in (
        f"gateway_function_invocation_total{{{labels}}} 2.0",
        f'gateway_functions_seconds_bucket{{{labels},le="0.001"}} 0.0',
        f'gateway_functions_seconds_bucket{{{labels},le="0.0025"}} 1.0',
        f'gateway_functions_seconds_bucket{{{labels},le="+Inf"}} 2.0',
        f"gateway_functions_seconds_sum{{{labels}}} 120.0015",
        'gateway_function_invocation_started{function_name="hello.openfaas-fn"} 3.0',
        'gateway_service_count{function_name="idle.dev"} 0.0',
        "tidemill_edge_config_ok 1.0",
    ):
        assert expected in text


def test_what_was_started_never_goes_back() -> None:
    """In flight and ended are read at two moments; a counter must not fall by that."""
    gateway, counts = Gateway(), Counts()
    gateway.text(Moment(counts, {"a.b": 2}))
    assert 'gateway_function_invocation_started{function_name="a.b"} 2.0' in gateway.text(Moment(counts)).decode()


def test_what_could_not_be_asked_is_absent() -> None:
    """No replicas known is not the same as no replicas."""
    assert "gateway_service_count{" not in Gateway().text(Moment(Counts())).decode()
