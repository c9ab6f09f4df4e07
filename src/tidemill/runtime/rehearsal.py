"""One call through the whole function server, in the zygote: what Flask, werkzeug and Python make on first use (lazy
imports, compiled patterns, caches) is then made once, before the fork, and not by every replica's first caller."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from wsgiref.util import setup_testing_defaults

from tidemill.runtime.app import FunctionApp
from tidemill.runtime.calls import Calls
from tidemill.runtime.handlers import http_view
from tidemill.runtime.server import FunctionServer


def rehearse() -> None:
    app = FunctionApp(http_view(lambda event, context: {"body": {"path": event.path}}), root="/")
    server = FunctionServer(app, Calls(), ref="rehearsal.none")
    environ: dict[str, object] = {"wsgi.input_terminated": True}
    setup_testing_defaults(environ)
    with redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        for _ in server(environ, lambda status, headers, exc_info=None: lambda data: None):
            pass
