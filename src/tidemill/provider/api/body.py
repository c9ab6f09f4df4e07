"""Reading requests strictly."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tidemill.contract.errors import BadRequest, TooLarge
from tidemill.contract.names import DEFAULT_NAMESPACE

MAX_JSON_BYTES = 2 * 1024 * 1024
"""Room for a secret of a megabyte in base64."""


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body. Raises BadRequest, TooLarge."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_JSON_BYTES:
            raise TooLarge(f"the body is longer than {MAX_JSON_BYTES} bytes")
    try:
        body = orjson.loads(raw)  # refuses NaN and half characters, which no answer could hold again
    except orjson.JSONDecodeError as cause:
        raise BadRequest(f"the body is not JSON: {cause}") from cause
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def text(body: dict[str, Any], key: str, *, default: str | None = None) -> str:
    """Raises BadRequest where the key is absent (without a default) or no string."""
    value = body.get(key)
    if value is None or value == "":
        if default is None:
            raise BadRequest(f"{key} is required")
        return default
    if not isinstance(value, str):
        raise BadRequest(f"{key} must be a string")
    return value


def whole(body: dict[str, Any], key: str, *, most: int) -> int:
    """A JSON integer from 0 on. Raises BadRequest."""
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadRequest(f"{key} must be a whole number from 0 to {most}")
    return value


def query_namespace(request: Request) -> str:
    return request.query_params.get("namespace") or DEFAULT_NAMESPACE


def accepted() -> Response:
    """202 without a body: what strict clients take for every change."""
    return Response(status_code=202)
