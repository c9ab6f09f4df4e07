"""Batches are staged in memory where that can be arranged safely, and as the server does it where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.broker.staging import Staging


@pytest.fixture
def stream_dir(tmp_path: Path) -> Path:
    path = tmp_path / "streams" / "TM_QUEUE"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "tidemill-1" / "TM_QUEUE"


def test_linked(stream_dir: Path, memory: Path) -> None:
    """`batches` leads to a private folder in memory; repeating it changes nothing."""
    staging = Staging(stream_dir, memory)
    assert staging.move_to_memory()
    assert (stream_dir / "batches").readlink() == memory
    assert memory.stat().st_mode & 0o777 == memory.parent.stat().st_mode & 0o777 == 0o700
    assert staging.move_to_memory()


def test_empty_folder_replaced(stream_dir: Path, memory: Path) -> None:
    """The server left its own folder empty after earlier batches."""
    (stream_dir / "batches").mkdir()
    assert Staging(stream_dir, memory).move_to_memory()
    assert (stream_dir / "batches").is_symlink()


def test_batch_on_disk_stays(stream_dir: Path, memory: Path) -> None:
    """What is staged on the disk is never taken away."""
    staged = stream_dir / "batches" / "one" / "msgs"
    staged.mkdir(parents=True)
    assert not Staging(stream_dir, memory).move_to_memory()
    assert staged.is_dir()


def test_left_over_goes(stream_dir: Path, memory: Path) -> None:
    """A killed server's batches go when the link is made again, those of a running server stay."""
    staging = Staging(stream_dir, memory)
    staging.move_to_memory()
    (memory / "one" / "msgs").mkdir(parents=True)
    assert staging.move_to_memory()
    assert (memory / "one").is_dir()
    (stream_dir / "batches").unlink()  # as the server does at its start
    assert staging.move_to_memory()
    assert not (memory / "one").exists()


def test_cleared_memory_comes_back(stream_dir: Path, memory: Path) -> None:
    """Where somebody cleared the memory, the folder is made again behind the link."""
    staging = Staging(stream_dir, memory)
    staging.move_to_memory()
    memory.rmdir()
    assert staging.move_to_memory()
    assert memory.is_dir()


def test_foreign_folder(stream_dir: Path, memory: Path, tmp_path: Path) -> None:
    """A link that somebody else put in our place is not followed."""
    (tmp_path / "elsewhere").mkdir()
    memory.parent.symlink_to(tmp_path / "elsewhere")
    assert not Staging(stream_dir, memory).move_to_memory()
    assert not (stream_dir / "batches").exists()


def test_no_stream(tmp_path: Path, memory: Path) -> None:
    """A server elsewhere has no folder here."""
    assert not Staging(tmp_path / "none", memory).move_to_memory()
    assert not memory.parent.exists()


def test_moved_back(stream_dir: Path, memory: Path) -> None:
    """The end leaves nothing in memory and lets the server stage on its disk again."""
    staging = Staging(stream_dir, memory)
    staging.move_to_memory()
    staging.move_back()
    assert not (stream_dir / "batches").is_symlink()
    assert not memory.parent.exists()
    staging.move_back()
