"""Which cgroups can be had, told from files that look like the kernel's."""

from __future__ import annotations

from pathlib import Path

from tidemill.spawn import cgroups
from tidemill.spawn.cgroups import Cgroups

V1 = "4:memory:/box\n2:cpuacct:/\n1:cpu,other:/\n0::/\n"


def test_version_1_uses_both_hierarchies(tmp_path: Path) -> None:
    """Memory and CPU have folders of their own below this process's."""
    for folder in ("memory/box/tm", "cpu/tm"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cgroup.procs").touch()
    found = cgroups.find("tm", root=tmp_path, membership=V1)
    assert found == Cgroups(tmp_path / "memory/box/tm", tmp_path / "cpu/tm", 1)
    memory, cpu = map(Path, found.make("f-1", memory_bytes=1 << 20, cpu_cores=0.25))
    assert (memory / "memory.limit_in_bytes").read_text() == str(1 << 20)
    assert (cpu / "cpu.cfs_quota_us").read_text() == "25000"


def test_version_2_has_one_folder_for_both(tmp_path: Path) -> None:
    """Controllers are handed down once, then each replica's folder has both limits."""
    (tmp_path / "cgroup.controllers").touch()
    own = tmp_path / "unit" / "main"
    own.mkdir(parents=True)
    found = cgroups.find("tm", root=tmp_path, membership="0::/unit/main\n")
    assert found == Cgroups(tmp_path / "unit/tm", tmp_path / "unit/tm", 2)
    assert (tmp_path / "unit/tm/cgroup.subtree_control").read_text() == "+memory +cpu"
    (folder,) = map(Path, found.make("f-1", memory_bytes=1 << 20, cpu_cores=2))
    assert (folder / "memory.max").read_text() == str(1 << 20)
    assert (folder / "cpu.max").read_text() == "200000 100000"


def test_clear_leaves_nothing_empty_behind(tmp_path: Path) -> None:
    """What an earlier spawner left goes, what has a process in it (here: a file) stays."""
    base = tmp_path / "tm"
    (base / "old").mkdir(parents=True)
    (base / "busy").mkdir()
    (base / "busy" / "process").touch()
    Cgroups(base, base, 2).clear()
    assert [folder.name for folder in base.iterdir()] == ["busy"]
    (base / "busy" / "process").unlink()
    Cgroups(base, None, 1).clear()
    assert not base.exists()
    Cgroups(base, base, 2).clear()


def test_nothing_to_limit_makes_nothing(tmp_path: Path) -> None:
    """A function without limits enters no cgroup, and without cgroups there is none to enter."""
    found = Cgroups(tmp_path, tmp_path, 2)
    assert found.make("f-1", memory_bytes=None, cpu_cores=None) == ()
    assert list(tmp_path.iterdir()) == []
    assert Cgroups().make("f-1", memory_bytes=1, cpu_cores=1) == ()


def test_folder_that_may_not_be_made_is_none_to_be_had(tmp_path: Path) -> None:
    """Where the hierarchy is missing, that limit cannot be had."""
    assert cgroups.find("tm", root=tmp_path, membership=V1) == Cgroups(None, None, 1)
