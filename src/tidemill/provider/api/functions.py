"""`/system/functions`, `/system/function/NAME`, `/system/scale-function/NAME`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.tuning import MOST_REPLICAS
from tidemill.provider.api.body import accepted, query_namespace, read_object, text, whole
from tidemill.provider.functions import Functions
from tidemill.provider.namespaces import Namespaces
from tidemill.provider.references import function_ref
from tidemill.provider.status import StatusReader


class FunctionsApi:
    def __init__(self, *, functions: Functions, namespaces: Namespaces, statuses: StatusReader) -> None:
        self._functions = functions
        self._namespaces = namespaces
        self._statuses = statuses

    def routes(self) -> list[Route]:
        return [
            Route("/system/functions", self.list_, methods=["GET"]),
            Route("/system/functions", self.create, methods=["POST"]),
            Route("/system/functions", self.update, methods=["PUT"]),
            Route("/system/functions", self.delete, methods=["DELETE"]),
            Route("/system/function/{name}", self.read, methods=["GET"]),
            Route("/system/scale-function/{name}", self.scale, methods=["POST"]),
        ]

    async def list_(self, request: Request) -> Response:
        """Without a namespace: the default one's, as every client expects; `*` stands for all."""
        namespace = query_namespace(request)
        found = self._functions.all(None if namespace == "*" else self._namespaces.require(namespace))
        return JSONResponse([status.as_wire() for status in await self._statuses.read(found)])

    async def read(self, request: Request) -> Response:
        live = self._functions.get(function_ref(request.path_params["name"], request.query_params.get("namespace")))
        usage = request.query_params.get("usage") in ("1", "true")
        (status,) = await self._statuses.read([live], usage=usage)
        return JSONResponse(status.as_wire())

    async def create(self, request: Request) -> Response:
        await self._functions.deploy(FunctionDeployment.from_wire(await read_object(request)))
        return accepted()

    async def update(self, request: Request) -> Response:
        """404 for an absent function makes faas-cli send a POST."""
        await self._functions.deploy(FunctionDeployment.from_wire(await read_object(request)), must_exist=True)
        return accepted()

    async def delete(self, request: Request) -> Response:
        """Older clients name the namespace in the query."""
        body = await read_object(request)
        namespace = text(body, "namespace", default="") or request.query_params.get("namespace")
        await self._functions.remove(function_ref(text(body, "functionName"), namespace))
        return accepted()

    async def scale(self, request: Request) -> Response:
        body = await read_object(request)
        namespace = text(body, "namespace", default="") or request.query_params.get("namespace")
        name = text(body, "serviceName", default=request.path_params["name"])
        ref = function_ref(name, namespace)
        await self._functions.scale(ref, whole(body, "replicas", most=MOST_REPLICAS))
        return accepted()
