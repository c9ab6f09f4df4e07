"""The line of each call, beside what the general logger writes of the same call."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.runtime.conftest import Log
from tidemill.lib.correlation import Call, bind
from tidemill.lib.log import get_logger
from tidemill.runtime.call_line import write_call_line

CALLS = [
    Call(function="f.ns"),
    Call("c-1", "u-1", "a" * 32, "b" * 16, "f.ns", 3),
    Call(call_id="c-1", function="f.ns"),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/a~b/c-d_e.f:1"),
        ("PUT", '/a","level":"error'),
        ("GET", "/back\\slash\n\x00"),
        ("BREW", "/caf\xe9/\u20ac/\udce9"),
        ('G"T', ""),
    ],
)
def test_line_says_what_the_logger_would(log: Log, call: Call, method: str, path: str) -> None:
    """Same fields in the same order and of the same types; a caller's text cannot break out of its own."""
    told: dict[str, Any] = {"method": method, "path": path, "status": 404, "size_bytes": 12, "duration_s": 0.000125}
    write_call_line(call, **told)
    with bind(call):
        get_logger("fn").info("call", **told)
    quick, general = ({**line, "ts": ""} for line in log.events("call"))
    if path.isascii():
        assert list(quick.items()) == list(general.items())
    else:  # the general one has to give up on half a surrogate pair, this one escapes it
        assert quick["path"] == path and list(quick) == list(general)
