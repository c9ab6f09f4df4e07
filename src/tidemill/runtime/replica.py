"""The life of a replica, from the fork to its end: confined → handler imported → `ready` → calls → `leaving` → gone.

It ends when it is told to (SIGTERM) or when a call is past `exec_timeout`: the stuck call cannot be stopped, so the
replica accepts no more, finishes its other calls and goes; the spawner forks another meanwhile.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import NoReturn

from tidemill.lib import log
from tidemill.lib.correlation import bind
from tidemill.runtime import output
from tidemill.runtime.app import FunctionApp
from tidemill.runtime.calls import Calls, Running
from tidemill.runtime.complaints import begin_with_own_code, in_one_line
from tidemill.runtime.confine import confine
from tidemill.runtime.granian_adapter import Served, serve
from tidemill.runtime.handlers import load_view
from tidemill.runtime.server import FunctionServer
from tidemill.runtime.wire import ForkOrder, Report

OVERDUE_MARGIN_S = 1.0
"""Past `exec_timeout`, so that the edge has given up on the call, and a stream has ended itself, before the replica
gives up on it."""
REASON_CHARS = 1000
"""Of why it cannot start; the log has all of it."""
LAST_BYTES_S = 0.25
"""For the answers of the other calls to leave, where a stuck one keeps the server from ending by itself."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What a replica must know of the zygote it was forked from."""

    pid: int
    closed: Mapping[Path, Sequence[Path]]
    """Folders on the way to the interpreter that the function's user may not enter (mounts.closed_folders)."""


_log = log.get_logger("fn")


def live(order: ForkOrder, listener: socket.socket, status: int, parent: Parent) -> NoReturn:
    """Never returns; the process ends here."""
    output.capture(order.instance, order.ref)
    try:
        confine(order, parent=parent.pid, closed=parent.closed)
        view = load_view(order.kind, order.source_dir)
        app = FunctionApp(view, root=order.source_dir, max_body_bytes=order.max_body_bytes)
    except BaseException as error:
        begin_with_own_code(error, order.source_dir)
        _log.error("start failed")
        _report(status, Report("failed", in_one_line(error, order.source_dir)[:REASON_CHARS]))
        os._exit(1)
    calls = Calls(threads=order.threads, max_inflight=order.max_inflight)
    server = FunctionServer(app, calls, ref=order.ref, exec_timeout_s=order.exec_timeout_s)
    ends: SimpleQueue[str] = SimpleQueue()  # put() is safe in a signal handler
    signal.signal(signal.SIGTERM, lambda *_: ends.put(""))
    served = serve(server, listener, threads=calls.pool_size, after_answer=calls.rest)
    watch = partial(calls.watch, order.exec_timeout_s + OVERDUE_MARGIN_S, partial(_overdue, ends, order))
    threading.Thread(target=watch, name="watch", daemon=True).start()
    _report(status, Report("ready"))
    reason = ends.get()
    server.draining = True
    _report(status, Report("leaving", reason))
    _finish(served, calls, order, stuck=bool(reason))


def _overdue(ends: SimpleQueue[str], order: ForkOrder, running: Running) -> None:
    reason = f"a call is past exec_timeout ({order.exec_timeout_s:g} s)"
    with bind(running.call):
        _log.log("error", "call past exec_timeout", exec_timeout_s=order.exec_timeout_s)
    ends.put(reason)


def _finish(served: Served, calls: Calls, order: ForkOrder, *, stuck: bool) -> NoReturn:
    served.stop()
    calls.wake_all()
    if stuck:
        calls.wait_until_none_but_overdue(order.grace_s)
        served.wait(LAST_BYTES_S)
    elif served.wait(order.grace_s):
        atexit._run_exitfuncs()
    else:
        _log.warning("calls cut off", calls=len(calls), grace_s=order.grace_s)
    os._exit(0)


def _report(status: int, report: Report) -> None:
    try:
        os.write(status, report.as_line())
    except BrokenPipeError:
        os._exit(1)  # the spawner is gone
