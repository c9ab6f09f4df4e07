"""`/system/namespaces` and `/system/namespace/NS`; changes are taken under both words."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidemill.contract.errors import BadRequest
from tidemill.provider.api.body import accepted, read_object
from tidemill.provider.functions import Functions
from tidemill.provider.namespaces import Namespace, Namespaces
from tidemill.provider.secrets import SecretStore


class NamespacesApi:
    def __init__(self, *, namespaces: Namespaces, functions: Functions, secrets: SecretStore) -> None:
        self._namespaces = namespaces
        self._functions = functions
        self._secrets = secrets

    def routes(self) -> list[Route]:
        routes = [Route("/system/namespaces", self.list, methods=["GET"])]
        for word in ("namespace", "namespaces"):
            routes += [
                *(Route(f"/system/{word}{end}", self.create, methods=["POST"]) for end in ("", "/")),
                Route(f"/system/{word}/{{name}}", self.create, methods=["POST"]),
                Route(f"/system/{word}/{{name}}", self.read, methods=["GET"]),
                Route(f"/system/{word}/{{name}}", self.update, methods=["PUT"]),
                Route(f"/system/{word}/{{name}}", self.delete, methods=["DELETE"]),
            ]
        return routes

    async def list(self, _request: Request) -> Response:
        return JSONResponse(self._namespaces.names())

    async def read(self, request: Request) -> Response:
        return JSONResponse(self._namespaces.get(request.path_params["name"]).as_wire())

    async def create(self, request: Request) -> Response:
        namespace = await self._from_body(request)
        self._functions.require_loaded()
        await self._namespaces.create(namespace)
        return JSONResponse(namespace.as_wire(), status_code=201)

    async def update(self, request: Request) -> Response:
        await self._namespaces.update(await self._from_body(request))
        return accepted()

    async def delete(self, request: Request) -> Response:
        """The body is optional and must name the same namespace."""
        name = request.path_params["name"]
        if await request.body():
            await self._from_body(request)
        in_use = bool(self._functions.all(name) or await asyncio.to_thread(self._secrets.names, name))
        await self._namespaces.delete(name, in_use=in_use)
        return accepted()

    async def _from_body(self, request: Request) -> Namespace:
        namespace = Namespace.from_wire(await read_object(request))
        in_path = request.path_params.get("name")
        if in_path and in_path != namespace.name:
            raise BadRequest(f"the path names namespace {in_path[:80]}, the body {namespace.name}")
        return namespace
