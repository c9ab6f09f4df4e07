"""`/system/info`: who answers here."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PROVIDER = "tidemill"
ORCHESTRATION = "process"


async def info(_request: Request) -> Response:
    release = {"release": version("tidemill"), "sha": source_revision()}
    provider = {"provider": PROVIDER, "orchestration": ORCHESTRATION, "version": release}
    return JSONResponse({"provider": provider, "version": release, "arch": platform.machine()})


@cache
def source_revision() -> str:
    """The commit of the checkout that this runs from, else the release's own name: clients want it non-empty."""
    for folder in Path(__file__).parents:
        head = folder / ".git/HEAD"
        if head.is_file():
            text = head.read_text().strip()
            reference = folder / ".git" / text.removeprefix("ref: ")
            if not text.startswith("ref: "):
                return text
            if reference.is_file():
                return reference.read_text().strip()
    return f"v{version('tidemill')}"


ROUTES = [Route("/system/info", info, methods=["GET"])]
