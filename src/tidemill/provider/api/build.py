"""The Function Builder API: `POST /build` and `GET /publickey`."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tidemill.contract.errors import NotFound, TidemillError, TooLarge, Unauthorized
from tidemill.lib.auth import Credentials
from tidemill.lib.log import Logger
from tidemill.provider.archive import MAX_TOTAL_BYTES
from tidemill.provider.builds import UPLOAD_PREFIX, Builds

SIGNATURE = "X-Build-Signature"
PAYLOAD_SECRET_FILE = "builder-payload-secret"
MAX_BODY_BYTES = MAX_TOTAL_BYTES + 32 * 1024 * 1024
"""What may be unpacked, and a tar's own padding."""
NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class BuildKeys:
    """Who may build: the operator by the login, or whoever signs with the payload secret."""

    credentials: Credentials
    payload_secret: bytes | None

    @classmethod
    def load(cls, credentials: Credentials, secrets_dir: Path) -> BuildKeys:
        file = secrets_dir / PAYLOAD_SECRET_FILE
        return cls(credentials, file.read_bytes().strip() if file.exists() else None)

    def signed(self, signature: str, mac: hmac.HMAC | None) -> bool:
        expected = "" if mac is None else f"sha256={mac.hexdigest()}"
        return bool(expected) and hmac.compare_digest(expected.encode(), signature.encode())


class BuildApi:
    def __init__(self, *, builds: Builds, keys: BuildKeys, work_dir: Path, log: Logger) -> None:
        self._builds = builds
        self._keys = keys
        self._work_dir = work_dir
        self._log = log

    def routes(self) -> list[Route]:
        return [
            Route("/build", self.build, methods=["POST"]),
            Route("/publickey", self.public_key, methods=["GET"]),
        ]

    async def build(self, request: Request) -> Response:
        """The status is 200 for every build that ran: how it ended is in the last (or only) JSON object."""
        archive = await self._receive(request)
        if NDJSON in request.headers.get("accept", ""):
            return StreamingResponse(self._stream(archive), media_type=NDJSON)
        events = [event async for event in self._events(archive)]
        log = [line for event in events for line in event["log"]]
        return JSONResponse({**events[-1], "log": log})

    async def public_key(self, _request: Request) -> Response:
        raise NotFound(
            "this builder takes no build secrets: it runs no Dockerfile that could read them",
            hint="use a function's secrets, which its handler reads as files",
        )

    async def _receive(self, request: Request) -> Path:
        """The body as a file, if whoever sends it may build. Raises Unauthorized, TooLarge."""
        trusted = self._keys.credentials.permits(request.headers.get("authorization"))
        signature = request.headers.get(SIGNATURE, "")
        if not trusted and not (signature and self._keys.payload_secret):
            raise Unauthorized(f"a build needs the login, or {SIGNATURE} made with the payload secret")
        self._work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(prefix=UPLOAD_PREFIX, dir=self._work_dir, delete=False)  # noqa: SIM115
        try:
            with file:
                mac = await _copy(request, file, None if trusted else self._keys.payload_secret)
            if not trusted and not self._keys.signed(signature, mac):
                raise Unauthorized(f"{SIGNATURE} does not match the body")
        except BaseException:
            await asyncio.to_thread(os.unlink, file.name)
            raise
        return Path(file.name)

    async def _stream(self, archive: Path) -> AsyncIterator[bytes]:
        async for event in self._events(archive):
            yield orjson.dumps(event) + b"\n"

    async def _events(self, archive: Path) -> AsyncIterator[dict[str, Any]]:
        """Progress line by line, then how it ended."""
        began = monotonic()
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        task = asyncio.create_task(self._builds.build(archive, lines.put_nowait))
        task.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            while (line := await lines.get()) is not None:
                yield {"log": [line], "image": "", "status": "in_progress"}
            yield {**await self._ended(task), "duration": round(monotonic() - began, 3)}
        finally:
            task.cancel()
            await asyncio.to_thread(archive.unlink, True)

    async def _ended(self, task: asyncio.Task[str]) -> dict[str, Any]:
        try:
            image = await task
        except TidemillError as error:
            self._log.warning("build failed", error=str(error))
            hint = {"hint": error.hint} if error.hint else {}
            return {"log": [], "image": "", "status": "failed", "error": str(error), "code": error.code, **hint}
        except Exception as error:
            self._log.error("build failed", error=f"{type(error).__name__}: {error}")
            message = "something went wrong inside the platform; control's log has it"
            return {"log": [], "image": "", "status": "failed", "error": message, "code": "internal"}
        self._log.info("built", image=image)
        return {"log": [f"built {image}"], "image": image, "status": "success"}


async def _copy(request: Request, file: IO[bytes], secret: bytes | None) -> hmac.HMAC | None:
    mac = hmac.new(secret, digestmod=hashlib.sha256) if secret else None
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise TooLarge(f"the archive is longer than {MAX_BODY_BYTES} bytes")
        if mac is not None:
            mac.update(chunk)
        await asyncio.to_thread(file.write, chunk)
    return mac
