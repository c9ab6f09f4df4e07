"""The door as a web application: which request goes where, and every error as an answer.

An RSGI application for granian: at thousands of submissions a second a framework's layers cost more than the disk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

from tidemill.contract import headers
from tidemill.contract.errors import NotFound, TidemillError, Unauthorized
from tidemill.lib.auth import Credentials
from tidemill.lib.log import Logger
from tidemill.queue.calls import Calls
from tidemill.queue.dead_letters import DeadLetters
from tidemill.queue.submit import PREFIX, Submissions
from tidemill.queue.web import COMPONENT, Answer, Body, Handler, Request, error_answer, json_answer

_CALL = r"(?P<call_id>[^/]+)"


class Scope(Protocol):
    """What granian tells of a request."""

    method: str
    path: str
    query_string: str
    headers: Any


class Exchange(Body, Protocol):
    """Body and answer of one request, as granian's RSGI has them."""

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None: ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


class Door:
    """Callable as an RSGI application."""

    def __init__(
        self, submissions: Submissions, calls: Calls, dead: DeadLetters, credentials: Credentials, log: Logger
    ) -> None:
        self._submissions = submissions
        self._credentials = credentials
        self._log = log
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = [
            (method, re.compile(pattern), handler)
            for method, pattern, handler in (
                ("GET", rf"{PREFIX}{_CALL}", calls.show),
                ("GET", rf"{PREFIX}{_CALL}/result", calls.result),
                ("DELETE", rf"{PREFIX}{_CALL}", calls.cancel),
                ("GET", r"/system/calls", calls.recent),
                ("GET", r"/system/dead-letters", dead.list),
                ("DELETE", r"/system/dead-letters", dead.purge_all),
                ("POST", r"/system/dead-letters/redrive", dead.redrive_all),
                ("GET", rf"/system/dead-letters/{_CALL}", dead.show),
                ("DELETE", rf"/system/dead-letters/{_CALL}", dead.purge_one),
                ("POST", rf"/system/dead-letters/{_CALL}/redrive", dead.redrive_one),
                ("GET", r"/healthz", _healthy),
            )
        ]

    async def __call__(self, scope: Scope, exchange: Exchange) -> None:
        request = Request(scope.method, scope.path, scope.query_string, scope.headers.items(), exchange)
        answer = await self.answer(request)
        if answer.body:
            exchange.response_bytes(answer.status, answer.headers, answer.body)
        else:
            exchange.response_empty(answer.status, answer.headers)

    async def answer(self, request: Request) -> Answer:
        try:
            if request.method == "POST" and request.path.startswith(PREFIX):
                return await self._submissions.submit(request)
            return await self._route(request)
        except TidemillError as error:
            return error_answer(error, request.header(headers.CALL_ID))
        except Exception:
            call_id = request.header(headers.CALL_ID)
            self._log.error("request failed", call_id=call_id, method=request.method, path=request.path)
            sentence = "something went wrong inside the platform; its log has the call id"
            return error_answer(TidemillError(sentence), call_id)

    async def _route(self, request: Request) -> Answer:
        path = request.path.rstrip("/")
        if path.startswith("/system/") and not self._credentials.permits(request.header("authorization")):
            raise Unauthorized("invalid credentials")
        for method, pattern, handler in self._routes:
            if request.method == method and (match := pattern.fullmatch(path)):
                return await handler(request, {**dict(parse_qsl(request.query)), **match.groupdict()})
        if request.path.startswith(PREFIX) and request.method not in ("GET", "DELETE"):
            return Answer(405, [("Allow", "GET, POST, DELETE"), (headers.INTERNAL, COMPONENT)])
        raise NotFound(f"there is no {request.method} {request.path[:200]}")


async def _healthy(request: Request, given: Mapping[str, str]) -> Answer:
    return json_answer({"status": "ok"})
