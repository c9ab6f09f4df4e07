"""Starting, finding, measuring and ending processes."""

import os
import sys
from pathlib import Path

import pytest

from bench.processes import (
    BenchError,
    Process,
    descendants,
    free_ports,
    parse_pss_bytes,
    parse_stat,
    process_tree,
    processes_with,
    usage,
    wait_for,
)

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"


def test_free_ports_differ() -> None:
    """Each server of a run gets one of its own."""
    assert len(set(free_ports(5))) == 5


def test_a_name_with_brackets_does_not_confuse_stat() -> None:
    """The command's name is in brackets and may hold anything."""
    assert parse_stat("7 (a) b) S 3 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0") == (3, 100)


def test_pss_is_read_in_bytes() -> None:
    """From the roll-up; a process that just ended has none."""
    assert parse_pss_bytes("00 ---p [rollup]\nRss:  99 kB\nPss:   12 kB\nPss_Dirty: 3 kB\n") == 12 * 1024
    assert parse_pss_bytes("") == 0


def test_descendants_are_found_at_any_depth() -> None:
    """Roots that have ended are left out; others' children too."""
    assert descendants({2: 1, 3: 2, 4: 3, 5: 1}, [2, 99]) == {2, 3, 4}


def test_a_stopped_process_leaves_no_child_behind(tmp_path: Path) -> None:
    """Its whole session is ended, found meanwhile by environment and by parenthood, and measured."""
    mark = str(tmp_path)
    with Process(
        "parent", [sys.executable, "-c", PARENT], log=tmp_path / "log", environ={"BENCH_MARK": mark}
    ) as parent:
        wait_for(lambda: len(process_tree([parent.pid])) == 2, what="the child runs", timeout_s=10, process=parent)
        tree = process_tree([parent.pid])
        assert processes_with("BENCH_MARK", mark) == tree
        measured = usage(tree)
        assert (measured.processes, measured.pss_bytes > 0) == (2, True)
    wait_for(lambda: not processes_with("BENCH_MARK", mark), what="all ended", timeout_s=10)


def test_waiting_ends_with_the_process(tmp_path: Path) -> None:
    """A server that dies at start is reported at once, with the end of its log."""
    argv = [sys.executable, "-c", "raise SystemExit('port taken')"]
    with (
        Process("server", argv, log=tmp_path / "log") as server,
        pytest.raises(BenchError, match="server ended with 1 before it listens\nport taken"),
    ):
        wait_for(lambda: False, what="it listens", timeout_s=10, process=server)


def test_waiting_ends_in_time() -> None:
    """A condition that never holds does not hang the bench."""
    with pytest.raises(BenchError, match=r"waited 0\.01 s in vain for rain"):
        wait_for(lambda: False, what="rain", timeout_s=0.01)


def test_compiled_modules_are_allowed_in_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain start that compiles everything anew would flatter us."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    argv = [sys.executable, "-c", "import sys; raise SystemExit(sys.dont_write_bytecode)"]
    with Process("child", argv, log=tmp_path / "log") as child:
        wait_for(lambda: child.returncode is not None, what="its end", timeout_s=10)
        assert child.returncode == 0
    assert os.environ["PYTHONDONTWRITEBYTECODE"] == "1"
