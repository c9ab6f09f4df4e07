from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.queue.servers import NatsServer, Stack, nats_server


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, for the sake of socket paths."""
    with tempfile.TemporaryDirectory(prefix="tmq") as name:
        yield Path(name)


@pytest.fixture
def nats(folder: Path) -> Iterator[NatsServer]:
    with nats_server(folder) as server:
        yield server


@pytest.fixture
def stack(folder: Path) -> Stack:
    return Stack(folder)
