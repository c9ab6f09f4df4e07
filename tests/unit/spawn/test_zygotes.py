"""Small things of the spawner's side of a zygote."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tidemill.runtime.wire import ForkOrder
from tidemill.spawn.spawner import socket_name
from tidemill.spawn.zygotes import Child, Zygote, ZygoteDown, how_it_ended


def test_wait_status_in_words() -> None:
    """What a user reads when a replica dies without a word of its own."""
    assert how_it_ended(3 << 8) == "the replica exited with status 3"
    assert how_it_ended(signal.SIGSEGV) == "the replica was ended by signal 11"
    assert "out of memory" in how_it_ended(signal.SIGKILL)
    assert os.WIFSIGNALED(signal.SIGKILL)


def test_socket_names_are_short_and_differ() -> None:
    """A name's length does not depend on the function's; versions and slots have sockets of their own."""
    ref = f"{'f' * 63}.{'n' * 63}"
    names = {socket_name(ref, version, slot) for version in ("0" * 12, "1" * 12) for slot in (0, 1)}
    assert len(names) == 4 and {len(name) for name in names} == {21}


async def test_fork_from_a_zygote_that_died_unnoticed(tmp_path: Path) -> None:
    """The reason is what it said last, also where the order to fork is what finds it dead."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no module named flask' >&2\nexit 1\n")
    broken.chmod(0o755)
    zygote = Zygote("ns/env", str(broken), ())
    zygote.start()
    assert zygote._process is not None
    zygote._process.wait()
    order = ForkOrder(1, "f-1-0-1", "f.ns", "python3-http", str(tmp_path), str(tmp_path))
    with pytest.raises(ZygoteDown, match="no module named flask"):
        zygote.fork(order, (), Child(lambda pid: None, lambda reason: None))
    zygote.close()
