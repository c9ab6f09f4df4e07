"""Messages between spawner, zygote and replica."""

from __future__ import annotations

import json
import os
import socket

import pytest

from tidemill.runtime.wire import MESSAGE_BYTES, ForkOrder, Report, receive, send


def test_order_survives_the_wire() -> None:
    """Every field comes back as it was."""
    order = ForkOrder(
        number=7,
        instance="f-1",
        ref="f.ns",
        kind="python3-http",
        source_dir="/s",
        work_dir="/w",
        environ={"A": "b"},
        secrets={"token": "/t"},
        max_inflight=3,
        uid=5000,
        cgroups=("/a", "/b"),
    )
    assert ForkOrder.from_wire(json.loads(json.dumps(order.as_wire()))) == order


def test_descriptors_travel_beside_a_message() -> None:
    """What is written into the copy comes out of the original; the end of the channel is None."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    with ours, theirs:
        send(ours, {"fork": {}}, [writing])
        send(ours, {"second": 1})
        message, (copy,) = receive(theirs)
        assert message == {"fork": {}}
        os.write(copy, b"through")
        assert os.read(reading, 100) == b"through"
        assert receive(theirs) == ({"second": 1}, [])
        ours.close()
        assert receive(theirs) == (None, [])
    for descriptor in (reading, writing, copy):
        os.close(descriptor)


def test_message_over_the_limit_is_not_sent() -> None:
    """The other side would read the beginning of it: a zygote dies of that, and all its replicas with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MESSAGE_BYTES)
    with ours, theirs:
        with pytest.raises(OSError, match=f"may take {MESSAGE_BYTES} bytes"):
            send(ours, {"fork": {"environ": {"A": "x" * MESSAGE_BYTES}}})
        send(ours, {"next": 1})
        assert receive(theirs) == ({"next": 1}, [])


def test_report_is_one_line() -> None:
    """Also where the reason has several."""
    line = Report("failed", "two\nlines").as_line()
    assert line.count(b"\n") == 1
    assert Report.from_line(line) == Report("failed", "two\nlines")
