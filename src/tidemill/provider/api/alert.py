"""`/system/alert`: Alertmanager's webhook, which scales as OpenFaaS' legacy autoscaler did."""

from __future__ import annotations

from math import ceil
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidemill.contract.errors import BadRequest, TidemillError
from tidemill.contract.names import FunctionRef
from tidemill.contract.tuning import Tuning
from tidemill.provider.api.body import read_object
from tidemill.provider.functions import Functions

SCALE_FACTOR = "com.openfaas.scale.factor"
DEFAULT_FACTOR = 10
"""Percent of scale.max that a firing alert adds."""


class AlertApi:
    def __init__(self, *, functions: Functions) -> None:
        self._functions = functions

    def routes(self) -> list[Route]:
        return [Route("/system/alert", self.receive, methods=["POST"])]

    async def receive(self, request: Request) -> Response:
        """Every alert is tried; 500 lists those that could not be followed."""
        body = await read_object(request)
        alerts = body.get("alerts")
        if not isinstance(alerts, list):
            raise BadRequest("alerts must be a list")
        errors = []
        for status, ref in [_read_alert(alert) for alert in alerts]:
            try:
                await self._follow(status, ref)
            except TidemillError as error:
                errors.append(f"{ref}: {error}")
        if errors:
            raise TidemillError("; ".join(errors))
        return Response(status_code=200)

    async def _follow(self, status: str, ref: FunctionRef) -> None:
        record = self._functions.get(ref).record
        factor = alert_factor(record.deployment.labels.get(SCALE_FACTOR, ""))
        wanted = alert_replicas(status, current=record.replicas, factor=factor, tuning=record.tuning)
        if wanted != record.replicas:
            await self._functions.scale(ref, wanted)


def alert_replicas(status: str, *, current: int, factor: int, tuning: Tuning) -> int:
    """Firing adds a part of the maximum, resolved goes back to the minimum."""
    if status != "firing":
        return tuning.scale_min
    return min(tuning.scale_max, current + ceil(tuning.scale_max / 100 * factor))


def alert_factor(label: str) -> int:
    return int(label) if label.isascii() and label.isdigit() and int(label) <= 100 else DEFAULT_FACTOR


def _read_alert(alert: Any) -> tuple[str, FunctionRef]:
    labels = alert.get("labels") if isinstance(alert, dict) else None
    name = labels.get("function_name") if isinstance(labels, dict) else None
    if not isinstance(name, str) or alert.get("status") not in ("firing", "resolved"):
        raise BadRequest('every alert needs labels.function_name and a status of "firing" or "resolved"')
    return alert["status"], FunctionRef.parse(name)
