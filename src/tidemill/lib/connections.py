"""Connections of a function: made at the first use in each process, kept as long as the replica lives.

Replicas are forked from a warm process, and neither pymongo nor urllib3 survives a fork. So nothing is opened while
a handler is imported, and a connection that was inherited over a fork is never used: each process makes its own.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

from tidemill.contract.workload import (
    ENV_S3_ENDPOINT,
    SECRET_MONGODB_URI,
    SECRET_S3_ACCESS_KEY,
    SECRET_S3_SECRET_KEY,
)
from tidemill.lib.config import Config
from tidemill.lib.settings import BadSetting

if TYPE_CHECKING:
    from collections.abc import Callable

    from minio import Minio
    from pymongo.database import Database

_T = TypeVar("_T")

ENV_S3_REGION = "S3_REGION"
"""For an object store of the user's own that is particular about it."""
CONNECT_TIMEOUT_S = 1.0
"""Both servers are near; what does not answer by then is down, and the caller should hear so soon."""
ANSWER_TIMEOUT_S = 5.0


class PerProcess(Generic[_T]):
    """Calls `make` at the first call in this process and gives the same value from then on. Where `make` raises,
    the next call tries again. Safe from several threads, and in a child forked from any of them."""

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._pid = 0
        self._value: _T | None = None
        self._lock = Lock()
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self) -> _T:
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._value = self._make()
                    self._pid = os.getpid()
        return self._value  # type: ignore[return-value]

    def _forget(self) -> None:
        self._lock = Lock()  # another thread of the parent may have held it
        self._pid, self._value = 0, None


def connect_mongo(config: Config) -> Database[dict[str, Any]]:
    """The database that the secret `mongodb-uri` names (`tidemill` where it names none). Times come back aware."""
    from pymongo import MongoClient

    client: MongoClient[dict[str, Any]] = MongoClient(
        config.secret(SECRET_MONGODB_URI),
        tz_aware=True,
        serverSelectionTimeoutMS=int(2 * CONNECT_TIMEOUT_S * 1000),
        connectTimeoutMS=int(CONNECT_TIMEOUT_S * 1000),
        socketTimeoutMS=int(ANSWER_TIMEOUT_S * 1000),
    )
    return client.get_default_database("tidemill")


def connect_s3(config: Config) -> Minio:
    """A client for the object store at S3_ENDPOINT."""
    from minio import Minio
    from urllib3 import PoolManager, Retry, Timeout

    url = urlsplit(config.text(ENV_S3_ENDPOINT))
    if url.scheme not in ("http", "https") or not url.netloc:
        raise BadSetting(f"{ENV_S3_ENDPOINT} is not a URL such as http://127.0.0.1:19000")
    return Minio(
        url.netloc,
        access_key=config.secret(SECRET_S3_ACCESS_KEY),
        secret_key=config.secret(SECRET_S3_SECRET_KEY),
        secure=url.scheme == "https",
        region=config.text(ENV_S3_REGION, "us-east-1"),  # said, it spares the client one question per bucket
        http_client=PoolManager(
            timeout=Timeout(connect=CONNECT_TIMEOUT_S, read=ANSWER_TIMEOUT_S),
            retries=Retry(total=1, backoff_factor=0.1, allowed_methods=None, redirect=0),
        ),
    )
