"""The backend that other tests trust keeps its promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.provider.backend_conformance import BackendConformance, Case
from tests.unit.provider.conftest import IMAGES
from tidemill.provider.backends.memory import MemoryBackend
from tidemill.provider.secrets import SecretStore


class TestMemoryBackend(BackendConformance):
    @pytest.fixture
    def case(self, tmp_path: Path) -> Case:
        secrets = SecretStore(tmp_path / "secrets")
        return Case(MemoryBackend(images=dict(IMAGES), secrets=secrets), "hello:1", "broken:1", secrets)
