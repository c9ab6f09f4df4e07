"""What of-watchdog measures, under its names: `http_requests_total`, `http_request_duration_seconds` (by code and
method) and `http_requests_in_flight`."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST as TEXT_FORMAT

__all__ = ["TEXT_FORMAT", "CallMetrics"]


class CallMetrics:
    """One registry per replica: a function's own metrics in the default registry are not mixed in."""

    def __init__(self, in_flight: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        labels = ("code", "method")
        self._total = Counter("http_requests_total", "Calls answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "http_request_duration_seconds", "How long calls took.", labels, registry=self.registry
        )
        gauge = Gauge("http_requests_in_flight", "Calls in hand.", registry=self.registry)
        gauge.set_function(in_flight)
        self._children: dict[tuple[int, str], tuple[Counter, Histogram]] = {}

    def observe(self, status: int, method: str, duration_s: float) -> None:
        total, seconds = self._children.get((status, method)) or self._child(status, method)
        total.inc()
        seconds.observe(duration_s)

    def render(self) -> bytes:
        """In TEXT_FORMAT."""
        return generate_latest(self.registry)

    def _child(self, status: int, method: str) -> tuple[Counter, Histogram]:
        labels = (str(status), method)
        child = self._total.labels(*labels), self._seconds.labels(*labels)
        self._children[status, method] = child
        return child
