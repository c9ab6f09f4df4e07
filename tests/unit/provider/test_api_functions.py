"""Functions over HTTP: the status codes and the types that strict clients rely on."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.provider.conftest import Provider
from tidemill.contract.names import FunctionRef

FULL: dict[str, Any] = {
    "service": "full",
    "image": "hello:1",
    "namespace": "openfaas-fn",
    "envProcess": "python index.py",
    "envVars": {"A": "1", "exec_timeout": "5s"},
    "constraints": ["node=a"],
    "secrets": ["token"],
    "labels": {"team": "blue", "com.openfaas.scale.max": "7"},
    "annotations": {"com.tidemill.route": "GET /full/{id}", "note": "x"},
    "limits": {"memory": "128Mi", "cpu": "100m"},
    "requests": {"memory": "64Mi"},
    "readOnlyRootFilesystem": True,
}


async def test_a_deployment_comes_back_unchanged(provider: Provider) -> None:
    """Every field round-trips; the label faas_function is added."""
    provider.secrets.create("openfaas-fn", "token", b"x")
    assert (await provider.client.post("/system/functions", json=FULL)).status_code == 202
    status = await provider.status("full")
    expected = {key: value for key, value in FULL.items() if key != "service"}
    expected["labels"] = {**FULL["labels"], "faas_function": "full"}
    assert {key: status[key] for key in expected} == expected
    assert status["name"] == "full"


async def test_status_has_the_types_that_go_reads(provider: Provider) -> None:
    """Replicas are integers, times have a zone, empty things are absent."""
    await provider.deploy()
    status = await provider.status()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", status["createdAt"])
    assert (type(status["replicas"]), type(status["availableReplicas"])) == (int, int)
    assert (status["replicas"], status["availableReplicas"]) == (1, 1)
    assert status["invocationCount"] == 7
    assert not {"limits", "requests", "secrets", "usage", "envVars"} & set(status)


async def test_usage_is_answered_where_it_is_asked_for(provider: Provider) -> None:
    """faas-cli describe reads both numbers."""
    await provider.deploy()
    assert (await provider.status(usage="1"))["usage"] == {"cpu": 0.0, "totalMemoryBytes": 0.0}


async def test_update_of_an_absent_function_is_404(provider: Provider) -> None:
    """faas-cli then sends a POST."""
    answer = await provider.client.put("/system/functions", json={"service": "nobody", "image": "hello:1"})
    assert answer.status_code == 404
    assert "nobody" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"image": "hello:1"}, 400, "service is required"),
        ({"service": "a"}, 400, "image is required"),
        ({"service": "A_b", "image": "hello:1"}, 400, "DNS label"),
        ({"service": "a", "image": "ghcr.io/x/y:1"}, 400, "not one that was built here"),
        ({"service": "a", "image": "hello:1", "secrets": ["nope"]}, 400, "secret nope does not exist"),
        ({"service": "a", "image": "hello:1", "namespace": "nope"}, 400, "namespace nope does not exist"),
        ({"service": "a", "image": "hello:1", "limits": {"memory": "much"}}, 400, "limits.memory"),
        ({"service": "a", "image": "hello:1", "labels": {"x": 1}}, 400, "labels must be an object of strings"),
        ({"service": "a", "image": "hello:1", "labels": {"com.openfaas.scale.max": "no"}}, 400, "scale.max"),
        ({"service": "a", "image": "hello:1", "annotations": {"com.tidemill.route": "GET"}}, 400, "METHOD /path"),
        ({"service": "a", "image": "broken:1"}, 500, "ImportError: No module named 'nowhere'"),
        ([], 400, "must be a JSON object"),
    ],
)
async def test_a_bad_deployment_says_what_is_wrong(provider: Provider, body: Any, status: int, says: str) -> None:
    """The body of the answer is what faas-cli prints; nothing is left behind."""
    answer = await provider.client.post("/system/functions", json=body)
    assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.text
    assert provider.backend.puts == {}
    assert await provider.store.all() == {}


async def test_text_that_no_answer_could_hold_is_refused(provider: Provider) -> None:
    """JSON can name half a character; kept in a label it would have broken every listing from then on."""
    body = b'{"service": "odd", "image": "hello:1", "labels": {"a": "\\ud800"}}'
    assert (await provider.client.post("/system/functions", content=body)).status_code == 400
    assert (await provider.client.get("/system/functions")).json() == []


async def test_bad_json_is_400(provider: Provider) -> None:
    """Not a 500."""
    answer = await provider.client.post("/system/functions", content=b"{")
    assert answer.status_code == 400


async def test_a_version_that_does_not_become_ready_leaves_the_old_one(provider: Provider) -> None:
    """The caller sees the reason; the edge never heard of the new version."""
    await provider.deploy()
    before, told = provider.traffic.targets, len(provider.traffic.pictures)
    answer = await provider.deploy(image="broken:1")
    assert (answer.status_code, answer.json()["code"]) == (500, "deploy_failed")
    assert "nowhere" in answer.json()["error"]
    await provider.background.idle()
    assert (provider.traffic.targets, len(provider.traffic.pictures)) == (before, told)
    assert (await provider.status())["image"] == "hello:1"
    assert {ref for ref, _ in provider.backend.puts} == {"hello.openfaas-fn"}
    assert len(provider.backend.puts) == 1


async def test_an_update_replaces_the_old_version(provider: Provider) -> None:
    """New servers at the edge, the old version dropped, the change announced, the creation time kept."""
    await provider.deploy()
    old = next(iter(provider.backend.puts))
    await provider.deploy(image="hello:2")
    await provider.background.idle()
    ((ref, version),) = provider.backend.puts
    assert version != old[1]
    (server,) = provider.traffic.targets[FunctionRef.parse(ref)].servers
    assert server.name == f"{version}-0"
    assert len(provider.announced) == 2


async def test_a_second_deployment_of_the_same_content_keeps_the_replicas(provider: Provider) -> None:
    """Same version: nothing is restarted."""
    await provider.deploy()
    before = dict(provider.backend.puts)
    assert (await provider.deploy(labels={"team": "red"})).status_code == 202
    await provider.background.idle()
    assert provider.backend.puts == before
    assert (await provider.status())["labels"]["team"] == "red"


async def test_a_changed_secret_makes_a_new_version(provider: Provider) -> None:
    """The next deployment picks up the new value."""
    provider.secrets.create("openfaas-fn", "token", b"one")
    await provider.deploy(secrets=["token"])
    before = set(provider.backend.puts)
    provider.secrets.update("openfaas-fn", "token", b"two")
    await provider.deploy(secrets=["token"])
    await provider.background.idle()
    assert set(provider.backend.puts).isdisjoint(before)


async def test_a_route_clash_names_both_functions(provider: Provider) -> None:
    """Parameter names do not matter."""
    await provider.deploy("one", annotations={"com.tidemill.route": "GET /items/{id}"})
    answer = await provider.deploy("two", annotations={"com.tidemill.route": "GET /items/{key}"})
    assert (answer.status_code, answer.json()["code"]) == (400, "route_clash")
    assert "one.openfaas-fn" in answer.json()["error"]
    assert "two.openfaas-fn" in answer.json()["error"]


async def test_remove(provider: Provider) -> None:
    """202, then gone everywhere; 404 the second time."""
    await provider.deploy()
    for expected in (202, 404):
        answer = await provider.client.request("DELETE", "/system/functions", json={"functionName": "hello"})
        assert answer.status_code == expected
    await provider.background.idle()
    assert (provider.backend.puts, provider.traffic.targets, await provider.store.all()) == ({}, {}, {})
    assert (await provider.client.get("/system/function/hello")).status_code == 404


async def test_older_clients_name_the_namespace_in_the_query(provider: Provider) -> None:
    """As faas-cli before 0.14 does when it removes a function."""
    await provider.client.post("/system/namespace/", json={"name": "blue"})
    await provider.deploy(namespace="blue")
    body = {"functionName": "hello"}
    assert (await provider.client.request("DELETE", "/system/functions", json=body)).status_code == 404
    answer = await provider.client.request("DELETE", "/system/functions?namespace=blue", json=body)
    assert answer.status_code == 202


async def test_scale_up_and_to_zero(provider: Provider) -> None:
    """To zero means no replica, and a slot that stays bound for the next call."""
    await provider.deploy()
    scale = "/system/scale-function/hello"
    assert (await provider.client.post(scale, json={"serviceName": "hello", "replicas": 3})).status_code == 202
    status = await provider.status()
    assert (status["replicas"], status["availableReplicas"]) == (3, 3)
    assert len(provider.traffic.targets[FunctionRef("hello")].servers) == 3
    assert (await provider.client.post(scale, json={"serviceName": "hello", "replicas": 0})).status_code == 202
    await provider.background.idle()
    status = await provider.status()
    assert (status["replicas"], status["availableReplicas"]) == (0, 0)
    assert len(provider.traffic.targets[FunctionRef("hello")].servers) == 1


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("nobody", {"serviceName": "nobody", "replicas": 1}, 404),
        ("hello", {"serviceName": "hello", "replicas": -1}, 400),
        ("hello", {"serviceName": "hello", "replicas": 1.5}, 400),
        ("hello", {"serviceName": "hello", "replicas": True}, 400),
        ("hello", {"serviceName": "hello", "replicas": "2"}, 400),
        ("hello", {"serviceName": "hello"}, 400),
        ("hello", {"serviceName": "hello", "replicas": 100_000}, 400),
    ],
)
async def test_bad_scalings(provider: Provider, name: str, body: Any, status: int) -> None:
    """404 for an absent function, 400 for what is no number of replicas."""
    await provider.deploy()
    answer = await provider.client.post(f"/system/scale-function/{name}", json=body)
    assert answer.status_code == status


async def test_list_is_per_namespace(provider: Provider) -> None:
    """Without a namespace the default one's; a namespace that does not exist is 400."""
    await provider.client.post("/system/namespace/", json={"name": "blue"})
    await provider.deploy("one")
    await provider.deploy("two", namespace="blue")
    names = {
        query: [status["name"] for status in (await provider.client.get(f"/system/functions{query}")).json()]
        for query in ("", "?namespace=blue", "?namespace=*")
    }
    assert names == {"": ["one"], "?namespace=blue": ["two"], "?namespace=*": ["one", "two"]}
    assert (await provider.client.get("/system/functions?namespace=nope")).status_code == 400
    assert (await provider.client.get("/system/function/two")).status_code == 404
    assert (await provider.status("two", namespace="blue"))["namespace"] == "blue"
    assert (await provider.status("two.blue"))["namespace"] == "blue"


async def test_changes_are_503_while_the_record_is_away(provider: Provider) -> None:
    """Reads go on from memory; a refused deployment leaves no trace."""
    await provider.deploy()
    provider.store.reachable = False
    answer = await provider.deploy(image="hello:2")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    answer = await provider.client.request("DELETE", "/system/functions", json={"functionName": "hello"})
    assert answer.status_code == 503
    answer = await provider.client.post("/system/scale-function/hello", json={"serviceName": "hello", "replicas": 2})
    assert answer.status_code == 503
    assert (await provider.status())["image"] == "hello:1"


async def test_a_record_that_breaks_down_in_mid_deployment_rolls_back(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edge is told the old picture again and the new version goes."""
    await provider.deploy()
    before = provider.traffic.targets
    monkeypatch.setattr(provider.store, "require_reachable", lambda: None)

    async def put(_key: str, _document: Any) -> None:
        from tidemill.contract.errors import Unavailable

        raise Unavailable

    monkeypatch.setattr(provider.store, "put", put)
    assert (await provider.deploy(image="hello:2")).status_code == 503
    await provider.background.idle()
    assert provider.traffic.targets == before
    assert len(provider.backend.puts) == 1


async def test_everything_is_503_until_functions_are_back(fresh: Provider) -> None:
    """A client must not take an empty list for the truth."""
    for path in ("/healthz", "/system/functions", "/system/function/hello"):
        assert (await fresh.client.get(path)).status_code == 503
    await fresh.functions.reconcile()
    assert (await fresh.client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("path", ["/system/functions", "/system/info", "/system/secrets", "/system/nowhere"])
async def test_the_login_is_needed(provider: Provider, path: str) -> None:
    """401 with the realm that clients know; /healthz is open."""
    answer = await provider.client.get(path, headers={"Authorization": "Basic bm8="})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Restricted"')
    assert (await provider.client.get("/healthz", headers={"Authorization": ""})).status_code == 200


async def test_unknown_paths_and_methods(provider: Provider) -> None:
    """JSON errors, marked as the platform's own."""
    answer = await provider.client.get("/system/nowhere")
    assert (answer.status_code, answer.headers["X-OpenFaaS-Internal"]) == (404, "control")
    answer = await provider.client.patch("/system/functions")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


async def test_info_has_what_clients_want_non_empty(provider: Provider) -> None:
    """Provider name, orchestration, release and sha of both."""
    info = (await provider.client.get("/system/info")).json()
    assert (info["provider"]["provider"], info["provider"]["orchestration"]) == ("tidemill", "process")
    assert all(info[key]["release"] and info[key]["sha"] for key in ("version",))
    assert info["provider"]["version"]["release"] and info["provider"]["version"]["sha"] and info["arch"]
