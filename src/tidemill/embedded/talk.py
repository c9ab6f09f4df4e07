"""Talking to a running supervisor over its unix socket; its verbs are described in `supervisor`."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidemill.contract.errors import TidemillError


class Refused(TidemillError):
    """The supervisor refused the request."""

    code = "refused"


class Talk:
    """One connection; a request at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")

    def ask(self, request: Mapping[str, Any]) -> Any:
        """The one answer. Raises Refused, and ConnectionError where the supervisor goes away."""
        return next(self.listen(request))

    def listen(self, request: Mapping[str, Any]) -> Iterator[Any]:
        """Every answer as it comes. Raises as `ask`."""
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        for line in self._lines:
            answer = json.loads(line)
            if "error" in answer:
                raise Refused(answer["error"]["error"])
            yield answer["ok"]
        raise ConnectionResetError("the supervisor is gone")

    def set_timeout(self, timeout_s: float) -> None:
        """For the next answer; TimeoutError past it."""
        self._connection.settimeout(timeout_s)

    def close(self) -> None:
        self._lines.close()


@contextmanager
def talk(path: Path, *, timeout_s: float) -> Iterator[Talk]:
    """Raises OSError where no supervisor listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        talking = Talk(connection)
        try:
            yield talking
        finally:
            talking.close()
