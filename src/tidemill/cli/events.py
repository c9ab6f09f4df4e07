"""Sample events for `invoke --event`: bodies and headers as the connectors send them, to try a handler by hand."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tidemill.contract.functions import rfc3339

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Event:
    """One call as a connector makes it."""

    body: bytes
    headers: Mapping[str, str]


def sample_event(kind: str, now: datetime) -> Event:
    """`kind` is one of KINDS."""
    return _SAMPLES[kind](now)


def _cron(_: datetime) -> Event:
    """Schedules come with an empty body."""
    return Event(b"", {"X-Topic": "cron-function", "X-Connector": "cron-connector"})


def _kafka(_: datetime) -> Event:
    headers = {"X-Topic": "orders", "X-Kafka-Partition": "0", "X-Kafka-Offset": "42", "X-Kafka-Key": "order-1"}
    return _json({"order": "order-1", "amount": 5}, {**headers, "X-Connector": "kafka-connector"})


def _nats(_: datetime) -> Event:
    return _json({"order": "order-1", "amount": 5}, {"X-Topic": "orders", "X-Connector": "nats-connector"})


def _sqs(_: datetime) -> Event:
    headers = {"X-SQS-Message-ID": str(uuid.uuid4()), "X-SQS-Queue-URL": "http://localhost:9324/queue/orders"}
    return _json({"order": "order-1", "amount": 5}, {**headers, "X-Connector": "sqs-connector"})


def _s3(now: datetime) -> Event:
    """A bucket's notification, as MinIO sends it: the key in the record is URL-encoded."""
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": rfc3339(now),
        "eventName": "s3:ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": "items", "arn": "arn:aws:s3:::items"},
            "object": {"key": "uploads%2Fphoto.jpg", "size": 71234, "eTag": "0" * 32, "contentType": "image/jpeg"},
        },
    }
    body = {"EventName": "s3:ObjectCreated:Put", "Key": "items/uploads/photo.jpg", "Records": [record]}
    return _json(body, {"X-Topic": "items", "X-Connector": "s3-connector"})


def _json(body: object, headers: Mapping[str, str]) -> Event:
    return Event(json.dumps(body).encode(), {"Content-Type": JSON_TYPE, **headers})


_SAMPLES: Mapping[str, Callable[[datetime], Event]] = {
    "cron": _cron,
    "kafka": _kafka,
    "nats": _nats,
    "s3": _s3,
    "sqs": _sqs,
}
KINDS = tuple(_SAMPLES)
