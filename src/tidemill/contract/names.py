"""Names that several parts must agree on: namespaces, function references, subjects, streams, buckets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidemill.contract.errors import BadRequest

DEFAULT_NAMESPACE = "openfaas-fn"

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123 label: function and namespace names."""
CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What we accept as a caller's own call id; anything else is replaced by ours. No dots: it is a NATS token."""

STREAM_QUEUE = "TM_QUEUE"
STREAM_CALLS = "TM_CALLS"
STREAM_DEAD = "TM_DEAD"
KV_FUNCTIONS = "tm_functions"
KV_NAMESPACES = "tm_namespaces"
KV_IDEMPOTENCY = "tm_idempotency"
OBJECTS_PAYLOADS = "tm_payloads"

CLAIM_CHECK_BYTES = 256 * 1024
"""Payloads above this go to the JetStream object store; the message carries the reference."""

RESERVED_PATHS = ("/system", "/function", "/async-function", "/ui", "/healthz", "/build", "/publickey")
"""First path segments that no route of a function may claim."""


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A function's full name, printed as `name.namespace`."""

    name: str
    namespace: str = DEFAULT_NAMESPACE

    def __post_init__(self) -> None:
        for what, value in (("function name", self.name), ("namespace", self.namespace)):
            if not DNS_LABEL.fullmatch(value):
                raise BadRequest(
                    f"{what} {value[:80]!r} is not a DNS label (lowercase letters, digits and dashes, at most 63)"
                )

    @classmethod
    def parse(cls, text: str) -> FunctionRef:
        """`NAME` or `NAME.NAMESPACE`, split on the last dot. Raises BadRequest."""
        name, dot, namespace = text.rpartition(".")
        return cls(name, namespace) if dot else cls(text)

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


def queue_subject(ref: FunctionRef, call_id: str) -> str:
    """Where a queued invocation of `ref` is published; one subject per call, so its state can be read back."""
    return f"tm.queue.{ref.namespace}.{ref.name}.{call_id}"


def queue_filter(ref: FunctionRef) -> str:
    return f"tm.queue.{ref.namespace}.{ref.name}.*"


def calls_subject(call_id: str) -> str:
    return f"tm.calls.{call_id}"


def dead_subject(ref: FunctionRef, call_id: str) -> str:
    return f"tm.dead.{ref.namespace}.{ref.name}.{call_id}"
