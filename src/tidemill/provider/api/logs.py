"""`/system/logs`: one function's output, or one user action across every hop, as ndjson flushed line by line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tidemill.provider.functions import Functions
from tidemill.provider.logquery import LogQuery, as_message
from tidemill.provider.logstream import stream_lines


class LogsApi:
    def __init__(self, *, logs_dir: Path, functions: Functions) -> None:
        self._logs_dir = logs_dir
        self._functions = functions
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Ends every answer that follows."""
        self._ended.set()

    def routes(self) -> list[Route]:
        return [Route("/system/logs", self.read, methods=["GET"])]

    async def read(self, request: Request) -> Response:
        """A removed function's log can still be read by call or correlation id."""
        query = LogQuery.parse(request.query_params, now=datetime.now(UTC))
        if query.function and not (query.correlation or query.call):
            self._functions.get(query.function)
        return StreamingResponse(self._lines(query), media_type="application/x-ndjson")

    async def _lines(self, query: LogQuery) -> AsyncIterator[bytes]:
        yield b""  # the head goes out with the first chunk: whoever follows a silent function gets it at once
        by_id = query.correlation or query.call
        async for line in stream_lines(self._logs_dir, query, self._ended):
            message = line if by_id or query.function is None else as_message(line, query.function)
            yield orjson.dumps(message) + b"\n"
