"""Control: the `/system` API, the builder, and the loops that keep functions as they were asked for."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import uvloop

from tidemill.broker.connection import Connection
from tidemill.broker.permissions import FUNCTIONS_CHANGED
from tidemill.contract.errors import Unavailable
from tidemill.contract.names import KV_FUNCTIONS, KV_NAMESPACES
from tidemill.edge.apply import HaproxyTraffic
from tidemill.lib.auth import Credentials
from tidemill.lib.log import Logger, get_logger
from tidemill.lib.settings import Settings
from tidemill.provider.api.alert import AlertApi
from tidemill.provider.api.app import make_app
from tidemill.provider.api.build import BuildApi, BuildKeys
from tidemill.provider.api.functions import FunctionsApi
from tidemill.provider.api.info import ROUTES as INFO_ROUTES
from tidemill.provider.api.logs import LogsApi
from tidemill.provider.api.namespaces import NamespacesApi
from tidemill.provider.api.secrets import SecretsApi
from tidemill.provider.api.server import serve
from tidemill.provider.backends.process import ProcessBackend
from tidemill.provider.background import Background
from tidemill.provider.builds import Builds
from tidemill.provider.environments import Environments
from tidemill.provider.functions import Functions
from tidemill.provider.keeper import Keeper
from tidemill.provider.kv import KvRecordStore
from tidemill.provider.namespaces import Namespaces
from tidemill.provider.privileges import Privileges
from tidemill.provider.routing import Routing
from tidemill.provider.scaler import Scaler
from tidemill.provider.secrets import SecretStore
from tidemill.provider.status import StatusReader, http_counts
from tidemill.spawn.client import SpawnerClient


def main() -> None:
    uvloop.run(run(Settings.from_env(os.environ)))


async def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    log = get_logger("control")
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    password = (settings.secrets_dir / "nats-control").read_text().strip()
    async with (
        Connection(settings.nats_url, user="control", password=password, log=log) as connection,
        SpawnerClient(settings.socket("spawner")) as spawner,
        Background(log) as background,
    ):
        await _run_until(stopped, _join(settings, log, connection, spawner, background))
    log.info("stopped")


def _join(
    settings: Settings, log: Logger, connection: Connection, spawner: SpawnerClient, background: Background
) -> list[Coroutine[Any, Any, None]]:
    """Everything put together; what runs for as long as the process does."""
    credentials = Credentials.load(settings.secrets_dir)
    privileges = Privileges.detect(settings.data_dir, log=log)
    secrets = SecretStore(settings.function_secrets_dir)
    secrets.adopt(settings.secrets_dir)
    environments = Environments(settings.envs_dir, privileges=privileges)
    builds = Builds(settings.builds_dir, environments)
    environments.sweep()
    builds.sweep()
    backend = ProcessBackend(
        spawner=spawner,
        spawner_socket=settings.socket("spawner"),
        builds=builds,
        environments=environments,
        secrets=secrets,
        privileges=privileges,
        functions_dir=settings.functions_dir,
        gateway_url=settings.gateway_url,
        s3_endpoint=settings.s3_url,
    )
    traffic = HaproxyTraffic(settings)
    namespaces = Namespaces(KvRecordStore(connection, KV_NAMESPACES))
    functions = Functions(
        backend=backend,
        routing=Routing(traffic),
        store=KvRecordStore(connection, KV_FUNCTIONS),
        namespaces=namespaces,
        announce=lambda: _announce(connection),
        background=background,
        log=log,
    )
    statuses = StatusReader(backend=backend, counts=http_counts(settings.bind_host, settings.metrics_port))
    keys = BuildKeys.load(credentials, settings.secrets_dir)
    logs = LogsApi(logs_dir=settings.logs_dir, functions=functions)
    routes = [
        *FunctionsApi(functions=functions, namespaces=namespaces, statuses=statuses).routes(),
        *SecretsApi(secrets=secrets, namespaces=namespaces).routes(),
        *NamespacesApi(namespaces=namespaces, functions=functions, secrets=secrets).routes(),
        *logs.routes(),
        *AlertApi(functions=functions).routes(),
        *BuildApi(builds=builds, keys=keys, work_dir=settings.builds_dir, log=log).routes(),
        *INFO_ROUTES,
    ]
    app = make_app(routes=routes, functions=functions, credentials=credentials, log=log)
    return [
        serve(app, settings.socket("control"), end_streams=logs.end, log=log),
        Keeper(functions=functions, namespaces=namespaces, backend=backend, log=log).run(),
        Scaler(functions=functions, traffic=traffic, background=background, log=log).run(),
    ]


async def _run_until(stopped: asyncio.Event, loops: list[Coroutine[Any, Any, None]]) -> None:
    """A loop that ends by itself ends the process: its supervisor knows how to start it again."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    stopping = asyncio.create_task(stopped.wait())
    ended, _ = await asyncio.wait((stopping, *tasks), return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if stopping not in ended:
        stopping.cancel()
        raise RuntimeError("a part of control ended by itself") from ended.pop().exception()


async def _announce(connection: Connection) -> None:
    """Lost where the broker is away: whoever keeps a list of functions also reads it now and then by itself."""
    with suppress(Unavailable):
        await connection.client.publish(FUNCTIONS_CHANGED)


if __name__ == "__main__":
    main()
