"""The platform's own passwords and keys."""

from __future__ import annotations

import stat
from dataclasses import replace

import pytest

from tidemill.contract.errors import BadRequest
from tidemill.embedded.credentials import durable_uri, ensure_credentials, functions_uri, read_credential
from tidemill.lib.auth import Credentials
from tidemill.lib.settings import Settings


def test_they_are_made_once_and_for_us_alone(platform_settings: Settings) -> None:
    """A second start keeps every password; no file and no folder of them is open to others."""
    ensure_credentials(platform_settings, {})
    folder = platform_settings.secrets_dir
    before = {path.name: path.read_text() for path in folder.iterdir()}
    ensure_credentials(platform_settings, {})
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len(set(before.values())) == len(before), "no two are alike"


def test_the_login_is_there(platform_settings: Settings) -> None:
    """The operator is `admin`, with a password nobody could guess."""
    ensure_credentials(platform_settings, {})
    login = Credentials.load(platform_settings.secrets_dir)
    assert login.user == "admin"
    assert len(login.password) >= 32


def test_functions_reach_mongo_durably_on_the_port_of_now(platform_settings: Settings) -> None:
    """The URI follows the port when it moves, and every write it makes is journaled."""
    ensure_credentials(platform_settings, {})
    moved = replace(platform_settings, mongo_port=27999)
    ensure_credentials(moved, {})
    uri = read_credential(moved, "mongodb-functions-uri")
    assert uri == functions_uri(moved)
    assert "127.0.0.1:27999" in uri
    assert "w=majority" in uri and "journal=true" in uri


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mongodb://db", "mongodb://db/?w=majority&journal=true"),
        ("mongodb://u:p@db:1/x?w=2", "mongodb://u:p@db:1/x?w=2&journal=true"),
        ("mongodb+srv://db/?journal=true&w=majority", "mongodb+srv://db/?journal=true&w=majority"),
    ],
)
def test_a_users_own_mongo_gets_the_write_concern_it_does_not_name(given: str, expected: str) -> None:
    """What the URI says already stays."""
    assert durable_uri(given) == expected


def test_an_s3_of_ones_own_brings_its_keys(platform_settings: Settings) -> None:
    """They are taken from the environment, kept for the next start, and asked for where they were never given."""
    own = replace(platform_settings, s3_endpoint="http://s3.example")
    with pytest.raises(BadRequest, match="S3_ACCESS_KEY and S3_SECRET_KEY"):
        ensure_credentials(own, {})
    ensure_credentials(own, {"S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "secret"})
    ensure_credentials(own, {})
    assert (read_credential(own, "s3-access-key"), read_credential(own, "s3-secret-key")) == ("key", "secret")
