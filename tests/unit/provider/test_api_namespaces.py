"""Namespaces over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.provider.conftest import Provider


@pytest.mark.parametrize("word", ["namespace", "namespaces"])
async def test_life_of_a_namespace(provider: Provider, word: str) -> None:
    """201, then 409; read back with its labels; updated, listed and removed with 202, then 404."""
    client, path = provider.client, f"/system/{word}/blue"
    body = {"name": "blue", "labels": {"openfaas": "1"}, "annotations": {"openfaas": "1"}}
    assert (await client.post(f"/system/{word}/", json=body)).status_code == 201
    assert (await client.post(f"/system/{word}", json=body)).status_code == 409
    assert (await client.get(path)).json() == body
    assert (await client.put(path, json={**body, "labels": {"a": "b"}})).status_code == 202
    assert (await client.get(path)).json()["labels"] == {"a": "b"}
    assert (await client.get("/system/namespaces")).json() == ["blue", "openfaas-fn"]
    assert (await client.request("DELETE", path, json={"name": "blue"})).status_code == 202
    assert (await client.get(path)).status_code == 404
    assert (await client.request("DELETE", path)).status_code == 404
    assert (await client.put(path, json=body)).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/system/namespace/", {"name": "Not_A_Label"}),
        ("POST", "/system/namespace/", {"labels": {}}),
        ("POST", "/system/namespace/", {"name": "a", "labels": {"x": 1}}),
        ("PUT", "/system/namespace/openfaas-fn", {"name": "other"}),
        ("DELETE", "/system/namespace/openfaas-fn", {"name": "openfaas-fn"}),
    ],
)
async def test_bad_requests(provider: Provider, method: str, path: str, body: Any) -> None:
    """A body that names another namespace than the path is refused, and so is the end of the default one."""
    assert (await provider.client.request(method, path, json=body)).status_code == 400


async def test_a_namespace_in_use_stays(provider: Provider) -> None:
    """Its functions and secrets have to go first."""
    await provider.client.post("/system/namespace/", json={"name": "blue"})
    await provider.deploy(namespace="blue")
    answer = await provider.client.request("DELETE", "/system/namespace/blue")
    assert (answer.status_code, "not empty" in answer.json()["error"]) == (400, True)
    await provider.client.request("DELETE", "/system/functions", json={"functionName": "hello", "namespace": "blue"})
    provider.secrets.create("blue", "token", b"x")
    assert (await provider.client.request("DELETE", "/system/namespace/blue")).status_code == 400
    provider.secrets.delete("blue", "token")
    assert (await provider.client.request("DELETE", "/system/namespace/blue")).status_code == 202


async def test_namespaces_survive_a_restart(provider: Provider) -> None:
    """They are stored before they count."""
    await provider.client.post("/system/namespace/", json={"name": "blue"})
    await provider.namespaces.load()
    assert provider.namespaces.names() == ["blue", "openfaas-fn"]
