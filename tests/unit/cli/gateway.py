"""A gateway in memory behind a real socket: as much of the HTTP API as the command uses."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD = "admin", "right"
HEADER = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass
class World:
    """What the gateway holds, and what it was asked."""

    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    namespaces: dict[str, dict[str, Any]] = field(default_factory=lambda: {"openfaas-fn": {"name": "openfaas-fn"}})
    calls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Per call the states that one look after another finds; the last stays."""
    letters: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: list[dict[str, Any]] = field(default_factory=list)
    contexts: dict[str, list[str]] = field(default_factory=dict)
    """Per built image the members of its context."""
    broken_builds: set[str] = field(default_factory=set)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path with query, Authorization."""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """Headers and body of each call of a function."""
    url: str = ""


@contextmanager
def running_gateway() -> Iterator[World]:
    world = World()

    class Bound(_Handler):
        pass

    Bound.world = world
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    world.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    world: World
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.world.requests.append((self.command, self.path, self.headers.get("Authorization")))
        parts = url.path.strip("/").split("/")
        if parts[0] in ("system", "build") and self.headers.get("Authorization") != HEADER:
            self._error(401, "invalid credentials", "unauthorized")
        elif parts[0] == "system":
            getattr(self, "_" + parts[1].replace("-", "_"))(parts[2:])
        else:
            getattr(self, "_" + parts[0].replace("-", "_"))(parts[1:])

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    # Functions

    def _info(self, _: list[str]) -> None:
        self._json(
            200, {"provider": {"provider": "tidemill", "orchestration": "process"}, "version": {"release": "1"}}
        )

    def _functions(self, _: list[str]) -> None:
        if self.command == "GET":
            return self._json(200, [self._status(name) for name in self.world.functions])
        wire = json.loads(self.body)
        if self.command == "DELETE":
            if self.world.functions.pop(wire["functionName"], None) is None:
                return self._error(404, f"function {wire['functionName']} is not deployed", "function_not_found")
            return self._json(202, {})
        if self.command == "PUT" and wire["service"] not in self.world.functions:
            return self._error(404, "not deployed", "function_not_found")
        if wire.get("annotations", {}).get("broken"):
            return self._error(500, "ImportError: no module named nothing", "deploy_failed")
        self.world.functions[wire["service"]] = wire
        return self._json(202, {})

    def _function(self, parts: list[str]) -> None:
        if self.path.startswith("/function/"):
            return self._called(parts)
        if parts[0] not in self.world.functions:
            return self._error(
                404, f"function {parts[0]} is not deployed in namespace openfaas-fn", "function_not_found"
            )
        return self._json(200, self._status(parts[0]))

    def _status(self, name: str) -> dict[str, Any]:
        wire = dict(self.world.functions[name])
        wire["name"] = wire.pop("service")
        return {
            **wire,
            "replicas": 1,
            "availableReplicas": 1,
            "invocationCount": 7,
            "createdAt": "2026-01-01T00:00:00Z",
        }

    def _scale_function(self, parts: list[str]) -> None:
        self.world.functions[parts[0]]["replicas"] = json.loads(self.body)["replicas"]
        self._json(202, {})

    def _build(self, _: list[str]) -> None:
        with tarfile.open(fileobj=io.BytesIO(self.body)) as tar:
            config = json.loads(tar.extractfile("com.openfaas.docker.config").read())  # type: ignore[union-attr]
            names = tar.getnames()
        image = config["image"]
        self.world.contexts[image] = names
        events: list[dict[str, Any]] = [{"log": ["resolving"], "status": "in_progress"}]
        if image in self.world.broken_builds:
            events.append({"status": "failed", "error": "no such package: nothing"})
        else:
            events.append({"status": "success", "image": f"tidemill.local/{image}@sha256:1"})
        self._ndjson(events)

    # Calls

    def _called(self, parts: list[str]) -> None:
        self.world.received.append((dict(self.headers), self.body))
        if parts[0].partition(".")[0] not in self.world.functions:
            return self._error(404, f"function {parts[0]} is not deployed", "function_not_found", internal=True)
        code = int(self.query.get("code", "200"))
        return self._answer(code, f"{self.command} {self.path} ".encode() + self.body, "text/plain")

    def _async_function(self, parts: list[str]) -> None:
        call_id = parts[0]
        if self.command == "POST":
            self.world.received.append((dict(self.headers), self.body))
            if call_id not in self.world.functions:
                return self._error(404, f"function {call_id} is not deployed", "function_not_found", internal=True)
            return self._answer(202, b"", "text/plain", {"X-Call-Id": "call-1"})
        if call_id not in self.world.calls:
            return self._error(404, f"there is no call {call_id}", "not_found", internal=True)
        if self.command == "DELETE":
            return self._json(202, {})
        if parts[1:] == ["result"]:
            return self._answer(200, b"the result", "text/plain")
        states = self.world.calls[call_id]
        return self._json(200, states.pop(0) if len(states) > 1 else states[0])

    def _calls(self, _: list[str]) -> None:
        found = [states[-1] for states in self.world.calls.values()]
        self._json(200, [call for call in found if call["state"] == self.query.get("state", call["state"])])

    def _dead_letters(self, parts: list[str]) -> None:
        letters = self.world.letters
        if self.command == "GET":
            if not parts:
                return self._json(200, list(letters.values()))
            if parts[0] not in letters:
                return self._error(404, f"there is no dead letter {parts[0]}", "not_found")
            return self._json(200, letters[parts[0]])
        done = "purged" if self.command == "DELETE" else "redriven"
        chosen = [parts[0]] if parts and parts[0] != "redrive" else list(letters)
        count = sum(letters.pop(each, None) is not None for each in chosen)
        return self._json(202, {done: count})

    # The rest

    def _logs(self, _: list[str]) -> None:
        self._ndjson(self.world.logs)

    def _secrets(self, _: list[str]) -> None:
        if self.command == "GET":
            return self._json(200, [{"name": name, "namespace": "openfaas-fn"} for name in self.world.secrets])
        wire = json.loads(self.body)
        known = wire["name"] in self.world.secrets
        if self.command == "POST" and known:
            return self._error(409, f"secret {wire['name']} exists", "conflict")
        if self.command != "POST" and not known:
            return self._error(404, f"there is no secret {wire['name']}", "not_found")
        if self.command == "DELETE":
            del self.world.secrets[wire["name"]]
        else:
            self.world.secrets[wire["name"]] = base64.b64decode(wire["rawValue"])
        return self._json(202, {})

    def _namespaces(self, _: list[str]) -> None:
        self._json(200, list(self.world.namespaces))

    def _namespace(self, parts: list[str]) -> None:
        if self.command == "GET":
            return self._json(200, self.world.namespaces[parts[0]])
        wire = json.loads(self.body)
        if self.command == "DELETE":
            del self.world.namespaces[wire["name"]]
        else:
            self.world.namespaces[wire["name"]] = wire
        return self._json(201, {})

    def _error(self, status: int, sentence: str, code: str, *, internal: bool = False) -> None:
        body = json.dumps({"error": sentence, "code": code, "call_id": "c-9"}).encode()
        self._answer(status, body, "application/json", {"X-OpenFaaS-Internal": "test"} if internal else {})

    def _json(self, status: int, value: Any) -> None:
        self._answer(status, json.dumps(value).encode(), "application/json")

    def _ndjson(self, values: list[dict[str, Any]]) -> None:
        body = b"".join(json.dumps(value).encode() + b"\n" for value in values)
        self._answer(200, body, "application/x-ndjson")

    def _answer(self, status: int, body: bytes, kind: str, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
