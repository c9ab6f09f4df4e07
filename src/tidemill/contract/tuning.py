"""What a deployment's labels, annotations and environment ask of the platform, in one parsed value.

| source | key | meaning | default |
|---|---|---|---|
| environment | `exec_timeout` | longest call; all other timeouts follow from it | 30s |
| environment | `write_timeout` | how long a replica may finish calls when it is stopped | exec_timeout |
| environment | `max_inflight` | calls at once per replica; above it 429 | 0: no limit |
| label | `com.openfaas.scale.min` | replicas kept (0: none until a call comes) | 1 |
| label | `com.openfaas.scale.max` | replicas at most | 4 |
| annotation | `com.tidemill.route` | routes, `;` between several | – |
| annotation | `com.tidemill.threads` | handler threads per replica | 1, or max_inflight |
| annotation | `com.tidemill.prefetch` | calls the edge hands to a replica ahead of its threads | 4, or max_inflight |
| annotation | `com.tidemill.max-body` | largest request body of a synchronous call | 10Mi |
| annotation | `com.openfaas.retry.attempts` | deliveries of an async call before it is dead | 10 |
| annotation | `com.openfaas.retry.codes` | statuses worth another attempt | 408,429,500,502,503,504 |
| annotation | `com.openfaas.retry.min_wait`, `.max_wait` | first and longest delay between attempts | 10s, 120s |
| annotation | `com.tidemill.queue.inflight` | async calls at once for this function | 32 |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tidemill.contract.errors import BadRequest
from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.routes import Route, parse_routes
from tidemill.contract.units import parse_duration_s, parse_memory_bytes

ROUTE = "com.tidemill.route"
THREADS = "com.tidemill.threads"
PREFETCH = "com.tidemill.prefetch"
MAX_BODY = "com.tidemill.max-body"
QUEUE_INFLIGHT = "com.tidemill.queue.inflight"
SCALE_MIN = "com.openfaas.scale.min"
SCALE_MAX = "com.openfaas.scale.max"
RETRY_ATTEMPTS = "com.openfaas.retry.attempts"
RETRY_CODES = "com.openfaas.retry.codes"
RETRY_MIN_WAIT = "com.openfaas.retry.min_wait"
RETRY_MAX_WAIT = "com.openfaas.retry.max_wait"

DEFAULT_PREFETCH = 4
"""Measured: 1 costs two thirds of the throughput of quick calls, 100 gains little over 4 and makes calls queue
behind a busy replica while another is free."""
MOST_THREADS = 64
MOST_REPLICAS = 64
DEFAULT_MAX_BODY_BYTES = 10 * 1024 * 1024

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When an async call is tried again (openfaas-compat: async retries)."""

    attempts: int = 10
    codes: frozenset[int] = frozenset({408, 429, 500, 502, 503, 504})
    min_wait_s: float = 10.0
    max_wait_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """See the module's table."""

    routes: tuple[Route, ...] = ()
    exec_timeout_s: float = 30.0
    grace_s: float = 30.0
    max_inflight: int = 0
    threads: int = 1
    prefetch: int = DEFAULT_PREFETCH
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    scale_min: int = 1
    scale_max: int = 4
    queue_inflight: int = 32
    retry: RetryPolicy = RetryPolicy()

    @classmethod
    def of(cls, deployment: FunctionDeployment) -> Tuning:
        """Raises BadRequest naming the label, annotation or variable: a typo must not quietly become a default."""
        environ, labels, notes = deployment.env_vars, deployment.labels, deployment.annotations
        exec_timeout_s = _read(environ, "exec_timeout", _positive_duration, 30.0)
        max_inflight = _read(environ, "max_inflight", _whole(0, 10_000), 0)
        threads = _read(notes, THREADS, _whole(1, MOST_THREADS), min(max_inflight, MOST_THREADS) or 1)
        scale_min = _read(labels, SCALE_MIN, _whole(0, MOST_REPLICAS), 1)
        scale_max = _read(labels, SCALE_MAX, _whole(1, MOST_REPLICAS), max(4, scale_min))
        if scale_min > scale_max:
            raise BadRequest(f"{SCALE_MIN} ({scale_min}) is above {SCALE_MAX} ({scale_max})")
        return cls(
            routes=_read(notes, ROUTE, parse_routes, ()),
            exec_timeout_s=exec_timeout_s,
            grace_s=_read(environ, "write_timeout", _positive_duration, exec_timeout_s),
            max_inflight=max_inflight,
            threads=threads,
            prefetch=_read(notes, PREFETCH, _whole(1, 1000), max_inflight or max(DEFAULT_PREFETCH, threads)),
            max_body_bytes=_read(notes, MAX_BODY, parse_memory_bytes, DEFAULT_MAX_BODY_BYTES),
            scale_min=scale_min,
            scale_max=scale_max,
            queue_inflight=_read(notes, QUEUE_INFLIGHT, _whole(1, 1000), 32),
            retry=retry_policy(notes),
        )


def retry_policy(annotations: Mapping[str, str]) -> RetryPolicy:
    """Raises BadRequest naming the annotation."""
    default = RetryPolicy()
    min_wait_s = _read(annotations, RETRY_MIN_WAIT, parse_duration_s, default.min_wait_s)
    max_wait_s = _read(annotations, RETRY_MAX_WAIT, parse_duration_s, max(default.max_wait_s, min_wait_s))
    if max_wait_s < min_wait_s:
        raise BadRequest(f"{RETRY_MAX_WAIT} ({max_wait_s:g} s) is below {RETRY_MIN_WAIT} ({min_wait_s:g} s)")
    return RetryPolicy(
        attempts=_read(annotations, RETRY_ATTEMPTS, _whole(1, 1000), default.attempts),
        codes=_read(annotations, RETRY_CODES, _codes, default.codes),
        min_wait_s=min_wait_s,
        max_wait_s=max_wait_s,
    )


def _read(source: Mapping[str, str], key: str, parse: Callable[[str], _T], default: _T) -> _T:
    text = source.get(key)
    if text is None or not text.strip():
        return default
    try:
        return parse(text)
    except (ValueError, BadRequest) as cause:
        raise BadRequest(f"{key}: {cause}", hint=getattr(cause, "hint", None)) from cause


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        text = text.strip()
        if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _positive_duration(text: str) -> float:
    seconds = parse_duration_s(text)
    if seconds <= 0:
        raise ValueError(f"{text!r} must be longer than nothing")
    return seconds


def _codes(text: str) -> frozenset[int]:
    codes = frozenset(_whole(100, 599)(part) for part in text.split(",") if part.strip())
    if not codes:
        raise ValueError(f"{text!r} is not a list of HTTP statuses such as 429,503")
    return codes
