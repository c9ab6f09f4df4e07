"""What a call through a real HAProxy meets: where it goes, what is added to it, and how it fails."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.integration.edge.conftest import Edge, until
from tests.integration.edge.replicas import Answer, Handler, Received, Replica, echo
from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Server, Target

HELLO = FunctionRef("hello")


def target_of(ref: FunctionRef, *sockets: Path, version: str = "v1", connections: int = 4, **options: Any) -> Target:
    servers = tuple(Server(f"{version}-{slot}", str(path), connections) for slot, path in enumerate(sockets))
    return Target(ref, servers, **options)


async def deploy(edge: Edge, *targets: Target) -> None:
    await edge.traffic.apply({target.ref: target for target in targets})


def replica(edge: Edge, name: str = "hello", handler: Handler = echo) -> Replica:
    return Replica(edge.settings.run_dir / f"{name}.sock", handler)


@pytest.mark.parametrize(
    ("path", "arrives_as"),
    [
        ("/function/hello", "/"),
        ("/function/hello/", "/"),
        ("/function/hello.openfaas-fn", "/"),
        ("/function/hello/a/b?x=1%20&y", "/a/b?x=1%20&y"),
        ("/function/hello?x", "/?x"),
        ("/function/hello//a", "//a"),
        ("/function/hello/system/functions", "/system/functions"),
        ("/function/hello/a%2Fb", "/a%2Fb"),
    ],
)
async def test_the_rest_of_the_path_and_the_raw_query_reach_the_function(
    edge: Edge, path: str, arrives_as: str
) -> None:
    """/function/NAME[.NS][/rest]?query arrives as /rest?query, untouched."""
    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        told = await _json(edge, path)
    assert told["target"] == arrives_as


async def test_ids_are_made_and_told_to_function_and_caller(edge: Edge) -> None:
    """A call without ids gets a call id, the same as correlation id, a trace and a start time in nanoseconds."""
    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        async with edge.client.get(f"{edge.url}/function/hello") as answer:
            seen = (await answer.json(content_type=None))["headers"]
    assert len(seen["x-call-id"]) == 36
    assert seen["x-correlation-id"] == seen["x-call-id"]
    assert len(seen["x-start-time"]) == 19
    assert seen["traceparent"].startswith("00-") and seen["traceparent"].endswith("-01")
    assert [len(part) for part in seen["traceparent"].split("-")] == [2, 32, 16, 2]
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-host"] == edge.url.removeprefix("http://")
    for name in ("X-Call-Id", "X-Correlation-Id", "X-Start-Time"):
        assert answer.headers[name] == seen[name.lower()]
    assert answer.headers["X-Served-By"] == "hello.openfaas-fn/v1-0"


async def test_a_callers_own_ids_are_kept(edge: Edge) -> None:
    """Call id and correlation id are the caller's; the trace goes on with a new span; forwarded headers stay."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    sent = {
        "X-Call-Id": "mine_1",
        "X-Correlation-Id": "order:7",
        "traceparent": f"00-{trace}-b7ad6b7169203331-00",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": "shop.example",
    }
    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        async with edge.client.get(f"{edge.url}/function/hello", headers=sent) as answer:
            seen = (await answer.json(content_type=None))["headers"]
    assert answer.headers["X-Call-Id"] == "mine_1"
    for name in ("X-Call-Id", "X-Correlation-Id", "X-Forwarded-For", "X-Forwarded-Host"):
        assert seen[name.lower()] == sent[name]
    assert seen["traceparent"].startswith(f"00-{trace}-") and seen["traceparent"].endswith("-00")
    assert "b7ad6b7169203331" not in seen["traceparent"]


@pytest.mark.parametrize("bad", ["a b", "x" * 65, "a.b", 'a"b', "-" * 3 + ">"])
async def test_a_call_id_that_is_none_is_replaced(edge: Edge, bad: str) -> None:
    """Only [A-Za-z0-9_-]{1,64} is taken over."""
    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        async with edge.client.get(f"{edge.url}/function/hello", headers={"X-Call-Id": bad}) as answer:
            assert len(answer.headers["X-Call-Id"]) == 36


async def test_what_a_client_may_not_say_is_dropped(edge: Edge) -> None:
    """X-Tidemill-*, X-OpenFaaS-Internal, Proxy, hop-by-hop headers and names with `_` do not reach the function."""
    sent = {
        "X-Tidemill-Attempt": "7",
        "x-tidemill-Route": "GET /admin",
        "X_Tidemill_Attempt": "7",
        "X-Call_Id": "mine",
        "X-OpenFaaS-Internal": "edge",
        "Proxy": "http://evil",
        "Proxy-Authorization": "Basic x",
        "TE": "trailers",
        "Keep-Alive": "timeout=5",
        "Accept-Language": "de",
    }
    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        told = await _json(edge, "/function/hello", headers=sent)
    assert told["headers"]["accept-language"] == "de"
    assert not {name.lower() for name in sent} - {"accept-language"} & set(told["headers"])


async def test_our_own_services_are_believed_on_the_internal_socket(edge: Edge) -> None:
    """On edge.sock X-Tidemill-Attempt reaches the function."""
    connector = aiohttp.UnixConnector(str(edge.settings.socket("edge")))
    async with replica(edge) as hello, aiohttp.ClientSession(connector=connector) as trusted:
        await deploy(edge, target_of(HELLO, hello.socket))
        async with trusted.get("http://edge/function/hello", headers={"X-Tidemill-Attempt": "7"}) as answer:
            told = await answer.json(content_type=None)
    assert told["headers"]["x-tidemill-attempt"] == "7"
    assert "x-forwarded-for" not in told["headers"]


async def test_declared_routes_lead_to_their_function(edge: Edge) -> None:
    """The path arrives unchanged, X-Tidemill-Route has the pattern, the most specific route wins."""
    items, special = FunctionRef("items"), FunctionRef("special")
    async with replica(edge) as one, replica(edge, "other") as two:
        await deploy(
            edge,
            target_of(items, one.socket, routes=("GET /items/{id}", "DELETE /items/{id}", "* /files/{path...}")),
            target_of(special, two.socket, routes=("GET /items/special", "GET /items/{id}/parts")),
        )
        by_id = await _json(edge, "/items/42?full=1")
        assert by_id["target"] == "/items/42?full=1"
        assert by_id["headers"]["x-tidemill-route"] == "GET /items/{id}"
        assert (await _json(edge, "/items/special"))["headers"]["x-tidemill-route"] == "GET /items/special"
        assert (await _json(edge, "/items/42/parts"))["headers"]["x-tidemill-route"] == "GET /items/{id}/parts"
        assert (await _json(edge, "/files/a/b"))["headers"]["x-tidemill-route"] == "* /files/{path...}"
        for path, ref in (("/items/special", special), ("/items/42", items)):
            async with edge.client.head(edge.url + path) as head:  # where only GET is declared
                assert (head.status, head.headers["X-Served-By"].partition("/")[0]) == (200, str(ref))
        async with edge.client.put(f"{edge.url}/items/42") as refused:
            assert (refused.status, refused.headers["Allow"]) == (405, "DELETE, GET, HEAD")
            await _check_error(refused, "method_not_allowed")
        async with edge.client.get(f"{edge.url}/items/") as unknown:
            assert unknown.status == 404
            await _check_error(unknown, "not_found")


async def test_unknown_functions_and_paths_are_404(edge: Edge) -> None:
    """Both name what is missing."""
    async with edge.client.get(f"{edge.url}/function/nope.dev") as answer:
        assert answer.status == 404
        assert "function nope is not deployed in namespace dev" in await _check_error(answer, "function_not_found")
    async with edge.client.get(f"{edge.url}/function/") as answer:
        assert "names no function" in await _check_error(answer, "function_not_found")
    async with edge.client.get(f'{edge.url}/no"where') as answer:
        assert answer.status == 404
        await _check_error(answer, "not_found")


@pytest.mark.parametrize("path", ["/function/{}", "/function/hello/{}", "/items/{}", "/{}", "/async-function/{}"])
async def test_long_and_odd_paths_are_answered_properly(edge: Edge, path: str) -> None:
    """10 kB of name, id or path: a JSON 404 or 503 of the edge, or the function's own answer; nothing breaks."""
    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, hello.socket, routes=("GET /items/{id}",)))
        for odd in ("x" * 10_000, "%00%ff%22%5c" * 500, "..%2f..%2f", "'\";drop"):
            async with edge.client.post(URL(edge.url + path.format(odd), encoded=True)) as answer:
                assert answer.status in (200, 404, 405, 503)
                assert (await answer.json(content_type=None))["target" if answer.status == 200 else "call_id"]


async def test_head_is_answered_without_a_body(edge: Edge) -> None:
    """By the function, and by the edge itself: the connection stays usable."""
    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        for path, status in (("/function/hello", 200), ("/function/nope", 404), ("/nowhere", 404)):
            async with edge.client.head(edge.url + path) as answer:
                assert (answer.status, await answer.read()) == (status, b"")
                assert len(answer.headers["X-Call-Id"]) == 36
        assert (await _json(edge, "/function/hello"))["method"] == "GET"


async def test_methods_that_functions_do_not_have_are_405(edge: Edge) -> None:
    """TRACE and inventions are refused with Allow."""
    async with edge.client.request("BREW", f"{edge.url}/function/hello") as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
        await _check_error(answer, "method_not_allowed")


async def test_platform_paths_reach_control_and_door(edge: Edge) -> None:
    """/system, /build, /healthz go to control; /async-function, calls and dead letters to the door, unchanged."""
    async with (
        Replica(edge.settings.socket("control"), _named("control")),
        Replica(edge.settings.socket("door"), _named("door")),
    ):
        for path in ("/system/functions", "/system/function/x?usage=1", "/build", "/publickey", "/healthz"):
            assert (await _json(edge, path))["who"] == "control"
        for path in (
            "/system/calls",
            "/system/calls/x",
            "/system/dead-letters/x/redrive",
            "/system/dead-letters?a=1",
        ):
            assert (await _json(edge, path))["who"] == "door"
        async with edge.client.post(f"{edge.url}/async-function/hello/x?y=1", data=b"1") as answer:
            told = await answer.json(content_type=None)
    assert (told["who"], told["target"]) == ("door", "/async-function/hello/x?y=1")
    assert told["headers"]["x-call-id"] == answer.headers["X-Call-Id"]


async def test_the_doors_own_call_id_stays(edge: Edge) -> None:
    """For a repeated Idempotency-Key the door names the first call; a function cannot choose the id."""

    async def first(received: Received) -> Answer:
        return Answer(202, headers={"X-Call-Id": "the-first"})

    async with Replica(edge.settings.socket("door"), first), replica(edge, handler=first) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        async with edge.client.post(f"{edge.url}/async-function/hello") as answer:
            assert answer.headers.getall("X-Call-Id") == ["the-first"]
        async with edge.client.post(f"{edge.url}/function/hello", headers={"X-Call-Id": "mine"}) as answer:
            assert answer.headers.getall("X-Call-Id") == ["mine"]


async def test_a_service_that_is_away_is_503_with_retry_after(edge: Edge) -> None:
    """No control, no door: unavailable, not a broken connection."""
    async with edge.client.get(f"{edge.url}/system/functions") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        await _check_error(answer, "unavailable")


async def test_a_call_waits_for_a_busy_replica_then_is_429(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the servers' connections calls wait in the edge's queue; past the limit 429, Retry-After, marked as the
    platform's own."""
    monkeypatch.setattr("tidemill.edge.render.QUEUE_WAIT_MS", 300)
    release = asyncio.Event()

    async def busy(received: Received) -> Answer:
        await release.wait()
        return Answer(body=b"done")

    async with replica(edge, handler=busy) as hello:
        await deploy(edge, target_of(HELLO, hello.socket, connections=1))
        first = asyncio.create_task(_status(edge, "/function/hello"))
        await until(lambda: hello.served == 1)
        async with edge.client.get(f"{edge.url}/function/hello") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
            assert "limit" in await _check_error(answer, "too_many_requests")
        waiting = asyncio.create_task(_status(edge, "/function/hello"))
        await asyncio.sleep(0)
        release.set()
        assert (await first, await waiting) == (200, 200)


async def test_a_replica_that_cannot_be_reached_is_503(edge: Edge) -> None:
    """A missing socket is not the caller's fault and not a limit."""
    await deploy(edge, target_of(HELLO, edge.settings.run_dir / "absent.sock"))
    async with edge.client.get(f"{edge.url}/function/hello") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert "could not be reached" in await _check_error(answer, "unavailable")


async def test_another_slot_takes_over_where_one_cannot_be_reached(edge: Edge) -> None:
    """No call fails while one of two slots has no socket."""
    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, edge.settings.run_dir / "absent.sock", hello.socket))
        assert {await _status(edge, "/function/hello") for _ in range(10)} == {200}


async def test_a_replicas_own_503_stays_503(edge: Edge) -> None:
    """Only the edge's own queue timeout becomes 429."""

    async def unavailable(received: Received) -> Answer:
        return Answer(503, b"not now")

    async with replica(edge, handler=unavailable) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        async with edge.client.get(f"{edge.url}/function/hello") as answer:
            assert (answer.status, await answer.text()) == (503, "not now")


async def test_a_slow_function_is_504_naming_its_limit(edge: Edge) -> None:
    """Past exec_timeout the edge answers."""

    async def slow(received: Received) -> Answer:
        await asyncio.sleep(30)
        return Answer()

    async with replica(edge, handler=slow) as hello:
        await deploy(edge, target_of(HELLO, hello.socket, timeout_s=0.2))
        async with edge.client.get(f"{edge.url}/function/hello") as answer:
            assert answer.status == 504
            assert "200 ms" in await _check_error(answer, "timeout")


async def test_a_body_over_the_limit_is_413_naming_it(edge: Edge) -> None:
    """The function never sees it; a body at the limit passes."""
    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, hello.socket, max_body_bytes=1000))
        async with edge.client.post(f"{edge.url}/function/hello", data=b"x" * 1001) as answer:
            assert answer.status == 413
            assert "1000 bytes" in await _check_error(answer, "too_large")
        assert (await _json(edge, "/function/hello", method="POST", data=b"x" * 1000))["size"] == 1000


async def test_a_delivery_of_the_queue_may_be_larger(edge: Edge) -> None:
    """The async door has measured it against its own limit; refusing it here would kill an accepted call."""
    connector = aiohttp.UnixConnector(str(edge.settings.socket("edge")))
    async with replica(edge) as hello, aiohttp.ClientSession(connector=connector) as trusted:
        await deploy(edge, target_of(HELLO, hello.socket, max_body_bytes=10))
        async with trusted.post("http://edge/function/hello", data=b"x" * 11) as answer:
            assert answer.status == 200
            assert (await answer.json(content_type=None))["size"] == 11


async def test_a_replica_that_breaks_off_is_502(edge: Edge) -> None:
    """Nothing, or no HTTP at all, where an answer should be; the call is not repeated."""

    async def broken(received: Received) -> Answer:
        return Answer(raw=b"")

    async with replica(edge, handler=broken) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        async with edge.client.post(f"{edge.url}/function/hello", data=b"1") as answer:
            assert answer.status == 502
            await _check_error(answer, "broken_answer")
        assert hello.served == 1


async def test_chunked_bodies_and_streams_pass(edge: Edge) -> None:
    """A chunked upload arrives whole; server-sent events arrive one by one while the function still runs."""
    release = asyncio.Event()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

    async def parts() -> Any:
        yield b"a" * 1000
        yield b"b" * 1000

    async with replica(edge) as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        assert (await _json(edge, "/function/hello", method="POST", data=parts()))["size"] == 2000

    async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"9\r\ndata: 1\n\n\r\n")
        await release.wait()
        writer.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
        writer.close()

    path = edge.settings.run_dir / "sse.sock"
    server = await asyncio.start_unix_server(events, str(path))
    await deploy(edge, target_of(HELLO, path, version="v2"))
    async with edge.client.get(f"{edge.url}/function/hello", headers={"Accept": "text/event-stream"}) as answer:
        assert await answer.content.readuntil(b"\n\n") == b"data: 1\n\n"
        release.set()
        assert await answer.content.readuntil(b"\n\n") == b"data: 2\n\n"
    server.close()


async def test_web_sockets_pass(edge: Edge) -> None:
    """Upgrade goes through, bytes flow both ways."""

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"upgrade: websocket" in head.lower()
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n")
        writer.write(b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")  # RFC 6455's own example
        writer.write(b"you said " + await reader.readexactly(4))
        writer.close()

    path = edge.settings.run_dir / "ws.sock"
    server = await asyncio.start_unix_server(upgrade, str(path))
    await deploy(edge, target_of(HELLO, path))
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.settings.gateway_port)
    writer.write(b"GET /function/hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
    writer.write(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(b"ping")
    assert await reader.readexactly(13) == b"you said ping"
    writer.close()
    server.close()


def _named(who: str) -> Handler:
    async def handler(received: Received) -> Answer:
        told = json.loads((await echo(received)).body)
        return Answer(body=json.dumps(told | {"who": who}).encode())

    return handler


async def _json(edge: Edge, path: str, *, method: str = "GET", **options: Any) -> Any:
    async with edge.client.request(method, URL(edge.url + path, encoded=True), **options) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json(content_type=None)


async def _status(edge: Edge, path: str) -> int:
    async with edge.client.get(f"{edge.url}{path}") as answer:
        await answer.read()
        return answer.status


async def _check_error(answer: aiohttp.ClientResponse, code: str) -> str:
    """The body is ours: JSON, the code, the call id of the header, and the marker. Returns the sentence."""
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-OpenFaaS-Internal"] == "edge"
    body = await answer.json()
    assert body["code"] == code
    assert body["call_id"] == answer.headers["X-Call-Id"]
    sentence: str = body["error"]
    return sentence
