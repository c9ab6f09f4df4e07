"""Which functions are deployed, as `GET /system/functions` tells it: our provider's, or any OpenFaaS gateway's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from tidemill.contract.errors import BadRequest, FunctionNotFound, Unavailable
from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.names import DEFAULT_NAMESPACE, FunctionRef
from tidemill.contract.tuning import Tuning
from tidemill.invoke.client import Client, InvokeError
from tidemill.invoke.http1 import Answer
from tidemill.lib.log import Logger

REFRESH_S = 10.0
"""Where no notice of a change comes; also how stale a picture can get while the broker is away."""
ASK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Deployed:
    ref: FunctionRef
    tuning: Tuning


class Directory:
    """A cached picture, renewed by `run`; `find` asks the provider about what is not in it."""

    def __init__(self, provider: Client, *, authorization: str, log: Logger) -> None:
        self._provider = provider
        self._headers = [("Authorization", authorization)]
        self._log = log
        self._by_ref: dict[FunctionRef, Deployed] = {}
        self._by_text: dict[str, FunctionRef] = {}
        self._stale = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self.listings = 0
        """How often a whole listing succeeded; an engine acts on absence only when this has grown."""

    @property
    def deployed(self) -> Mapping[FunctionRef, Deployed]:
        return self._by_ref

    def known(self, text: str) -> FunctionRef | None:
        """`NAME` or `NAME.NAMESPACE`, from the picture alone."""
        return self._by_text.get(text)

    async def find(self, text: str) -> FunctionRef:
        """Raises FunctionNotFound where the provider says so, Unavailable where it cannot be asked: a function is
        never called unknown because the provider is away."""
        if ref := self.known(text):
            return ref
        try:
            ref = FunctionRef.parse(text)
        except BadRequest:
            raise FunctionNotFound(text[:80], DEFAULT_NAMESPACE) from None
        answer = await self._get(f"/system/function/{ref.name}?namespace={quote(ref.namespace)}")
        if answer.status == 404:
            raise FunctionNotFound(ref.name, ref.namespace)
        if answer.status != 200:
            raise Unavailable(f"the provider answered {answer.status} when asked about {ref}")
        self._learn([_deployed(orjson.loads(answer.body), self._log)])
        return ref

    async def is_gone(self, ref: FunctionRef) -> bool:
        """Whether the provider, asked now, says that there is no such function. Raises Unavailable."""
        answer = await self._get(f"/system/function/{ref.name}?namespace={quote(ref.namespace)}")
        if answer.status not in (200, 404):
            raise Unavailable(f"the provider answered {answer.status} when asked about {ref}")
        return answer.status == 404

    def listen(self, changed: Callable[[], None]) -> None:
        """`changed` is called after each refresh."""
        self._listeners.append(changed)

    async def notice(self, _: bytes) -> None:
        """For a broker's notice that something changed."""
        self._stale.set()

    async def run(self) -> None:
        """Until cancelled."""
        told = False
        while True:
            try:
                await self.refresh()
                told = False
            except Unavailable as error:
                if not told:
                    self._log.warning("functions unknown", error=str(error))
                    told = True
            try:
                async with asyncio.timeout(REFRESH_S if not told else 1.0):
                    await self._stale.wait()
            except TimeoutError:
                pass
            self._stale.clear()

    async def refresh(self) -> None:
        """Raises Unavailable; the picture is then as before."""
        found: list[Deployed] = []
        for namespace in await self._list("/system/namespaces") or [DEFAULT_NAMESPACE]:
            wires = await self._list(f"/system/functions?namespace={quote(namespace)}")
            found += [_deployed(wire, self._log) for wire in wires]
        self._by_ref, self._by_text = {}, {}
        self._learn(found)
        self.listings += 1
        for changed in self._listeners:
            changed()

    def _learn(self, found: list[Deployed]) -> None:
        for deployed in found:
            self._by_ref[deployed.ref] = deployed
            self._by_text[str(deployed.ref)] = deployed.ref
            if deployed.ref.namespace == DEFAULT_NAMESPACE:
                self._by_text[deployed.ref.name] = deployed.ref

    async def _list(self, target: str) -> list[Any]:
        answer = await self._get(target)
        if answer.status == 404:  # a provider without namespaces
            return []
        if answer.status != 200:
            raise Unavailable(f"the provider answered {answer.status} to {target}")
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError as cause:
            raise Unavailable(f"the provider's answer to {target} is no JSON") from cause
        return found if isinstance(found, list) else []

    async def _get(self, target: str) -> Answer:
        try:
            return await self._provider.request("GET", target, headers=self._headers, timeout_s=ASK_TIMEOUT_S)
        except InvokeError as cause:
            raise Unavailable(f"the provider cannot be asked: {cause}", retry_after_s=1.0) from cause


def _deployed(wire: Mapping[str, Any], log: Logger) -> Deployed:
    deployment = FunctionDeployment(
        service=wire["name"],
        image=wire.get("image") or "",
        namespace=wire.get("namespace") or DEFAULT_NAMESPACE,
        env_vars=wire.get("envVars") or {},
        labels=wire.get("labels") or {},
        annotations=wire.get("annotations") or {},
    )
    try:
        tuning = Tuning.of(deployment)
    except BadRequest as error:  # our provider refuses such a deployment; a foreign one may not
        log.warning("annotation not understood", function=str(deployment.ref), error=str(error))
        tuning = Tuning()
    return Deployed(deployment.ref, tuning)
