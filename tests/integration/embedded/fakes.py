"""Small services for the supervisor: real processes that listen, die, hang, or print, as told."""

from __future__ import annotations

import sys
from pathlib import Path

from tidemill.embedded.probes import SocketOpen
from tidemill.embedded.service import Service

LISTEN = """
import os, signal, socket, sys, time
path, ending = sys.argv[1:3]
def end(*_):
    with open(os.path.join(os.path.dirname(path), "ended"), "a") as file:
        file.write(os.path.basename(path) + "\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if ending == "ignore" else end)
if os.path.exists(path): os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path); listener.listen()
print("listening", flush=True)
while True: listener.accept()[0].close()
"""
"""Listens on a unix socket; on SIGTERM adds its name to the file `ended`, or ignores it."""


def listening(name: str, folder: Path, *, stage: int = 1, ending: str = "end", grace_s: float = 5.0) -> Service:
    path = folder / f"{name}.sock"
    return Service(
        name=name,
        argv=(sys.executable, "-S", "-c", LISTEN, str(path), ending),
        ready=SocketOpen(path),
        stop_stage=stage,
        stop_grace_s=grace_s,
    )


def shell(name: str, script: str, folder: Path) -> Service:
    """Never ready by itself."""
    return Service(
        name=name,
        argv=("/bin/sh", "-c", script),
        ready=SocketOpen(folder / "never.sock"),
        stop_stage=1,
        stop_grace_s=2,
    )
