"""What the table says of our durability comes from the server's own configuration."""

from pathlib import Path

import pytest

from bench.peers.publish_door import nats_config
from bench.queue_probe import sync_interval


@pytest.mark.parametrize("text", ["sync_interval: always", '"sync_interval": "always",', "sync_interval = always"])
def test_sync_interval_is_read(text: str) -> None:
    """In each way that nats-server accepts."""
    assert sync_interval(f"jetstream {{ {text} }}") == "sync_interval always"


def test_a_missing_sync_interval_is_named() -> None:
    """A run on a broker that loses acked messages must not look durable."""
    assert "not set" in sync_interval("jetstream { store_dir: /x }")


def test_the_peer_has_the_same_durability() -> None:
    """One publish per request is compared at equal terms."""
    assert sync_interval(nats_config(4222, Path("/x"))) == "sync_interval always"
