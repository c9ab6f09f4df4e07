"""For authors of functions: call a handler as the template would, with fakes in place of the servers.

    from tidemill.testing import FakeGateway, event, load_handler

    def test_hello():
        handler = load_handler("functions/hello")
        assert handler.handle(event(query={"name": "Ada"}), None)["statusCode"] == 200

The fakes keep the promises of what they stand for; one suite runs over both (tests/conformance). MemoryRecords of
`tidemill.lib.idempotency.memory` is the one for idempotency.
"""

from tidemill.testing.event import FakeEvent, event
from tidemill.testing.fakes import Down, FakeGateway, MemoryObjects, QueuedCall
from tidemill.testing.items import MemoryItems
from tidemill.testing.loader import load_handler, load_module

__all__ = [
    "Down",
    "FakeEvent",
    "FakeGateway",
    "MemoryItems",
    "MemoryObjects",
    "QueuedCall",
    "event",
    "load_handler",
    "load_module",
]
