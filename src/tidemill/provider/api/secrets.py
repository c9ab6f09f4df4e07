"""`/system/secrets`. Values come in and never go out."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidemill.contract.errors import BadRequest
from tidemill.contract.names import DEFAULT_NAMESPACE
from tidemill.provider.api.body import accepted, query_namespace, read_object, text
from tidemill.provider.namespaces import Namespaces
from tidemill.provider.secrets import SecretStore


class SecretsApi:
    def __init__(self, *, secrets: SecretStore, namespaces: Namespaces) -> None:
        self._secrets = secrets
        self._namespaces = namespaces

    def routes(self) -> list[Route]:
        return [
            Route("/system/secrets", self.list, methods=["GET"]),
            Route("/system/secrets", self.create, methods=["POST"]),
            Route("/system/secrets", self.update, methods=["PUT"]),
            Route("/system/secrets", self.delete, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        namespace = self._namespaces.require(query_namespace(request))
        names = await asyncio.to_thread(self._secrets.names, namespace)
        return JSONResponse([{"name": name, "namespace": namespace} for name in names])

    async def create(self, request: Request) -> Response:
        body = await read_object(request)
        await asyncio.to_thread(self._secrets.create, *self._key(body), secret_value(body))
        return accepted()

    async def update(self, request: Request) -> Response:
        body = await read_object(request)
        await asyncio.to_thread(self._secrets.update, *self._key(body), secret_value(body))
        return accepted()

    async def delete(self, request: Request) -> Response:
        await asyncio.to_thread(self._secrets.delete, *self._key(await read_object(request)))
        return accepted()

    def _key(self, body: dict[str, Any]) -> tuple[str, str]:
        namespace = self._namespaces.require(text(body, "namespace", default=DEFAULT_NAMESPACE))
        return namespace, text(body, "name")


def secret_value(body: dict[str, Any]) -> bytes:
    """`rawValue` (base64) where it is given, else `value`. Raises BadRequest."""
    raw = text(body, "rawValue", default="")
    if not raw:
        return text(body, "value", default="").encode()
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError) as cause:
        raise BadRequest(f"rawValue is not base64: {cause}") from cause
