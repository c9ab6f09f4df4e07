"""A process that has an environment's packages loaded and forks replicas.

`python -m tidemill.runtime.zygote DESCRIPTOR [MODULE …]`, run by the interpreter of the functions' environment.
It has one thread, no connections, and nothing of any function in it. Orders come on DESCRIPTOR (see wire.py); when
that closes, it ends and its replicas with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from tidemill.lib import log
from tidemill.runtime.mounts import closed_folders, runtime_paths
from tidemill.runtime.rehearsal import rehearse
from tidemill.runtime.replica import Parent, live
from tidemill.runtime.wire import FORK_DESCRIPTORS, ForkOrder, receive, send

_log = log.get_logger("zygote")


class Zygote:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._self = Parent(os.getpid(), closed_folders(runtime_paths()))
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._replicas: dict[int, tuple[int, int]] = {}
        """pidfd → number and pid."""

    def run(self) -> None:
        """Until the spawner closes its end; then no replica is left, nor what one has started itself."""
        try:
            while self._turn():
                pass
        except ConnectionError:
            pass  # it closed while we were telling it something
        finally:
            for _, pid in self._replicas.values():
                _kill_group(pid)

    def _turn(self) -> bool:
        for descriptor, _ in self._poll.poll():
            if descriptor != self._channel.fileno():
                self._reap(descriptor)
            elif not self._obey():
                return False
        return True

    def _obey(self) -> bool:
        message, descriptors = receive(self._channel)
        if message is None:
            return False
        order = ForkOrder.from_wire(message["fork"])
        try:
            pid = os.fork()
        except OSError as error:
            send(self._channel, {"forked": order.number, "error": f"cannot fork: {error}"})
        else:
            if pid == 0:
                _become_replica(order, descriptors, self._self)
            self._remember(order.number, pid)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _remember(self, number: int, pid: int) -> None:
        pidfd = os.pidfd_open(pid)
        self._replicas[pidfd] = number, pid
        self._poll.register(pidfd, select.POLLIN)
        send(self._channel, {"forked": number, "pid": pid})

    def _reap(self, pidfd: int) -> None:
        number, pid = self._replicas.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        _kill_group(pid)  # what the function started itself
        send(self._channel, {"exited": number, "status": status})


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _become_replica(order: ForkOrder, descriptors: Sequence[int], parent: Parent) -> None:
    """In the child. Keeps what came with the order and nothing else."""
    try:
        named = dict(zip(FORK_DESCRIPTORS, descriptors, strict=True))
        os.dup2(named["stdout"], 1)
        os.dup2(named["stderr"], 2)
        kept = {named["listener"], named["status"]}
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            if descriptor > 2 and descriptor not in kept:
                with contextlib.suppress(OSError):  # the one that lists them is closed already
                    os.close(descriptor)
        for descriptor in kept:
            os.set_inheritable(descriptor, False)
        listener = socket.socket(fileno=named["listener"])
        live(order, listener, named["status"], parent)
    finally:
        os._exit(1)


def load(modules: Sequence[str]) -> dict[str, Any]:
    """What was imported, and why what could not be was not: the function that needs it will say so itself."""
    failed = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as error:
            failed[name] = f"{type(error).__name__}: {error}"
    return {"loaded": [name for name in modules if name not in failed], "failed": failed}


def main(arguments: Sequence[str]) -> None:
    channel = socket.socket(fileno=int(arguments[0]))
    outcome = load(arguments[1:])
    rehearse()
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        _log.warning("threads in the zygote", threads=threads, modules=outcome["loaded"])
    gc.collect()
    gc.freeze()  # so that collections in replicas do not copy pages that all could share
    send(channel, outcome)
    Zygote(channel).run()


if __name__ == "__main__":
    main(sys.argv[1:])
