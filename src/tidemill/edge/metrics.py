"""The gateway's figures under OpenFaaS's names (openfaas-compat §9), as Prometheus text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, UntypedMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from tidemill.edge.counts import BUCKETS_S, Counts


@dataclass(frozen=True, slots=True)
class Moment:
    """All that one scrape tells. What could not be asked is absent, not zero."""

    counts: Counts
    in_flight: Mapping[str, int] = field(default_factory=dict)
    replicas: Mapping[str, int] | None = None
    config_ok: bool = True


class Gateway(Collector):
    """Turns moments into text. Keeps what was started, which must never go back."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._moment = Moment(Counts())
        self._started: dict[str, int] = {}

    def text(self, moment: Moment) -> bytes:
        self._moment = moment
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        moment = self._moment
        yield from _calls(moment.counts)
        yield self._started_family(moment)
        if moment.replicas is not None:
            yield _gauge("gateway_service_count", "Replicas of the function.", moment.replicas)
        dropped = CounterMetricFamily("tidemill_access_lines_dropped", "Log lines that HAProxy had no room for.")
        dropped.add_metric([], moment.counts.dropped)
        yield dropped
        bad = CounterMetricFamily("tidemill_access_lines_bad", "Log lines that could not be read.")
        bad.add_metric([], moment.counts.bad)
        yield bad
        yield GaugeMetricFamily(
            "tidemill_edge_config_ok",
            "0 while HAProxy refuses the newest edge configuration and runs an older one.",
            value=float(moment.config_ok),
        )

    def _started_family(self, moment: Moment) -> Metric:
        """Started is what ended and what runs; the two are read at slightly different moments."""
        ended = moment.counts.by_function()
        for function in ended.keys() | moment.in_flight.keys():
            now = ended.get(function, 0) + moment.in_flight.get(function, 0)
            self._started[function] = max(self._started.get(function, 0), now)
        # Not a counter family: that would be exposed as ..._started_total.
        family = UntypedMetricFamily(
            "gateway_function_invocation_started", "Calls of the function that started.", labels=["function_name"]
        )
        for function, started in self._started.items():
            family.add_metric([function], started)
        return family


def _calls(counts: Counts) -> Iterator[Metric]:
    labels = ["function_name", "code"]
    total = CounterMetricFamily("gateway_function_invocation", "Calls of the function that ended.", labels=labels)
    seconds = HistogramMetricFamily("gateway_functions_seconds", "How long calls took at the edge.", labels=labels)
    bounds = [*(str(bound) for bound in BUCKETS_S), "+Inf"]
    for (function, status), durations in counts.calls.items():
        total.add_metric([function, str(status)], durations.calls)
        so_far, cumulative = 0, []
        for bound, calls in zip(bounds, durations.buckets, strict=True):
            so_far += calls
            cumulative.append((bound, so_far))
        seconds.add_metric([function, str(status)], buckets=cumulative, sum_value=durations.sum_s)
    yield total
    yield seconds


def _gauge(name: str, meaning: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=["function_name"])
    for function, value in values.items():
        family.add_metric([function], value)
    return family
