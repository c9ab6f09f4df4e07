"""Replicas as processes of this machine, forked by the spawner from source that the builder keeps."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Collection, Sequence
from compileall import compile_dir
from pathlib import Path
from typing import Protocol

from tidemill.contract import workload
from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.names import FunctionRef
from tidemill.contract.replicas import ReplicaSpec, ReplicaStatus
from tidemill.provider import images
from tidemill.provider.builds import Builds, Source
from tidemill.provider.environments import Environments
from tidemill.provider.files import remove_old
from tidemill.provider.plan import make_spec
from tidemill.provider.privileges import Privileges
from tidemill.provider.records import FunctionRecord
from tidemill.provider.secrets import SecretStore, content_digests

KEPT_S = 7 * 24 * 3600.0
"""How long a source or an environment that nobody uses waits for being deployed again."""
ENV_PROCESS = "fprocess"
"""Where OpenFaaS puts a deployment's envProcess. Nothing is started by it here; a handler may still read it."""


class Spawner(Protocol):
    """The spawner's client (tidemill.spawn.client), as used here."""

    async def put(self, spec: ReplicaSpec, slots: int) -> list[ReplicaStatus]: ...

    async def start(self, ref: str, version: str, slot: int) -> ReplicaStatus: ...

    async def stop(self, ref: str, version: str, slot: int) -> ReplicaStatus: ...

    async def drop(self, ref: str, version: str) -> None: ...

    async def list(self) -> list[ReplicaStatus]: ...


class ProcessBackend:
    """See `base.Backend`."""

    def __init__(
        self,
        *,
        spawner: Spawner,
        spawner_socket: Path,
        builds: Builds,
        environments: Environments,
        secrets: SecretStore,
        privileges: Privileges,
        functions_dir: Path,
        gateway_url: str,
        s3_endpoint: str,
    ) -> None:
        self._spawner = spawner
        self._spawner_socket = spawner_socket
        self._builds = builds
        self._environments = environments
        self._secrets = secrets
        self._privileges = privileges
        self._functions_dir = functions_dir
        self._gateway_url = gateway_url
        self._s3_endpoint = s3_endpoint

    def epoch(self) -> object:
        """The spawner's socket, which it makes anew at its start."""
        try:
            found = os.stat(self._spawner_socket)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_ctime_ns

    async def pin(self, image: str) -> str:
        source = await asyncio.to_thread(self._builds.resolve, image)
        return images.reference(images.repository_name(image), source.digest)

    async def prepare(
        self, deployment: FunctionDeployment, *, pinned: str, uids: Collection[int], uid: int | None
    ) -> ReplicaSpec:
        source = await asyncio.to_thread(self._builds.resolve, pinned)
        paths = self._secrets.paths(deployment.namespace, deployment.secrets)
        environment = await self._environments.ensure(source.environment)
        if uid is None or not self._privileges.separate_functions:
            uid = self._privileges.function_uid(deployment.ref, uids)
        spec = make_spec(
            deployment,
            kind=source.kind,
            python=environment.python,
            env_hash=environment.hash,
            preload=environment.preload,
            source_digest=source.digest,
            functions_dir=self._functions_dir,
            secrets=paths,
            secret_digests=await asyncio.to_thread(content_digests, paths),
            platform_environ={
                workload.ENV_NAME: deployment.service,
                workload.ENV_NAMESPACE: deployment.namespace,
                workload.ENV_GATEWAY: self._gateway_url,
                workload.ENV_S3_ENDPOINT: self._s3_endpoint,
                **({ENV_PROCESS: deployment.env_process} if deployment.env_process else {}),
            },
            uid=uid,
        )
        await asyncio.to_thread(self._place, source, Path(spec.source_dir), uid)
        return spec

    async def put(self, spec: ReplicaSpec, slots: int) -> list[ReplicaStatus]:
        return await self._spawner.put(spec, slots)

    async def start(self, spec: ReplicaSpec, slot: int) -> ReplicaStatus:
        return await self._spawner.start(spec.ref, spec.version, slot)

    async def stop(self, spec: ReplicaSpec, slot: int) -> ReplicaStatus:
        return await self._spawner.stop(spec.ref, spec.version, slot)

    async def drop(self, ref: str, version: str) -> None:
        await self._spawner.drop(ref, version)
        name = FunctionRef.parse(ref)
        await asyncio.to_thread(shutil.rmtree, self._functions_dir / name.namespace / name.name / version, True)

    async def tidy(self, records: Sequence[FunctionRecord]) -> None:
        await asyncio.to_thread(self._tidy, records, time.time() - KEPT_S)

    async def list(self) -> list[ReplicaStatus]:
        return await self._spawner.list()

    def _tidy(self, records: Sequence[FunctionRecord], before: float) -> None:
        self._builds.tidy((record.pinned for record in records), before=before)
        self._environments.tidy((record.spec.env_hash for record in records), before=before)
        versions = self._functions_dir.glob("*/*/[0-9a-f]*")
        remove_old(versions, keep={Path(record.spec.source_dir) for record in records}, before=before)

    def _place(self, source: Source, folder: Path, uid: int | None) -> None:
        """A copy of the source that this function's user can read and nobody but the platform can change."""
        if folder.exists():
            return
        for parent in (self._functions_dir, folder.parent.parent, folder.parent):
            parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        building = folder.with_name(f".{folder.name}")
        shutil.rmtree(building, ignore_errors=True)
        shutil.copytree(source.folder / "function", building / "function")
        (building / "function/__init__.py").touch()  # a package, as the templates' Dockerfile makes it
        # Compiled here, since the function's user may not write next to its source. A syntax error is left for
        # the replica to report, in the words the author knows.
        compile_dir(building, quiet=2, workers=1, stripdir=str(building), prependdir=str(folder))
        self._privileges.readable_by(building, uid)
        building.rename(folder)
