"""Secrets over HTTP: values go in and never come out."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tests.unit.provider.conftest import Provider
from tidemill.provider.secrets import SecretStore


async def test_life_of_a_secret(provider: Provider) -> None:
    """Create, conflict, update, list without values, delete with 202 (never 204), absent afterwards."""
    client, path = provider.client, "/system/secrets"
    secret = {"name": "token", "value": "one"}
    assert (await client.post(path, json=secret)).status_code == 202
    assert (await client.post(path, json=secret)).status_code == 409
    assert (await client.put(path, json={**secret, "value": "two"})).status_code == 202
    assert provider.secrets.path("openfaas-fn", "token").read_bytes() == b"two"
    listed = await client.get(path)
    assert listed.json() == [{"name": "token", "namespace": "openfaas-fn"}]
    assert (await client.request("DELETE", path, json={"name": "token"})).status_code == 202
    assert (await client.request("DELETE", path, json={"name": "token"})).status_code == 404
    assert (await client.put(path, json=secret)).status_code == 404


async def test_a_raw_value_wins(provider: Provider) -> None:
    """Bytes that are no text travel as base64."""
    body = {"name": "bytes", "value": "ignored", "rawValue": "/wAK"}
    assert (await provider.client.post("/system/secrets", json=body)).status_code == 202
    assert provider.secrets.path("openfaas-fn", "bytes").read_bytes() == b"\xff\x00\n"


@pytest.mark.parametrize(
    "body",
    [
        {"value": "x"},
        {"name": "", "value": "x"},
        {"name": "../token", "value": "x"},
        {"name": "UPPER", "value": "x"},
        {"name": ".hidden", "value": "x"},
        {"name": "a" * 254, "value": "x"},
        {"name": "a", "value": 1},
        {"name": "a", "rawValue": "not base64!"},
        {"name": "a", "value": "x", "namespace": "nope"},
        {"name": "a", "value": "x", "namespace": "../x"},
        {"name": 7},
    ],
)
async def test_bad_secrets_are_400(provider: Provider, body: Any) -> None:
    """A name can never leave the folder of its namespace."""
    assert (await provider.client.post("/system/secrets", json=body)).status_code == 400


async def test_an_oversized_body_is_413(provider: Provider) -> None:
    """A control service must not hold gigabytes."""
    answer = await provider.client.post("/system/secrets", content=b"x" * (3 << 20))
    assert answer.status_code == 413


def test_files_are_private(tmp_path: Path) -> None:
    """0600 in a 0700 folder; no temporary file stays."""
    store = SecretStore(tmp_path / "secrets")
    store.create("openfaas-fn", "token", b"x")
    store.update("openfaas-fn", "token", b"y")
    folder = tmp_path / "secrets/openfaas-fn"
    assert [file.name for file in folder.iterdir()] == ["token"]
    assert ((folder / "token").stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_platforms_secrets_are_adopted_once(tmp_path: Path) -> None:
    """Made from the credentials that exist, written again only when they change."""
    platform = tmp_path / "platform"
    platform.mkdir()
    (platform / "s3-access-key").write_text("key\n")
    store = SecretStore(tmp_path / "secrets")
    assert store.adopt(platform) == ["s3-access-key"]
    assert store.adopt(platform) == []
    (platform / "s3-access-key").write_text("new\n")
    (platform / "mongodb-functions-uri").write_text("mongodb://x")
    assert store.adopt(platform) == ["mongodb-uri", "s3-access-key"]
    assert store.path("openfaas-fn", "s3-access-key").read_text() == "new"


async def test_a_full_disk_is_named(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with the reason; the old value stays."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    provider.secrets.create("openfaas-fn", "token", b"one")
    monkeypatch.setattr("os.fsync", full)
    answer = await provider.client.put("/system/secrets", json={"name": "token", "value": "two"})
    assert (answer.status_code, answer.json()["error"]) == (503, "the disk is full")
    assert provider.secrets.path("openfaas-fn", "token").read_bytes() == b"one"
    assert provider.secrets.names("openfaas-fn") == ["token"]
