"""Calling further functions through the gateway, as part of the user action in hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tidemill.contract import headers
from tidemill.contract.errors import Conflict, Unavailable
from tidemill.contract.names import CALL_ID
from tidemill.lib.correlation import outgoing

if TYPE_CHECKING:
    from urllib3 import PoolManager

CALLS_PATH = "/async-function/"
"""A call that was accepted is at this path and its id: the first call's where a key is used again, unlike the
X-Call-Id of the answer, which may be that of the request."""
CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 5.0
"""The gateway answers once the call is on disk: milliseconds, seconds on a machine in trouble."""


class Gateway(Protocol):
    """The platform as a function sees it."""

    def call_later(self, function: str, body: Mapping[str, Any], *, key: str) -> str:
        """Queues a call of `function` with `body` as JSON and returns its call id once the queue has it on disk.
        Asking again under the same `key` queues nothing and gives the first call's id. Raises Conflict where the
        key was used with another body, Unavailable where the call was not accepted or nobody can tell."""
        ...


class HttpGateway:
    """The gateway at OPENFAAS_URL; connections are kept."""

    def __init__(self, url: str, pool: PoolManager | None = None) -> None:
        self._url = url.rstrip("/")
        self._pool = pool or _pool()

    def call_later(self, function: str, body: Mapping[str, Any], *, key: str) -> str:
        from urllib3.exceptions import HTTPError

        sent = {**outgoing(), "Content-Type": "application/json", headers.IDEMPOTENCY_KEY: key}
        try:
            answer = self._pool.request(
                "POST",
                f"{self._url}{CALLS_PATH}{function}",
                body=json.dumps(body, separators=(",", ":"), sort_keys=True),
                headers=sent,
            )
        except (HTTPError, OSError) as error:
            raise Unavailable("the queue is not reachable at the moment") from error
        if answer.status == 422:
            raise Conflict(f"key {key} was used for another call of {function}")
        call_id = answer.headers.get("Location", "").removeprefix(CALLS_PATH)
        if answer.status != 202 or not CALL_ID.fullmatch(call_id):
            raise Unavailable(f"the queue did not accept the call of {function} (it answered {answer.status})")
        return call_id


def _pool() -> PoolManager:
    from urllib3 import PoolManager, Retry, Timeout

    return PoolManager(
        timeout=Timeout(connect=CONNECT_TIMEOUT_S, read=ANSWER_TIMEOUT_S),
        # The idempotency key makes a second try safe; a kept connection may have been closed meanwhile.
        retries=Retry(total=1, backoff_factor=0.1, allowed_methods=None, redirect=0, raise_on_status=False),
    )
