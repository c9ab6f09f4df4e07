"""Real servers for the suites that run over every backend, each on a free port, its data in a temporary folder."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from minio import Minio
from pymongo import MongoClient
from pymongo.database import Database

from tidemill.embedded.parts.mongod import find_mongod
from tidemill.embedded.parts.objects import find_objects
from tidemill.lib.config import Config
from tidemill.lib.connections import connect_s3
from tidemill.lib.settings import Settings

START_WITHIN_S = 30.0


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a mongod with nothing in it."""
    folder = tmp_path_factory.mktemp("mongo")
    part = find_mongod(Settings.from_env({}), os.environ)
    if part.path is None:
        pytest.skip(f"no mongod: {part.problem}")
    port = _free_port()
    argv = [str(part.path), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"]
    with _running([*argv, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"], port):
        yield f"mongodb://127.0.0.1:{port}/?w=majority&journal=true"


@pytest.fixture
def database(mongo_server: str) -> Iterator[Database[dict[str, Any]]]:
    """An empty database."""
    with MongoClient[dict[str, Any]](mongo_server, tz_aware=True) as client:
        name = f"test_{uuid4().hex}"
        yield client[name]
        client.drop_database(name)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    """A client of a versitygw with nothing in it."""
    part = find_objects(Settings.from_env({}), os.environ)
    if part.path is None or part.engine != "versitygw":
        pytest.skip(f"no versitygw: {part.problem or part.where}")
    folder, secrets = tmp_path_factory.mktemp("objects"), tmp_path_factory.mktemp("secrets")
    (secrets / "s3-access-key").write_text("test-access")
    (secrets / "s3-secret-key").write_text("test-secret-key")
    port = _free_port()
    argv = [str(part.path), "--access", "test-access", "--secret", "test-secret-key", "--port", f"127.0.0.1:{port}"]
    with _running([*argv, "posix", str(folder)], port):
        config = {"S3_ENDPOINT": f"http://127.0.0.1:{port}", "TIDEMILL_SECRETS_DIR": str(secrets)}
        yield connect_s3(Config(config))


class _running:
    """A server process that listens on `port`; gone at the end."""

    def __init__(self, argv: list[str], port: int) -> None:
        self._process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._port = port

    def __enter__(self) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        self.__exit__()
        raise RuntimeError(f"{self._process.args!r} does not listen")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
