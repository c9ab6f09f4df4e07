"""Functions on the embedded platform: deployed, updated, scaled, and back after everything died."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.platform import Platform
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

Write = Callable[[str], Path]


@pytest.fixture
def handler(tmp_path: Path) -> Write:
    """Writes a handler and returns its folder."""

    def write(code: str) -> Path:
        (tmp_path / "handler.py").write_text(code)
        return tmp_path

    return write


@pytest.fixture
def name(stack: Platform, request: pytest.FixtureRequest) -> Iterator[str]:
    """A function's name for this test alone; the function is removed afterwards."""
    found = request.node.originalname.replace("_", "-")[:40].rstrip("-")
    yield found
    stack.remove(found)


def answering(text: str) -> str:
    return f"def handle(event, context):\n    return {{'statusCode': 200, 'body': {text!r}}}\n"


def call(stack: Platform, name: str, path: str = "") -> httpx.Response:
    return httpx.get(f"{stack.url}/function/{name}{path}", timeout=30)


def test_build_deploy_call_remove(stack: Platform, handler: Write, name: str) -> None:
    """The whole way; after the removal the function is unknown."""
    image = stack.deploy(handler(answering("hello")), name=name)
    assert call(stack, name).text == "hello"
    status = stack.client.get(f"/system/function/{name}").json()
    assert (status["image"], status["availableReplicas"]) == (image, 1)
    stack.remove(name)
    assert call(stack, name).status_code == 404


def test_a_broken_update_leaves_the_old_version(stack: Platform, handler: Write, name: str) -> None:
    """The reason is the last line of the traceback."""
    stack.deploy(handler(answering("old")), name=name)
    image = stack.build(handler("import nowhere\n"), name=name)
    answer = stack.client.put("/system/functions", json={"service": name, "image": image})
    assert (answer.status_code, answer.json()["code"]) == (500, "deploy_failed")
    assert "No module named 'nowhere'" in answer.json()["error"]
    assert call(stack, name).text == "old"


def test_no_call_fails_during_updates(stack: Platform, handler: Write, name: str) -> None:
    """Six versions under load; every answer is one of theirs."""
    stack.deploy(handler(answering("v0")), name=name)
    failed: list[str] = []
    seen: set[str] = set()
    stop = threading.Event()

    def load() -> None:
        with httpx.Client(timeout=30) as client:
            while not stop.is_set():
                answer = client.get(f"{stack.url}/function/{name}")
                seen.add(answer.text)
                if answer.status_code != 200:
                    failed.append(f"{answer.status_code} {answer.text}")

    callers = [threading.Thread(target=load) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        for version in range(1, 6):
            stack.deploy(handler(answering(f"v{version}")), name=name)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert failed == []
    assert seen <= {f"v{version}" for version in range(6)}
    assert call(stack, name).text == "v5"


def test_scaled_to_zero_the_next_call_forks(stack: Platform, handler: Write, name: str) -> None:
    """Status says 0, and the call is answered all the same."""
    stack.deploy(handler(answering("awake")), name=name)
    answer = stack.client.post(f"/system/scale-function/{name}", json={"serviceName": name, "replicas": 0})
    assert answer.status_code == 202
    status = f"/system/function/{name}"
    wait_until(lambda: stack.client.get(status).json()["replicas"] == 0, "no replica is left")
    assert call(stack, name).text == "awake"
    assert stack.client.get(status).json()["availableReplicas"] == 1


def test_slow_calls_get_more_replicas(stack: Platform, handler: Write, name: str) -> None:
    """While calls wait, slots are added; nobody has to declare anything."""
    stack.deploy(
        handler("import time\n\ndef handle(event, context):\n    time.sleep(0.5)\n    return 'done'\n"), name=name
    )
    callers = [threading.Thread(target=call, args=(stack, name)) for _ in range(16)]
    for caller in callers:
        caller.start()
    status = f"/system/function/{name}"
    try:
        wait_until(lambda: stack.client.get(status).json()["availableReplicas"] > 1, "a second replica is there")
    finally:
        for caller in callers:
            caller.join()


def test_secrets_and_environment_reach_the_function(stack: Platform, handler: Write, name: str) -> None:
    """With the platform's own variables."""
    code = (
        "import json, os, pathlib\n"
        "def handle(event, context):\n"
        "    folder = os.environ.get('TIDEMILL_SECRETS_DIR', '/var/openfaas/secrets')\n"
        "    names = ('OPENFAAS_NAME', 'OPENFAAS_NAMESPACE', 'OPENFAAS_URL', 'MINE')\n"
        "    found = {name: os.environ[name] for name in names}\n"
        "    return json.dumps({**found, 'secret': (pathlib.Path(folder) / 'int-token').read_text()})\n"
    )
    stack.client.request("DELETE", "/system/secrets", json={"name": "int-token"})
    assert stack.client.post("/system/secrets", json={"name": "int-token", "value": "s3cret"}).status_code == 202
    stack.deploy(handler(code), name=name, secrets=["int-token"], envVars={"MINE": "x"})
    assert call(stack, name).json() == {
        "OPENFAAS_NAME": name,
        "OPENFAAS_NAMESPACE": "openfaas-fn",
        "OPENFAAS_URL": stack.url,
        "MINE": "x",
        "secret": "s3cret",
    }


def test_logs_are_followed_through_the_gateway(stack: Platform, handler: Write, name: str) -> None:
    """Line by line while the function prints."""
    stack.deploy(handler("def handle(event, context):\n    print('saw', event.path)\n    return ''\n"), name=name)
    query = {"name": name, "follow": "true", "tail": "-1"}
    with stack.client.stream("GET", "/system/logs", params=query) as answer:
        lines = answer.iter_lines()
        for path in ("/one", "/two"):
            call(stack, name, path)
            assert (
                next(text for line in lines if (text := json.loads(line)["text"]).startswith("saw")) == f"saw {path}"
            )


@pytest.mark.faults
def test_functions_survive_kill_9_of_the_spawner_and_of_control(stack: Platform, handler: Write, name: str) -> None:
    """They are put and routed again; the record is not lost."""
    image = stack.deploy(handler(answering("still here")), name=name)
    for service in ("spawner", "control"):
        stack.kill(service)
        wait_until(lambda: call(stack, name).text == "still here", f"calls are answered after {service} died")
        stack.await_ready()
        assert stack.client.get(f"/system/function/{name}").json()["image"] == image


@pytest.mark.faults
def test_without_nats_reads_go_on_and_changes_are_503(stack: Platform, handler: Write, name: str) -> None:
    """With Retry-After; afterwards changes work again."""
    image = stack.deploy(handler(answering("x")), name=name)
    change = {"service": name, "image": image, "labels": {"changed": "yes"}}
    stack.kill("nats")

    def refused() -> bool:
        answer = stack.client.put("/system/functions", json=change)
        return answer.status_code == 503 and "Retry-After" in answer.headers

    seen = refused()
    assert stack.client.get(f"/system/function/{name}").status_code == 200
    stack.await_ready()
    wait_until(
        lambda: stack.client.put("/system/functions", json=change).status_code == 202, "changes are taken again"
    )
    assert stack.client.get(f"/system/function/{name}").json()["labels"]["changed"] == "yes"
    assert seen


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_every_function_is_a_user_of_its_own(stack: Platform, handler: Write, name: str) -> None:
    """Another function cannot read its source, and neither can read the platform's credentials."""
    code = (
        "import decimal, json, os\n"
        "def handle(event, context):\n"
        "    def can_read(path):\n"
        "        try:\n"
        "            return bool(open(path).read())\n"
        "        except OSError:\n"
        "            return False\n"
        "    return json.dumps({'uid': os.getuid(), 'source': __file__, 'reads': can_read(event.query['path'])})\n"
    )
    other = f"{name}-2"
    stack.deploy(handler(code), name=name)
    stack.deploy(handler(code), name=other)
    try:
        password = stack.settings.secrets_dir / "basic-auth-password"
        one = call(stack, name, f"?path={password}").json()
        two = call(stack, other, f"?path={one['source']}").json()
        own = call(stack, name, f"?path={one['source']}").json()
        assert 0 not in (one["uid"], two["uid"])
        assert one["uid"] != two["uid"]
        assert (one["reads"], two["reads"], own["reads"]) == (False, False, True)
    finally:
        stack.remove(other)
