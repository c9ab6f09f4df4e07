"""The handlers of the OpenFaaS Python templates, as they are, behind one shape: a view that takes Flask's request.

`python3-http` has `handle(event, context)`, `python3-flask` has `handle(req)`; both live in `function/handler.py`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Request, json

View = Callable[[Request], Any]
"""Calls the handler; returns anything that Flask takes as a response."""

Handle = Callable[..., Any]


class HandlerUnusable(Exception):
    """The handler cannot be called."""


@dataclass(slots=True)
class Event:
    """What `python3-http` hands to the function: the request."""

    body: bytes
    headers: Any
    method: str
    query: Any
    path: str


@dataclass(slots=True)
class Context:
    """What `python3-http` hands to the function: where it runs."""

    hostname: str


def load_view(kind: str, source_dir: str) -> View:
    """Imports `function/handler.py` below `source_dir`. Raises HandlerUnusable, or whatever the import raises."""
    sys.path.insert(0, source_dir)
    handle = getattr(importlib.import_module("function.handler"), "handle", None)
    if not callable(handle):
        raise HandlerUnusable("function/handler.py has no function named handle")
    if kind == "python3-http":
        return http_view(handle)
    if kind == "python3-flask":
        return flask_view(handle)
    raise HandlerUnusable(f"there is no template {kind} here")


def http_view(handle: Handle) -> View:
    context = Context(os.environ.get("HOSTNAME", "localhost"))

    def view(request: Request) -> Any:
        event = Event(body_of(request), request.headers, request.method, request.args, request.path)
        return _http_answer(handle(event, context))

    return view


def flask_view(handle: Handle) -> View:
    as_text = os.environ.get("RAW_BODY", "false").lower() not in ("true", "1")

    def view(request: Request) -> Any:
        body = body_of(request)
        answer = handle(body.decode(errors="replace") if as_text else body)
        return ("", 200) if answer is None else answer

    return view


def body_of(request: Request) -> bytes:
    """What `request.get_data()` gives, quicker where there is none: a tenth of a call without a body."""
    environ = request.environ
    if environ.get("CONTENT_LENGTH", "0") == "0" and "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    return request.get_data()


def _http_answer(answer: Any) -> Any:
    """A dict is `{statusCode?, body?, headers?}`, nothing is an empty 200, anything else is Flask's to understand."""
    if answer is None:
        return "", 200
    if not isinstance(answer, dict):
        return answer
    headers = answer.get("headers") or {}
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    body = answer.get("body", "")
    if isinstance(body, dict | list):
        body = json.dumps(body)
        if not any(name.lower() == "content-type" for name, _ in pairs):
            pairs.append(("Content-Type", "application/json"))
    elif body is None:
        body = ""
    elif not isinstance(body, str | bytes | bytearray):
        body = str(body)
    return body, answer.get("statusCode", 200), pairs
