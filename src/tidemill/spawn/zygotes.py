"""The spawner's side of its zygotes: started, told to fork, listened to, and started again when they die."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tidemill
from tidemill.lib import log
from tidemill.runtime.wire import MESSAGE_BYTES, ForkOrder, receive, send

YOUNG_S = 5.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
SOURCE_ROOT = str(Path(tidemill.__file__).resolve().parents[1])
"""Where a foreign interpreter finds this package."""

_log = log.get_logger("spawner")


class ZygoteDown(Exception):
    """The zygote of the function's environment is not running."""


@dataclass(slots=True)
class Child:
    """Whom to tell about one forked process; `on_exited` comes once and last, also where the fork failed."""

    on_forked: Callable[[int], None]
    on_exited: Callable[[str], None]


class Zygote:
    """One environment's zygote. Children of a dead one are told that they exited: the kernel ends them with it."""

    def __init__(self, name: str, python: str, preload: Sequence[str]) -> None:
        self.name = name
        self._python = python
        self._preload = preload
        self._children: dict[int, Child] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._errors = -1
        self._last_words = ""
        self._closed = False
        self._deaths = 0
        self._started_at = 0.0
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Returns at once; orders wait until it has loaded its modules. Raises OSError: no such interpreter."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._errors, errors_out = os.pipe()
        with theirs:
            try:
                theirs.set_inheritable(True)
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MESSAGE_BYTES)
                self._process = subprocess.Popen(
                    [self._python, "-m", "tidemill.runtime.zygote", str(theirs.fileno()), *self._preload],
                    env=_environment(os.environ),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stderr=errors_out,
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                os.close(self._errors)
                raise
            finally:
                os.close(errors_out)
        self._channel = ours
        self._started_at = self._loop.time()
        ours.setblocking(False)
        self._loop.add_reader(ours, self._listen)
        os.set_blocking(self._errors, False)
        self._loop.add_reader(self._errors, self._overhear)

    def fork(self, order: ForkOrder, descriptors: Sequence[int], child: Child) -> None:
        """Raises ZygoteDown."""
        if self._channel is None:
            raise ZygoteDown(self._last_words or "it is being started again")
        try:
            send(self._channel, {"fork": order.as_wire()}, descriptors)
        except ConnectionError as error:  # it is gone, and nobody has told us yet
            self._lost()
            raise ZygoteDown(self._last_words or "it died") from error
        except OSError as error:
            raise ZygoteDown(str(error)) from error
        self._children[order.number] = child

    def close(self) -> None:
        """Ends the zygote and whatever it has forked."""
        self._closed = True
        if self._channel is not None:
            self._lost()

    def _listen(self) -> None:
        assert self._channel is not None
        try:
            message, _ = receive(self._channel)
        except BlockingIOError:
            return
        except OSError:
            message = None
        if message is None:
            self._lost()
        else:
            self._tell(message)

    def _tell(self, message: Mapping[str, Any]) -> None:
        if "loaded" in message:
            self._last_words = ""
            _log.info("zygote ready", zygote=self.name, modules=message["loaded"])
            for module, reason in message["failed"].items():
                _log.warning("module not preloaded", zygote=self.name, module=module, reason=reason)
        elif "exited" in message:
            self._children.pop(message["exited"]).on_exited(how_it_ended(message["status"]))
        elif "pid" in message:
            self._children[message["forked"]].on_forked(message["pid"])
        else:
            self._children.pop(message["forked"]).on_exited(message["error"])

    def _lost(self) -> None:
        assert self._channel is not None and self._process is not None
        self._loop.remove_reader(self._channel)
        self._channel.close()
        self._channel = None
        self._process.kill()
        status = self._process.wait()
        self._overhear()  # its last words may still be in the pipe
        self._loop.remove_reader(self._errors)
        os.close(self._errors)
        reason = f"its zygote died: {self._last_words}" if self._last_words else "its zygote died"
        children, self._children = self._children, {}
        for child in children.values():
            child.on_exited(reason)
        if not self._closed:
            lived_s = self._loop.time() - self._started_at
            self._deaths = self._deaths + 1 if lived_s < YOUNG_S else 1
            delay_s = 0.0 if self._deaths == 1 else min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (self._deaths - 2))
            _log.error("zygote died", zygote=self.name, status=status, lived_s=round(lived_s, 1), again_in_s=delay_s)
            self._loop.call_later(delay_s, self._start_again)

    def _start_again(self) -> None:
        if self._closed:
            return
        try:
            self.start()
        except OSError as error:
            self._last_words = str(error)
            _log.error("zygote not started", zygote=self.name)
            self._loop.call_later(LONGEST_DELAY_S, self._start_again)

    def _overhear(self) -> None:
        """What it says on standard error; the last line is the reason that callers get while it does not run."""
        try:
            data = os.read(self._errors, 64 * 1024)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._errors)  # or the end of the pipe would wake us for ever
        for line in data.decode(errors="replace").splitlines():
            if line.strip():
                self._last_words = line.strip()
                _log.warning("output", zygote=self.name, text=line)


def how_it_ended(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hint = " (out of memory?)" if number == 9 else ""
        return f"the replica was ended by signal {number}{hint}"
    return f"the replica exited with status {os.waitstatus_to_exitcode(status)}"


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in environ}
    return {"LANG": "C.UTF-8", **kept, "PYTHONPATH": SOURCE_ROOT, "PYTHONDONTWRITEBYTECODE": "1"}
