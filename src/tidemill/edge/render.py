"""The whole edge as text: HAProxy's configuration and its maps. Pure: the same picture gives the same bytes.

Backends are declared ahead of need and named by number; which function lives in which backend is a map entry. So a
deployment changes map entries and server lines only, and both can be changed while HAProxy runs (edge.apply). The
same picture is always rendered to disk as well: an HAProxy that starts anew starts with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from tidemill.contract.names import DEFAULT_NAMESPACE
from tidemill.contract.routes import METHODS, Route
from tidemill.contract.traffic import Server, Target
from tidemill.edge.picture import Picture
from tidemill.lib.settings import Settings

QUEUE_WAIT_MS = 10_000
"""How long a call waits for a replica with room before 429: long enough for a burst, short enough that a caller with
the usual 30 s timeout still hears of it."""
THREADS = 1
"""Measured on 2 cores: HAProxy is a small part of a call's work, and a second thread only competes with replicas."""
RING_BYTES = 8 * 1024 * 1024
"""Log lines kept while the log reader is away: about 12,000 calls."""
SERVER_OPTIONS = "pool-purge-delay 5s"
"""Idle connections beyond what was needed lately are closed well before a replica's own 30 s."""

CONFIG_FILE = "haproxy.cfg"
FUNCTIONS_MAP = "functions.map"


@dataclass(frozen=True, slots=True)
class Extensions:
    """What an operator adds (gateway-config/)."""

    frontend: str = ""
    """Lines of the edge's frontend, before any of ours."""
    sections: str = ""
    """Whole sections: backends, userlists, further frontends."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """Everything HAProxy reads. `maps` holds, per file, key and value in the order of matching."""

    config: str
    fingerprint: str
    """Of all that only a reload can change: everything but server lines and maps. HAProxy tells it back."""
    maps: Mapping[str, tuple[tuple[str, str], ...]]

    def files(self) -> dict[str, str]:
        texts = {name: "".join(f"{key} {value}\n" for key, value in pairs) for name, pairs in self.maps.items()}
        return {CONFIG_FILE: self.config, **texts}


def backend_name(place: int) -> str:
    return f"fn{place}"


def server_parameters(server: Server) -> str:
    """Address and options as both `server` lines and the `add server` command take them."""
    return f"unix@{server.socket} maxconn {server.max_connections} {SERVER_OPTIONS}"


def render(settings: Settings, picture: Picture, extensions: Extensions = Extensions()) -> Rendering:
    servers = picture.servers()
    blanks: dict[str, object] = {
        "admin_socket": settings.socket("haproxy-admin"),
        "logs_socket": settings.socket("logs"),
        "edge_socket": settings.socket("edge"),
        "control_socket": settings.socket("control"),
        "door_socket": settings.socket("door"),
        "figures_socket": settings.socket("haproxy-figures"),
        "gateway": settings.gateway_address,
        "threads": THREADS,
        "ring_bytes": RING_BYTES,
        "queue_wait_ms": QUEUE_WAIT_MS,
        "methods": ", ".join(METHODS),
        "methods_words": " ".join(METHODS),
        "default_namespace": DEFAULT_NAMESPACE,
        "operator_frontend": _indented(extensions.frontend),
        "operator_sections": extensions.sections,
    }
    unchanging = Template(_base()).substitute(blanks, fingerprint="", backends=picture.pool)
    fingerprint = hashlib.sha256(unchanging.encode()).hexdigest()[:12]
    backends = "\n".join(_backend(place, servers.get(place, {}).values()) for place in range(picture.pool))
    config = Template(_base()).substitute(blanks, fingerprint=fingerprint, backends=backends)
    return Rendering(config, fingerprint, render_maps(picture))


def render_maps(picture: Picture) -> dict[str, tuple[tuple[str, str], ...]]:
    targets, places = picture.targets, picture.places
    routes = sorted(
        ((Route.parse(text), ref) for ref, target in targets.items() for text in target.routes),
        key=lambda claim: (claim[0].specificity, str(claim[0]), str(claim[1])),
    )
    literal = [(route, ref) for route, ref in routes if route.is_literal]
    patterns = [(route, ref) for route, ref in routes if not route.is_literal]
    return {
        FUNCTIONS_MAP: tuple(sorted((str(ref), _entry(target, places[ref])) for ref, target in targets.items())),
        "routes.map": tuple(
            (method + route.pattern, f"{ref}|{route}") for route, ref in literal for method in _methods(route)
        ),
        "patterns.map": tuple(
            (f"^(?:{'|'.join(_methods(route))}){route.path_regex[1:]}", f"{ref}|{route}") for route, ref in patterns
        ),
        "routes-allow.map": _allowed((route.pattern, route) for route, _ in literal),
        "patterns-allow.map": _allowed((route.path_regex, route) for route, _ in patterns),
    }


def _entry(target: Target, place: int) -> str:
    """Backend, timeout in ms and body limit in bytes: one lookup gives all that a call needs."""
    return f"{backend_name(place)}|{max(1, round(target.timeout_s * 1000))}|{target.max_body_bytes}"


def _methods(route: Route) -> tuple[str, ...]:
    return METHODS if route.method == "*" else (route.method,)


def _allowed(claims: Iterable[tuple[str, Route]]) -> tuple[tuple[str, str], ...]:
    """What `Allow` says where a path is known and the method is not."""
    methods: dict[str, set[str]] = {}
    for key, route in claims:
        methods.setdefault(key, set()).update(_methods(route), ("HEAD",) if route.method == "GET" else ())
    return tuple((key, ", ".join(sorted(allowed))) for key, allowed in methods.items())


def _backend(place: int, servers: Iterable[Server]) -> str:
    lines = [f"backend {backend_name(place)} from function"]
    lines += [f"    server {server.name} {server_parameters(server)}" for server in servers]
    return "\n".join(lines) + "\n"


def _indented(text: str) -> str:
    return "\n".join(f"    {line.strip()}" if line.strip() else "" for line in text.splitlines())


@cache
def _base() -> str:
    return resources.files(__package__).joinpath("base.cfg").read_text()
