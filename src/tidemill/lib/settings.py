"""The platform's own settings: read once per process from a mapping, then frozen. A bad value stops the process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOCKET_PATH_BYTES = 97
"""HAProxy's limit for a unix socket path (it binds a temporary name beside it)."""


class BadSetting(ValueError):
    """An environment variable has a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are and which ports they listen on. Gateway and metrics bind to `bind_host`; the servers that keep
    data (NATS, MongoDB, S3) listen on this machine's loopback only."""

    data_dir: Path
    bind_host: str = "127.0.0.1"
    gateway_port: int = 8080
    metrics_port: int = 8082
    nats_port: int = 14222
    mongo_port: int = 27117
    s3_port: int = 19000
    mongodb_uri: str | None = None
    """The user's own MongoDB; None: the embedded one."""
    s3_endpoint: str | None = None
    """The user's own S3 as URL; None: the embedded one."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Reads TIDEMILL_DATA_DIR, TIDEMILL_BIND, TIDEMILL_{GATEWAY,METRICS,NATS,MONGO,S3}_PORT, MONGODB_URI
        and S3_ENDPOINT. Raises BadSetting naming the variable."""

        def port(name: str, default: int) -> int:
            text = environ.get(name, str(default))
            if not text.isdigit() or not 0 < int(text) < 65536:
                raise BadSetting(f"{name}={text!r} is not a port (1 to 65535)")
            return int(text)

        return cls(
            data_dir=Path(environ.get("TIDEMILL_DATA_DIR", ".tidemill")).absolute(),
            bind_host=environ.get("TIDEMILL_BIND", "127.0.0.1"),
            gateway_port=port("TIDEMILL_GATEWAY_PORT", 8080),
            metrics_port=port("TIDEMILL_METRICS_PORT", 8082),
            nats_port=port("TIDEMILL_NATS_PORT", 14222),
            mongo_port=port("TIDEMILL_MONGO_PORT", 27117),
            s3_port=port("TIDEMILL_S3_PORT", 19000),
            mongodb_uri=environ.get("MONGODB_URI") or None,
            s3_endpoint=environ.get("S3_ENDPOINT") or None,
        )

    def as_env(self) -> dict[str, str]:
        """The same settings as environment variables, for child processes; from_env(as_env()) is equal."""
        env = {
            "TIDEMILL_DATA_DIR": str(self.data_dir),
            "TIDEMILL_BIND": self.bind_host,
            "TIDEMILL_GATEWAY_PORT": str(self.gateway_port),
            "TIDEMILL_METRICS_PORT": str(self.metrics_port),
            "TIDEMILL_NATS_PORT": str(self.nats_port),
            "TIDEMILL_MONGO_PORT": str(self.mongo_port),
            "TIDEMILL_S3_PORT": str(self.s3_port),
        }
        if self.mongodb_uri:
            env["MONGODB_URI"] = self.mongodb_uri
        if self.s3_endpoint:
            env["S3_ENDPOINT"] = self.s3_endpoint
        return env

    @property
    def gateway_address(self) -> str:
        """`HOST:PORT`, with the brackets that an IPv6 address needs before a port."""
        host = f"[{self.bind_host}]" if ":" in self.bind_host else self.bind_host
        return f"{host}:{self.gateway_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://{self.gateway_address}"

    @property
    def nats_url(self) -> str:
        return f"nats://127.0.0.1:{self.nats_port}"

    @property
    def s3_url(self) -> str:
        """The user's own S3, else the embedded one."""
        return self.s3_endpoint or f"http://127.0.0.1:{self.s3_port}"

    @property
    def run_dir(self) -> Path:
        """Short folder for sockets and pid files, one per data directory; gone after a reboot, remade at start."""
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:8]
        if os.geteuid() == 0:
            return Path(f"/run/tidemill-{digest}")
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        return Path(runtime) / f"tm-{digest}" if runtime else Path(f"/tmp/tm-{os.geteuid()}-{digest}")

    def socket(self, name: str) -> Path:
        """`control`, `door`, `spawner`, `logs`, `edge` (the edge for our own services: their `X-Tidemill-*` headers
        are believed), `haproxy-admin`, `haproxy-master`."""
        return self.run_dir / f"{name}.sock"

    @property
    def secrets_dir(self) -> Path:
        """The platform's own credentials, 0700; files such as `basic-auth-user`, `basic-auth-password`,
        `nats-<service>`, `mongo-root`, `mongo-functions`, `s3-access-key`, `s3-secret-key`."""
        return self.data_dir / "secrets"

    @property
    def logs_dir(self) -> Path:
        """One ndjson file a source: `access.ndjson`, `<service>.ndjson`, `fn/<namespace>/<name>.ndjson`."""
        return self.data_dir / "logs"

    @property
    def functions_dir(self) -> Path:
        """`<namespace>/<name>/<version>/function/handler.py`."""
        return self.data_dir / "functions"

    @property
    def function_secrets_dir(self) -> Path:
        """`<namespace>/<name>`, 0600."""
        return self.data_dir / "function-secrets"

    @property
    def envs_dir(self) -> Path:
        """One Python environment per hash of what is installed in it."""
        return self.data_dir / "envs"

    @property
    def builds_dir(self) -> Path:
        """Uploaded sources by digest."""
        return self.data_dir / "builds"

    @property
    def edge_dir(self) -> Path:
        """Rendered HAProxy configuration and maps."""
        return self.data_dir / "edge"
