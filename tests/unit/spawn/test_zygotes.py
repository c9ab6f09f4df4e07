"""Small things of the spawner's side of a zygote."""

from __future__ import annotations

import os
import signal

from tidemill.spawn.spawner import socket_name
from tidemill.spawn.zygotes import how_it_ended


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
