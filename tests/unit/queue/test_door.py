"""The door without a network: the broker in memory, the provider scripted, requests as the server hands them over."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidemill.broker.base import Message
from tidemill.broker.group_commit import GroupCommit
from tidemill.broker.memory import MemoryBroker
from tidemill.contract.calls import DeadLetter, Death, QueuedCall
from tidemill.contract.errors import Unavailable
from tidemill.contract.names import CLAIM_CHECK_BYTES, FunctionRef
from tidemill.invoke.client import Unreachable
from tidemill.invoke.http1 import Answer as Answered
from tidemill.lib.auth import Credentials
from tidemill.lib.log import Logger
from tidemill.queue.callback_url import CallbackRules
from tidemill.queue.calls import Calls
from tidemill.queue.codec import dead_message, read_call
from tidemill.queue.dead_letters import DeadLetters
from tidemill.queue.directory import Directory
from tidemill.queue.door import Door
from tidemill.queue.door_settings import DoorSettings
from tidemill.queue.submit import Submissions
from tidemill.queue.web import Answer, Request

CREDENTIALS = Credentials("admin", "pw")
LIMIT = 2 * CLAIM_CHECK_BYTES


class Provider:
    """Answers as control does; away: not at all."""

    def __init__(self) -> None:
        self.names = {"fn"}
        self.is_away = False

    async def request(self, method: str, target: str, **_: Any) -> Answered:
        if self.is_away:
            raise Unreachable("control.sock cannot be reached")
        name = target.partition("?")[0].rpartition("/")[2]
        wire: dict[str, Any] = {"name": name, "namespace": "openfaas-fn", "image": "x"}
        return Answered(200, (), json.dumps(wire).encode()) if name in self.names else Answered(404, (), b"{}")


class Body:
    """Read whole or in pieces."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __call__(self) -> bytes:
        return self._data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), 65536):
            yield self._data[start : start + 65536]


class House:
    """A door and what is around it."""

    def __init__(self, folder: Path) -> None:
        self.broker, self.provider = MemoryBroker(), Provider()
        log = Logger("door", stream=io.BytesIO())
        directory = Directory(self.provider, authorization="", log=log)  # type: ignore[arg-type]
        rules = CallbackRules(gateway_urls=(), allow=())
        self.commit = GroupCommit(self.broker.publish, self.broker.publish_batch)
        submissions = Submissions(
            self.broker, self.commit, directory, rules, DoorSettings(LIMIT), spool_dir=folder, log=log
        )
        self.door = Door(submissions, Calls(self.broker), DeadLetters(self.broker, directory, log), CREDENTIALS, log)

    async def ask(self, method: str, path: str, body: bytes = b"", *, sized: bool = True, **headers: str) -> Answer:
        given = [(name.replace("_", "-").lower(), value) for name, value in headers.items()]
        if sized:
            given.append(("content-length", str(len(body))))
        path, _, query = path.partition("?")
        return await self.door.answer(Request(method, path, query, given, Body(body)))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def header(answer: Answer, name: str) -> str:
    return next((value for key, value in answer.headers if key.lower() == name.lower()), "")


async def test_accepted_means_stored(house: House) -> None:
    """202 names the call, and the message holds what the caller sent, without hop-by-hop headers and ours."""
    answer = await house.ask(
        "POST",
        "/async-function/fn/a?b=c",
        b"body",
        X_Call_Id="my-id",
        X_Own="1",
        Connection="close",
        X_Tidemill_Attempt="7",
        Traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    assert (answer.status, answer.body, header(answer, "x-call-id")) == (202, b"", "my-id")
    stored = await house.broker.last("TM_QUEUE", "tm.queue.openfaas-fn.fn.my-id")
    assert stored is not None and stored.data == b"body"
    call = read_call(stored)
    assert (call.path, call.query, call.trace_id) == ("/a", "b=c", "0af7651916cd43dd8448eb211c80319c")
    names = {name for name, _ in call.headers}
    assert {"x-own", "x-call-id", "x-correlation-id", "x-start-time"} <= names
    assert not names & {"connection", "x-tidemill-attempt", "content-length"}


async def test_ids_that_are_none_are_not_kept(house: House) -> None:
    """As everywhere: a trace of zeros is invalid, a correlation id that is no id gives way to the call id."""
    zeros = f"00-{'0' * 32}-b7ad6b7169203331-01"
    answer = await house.ask(
        "POST", "/async-function/fn", X_Call_Id="my-id", X_Correlation_Id="a b", Traceparent=zeros
    )
    assert answer.status == 202
    stored = await house.broker.last("TM_QUEUE", "tm.queue.openfaas-fn.fn.my-id")
    assert stored is not None
    call = read_call(stored)
    assert (call.trace_id, call.correlation_id) == ("", "my-id")


async def test_no_202_before_the_disk_has_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the broker has not confirmed, the caller waits."""
    stored = asyncio.Event()
    publish = house.broker.publish

    async def slow(message: Message, *, only_if_absent: bool = False) -> int:
        await stored.wait()
        return await publish(message, only_if_absent=only_if_absent)

    monkeypatch.setattr(house.commit, "_publish", slow)
    answering = asyncio.create_task(house.ask("POST", "/async-function/fn", b"x"))
    done, _ = await asyncio.wait([answering], timeout=0.05)
    assert not done
    stored.set()
    assert (await answering).status == 202


async def test_a_broker_that_is_away_is_503(house: House) -> None:
    """With Retry-After and the platform's mark, for every kind of call."""
    house.broker.connected = False
    for answer in (
        await house.ask("POST", "/async-function/fn", b"x"),
        await house.ask("POST", "/async-function/fn", b"x", Idempotency_Key="k"),
        await house.ask("GET", "/async-function/some-id"),
    ):
        assert answer.status == 503
        assert header(answer, "Retry-After") and header(answer, "X-OpenFaaS-Internal") == "door"


async def test_unknown_function_and_absent_provider(house: House) -> None:
    """404 only where the provider says so."""
    assert (await house.ask("POST", "/async-function/other")).status == 404
    assert (await house.ask("POST", "/async-function/No_Name")).status == 404
    house.provider.is_away = True
    assert (await house.ask("POST", "/async-function/fresh")).status == 503


@pytest.mark.parametrize("sized", [True, False])
async def test_large_bodies(house: House, sized: bool) -> None:
    """Above the claim-check size the message carries a name; above the limit nothing is kept, sized or chunked."""
    body = b"x" * (CLAIM_CHECK_BYTES + 1)
    accepted = await house.ask("POST", "/async-function/fn", body, sized=sized)
    stored = await house.broker.last("TM_QUEUE", f"tm.queue.*.*.{header(accepted, 'x-call-id')}")
    assert stored is not None and stored.data == b""
    name = read_call(stored).payload_object
    assert name and await house.broker.object_get("tm_payloads", name) == body
    refused = await house.ask("POST", "/async-function/fn", b"x" * (LIMIT + 1), sized=sized)
    assert (refused.status, str(LIMIT) in json.loads(refused.body)["error"]) == (413, True)
    assert len(await house.broker.objects("tm_payloads")) == 1


async def test_a_repeat_leaves_no_second_object(house: House) -> None:
    """The body of a repeated large call is thrown away again."""
    body = b"x" * (CLAIM_CHECK_BYTES + 1)
    answers = [await house.ask("POST", "/async-function/fn", body, Idempotency_Key="k") for _ in range(2)]
    assert len({header(answer, "x-call-id") for answer in answers}) == 1
    assert len(await house.broker.objects("tm_payloads")) == 1


async def test_an_unconfirmed_message_keeps_its_object(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker has the message and its confirmation is lost: 503; the repeat is told 202, and the body is there."""
    publish = house.broker.publish

    async def unconfirmed(message: Message, **options: Any) -> int:
        await publish(message, **options)
        if message.subject.startswith("tm.queue."):
            raise Unavailable("the queue did not confirm in time")
        return 1

    body = b"x" * (CLAIM_CHECK_BYTES + 1)
    with monkeypatch.context() as lossy:
        lossy.setattr(house.broker, "publish", unconfirmed)
        assert (await house.ask("POST", "/async-function/fn", body, Idempotency_Key="k")).status == 503
    accepted = await house.ask("POST", "/async-function/fn", body, Idempotency_Key="k")
    assert accepted.status == 202
    stored = await house.broker.last("TM_QUEUE", f"tm.queue.*.*.{header(accepted, 'x-call-id')}")
    assert stored is not None
    assert await house.broker.object_get("tm_payloads", read_call(stored).payload_object or "") == body


async def test_state_result_and_cancel_of_a_queued_call(house: House) -> None:
    """Queued; no result yet; cancelled once."""
    call_id = header(await house.ask("POST", "/async-function/fn", b"x"), "x-call-id")
    state = json.loads((await house.ask("GET", f"/async-function/{call_id}")).body)
    assert (state["state"], state["function"], state["attempts"]) == ("queued", "fn.openfaas-fn", [])
    assert (await house.ask("GET", f"/async-function/{call_id}/result")).status == 409
    assert (await house.ask("DELETE", f"/async-function/{call_id}")).status == 202
    assert await house.broker.count("TM_QUEUE") == 0
    assert (await house.ask("DELETE", f"/async-function/{call_id}")).status == 409
    assert (await house.ask("GET", "/async-function/../etc")).status == 404


async def test_redriving_all_brings_every_payload_back(house: House) -> None:
    """Listed without their payloads, queued with them, oldest first; then none is left."""
    now = datetime.now(UTC)
    for number in range(3):
        call = QueuedCall(f"c-{number}", FunctionRef("fn"), "POST", "/", "", (), accepted_at=now, size_bytes=6)
        letter = DeadLetter(call, Death("it failed", "gave_up", now, number, ()))
        await house.broker.publish(dead_message(letter, b"body %d" % number))
    login: dict[str, Any] = {"Authorization": CREDENTIALS.header}
    listed = json.loads((await house.ask("GET", "/system/dead-letters", **login)).body)
    assert [letter["call_id"] for letter in listed] == ["c-2", "c-1", "c-0"]
    redriven = await house.ask("POST", "/system/dead-letters/redrive", **login)
    assert (redriven.status, json.loads(redriven.body)) == (202, {"redriven": 3})
    queued = await house.broker.newest("TM_QUEUE", "tm.queue.*.*.*", scan=10)
    assert [message.data for message in reversed(queued)] == [b"body 0", b"body 1", b"body 2"]
    assert await house.broker.count("TM_DEAD") == 0


async def test_management_needs_the_login(house: House) -> None:
    """And reads its parameters strictly."""
    assert (await house.ask("GET", "/system/calls")).status == 401
    login: dict[str, Any] = {"Authorization": CREDENTIALS.header}
    assert (await house.ask("GET", "/system/calls", **login)).body == b"[]"
    assert (await house.ask("GET", "/system/calls?limit=0", **login)).status == 400
    assert (await house.ask("GET", "/system/calls?state=odd", **login)).status == 400
    assert (await house.ask("GET", "/system/dead-letters/none", **login)).status == 404
    assert (await house.ask("PUT", "/async-function/fn")).status == 405
    assert (await house.ask("GET", "/healthz")).status == 200
