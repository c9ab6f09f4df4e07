"""The broker on NATS JetStream. Errors of nats-py become ours here and nowhere else."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, BinaryIO

import nats.errors
import nats.js.errors
import orjson
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from tidemill.broker import wire
from tidemill.broker.base import (
    Backlog,
    Delivery,
    Exists,
    Intake,
    Keep,
    Message,
    Receiver,
    Rejected,
    Stored,
)
from tidemill.broker.connection import Connection
from tidemill.broker.intake import JetStreamIntake
from tidemill.broker.permissions import User
from tidemill.broker.replies import Replies, Reply
from tidemill.broker.staging import Staging
from tidemill.contract.errors import Unavailable
from tidemill.lib.log import Logger
from tidemill.lib.settings import Settings

ACK_TIMEOUT_S = 2.0
"""For a durable publish: an fsync takes milliseconds; who waits longer is better told to come back."""
API_TIMEOUT_S = 3.0
LISTING_MESSAGES = 256
"""Messages asked for in one direct get of many."""

_EXPECTATION_FAILED = (10071, 10164)
"""Wrong last sequence: plain, and for a batch whose constant is not met."""
_DUPLICATE = 10201
_EXPECT_ABSENT = {"Nats-Expected-Last-Subject-Sequence": "0"}
_EMPTY_STATUS = ("404", "408")


class JetStream:
    """Implements Broker, as an async context manager. The server may be down at any time, also at the start."""

    def __init__(self, url: str, *, user: str, password: str, log: Logger, staging: Staging | None = None) -> None:
        """`staging`: of the one stream that this process publishes batches to."""
        self._connection = Connection(url, user=user, password=password, log=log)
        self._replies = Replies(self._connection)
        self._staging = staging
        if staging is not None:
            self._connection.on_ready(staging.move_to_memory)

    async def __aenter__(self) -> JetStream:
        await self._connection.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, value, trace)
        if self._staging is not None:
            self._staging.move_back()

    async def wait_ready(self) -> None:
        """Until the server was reached once and holds our streams."""
        await self._connection.wait_ready()

    @property
    def is_connected(self) -> bool:
        return self._connection.is_ready

    @property
    def connections(self) -> int:
        return self._connection.made

    # Durable messages

    async def publish(self, message: Message, *, only_if_absent: bool = False) -> int:
        client = self._connection.client
        headers = {**message.headers, **_EXPECT_ABSENT} if only_if_absent else message.headers
        reply = self._replies.subject()
        block = wire.header_block(headers) + "\r\n"
        wire.write(client, wire.publication(message.subject, reply, block, message.data))
        return await self._confirmed(self._replies.expect(reply))

    async def publish_batch(self, messages: Sequence[Message]) -> None:
        """ADR-50: members carry batch id and number, the last one commits and is answered for all."""
        client = self._connection.client
        reply = self._replies.subject()
        batch, last = reply.rpartition(".")[2], len(messages)
        pieces = []
        for number, message in enumerate(messages, 1):
            block = f"{wire.header_block(message.headers)}Nats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {number}\r\n"
            block += "Nats-Batch-Commit: 1\r\n\r\n" if number == last else "\r\n"
            pieces.append(wire.publication(message.subject, reply if number == last else "", block, message.data))
        wire.write(client, b"".join(pieces))
        try:
            await self._confirmed(self._replies.expect(reply))
        except Rejected:
            if self._staging is not None:  # perhaps somebody cleared the memory away
                self._staging.move_to_memory()
            raise

    async def _confirmed(self, answer: asyncio.Future[Reply]) -> int:
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                reply = await answer
        except TimeoutError as cause:
            raise Unavailable("the queue did not confirm in time", retry_after_s=1.0) from cause
        if reply.status == "503":
            raise Unavailable("the queue is not ready", retry_after_s=1.0)
        body = orjson.loads(reply.data)
        if "error" in body:
            raise _refusal(body["error"])
        return int(body["seq"])

    async def last(self, stream: str, subject: str) -> Stored | None:
        with _translated():
            reply = await self._connection.client.request(
                f"$JS.API.DIRECT.GET.{stream}", orjson.dumps({"last_by_subj": subject}), timeout=API_TIMEOUT_S
            )
        if (reply.headers or {}).get("Status") in _EMPTY_STATUS:
            return None
        return _stored(reply)

    async def newest(self, stream: str, subject: str, *, scan: int, keep: Keep = bytes) -> Sequence[Stored]:
        with _translated():
            state = (await self._connection.jetstream.stream_info(stream)).state
            first = max(state.first_seq, state.last_seq - scan + 1, 1)
            found = [] if not state.messages else await self._range(stream, subject, first, keep)
        found.reverse()
        return found

    async def _range(self, stream: str, subject: str, first: int, keep: Keep) -> list[Stored]:
        client, found = self._connection.client, []
        inbox = client.new_inbox()
        replies = await client.subscribe(inbox)
        try:
            while True:
                query = {"seq": first, "next_by_subj": subject, "batch": LISTING_MESSAGES}
                await client.publish(f"$JS.API.DIRECT.GET.{stream}", orjson.dumps(query), reply=inbox)
                got = 0
                while True:
                    reply = await replies.next_msg(timeout=API_TIMEOUT_S)
                    if status := (reply.headers or {}).get("Status"):
                        break
                    found.append(_stored(reply, keep))
                    got += 1
                if status != "204" or got == 0 or (reply.headers or {}).get("Nats-Num-Pending") == "0":
                    return found
                first = found[-1].sequence + 1
        finally:
            await replies.unsubscribe()

    async def delete(self, stream: str, sequence: int) -> bool:
        with _translated():
            try:
                return bool(await self._connection.jetstream.delete_msg(stream, sequence))
            except (nats.js.errors.NotFoundError, nats.js.errors.ServerError, nats.js.errors.BadRequestError):
                return False  # nats-server answers 500 for a message that is gone

    async def purge(self, stream: str, subject: str) -> int:
        reply = await self._api(f"STREAM.PURGE.{stream}", {"filter": subject})
        return int(reply["purged"])

    async def count(self, stream: str) -> int:
        reply = await self._api(f"STREAM.INFO.{stream}", None)
        return int(reply["state"]["messages"])

    async def subjects(self, stream: str) -> Sequence[str]:
        found: list[str] = []
        while True:
            reply = await self._api(f"STREAM.INFO.{stream}", {"subjects_filter": ">", "offset": len(found)})
            page = list(reply["state"].get("subjects") or {})
            found += page
            if not page or len(found) >= reply.get("total", 0):
                return found

    # Work to take

    async def ensure_consumer(self, stream: str, name: str, subject: str, *, lease_s: float) -> None:
        with _translated():
            await self._connection.jetstream.add_consumer(
                stream,
                ConsumerConfig(
                    durable_name=name,
                    filter_subject=subject,
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=lease_s,
                    max_deliver=-1,
                    max_ack_pending=-1,  # calls that wait for their next attempt count as pending
                ),
            )

    async def consumers(self, stream: str) -> Mapping[str, Backlog]:
        found: dict[str, Backlog] = {}
        with _translated():
            while True:
                page = await self._connection.jetstream.consumers_info(stream, offset=len(found))
                for info in page:
                    found[info.name] = Backlog(info.num_pending or 0, info.num_ack_pending or 0)
                if not page or len(page) < 256:
                    return found

    async def delete_consumer(self, stream: str, name: str) -> None:
        with _translated(), suppress(nats.js.errors.NotFoundError):
            await self._connection.jetstream.delete_consumer(stream, name)

    async def intake(self, stream: str, consumer: str, receive: Receiver) -> Intake:
        with _translated():
            return await JetStreamIntake.open(self._connection, stream, consumer, receive)

    def ack(self, delivery: Delivery) -> None:
        self._answer(delivery, b"+ACK")

    def retry(self, delivery: Delivery, delay_s: float) -> None:
        self._answer(delivery, b'-NAK {"delay": %d}' % int(delay_s * 1e9))

    def extend(self, delivery: Delivery) -> None:
        self._answer(delivery, b"+WPI")

    def _answer(self, delivery: Delivery, verb: bytes) -> None:
        if self._connection.is_ready:
            wire.write(self._connection.raw, wire.plain(delivery.token, verb))

    # Small keys

    async def key_create(self, bucket: str, key: str, value: bytes) -> None:
        await self.publish(Message(f"$KV.{bucket}.{key}", value), only_if_absent=True)

    async def key_get(self, bucket: str, key: str) -> bytes | None:
        stored = await self.last(f"KV_{bucket}", f"$KV.{bucket}.{key}")
        return None if stored is None or "KV-Operation" in stored.headers else stored.data

    async def key_put(self, bucket: str, key: str, value: bytes) -> None:
        await self.publish(Message(f"$KV.{bucket}.{key}", value))

    async def key_delete(self, bucket: str, key: str) -> None:
        """Leaves no marker, so that the key can be created again."""
        await self.purge(f"KV_{bucket}", f"$KV.{bucket}.{key}")

    # Large objects

    async def object_put(self, bucket: str, name: str, source: BinaryIO) -> None:
        with _translated():
            store = await self._connection.jetstream.object_store(bucket)
            await store.put(name, source)  # type: ignore[arg-type]

    async def object_get(self, bucket: str, name: str) -> bytes | None:
        target = io.BytesIO()
        with _translated():
            try:
                store = await self._connection.jetstream.object_store(bucket)
                await store.get(name, writeinto=target)
            except nats.js.errors.ObjectNotFoundError:
                return None
        return target.getvalue()

    async def object_delete(self, bucket: str, name: str) -> None:
        with _translated(), suppress(nats.js.errors.NotFoundError):
            store = await self._connection.jetstream.object_store(bucket)
            await store.delete(name)

    async def objects(self, bucket: str) -> Mapping[str, datetime]:
        found: dict[str, datetime] = {}
        for stored in await self.newest(f"OBJ_{bucket}", f"$O.{bucket}.M.>", scan=2**40):
            info = orjson.loads(stored.data)
            if not info.get("deleted"):
                found[info["name"]] = stored.stored_at
        return found

    # Notices

    async def notify(self, subject: str, data: bytes) -> None:
        with _translated():
            await self._connection.client.publish(subject, data)

    async def ask(self, subject: str, data: bytes, *, timeout_s: float) -> bytes | None:
        try:
            with _translated():
                reply = await self._connection.client.request(subject, data, timeout=timeout_s)
        except Unavailable as error:
            if isinstance(error.__cause__, (nats.errors.NoRespondersError, nats.errors.TimeoutError)):
                return None
            raise
        return bytes(reply.data) or None

    @asynccontextmanager
    async def listen(self, subject: str, handle: Callable[[bytes], Awaitable[bytes | None]]) -> AsyncIterator[None]:
        async def receive(message: Msg) -> None:
            answer = await handle(message.data)
            if message.reply and answer is not None:
                await message.respond(answer)

        async with self._connection.subscribed(subject, receive):
            yield

    async def _api(self, verb: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        with _translated():
            payload = orjson.dumps(body) if body is not None else b""
            reply = await self._connection.client.request(f"$JS.API.{verb}", payload, timeout=API_TIMEOUT_S)
        answer: dict[str, Any] = orjson.loads(reply.data)
        if "error" in answer:
            raise _refusal(answer["error"])
        return answer


def jetstream(settings: Settings, user: User, log: Logger, *, batches_of: str) -> JetStream:
    """The embedded server, as one of our services; `batches_of` is the stream that only this one publishes batches
    to. Raises FileNotFoundError where it has no password yet."""
    password = (settings.secrets_dir / f"nats-{user}").read_text().strip()
    staging = Staging.of(settings, batches_of)
    return JetStream(settings.nats_url, user=user, password=password, log=log, staging=staging)


def _stored(reply: Msg, keep: Keep = bytes) -> Stored:
    headers = dict(reply.headers or {})
    return Stored(
        subject=headers.pop("Nats-Subject"),
        data=keep(reply.data),
        sequence=int(headers.pop("Nats-Sequence")),
        stored_at=datetime.fromisoformat(headers.pop("Nats-Time-Stamp")).astimezone(UTC),
        headers=headers,
    )


def _refusal(error: Mapping[str, Any]) -> Exception:
    """By the server's own error code, never by its text."""
    sentence = f"the queue refused: {error.get('description', 'no reason given')}"
    if error.get("err_code") in _EXPECTATION_FAILED:
        return Exists(sentence)
    if error.get("err_code") == _DUPLICATE or error.get("code") == 400:
        return Rejected(sentence)
    return Unavailable(sentence, retry_after_s=2.0)


@contextmanager
def _translated() -> Iterator[None]:
    """Whatever goes wrong on the way to the server is Unavailable."""
    try:
        yield
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as cause:
        raise Unavailable(
            f"the queue is not reachable: {cause or type(cause).__name__}", retry_after_s=1.0
        ) from cause
