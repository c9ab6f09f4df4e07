"""The sample functions with fakes in place of their servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tidemill.lib.idempotency.memory import MemoryRecords
from tidemill.testing import FakeGateway, MemoryItems, MemoryObjects, load_handler

FUNCTIONS = Path(__file__).parents[3] / "functions"
PHOTOS = Path(__file__).parents[3] / "examples" / "photos"

Call = Callable[..., tuple[int, Any, dict[str, str]]]
"""Calls a handler with a request: status, decoded body, headers."""


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that stack.yml gives them."""
    for name, value in yaml.safe_load((FUNCTIONS.parent / "config" / "dev.yml").read_text())["environment"].items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def items() -> MemoryItems:
    return MemoryItems()


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def load(
    items: MemoryItems, objects: MemoryObjects, gateway: FakeGateway, records: MemoryRecords
) -> Callable[[str], ModuleType]:
    """Loads a function by name and gives it the fakes for those parts that it has."""
    fakes = {"items": items, "objects": objects, "gateway": gateway, "records": records}

    def load_function(name: str) -> ModuleType:
        handler = load_handler(FUNCTIONS / name)
        for part, fake in fakes.items():
            if hasattr(handler, part):
                setattr(handler, part, lambda fake=fake: fake)
        return handler

    return load_function


def caller(handler: ModuleType) -> Call:
    def call(request: Any) -> tuple[int, Any, dict[str, str]]:
        answer = handler.handle(request, None)
        return answer["statusCode"], json.loads(answer["body"]), answer["headers"]

    return call
