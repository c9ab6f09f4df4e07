"""A function server in this process, without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.test import Client

from tidemill.runtime.app import FunctionApp
from tidemill.runtime.calls import Calls
from tidemill.runtime.handlers import Handle, View, http_view
from tidemill.runtime.server import FunctionServer


@dataclass
class Log:
    """The lines that were logged."""

    captured: pytest.CaptureFixture[bytes]
    _lines: list[dict[str, Any]] = field(default_factory=list)

    def events(self, event: str) -> list[dict[str, Any]]:
        self._lines += [json.loads(line) for line in self.captured.readouterr().out.splitlines()]
        return [line for line in self._lines if line["event"] == event]


@pytest.fixture
def log(capsysbinary: pytest.CaptureFixture[bytes]) -> Log:
    return Log(capsysbinary)


@dataclass
class Served:
    """A handler behind the function server."""

    server: FunctionServer
    calls: Calls
    http: Client


Serve = Callable[..., Served]


@pytest.fixture
def serve(log: Log) -> Serve:
    """Makes a server of a handler; further arguments go to Calls."""

    def make(
        handle: Handle,
        *,
        make_view: Callable[[Handle], View] = http_view,
        max_body: int | None = None,
        exec_timeout_s: float = 30.0,
        **limits: Any,
    ) -> Served:
        calls = Calls(**limits)
        app = FunctionApp(make_view(handle), root="/", max_body_bytes=max_body)
        server = FunctionServer(app, calls, ref="f.ns", exec_timeout_s=exec_timeout_s)
        return Served(server, calls, Client(server))

    return make
