"""The one place that touches granian's internals: serve a WSGI application on a socket that is bound already.

granian's public server binds its own sockets and forks its own workers; a replica is forked by the zygote and
inherits its socket, so it runs granian's worker directly. The version is pinned exactly, and
tests/unit/runtime/test_granian_adapter.py is the contract that a new one must pass.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import granian._futures
import granian._granian
from granian.http import HTTP1Settings
from granian.wsgi import _callback_wrapper

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_native: Any = granian._granian  # its type stubs lag behind the module
_new_scheduler: Any = granian._futures._new_cbscheduler

BACKLOG = 1024
BACKPRESSURE = 256
"""Connections that granian reads at once; the edge hands over far fewer."""
THREAD_IDLE_S = 60
"""After which a thread that got nothing to do ends."""


class Served:
    """A worker at work."""

    def __init__(self, signal: Any) -> None:
        self._signal = signal
        self._stopped = threading.Event()
        signal.add_cb(self._stopped.set)

    def stop(self) -> None:
        """Accepts no more; connections are closed as their calls end. Callable from a signal handler."""
        self._signal.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it was stopped and the last answer is out."""
        return self._stopped.wait(timeout_s)


def serve(app: WSGIApplication, listener: socket.socket, *, threads: int, after_answer: Callable[[], None]) -> Served:
    """Returns at once. `after_answer` runs on the thread of each call when its answer is out and before the thread
    takes another."""
    answer = _callback_wrapper(app, {})

    def callback(protocol: Any, scope: Any) -> None:
        try:
            answer(protocol, scope)
        finally:
            after_answer()

    loop = asyncio.new_event_loop()  # granian wants one, and never runs it for WSGI
    local = listener.family == socket.AF_UNIX
    holder = _native.SocketHolder(listener.fileno(), local, BACKLOG)
    worker = _native.WSGIWorker(
        1,  # worker id
        (None, holder),  # a socket that is bound, in place of an address
        None,  # no channel to a parent
        1,  # runtime threads
        1,  # blocking threads of the runtime
        threads,
        THREAD_IDLE_S,
        BACKPRESSURE,
        "1",  # HTTP/1.1 only
        HTTP1Settings(header_read_timeout=30_000, keep_alive=True),
        None,  # no HTTP/2
        None,  # no static files
        *(False, None, None, None, "tls1.3", None, [], False),  # no TLS
        (None, None),  # no metrics of its own
    )
    signal = _native.WorkerSignal()
    served = Served(signal)
    start = worker.serve_str_uds if local else worker.serve_str
    start(_new_scheduler(loop, callback, impl_asyncio=True), loop, signal)
    return served
