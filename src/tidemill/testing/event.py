"""Requests as the `python3-http` template hands them to `handle`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import Headers


@dataclass(frozen=True)
class FakeEvent:
    """One request. Headers are found in any case, as Flask's are."""

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    path: str = "/"


def event(
    method: str = "GET",
    path: str = "/",
    *,
    body: bytes | str | dict[str, Any] | list[Any] = b"",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> FakeEvent:
    """A request; a `body` of dict or list is sent as JSON, with its content type where `headers` has none."""
    given = dict(headers or {})
    if isinstance(body, dict | list):
        given.setdefault("Content-Type", "application/json")
        body = json.dumps(body)
    raw = body.encode() if isinstance(body, str) else body
    return FakeEvent(raw, Headers(list(given.items())), method, dict(query or {}), path)  # type: ignore[arg-type]
