"""Connections are made once per process, and never carried over a fork."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Thread

import pytest

from tidemill.lib.config import Config
from tidemill.lib.connections import PerProcess, connect_mongo, connect_s3
from tidemill.lib.settings import BadSetting


def test_it_is_made_at_the_first_use_and_kept() -> None:
    """None counts as a value like any other."""
    made: list[None] = []
    connection = PerProcess(lambda: made.append(None))
    assert made == []
    connection()
    connection()
    assert len(made) == 1


def test_what_fails_is_tried_again() -> None:
    """A secret that came late, a server that was away."""
    tries: list[int] = []

    def make() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("away")
        return "connected"

    connection = PerProcess(make)
    with pytest.raises(OSError, match="away"):
        connection()
    assert connection() == "connected"


def test_threads_that_race_share_one() -> None:
    """The second waits for the first."""
    together = Barrier(4)
    connection = PerProcess(object)

    def use(_: int) -> object:
        together.wait(10)
        return connection()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(use, range(4)))) == 1


def test_who_waited_for_the_first_takes_what_it_made() -> None:
    """It had seen nothing there, and looks again."""
    waiting: list[Thread] = []
    made: list[int] = []

    def make() -> int:
        waiting.append(Thread(target=connection))
        waiting[0].start()
        made.append(1)
        return 1

    connection = PerProcess(make)
    connection()
    waiting[0].join(10)
    assert made == [1]


def test_a_fork_forgets() -> None:
    """What the hook in the child does; the next test shows it across a real fork."""
    connection = PerProcess(object)
    first = connection()
    connection._forget()
    assert connection() is not first


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_its_own() -> None:
    """Even where another thread of the parent was just connecting."""
    connection = PerProcess(os.getpid)
    assert connection() == os.getpid()
    with connection._lock:  # as a thread of the parent might hold it
        child = os.fork()
        if child == 0:
            os._exit(0 if connection() == os.getpid() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert connection() == os.getpid()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A function's configuration whose servers are away."""
    (tmp_path / "mongodb-uri").write_text("mongodb://127.0.0.1:1/?w=majority&journal=true")
    (tmp_path / "s3-access-key").write_text("access")
    (tmp_path / "s3-secret-key").write_text("secret")
    return Config({"TIDEMILL_SECRETS_DIR": str(tmp_path), "S3_ENDPOINT": "http://127.0.0.1:1"})


def test_mongo_is_connected_lazily(config: Config) -> None:
    """Making the client asks nobody; its database is `tidemill` where the URI names none."""
    database = connect_mongo(config)
    assert database.name == "tidemill"
    assert database.client.options.write_concern.document == {"w": "majority", "j": True}
    database.client.close()


def test_s3_is_connected_lazily(config: Config) -> None:
    """Making the client asks nobody."""
    assert connect_s3(config)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:19000", "ftp://x", "http://"])
def test_an_endpoint_that_is_no_url_is_refused(config: Config, endpoint: str) -> None:
    """The variable is named."""
    with pytest.raises(BadSetting, match="S3_ENDPOINT"):
        connect_s3(Config({**config.environ, "S3_ENDPOINT": endpoint}))
