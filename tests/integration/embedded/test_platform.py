"""The whole embedded platform: starting, bad days, stopping."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from tests.support.platform import Platform
from tests.support.waiting import wait_until
from tidemill.contract.errors import Conflict
from tidemill.embedded import launch
from tidemill.embedded.credentials import functions_uri
from tidemill.embedded.tree import services
from tidemill.lib.settings import Settings

pytestmark = pytest.mark.stack

SERVICES = ("nats", "mongo", "objects", "spawner", "control", "door", "worker", "logs", "haproxy")


@contextmanager
def things(uri: str) -> Iterator[Collection[dict[str, Any]]]:
    """A collection of this file's own."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    with client:
        yield client.embedded_test.things


def nats_says(settings: Settings, login: dict[str, str]) -> str:
    """The answer to the first PING of a client with this login."""
    with (
        socket.create_connection(("127.0.0.1", settings.nats_port)) as connection,
        connection.makefile("rb") as lines,
    ):
        assert lines.readline().startswith(b"INFO ")
        connection.sendall(f"CONNECT {json.dumps({'verbose': False, **login})}\r\nPING\r\n".encode())
        return lines.readline().decode().strip()


def answers(stack: Platform) -> bool:
    """Whether the gateway reaches control; a connection that died with an old process is no answer."""
    try:
        return stack.client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_everything_is_ready_after_start(stack: Platform) -> None:
    """`start` returns when each service is ready, and the gateway answers."""
    status = launch.status(stack.settings, with_memory=True)
    assert [service.name for service in status.services if service.state != "ready"] == []
    assert {service.name for service in status.services} == set(SERVICES)
    assert all(service.memory_bytes for service in status.services)
    assert stack.client.get("/healthz").status_code == 200


def test_a_second_start_changes_nothing(stack: Platform) -> None:
    """The same processes go on."""
    before = {service.name: service.pid for service in launch.status(stack.settings).services}
    stack.start()
    assert {service.name: service.pid for service in launch.status(stack.settings).services} == before


def test_a_start_with_other_settings_is_refused(stack: Platform) -> None:
    """What runs keeps its settings; the message names those it has."""
    other = replace(stack.settings, gateway_port=stack.settings.gateway_port + 1)
    with pytest.raises(Conflict, match=f"TIDEMILL_GATEWAY_PORT={stack.settings.gateway_port}"):
        launch.prepare(other)
    assert str(stack.settings.gateway_port) in (stack.settings.edge_dir / "current/haproxy.cfg").read_text()


def test_what_is_ours_is_closed_to_others(stack: Platform) -> None:
    """Sockets, credentials, and files of servers can be used by the platform's user alone."""
    for folder in (stack.settings.run_dir, stack.settings.secrets_dir, stack.settings.data_dir / "nats"):
        assert folder.stat().st_mode & 0o077 == 0, folder
    for path in stack.settings.secrets_dir.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_mongo_asks_for_a_login(stack: Platform) -> None:
    """Nobody without one can write; functions can, with the URI they get."""
    with things(f"mongodb://127.0.0.1:{stack.settings.mongo_port}") as refused, pytest.raises(OperationFailure):
        refused.insert_one({"_id": 1})
    with things(functions_uri(stack.settings)) as kept:
        kept.replace_one({"_id": 1}, {"kept": True}, upsert=True)
        assert kept.find_one({"_id": 1}) == {"_id": 1, "kept": True}


def test_nats_asks_for_a_login(stack: Platform) -> None:
    """A user per service, nobody else."""
    password = (stack.settings.secrets_dir / "nats-door").read_text()
    assert nats_says(stack.settings, {}) == "-ERR 'Authorization Violation'"
    assert nats_says(stack.settings, {"user": "door", "pass": password}) == "PONG"


@pytest.mark.faults
@pytest.mark.parametrize("name", SERVICES)
def test_a_killed_service_comes_back(stack: Platform, name: str) -> None:
    """kill -9 of each: another process of it is ready soon, and the platform with it."""
    before = stack.service(name)
    stack.kill(name)
    wait_until(lambda: stack.service(name).pid not in (before.pid, None), f"{name} was started again")
    stack.await_ready()
    assert stack.service(name).restarts == before.restarts + 1
    wait_until(lambda: answers(stack), "the gateway answers")


@pytest.mark.faults
def test_a_killed_supervisor_leaves_nothing_and_a_start_works(stack: Platform) -> None:
    """kill -9 of the supervisor ends every process; the next start finds stale sockets and does not care."""
    supervisor = launch.status(stack.settings).pid
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not stack.pids(), "every process is gone")
    assert not launch.status(stack.settings).running
    stack.start()
    assert launch.status(stack.settings).ready


def end_by_signal(stack: Platform) -> None:
    """As an init system does: SIGTERM to the supervisor."""
    supervisor = launch.status(stack.settings).pid
    assert supervisor
    os.kill(supervisor, signal.SIGTERM)
    wait_until(lambda: not launch.status(stack.settings).running, "the supervisor ended", timeout_s=60)


@pytest.mark.parametrize("stop", [Platform.stop, end_by_signal])
def test_a_stop_ends_everything_and_a_start_brings_it_back(stack: Platform, stop: Callable[[Platform], None]) -> None:
    """No process is left, no service had to be killed, and what functions wrote is there again."""
    with things(functions_uri(stack.settings)) as kept:
        kept.replace_one({"_id": 2}, {"kept": True}, upsert=True)
    stop(stack)
    wait_until(lambda: not stack.pids(), "every process is gone")
    assert not launch.status(stack.settings).running
    log = (stack.settings.logs_dir / "supervisor.ndjson").read_text()
    assert "service killed" not in log.rpartition('"event":"stopping"')[2]
    stack.start()
    with things(functions_uri(stack.settings)) as kept:
        assert kept.find_one({"_id": 2}) == {"_id": 2, "kept": True}


def test_a_start_during_a_stop_waits_for_it(stack: Platform) -> None:
    """`down` in one shell and `up` in another: in the end it runs."""
    supervisor = launch.status(stack.settings).pid
    assert supervisor
    os.kill(supervisor, signal.SIGTERM)
    stack.start()
    now = launch.status(stack.settings)
    assert now.ready and now.pid != supervisor


def test_another_address_opens_the_gateway_only(platform_settings: Settings) -> None:
    """TIDEMILL_BIND moves what callers reach; the servers that keep data stay on loopback, and all still meet."""
    elsewhere = replace(platform_settings, bind_host="127.0.0.2")
    try:
        launch.prepare(elsewhere)
        launch.start(elsewhere)
        assert httpx.get(f"http://127.0.0.2:{elsewhere.gateway_port}/healthz").status_code == 200
        for port in (elsewhere.nats_port, elsewhere.mongo_port, elsewhere.s3_port):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port))
    finally:
        launch.stop(elsewhere)


def test_a_taken_port_is_named_and_nothing_starts(platform_settings: Settings) -> None:
    """The message has the port, the hint what moves it; no process is left, and the platform does not run."""
    launch.prepare(platform_settings)
    with socket.socket() as other:
        other.bind(("127.0.0.1", platform_settings.gateway_port))
        other.listen()
        with pytest.raises(launch.StartFailed, match=f"port {platform_settings.gateway_port} .* is taken") as caught:
            launch.start(platform_settings)
    assert "--gateway-port" in (caught.value.hint or "")
    assert not launch.status(platform_settings).running


def test_a_server_that_cannot_start_is_reported_with_its_own_words(platform_settings: Settings) -> None:
    """The part is named, its last lines are in the message, and nothing of the platform is left running."""
    launch.prepare(platform_settings)
    config: Path = platform_settings.data_dir / "nats" / "nats.conf"
    config.write_text(config.read_text() + "nonsense: true\n")
    with pytest.raises(launch.StartFailed, match=r"(?s)nats cannot be started.*nonsense"):
        launch.start(platform_settings)
    assert not launch.status(platform_settings).running


def test_a_first_start_that_is_cut_short_does_no_harm(platform_settings: Settings) -> None:
    """mongod ended while it makes its first collections: the next start works, with the users there."""
    parts = launch.prepare(platform_settings)
    mongo = next(each for each in services(platform_settings, parts) if each.name == "mongo")
    with subprocess.Popen(mongo.argv, stdout=subprocess.PIPE) as mongod:
        assert mongod.stdout is not None
        next(line for line in mongod.stdout if b"createCollection" in line)
        mongod.terminate()
        mongod.stdout.read()
    try:
        launch.prepare(platform_settings)
        launch.start(platform_settings)
        with things(functions_uri(platform_settings)) as kept:
            kept.insert_one({"_id": 1})
    finally:
        launch.stop(platform_settings)
