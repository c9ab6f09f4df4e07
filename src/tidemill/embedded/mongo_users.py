"""The users of the embedded mongod, made once its first start is done: `python -m tidemill.embedded.mongo_users`.

An empty mongod lets one local client make the first user. Running it again changes nothing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tidemill.embedded.credentials import MONGO_FUNCTIONS, MONGO_ROOT, read_credential
from tidemill.embedded.mongo_dir import first_start_done, users_mark
from tidemill.lib.log import get_logger
from tidemill.lib.settings import Settings

USER_EXISTS = 51003
UNAUTHORIZED = 13
TIMEOUT_MS = 10_000


def make_users(settings: Settings) -> None:
    """Raises PyMongoError."""
    root, functions = (read_credential(settings, name) for name in (MONGO_ROOT, MONGO_FUNCTIONS))
    with _client(settings) as nobody:
        nobody.admin.command("ping")
        first_start_done(settings)
        _ensure_user(nobody, "root", root, [{"role": "root", "db": "admin"}])
    with _client(settings, username="root", password=root) as admin:
        _ensure_user(admin, "functions", functions, [{"role": "readWriteAnyDatabase", "db": "admin"}])
    users_mark(settings).touch()


def _ensure_user(client: MongoClient[dict[str, Any]], name: str, password: str, roles: list[dict[str, str]]) -> None:
    try:
        client.admin.command("createUser", name, pwd=password, roles=roles, writeConcern={"w": "majority", "j": True})
    except OperationFailure as cause:
        if cause.code not in (USER_EXISTS, UNAUTHORIZED):  # unauthorized: there is a root already
            raise


def _client(
    settings: Settings, *, username: str | None = None, password: str | None = None
) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        "127.0.0.1",
        settings.mongo_port,
        username=username,
        password=password,
        serverSelectionTimeoutMS=TIMEOUT_MS,
    )


def main() -> int:
    settings = Settings.from_env(os.environ)
    try:
        make_users(settings)
    except PyMongoError as cause:
        hint = f"is {settings.secrets_dir / MONGO_ROOT} what this database was made with?"
        get_logger("mongo").error("users could not be made", hint=hint, reason=str(cause))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
