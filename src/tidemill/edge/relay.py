"""What the log service asks its neighbours for at a scrape: over unix sockets, briefly, and never as a condition."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import suppress
from pathlib import Path

from tidemill.lib.auth import Credentials
from tidemill.lib.settings import Settings

ASK_TIMEOUT_S = 1.0
"""A scrape must not hang because a service does."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ASK_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def replicas(settings: Settings) -> dict[str, int] | None:
    """`name.namespace` → replicas, from control; None where it does not say."""
    try:
        login = {"Authorization": Credentials.load(settings.secrets_dir).header}
        body = _get(settings.socket("control"), "/system/functions", login)
        return {f"{one['name']}.{one['namespace']}": int(one.get("replicas", 0)) for one in json.loads(body)}
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None


def haproxy_figures(settings: Settings) -> bytes:
    """The text of HAProxy's own exporter, without the numbered backends; empty where it is away."""
    try:
        return _get(settings.socket("haproxy-figures"), "/metrics?scope=global&scope=frontend", {})
    except (OSError, http.client.HTTPException):
        return b""


def ring_bell(settings: Settings) -> None:
    """Make HAProxy write one line to its log ring, so that it notices a reader that went away."""
    with suppress(OSError, http.client.HTTPException):
        _get(settings.socket("haproxy-figures"), "/bell", {})


def _get(path: Path, target: str, headers: dict[str, str]) -> bytes:
    connection = _UnixConnection(path)
    try:
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        if answer.status not in (200, 204):
            raise http.client.HTTPException(f"{target} answered {answer.status}")
        return answer.read()
    finally:
        connection.close()
