"""The gateway's HTTP API as methods. Every answer that is not a success is raised as the Failure that it means."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import quote

import httpx

from tidemill.cli.failures import Failure, LoginNeeded, Missing, Unreachable, of_status
from tidemill.contract import headers
from tidemill.contract.functions import FunctionDeployment

TIMEOUT = httpx.Timeout(10, read=120)
"""Deployments install packages, so reads are patient; connecting is not."""
LONG_READ = httpx.Timeout(10, read=None)
"""Streams and calls of functions end when the other side says so."""
_LOGIN_HINT = "log in with: tidemill login (in the platform's own folder; elsewhere with --password-stdin)"
_HINTS = {"function_not_found": "see what is deployed with: tidemill list"}
LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
NDJSON = "application/x-ndjson"

Json = Any
"""Decoded JSON; the platform's answers are shown, not interpreted."""


class Gateway:
    """One gateway, spoken to by one user. A context manager; safe from several threads."""

    def __init__(self, url: str, *, logins: Sequence[str] = ()) -> None:
        self.url = url
        beyond = not _is_plain_loopback(url)  # no proxy leads to this machine, and its calls need no certificates
        self._http = httpx.Client(
            base_url=url, auth=_Logins(logins), timeout=TIMEOUT, trust_env=beyond, verify=beyond
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # Functions

    def functions(self, namespace: str | None = None) -> list[dict[str, Json]]:
        found: list[dict[str, Json]] = self._json("GET", "/system/functions", params=_given(namespace=namespace))
        return found

    def function(self, name: str, namespace: str | None = None) -> dict[str, Json]:
        params = _given(namespace=namespace, usage="1")
        found: dict[str, Json] = self._json("GET", f"/system/function/{_segment(name)}", params=params)
        return found

    def deploy(self, deployment: FunctionDeployment) -> None:
        """Updates the function, or creates it where it is not there yet."""
        body = deployment.as_wire()
        try:
            self._request("PUT", "/system/functions", json=body)
        except Missing:
            self._request("POST", "/system/functions", json=body)

    def remove(self, name: str, namespace: str | None = None) -> None:
        self._request("DELETE", "/system/functions", json=_given(functionName=name, namespace=namespace))

    def scale(self, name: str, replicas: int, namespace: str | None = None) -> None:
        body = {"serviceName": name, "replicas": replicas, **_given(namespace=namespace)}
        self._request("POST", f"/system/scale-function/{_segment(name)}", json=body)

    def build(self, tar: bytes) -> Iterator[dict[str, Json]]:
        """What the builder reports, one event at a time; the last has the image or the error."""
        wanted = {"Accept": NDJSON, "Content-Type": "application/octet-stream"}
        with self._stream("POST", "/build", content=tar, headers=wanted) as answer:
            yield from _ndjson(answer)

    # Calls

    def invoke(
        self,
        path: str,
        *,
        method: str = "POST",
        body: bytes = b"",
        query: Sequence[tuple[str, str]] = (),
        extra: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The function's own answer, whatever its status. No login is sent: functions are no part of the platform."""
        return self._send(method, path, content=body, params=query, headers=extra, auth=None, timeout=LONG_READ)

    def call(self, call_id: str) -> dict[str, Json]:
        state: dict[str, Json] = self._json("GET", f"/async-function/{_segment(call_id)}")
        return state

    def call_result(self, call_id: str) -> httpx.Response:
        """The function's answer, whatever its status. Raises Missing for an unknown call, Exists while it runs."""
        answer = self._send("GET", f"/async-function/{_segment(call_id)}/result")
        if answer.headers.get(headers.INTERNAL) and not answer.is_success:
            raise failure_of(answer)
        return answer

    def cancel(self, call_id: str) -> None:
        self._request("DELETE", f"/async-function/{_segment(call_id)}")

    def calls(self, *, function: str | None, state: str | None, limit: int) -> list[dict[str, Json]]:
        params = _given(function=function, state=state, limit=str(limit))
        found: list[dict[str, Json]] = self._json("GET", "/system/calls", params=params)
        return found

    # Dead letters

    def dead_letters(self, *, function: str | None, limit: int) -> list[dict[str, Json]]:
        params = _given(function=function, limit=str(limit))
        found: list[dict[str, Json]] = self._json("GET", "/system/dead-letters", params=params)
        return found

    def dead_letter(self, call_id: str) -> dict[str, Json]:
        letter: dict[str, Json] = self._json("GET", f"/system/dead-letters/{_segment(call_id)}")
        return letter

    def redrive(self, call_id: str) -> int:
        return int(self._json("POST", f"/system/dead-letters/{_segment(call_id)}/redrive")["redriven"])

    def redrive_all(self, function: str | None) -> int:
        params = _given(function=function)
        return int(self._json("POST", "/system/dead-letters/redrive", params=params)["redriven"])

    def purge(self, call_id: str) -> int:
        return int(self._json("DELETE", f"/system/dead-letters/{_segment(call_id)}")["purged"])

    def purge_all(self, function: str | None) -> int:
        return int(self._json("DELETE", "/system/dead-letters", params=_given(function=function))["purged"])

    # Logs

    def logs(self, params: Mapping[str, str]) -> Iterator[dict[str, Json]]:
        with self._stream("GET", "/system/logs", params=dict(params)) as answer:
            yield from _ndjson(answer)

    # Secrets and namespaces

    def secrets(self, namespace: str | None = None) -> list[dict[str, Json]]:
        found: list[dict[str, Json]] = self._json("GET", "/system/secrets", params=_given(namespace=namespace))
        return found

    def write_secret(self, name: str, value: bytes, namespace: str | None = None, *, update: bool) -> None:
        import base64

        body = {"name": name, "rawValue": base64.b64encode(value).decode(), **_given(namespace=namespace)}
        self._request("PUT" if update else "POST", "/system/secrets", json=body)

    def remove_secret(self, name: str, namespace: str | None = None) -> None:
        self._request("DELETE", "/system/secrets", json=_given(name=name, namespace=namespace))

    def namespaces(self) -> list[str]:
        found: list[str] = self._json("GET", "/system/namespaces")
        return found

    def namespace(self, name: str) -> dict[str, Json]:
        found: dict[str, Json] = self._json("GET", f"/system/namespace/{_segment(name)}")
        return found

    def write_namespace(
        self, name: str, *, labels: Mapping[str, str], annotations: Mapping[str, str], update: bool
    ) -> None:
        body = {"name": name, "labels": dict(labels), "annotations": dict(annotations)}
        path = f"/system/namespace/{_segment(name)}" if update else "/system/namespace/"
        self._request("PUT" if update else "POST", path, json=body)

    def remove_namespace(self, name: str) -> None:
        self._request("DELETE", f"/system/namespace/{_segment(name)}", json={"name": name})

    # The platform

    def info(self) -> dict[str, Json]:
        found: dict[str, Json] = self._json("GET", "/system/info")
        return found

    # Requests

    def _json(self, method: str, path: str, **options: Any) -> Json:
        answer = self._request(method, path, **options)
        try:
            return answer.json()
        except ValueError as cause:
            raise Failure(f"{method} {self.url}{path} answered {answer.status_code} without JSON") from cause

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._send(method, path, **options)
        if not answer.is_success:
            raise failure_of(answer)
        return answer

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        with _network_failures(self.url):
            return self._http.request(method, path, **options)

    @contextmanager
    def _stream(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        with (
            _network_failures(self.url),
            self._http.stream(method, path, timeout=LONG_READ, **options) as answer,
        ):
            if not answer.is_success:
                answer.read()
                raise failure_of(answer)
            yield answer


class _Logins(httpx.Auth):
    """Tries each login until one is accepted: a saved one may be older than the platform's present password."""

    def __init__(self, logins: Sequence[str]) -> None:
        self._logins = list(logins)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self._logins:
            yield request
        for login in list(self._logins):
            request.headers["Authorization"] = login
            answer = yield request
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                self._logins = [login]
                return


@contextmanager
def _network_failures(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectError as cause:
        hint = "start the platform with: tidemill up (or name another gateway with --gateway)"
        raise Unreachable(f"nothing answers at {url}", hint=hint) from cause
    except httpx.TimeoutException as cause:
        raise Unreachable(f"{url} did not answer in time", hint="see how it is with: tidemill status") from cause
    except httpx.HTTPError as cause:
        raise Unreachable(f"the connection to {url} broke: {cause}") from cause


def failure_of(answer: httpx.Response) -> Failure:
    """The platform's own sentence, code, hint and call id where it gave them."""
    kind = of_status(answer.status_code)
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    sentence = body.get("error") or _plain_text(answer) or f"the gateway answered {answer.status_code}"
    hint = body.get("hint") or _HINTS.get(str(body.get("code"))) or (_LOGIN_HINT if kind is LoginNeeded else None)
    call_id = body.get("call_id") or answer.headers.get(headers.CALL_ID)
    return kind(str(sentence), hint=hint, call_id=call_id, code=body.get("code"))


def _plain_text(answer: httpx.Response) -> str:
    """What other gateways say in plain text; a page for browsers is no sentence."""
    if answer.headers.get("content-type", "").startswith("text/html"):
        return f"{answer.url} answered {answer.status_code} with a page for browsers: it is no gateway"
    return answer.text.strip()[:500]


def _ndjson(answer: httpx.Response) -> Iterator[dict[str, Json]]:
    for line in answer.iter_lines():
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as cause:
                raise Failure(f"the gateway sent a line that is not JSON: {line[:200]}") from cause


def _given(**pairs: str | None) -> dict[str, str]:
    return {name: value for name, value in pairs.items() if value is not None}


def _is_plain_loopback(url: str) -> bool:
    parsed = httpx.URL(url)
    return parsed.scheme == "http" and parsed.host in LOOPBACK


def _segment(text: str) -> str:
    """One path segment, whatever the user typed."""
    return quote(text, safe="")
