"""The spawner's own 503."""

from __future__ import annotations

import json

from tidemill.contract.errors import Unavailable
from tidemill.spawn.refusal import render


def test_refusal_is_a_whole_answer() -> None:
    """Status, marker, a Retry-After that is never zero, and the reason as JSON of exactly the announced length."""
    head, body = render(Unavailable("no module", retry_after_s=0.2)).split(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 503 Service Unavailable"
    assert {"X-OpenFaaS-Internal: spawner", "Retry-After: 1", f"Content-Length: {len(body)}"} <= set(lines)
    assert json.loads(body) == {"error": "no module", "code": "unavailable"}
