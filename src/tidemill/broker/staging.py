"""Where the server stages atomic batches: in memory rather than on the disk.

nats-server writes each batch to a stream with one replica twice. First it stages it in a store made for this batch
alone, in the stream's folder `batches`; on the commit it writes it to the stream itself, syncs that once, answers,
and deletes the store. Making, syncing and deleting that store cost more than all the rest of a batch.

An answer is sent after the stream's own sync, so a confirmed message never depends on what was staged. The staged
copy serves one end: a server that was killed in the middle of a commit finishes it at its next start. In memory the
copy outlives the server's process as well. Only where the machine itself goes down in that moment is it gone; then a
part of a batch that was confirmed to nobody may stay, and as members are calls of their own, that is no harm.

The server takes `batches` away at its start, so the link is made again at each connection. Wherever it cannot be
made, batches are staged on the disk as the server does by itself.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from tidemill.lib.settings import Settings

MEMORY = Path("/dev/shm")
STREAMS = Path("nats/jetstream/$G/streams")
"""Below the data folder; `$G` is the account of a server that declares none."""
BATCHES = "batches"


class Staging:
    """Of one stream, in whose batches only this process publishes."""

    def __init__(self, stream_dir: Path, memory_dir: Path) -> None:
        self._batches = stream_dir / BATCHES
        self._memory_dir = memory_dir

    @classmethod
    def of(cls, settings: Settings, stream: str) -> Staging:
        """In the embedded server."""
        memory_dir = MEMORY / f"{settings.run_dir.name}-{os.geteuid()}" / stream
        return cls(settings.data_dir / STREAMS / stream, memory_dir)

    def move_to_memory(self) -> bool:
        """Whether batches are staged in memory from now on. To be called while none is under way."""
        try:
            return self._link()
        except OSError:
            return False

    def move_back(self) -> None:
        """Nothing is left in memory. To be called when the last batch is done."""
        with suppress(OSError):
            if self._batches.is_symlink() and self._batches.readlink() == self._memory_dir:
                self._batches.unlink()
            self._memory_dir.rmdir()
            self._memory_dir.parent.rmdir()

    def _link(self) -> bool:
        if not self._batches.parent.is_dir() or not self._memory_dir.parent.parent.is_dir():
            return False
        _own_folder(self._memory_dir.parent)
        _own_folder(self._memory_dir)
        if self._batches.is_symlink():
            return self._batches.readlink() == self._memory_dir
        for left_over in self._memory_dir.iterdir():  # by a server that was killed; it looked at them when it started
            shutil.rmtree(left_over)
        with suppress(FileNotFoundError):
            self._batches.rmdir()  # fails where a batch is in it
        self._batches.symlink_to(self._memory_dir, target_is_directory=True)
        return True


def _own_folder(path: Path) -> None:
    """Raises OSError where somebody else made it: the folder above may be everybody's."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise FileExistsError(f"{path} is not a folder of ours")
