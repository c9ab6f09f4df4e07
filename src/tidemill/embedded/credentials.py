"""The platform's own passwords and keys: made at the first start, one file each in `secrets_dir`, for us alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from tidemill.broker.permissions import USERS
from tidemill.contract.errors import BadRequest
from tidemill.lib.auth import PASSWORD_FILE, USER_FILE
from tidemill.lib.settings import Settings

MONGO_ROOT = "mongo-root"
MONGO_FUNCTIONS = "mongo-functions"
MONGODB_FUNCTIONS_URI = "mongodb-functions-uri"
S3_ACCESS_KEY = "s3-access-key"
S3_SECRET_KEY = "s3-secret-key"
BUILDER_PAYLOAD_SECRET = "builder-payload-secret"

WRITE_CONCERN = "w=majority&journal=true"
"""In every URI: without it a killed mongod loses writes that it had acknowledged."""


def nats_file(user: str) -> str:
    return f"nats-{user}"


def ensure_credentials(settings: Settings, environ: Mapping[str, str]) -> None:
    """Makes what is missing and keeps what is there; what follows from the settings is written anew each time.

    Raises BadRequest where S3_ENDPOINT is set and its keys are not.
    """
    folder = settings.secrets_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    made = {USER_FILE: "admin"}
    made |= {name: secrets.token_urlsafe(24) for name in (PASSWORD_FILE, BUILDER_PAYLOAD_SECRET)}
    made |= {nats_file(user): secrets.token_urlsafe(24) for user in USERS}
    made |= {name: secrets.token_urlsafe(24) for name in (MONGO_ROOT, MONGO_FUNCTIONS)}
    if settings.s3_endpoint is None:
        made |= {S3_ACCESS_KEY: secrets.token_hex(10).upper(), S3_SECRET_KEY: secrets.token_urlsafe(30)}
    for name, value in made.items():
        if not (folder / name).exists():
            write_private(folder / name, value)
    if settings.s3_endpoint is not None:
        _write_given_keys(folder, environ)
    write_private(folder / MONGODB_FUNCTIONS_URI, functions_uri(settings))


def read_credential(settings: Settings, name: str) -> str:
    """Raises FileNotFoundError naming the file: the platform was not prepared here yet."""
    return (settings.secrets_dir / name).read_text().strip()


def functions_uri(settings: Settings) -> str:
    """With which functions reach MongoDB."""
    if settings.mongodb_uri:
        return durable_uri(settings.mongodb_uri)
    password = quote(read_credential(settings, MONGO_FUNCTIONS), safe="")
    return f"mongodb://functions:{password}@127.0.0.1:{settings.mongo_port}/?authSource=admin&{WRITE_CONCERN}"


def durable_uri(uri: str) -> str:
    """The user's URI with the write concern added, unless it says its own."""
    parts = urlsplit(uri)
    has = {pair.partition("=")[0].lower() for pair in parts.query.split("&")}
    missing = [pair for pair in WRITE_CONCERN.split("&") if pair.partition("=")[0] not in has]
    query = "&".join([*filter(None, [parts.query]), *missing])
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, parts.fragment))


def write_private(path: Path, value: str) -> None:
    """Whole or not at all; never readable by others, not even for a moment."""
    if path.exists() and path.read_text() == value:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(value)
        file.flush()
        os.fsync(handle)
    draft.replace(path)


def _write_given_keys(folder: Path, environ: Mapping[str, str]) -> None:
    for name, variable in ((S3_ACCESS_KEY, "S3_ACCESS_KEY"), (S3_SECRET_KEY, "S3_SECRET_KEY")):
        if environ.get(variable):
            write_private(folder / name, environ[variable])
        elif not (folder / name).exists():
            raise BadRequest("S3_ENDPOINT is set, so S3_ACCESS_KEY and S3_SECRET_KEY must be set too")
