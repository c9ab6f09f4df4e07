"""A whole provider in memory: real API and logic, a backend and an edge without processes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tidemill.lib.auth import Credentials
from tidemill.lib.log import Logger
from tidemill.provider.api.alert import AlertApi
from tidemill.provider.api.app import make_app
from tidemill.provider.api.functions import FunctionsApi
from tidemill.provider.api.info import ROUTES as INFO_ROUTES
from tidemill.provider.api.logs import LogsApi
from tidemill.provider.api.namespaces import NamespacesApi
from tidemill.provider.api.secrets import SecretsApi
from tidemill.provider.backends.memory import MemoryBackend
from tidemill.provider.background import Background
from tidemill.provider.functions import Functions
from tidemill.provider.memory_traffic import MemoryTraffic
from tidemill.provider.namespaces import Namespaces
from tidemill.provider.routing import Routing
from tidemill.provider.secrets import SecretStore
from tidemill.provider.status import StatusReader
from tidemill.provider.store import MemoryRecordStore

CREDENTIALS = Credentials("admin", "open sesame")
IMAGES = {"hello:1": None, "hello:2": None, "broken:1": "ImportError: No module named 'nowhere'"}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Provider:
    """Everything a test may look at or break."""

    functions: Functions
    namespaces: Namespaces
    backend: MemoryBackend
    traffic: MemoryTraffic
    store: MemoryRecordStore
    secrets: SecretStore
    background: Background
    client: httpx.AsyncClient
    logs_dir: Path
    log: io.BytesIO
    announced: list[None]

    async def deploy(self, service: str = "hello", image: str = "hello:1", **fields: Any) -> httpx.Response:
        body = {"service": service, "image": image, **fields}
        answer = await self.client.put("/system/functions", json=body)
        return await self.client.post("/system/functions", json=body) if answer.status_code == 404 else answer

    async def status(self, name: str = "hello", **query: str) -> dict[str, Any]:
        answer = await self.client.get(f"/system/function/{name}", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Provider]:
    """Before its first reconcile."""
    output = io.BytesIO()
    log = Logger("control", stream=output)
    secrets = SecretStore(tmp_path / "secrets")
    backend = MemoryBackend(images=dict(IMAGES), secrets=secrets)
    traffic, store, announced = MemoryTraffic(), MemoryRecordStore(), list[None]()
    namespaces = Namespaces(MemoryRecordStore())

    async def announce() -> None:
        announced.append(None)

    async def counts() -> dict[str, float]:
        return {"hello.openfaas-fn": 7}

    async with Background(log) as background:
        functions = Functions(
            backend=backend,
            routing=Routing(traffic),
            store=store,
            namespaces=namespaces,
            announce=announce,
            background=background,
            log=log,
            now=lambda: NOW,
        )
        routes = [
            *FunctionsApi(
                functions=functions, namespaces=namespaces, statuses=StatusReader(backend=backend, counts=counts)
            ).routes(),
            *SecretsApi(secrets=secrets, namespaces=namespaces).routes(),
            *NamespacesApi(namespaces=namespaces, functions=functions, secrets=secrets).routes(),
            *LogsApi(logs_dir=tmp_path / "logs", functions=functions).routes(),
            *AlertApi(functions=functions).routes(),
            *INFO_ROUTES,
        ]
        app = make_app(routes=routes, functions=functions, credentials=CREDENTIALS, log=log)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://control",
            headers={"Authorization": CREDENTIALS.header},
        ) as client:
            yield Provider(
                functions, namespaces, backend, traffic, store, secrets, background, client,
                tmp_path / "logs", output, announced,
            )  # fmt: skip


@pytest.fixture
async def provider(fresh: Provider) -> Provider:
    """Ready."""
    await fresh.functions.reconcile()
    return fresh
