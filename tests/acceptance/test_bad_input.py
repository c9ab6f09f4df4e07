"""What people send by mistake or on purpose: refused with the right status, a sentence, and a call id."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.support.command import tidemill
from tests.support.functions import Functions
from tests.support.platform import Platform
from tests.support.settings import free_ports

pytestmark = pytest.mark.stack

ECHO = "def handle(event, context):\n    return {'statusCode': 200, 'body': str(len(event.body))}\n"
STACK = """\
version: 1.0
provider:
  name: openfaas
functions:
  greet:
    lang: python3-http
    handler: ./greet
    image: greet:latest
"""


def in_pieces(size: int) -> Iterator[bytes]:
    """A body whose length nobody is told (chunked)."""
    for _ in range(0, size, 1024):
        yield b"x" * 1024


def raw_get(platform: Platform, target: str) -> tuple[int, dict[str, str], bytes]:
    """The path exactly as written: no client tidies it up."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.settings.gateway_port, timeout=30)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"id": {"$ne": null}, "key": "k"}', "application/json", 400),
        (b'{"id": "../../etc/passwd", "key": "k"}', "application/json", 400),
        (b'{"id": "%s", "key": "k"}' % (b"x" * 10_240), "application/json", 400),
        (b'{"id": "x", "key": "../../secrets"}', "application/json", 400),
        (b"id=1", "text/csv", 415),
    ],
)
def test_uploads_that_cannot_be_used(
    app: Platform, http: httpx.Client, body: bytes, content_type: str, status: int
) -> None:
    """Nothing of it is stored."""
    answer = http.post("/upload", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, bool(answer.json()["error"])) == (status, True), answer.text
    assert answer.json()["call_id"] == answer.headers["X-Call-Id"]


@pytest.mark.parametrize(
    "target",
    [
        "/items/../../etc/passwd",
        "/items/" + quote("../../etc/passwd", safe=""),
        "/items/$ne",
        "/items/" + quote('{"$ne": null}'),
        "/items/" + "x" * 10_240,
        "/items/%00",
    ],
)
def test_ids_that_are_none(app: Platform, target: str) -> None:
    """404 with a call id: no file, no operator, no crash."""
    status, headers, body = raw_get(app, target)
    assert (status, bool(json.loads(body)["error"])) == (404, True)
    assert headers["x-call-id"]


def test_a_path_that_no_buffer_holds(app: Platform) -> None:
    """Refused by the edge before there is a request to speak of; it goes on."""
    assert raw_get(app, "/items/" + "x" * 100_000)[0] == 400
    assert raw_get(app, "/items/none")[0] == 404


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_functions_limit(functions: Functions, http: httpx.Client, chunked: bool) -> None:
    """413 whether its length is told or not, and the largest that is allowed goes through."""
    name = functions.deploy("too-large", ECHO, annotations={"com.tidemill.max-body": "64Ki"})

    def send(size: int) -> httpx.Response:
        return http.post(f"/function/{name}", content=in_pieces(size) if chunked else b"x" * size)

    assert send(64 * 1024).text == "65536"
    answer = send(65 * 1024)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert answer.headers["X-OpenFaaS-Internal"]
    assert answer.headers["X-Call-Id"]


@pytest.mark.parametrize("chunked", [False, True])
def test_an_async_body_over_the_limit(functions: Functions, http: httpx.Client, chunked: bool) -> None:
    """413 from the door, and no 202."""
    name = functions.deploy("async-too-large", ECHO)
    size = 101 * 1024 * 1024
    content = in_pieces(size) if chunked else b"x" * size
    try:
        answer = http.post(f"/async-function/{name}", content=content)
    except httpx.WriteError:
        return  # told that it is too much before all was sent, and the rest not taken
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("way", ["function", "async-function"])
def test_an_unknown_function(stack: Platform, http: httpx.Client, way: str) -> None:
    """404 that names function and namespace, marked as the platform's own answer."""
    answer = http.post(f"/{way}/nobody-deployed-me", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (404, "function_not_found")
    assert "nobody-deployed-me" in answer.json()["error"] and "openfaas-fn" in answer.json()["error"]
    assert answer.json()["call_id"] == answer.headers["X-Call-Id"]
    assert answer.headers["X-OpenFaaS-Internal"]


@pytest.mark.parametrize(
    ("line", "number", "said"),
    [
        ("    labells: {}\n", 9, "labells"),
        ("    annotations:\n      com.tidemill.route: GET items\n", 10, "com.tidemill.route"),
        ("    environment:\n      exec_timeout: soon\n", 10, "exec_timeout"),
        ("    handler: [\n", None, "stack.yml:"),
    ],
)
def test_a_bad_stack_file_names_the_line(
    stack: Platform, tmp_path: Path, line: str, number: int | None, said: str
) -> None:
    """With exit code 2 for a mistake of the user's, before anything is built."""
    (tmp_path / "stack.yml").write_text(STACK + line)
    (tmp_path / "greet").mkdir()
    (tmp_path / "greet/handler.py").write_text(ECHO)
    done = tidemill(stack.settings, "deploy", cwd=tmp_path)
    assert done.code == 2, done.text
    assert said in done.err
    if number is not None:
        assert f"stack.yml:{number}:" in done.err
    assert "building" not in done.text


def test_a_handler_that_cannot_be_imported(
    stack: Platform, functions: Functions, http: httpx.Client, tmp_path: Path
) -> None:
    """The deployment fails with the traceback's last line, and the old version goes on serving."""
    name = functions.will_remove("greet")
    (tmp_path / "stack.yml").write_text(STACK)
    functions.write(name, ECHO)
    assert tidemill(stack.settings, "deploy", cwd=tmp_path).code == 0
    functions.write(name, "import json\nimport a_package_nobody_has\n" + ECHO)
    done = tidemill(stack.settings, "deploy", cwd=tmp_path)
    assert done.code == 1
    assert "ModuleNotFoundError: No module named 'a_package_nobody_has'" in done.text
    assert http.post(f"/function/{name}", content=b"four").text == "4"


def test_a_first_version_that_cannot_be_imported(stack: Platform, functions: Functions, http: httpx.Client) -> None:
    """Nothing is deployed then: the name stays unknown."""
    image = stack.build(functions.write("stillborn", "1 / 0\n" + ECHO), name="stillborn")
    functions.will_remove("stillborn")
    answer = stack.client.post("/system/functions", json={"service": "stillborn", "image": image})
    assert (answer.status_code, answer.json()["code"]) == (500, "deploy_failed")
    assert "ZeroDivisionError: division by zero" in answer.json()["error"]
    assert http.get("/function/stillborn").status_code == 404


def test_two_functions_for_one_route(stack: Platform, functions: Functions, http: httpx.Client) -> None:
    """Refused, both named, and the first keeps it."""
    route = {"com.tidemill.route": "GET /acceptance/{id}"}
    functions.deploy("route-holder", ECHO, annotations=route)
    image = stack.build(functions.write("route-claimant", ECHO), name="route-claimant")
    functions.will_remove("route-claimant")
    body = {"service": "route-claimant", "image": image, "annotations": route}
    answer = stack.client.post("/system/functions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "route_clash")
    assert "route-holder" in answer.json()["error"] and "route-claimant" in answer.json()["error"]
    assert http.get("/acceptance/1").text == "0"


def test_a_taken_port_is_named_with_the_flag_that_moves_it(stack: Platform, tmp_path: Path) -> None:
    """A second platform on the first one's port: exit code, port and flag; the first goes on."""
    port = stack.settings.gateway_port
    others = zip(("metrics", "nats", "mongo", "s3"), free_ports(4), strict=True)
    moved = [word for name, number in others for word in (f"--{name}-port", str(number))]
    done = tidemill(stack.settings, "up", "--no-deploy", "--data-dir", tmp_path / "data", *moved, cwd=tmp_path)
    assert done.code != 0
    assert f"port {port} " in done.err and "--gateway-port" in done.err
    assert stack.client.get("/healthz").status_code == 200


def test_a_login_is_needed_where_things_are_changed(stack: Platform, http: httpx.Client) -> None:
    """Without one: 401 with the challenge that faas-cli waits for."""
    for path in ("/system/functions", "/system/secrets", "/system/dead-letters", "/system/calls"):
        answer = http.get(path)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Restricted"')
