"""Namespaces: the default one is always there, others are kept as documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tidemill.contract.errors import BadRequest, Conflict, NotFound
from tidemill.contract.names import DEFAULT_NAMESPACE, DNS_LABEL
from tidemill.provider.store import Document, RecordStore


@dataclass(frozen=True, slots=True)
class Namespace:
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, body: Any) -> Namespace:
        """Raises BadRequest naming the field."""
        if not isinstance(body, dict):
            raise BadRequest("the body must be a JSON object")
        name = body.get("name")
        if not isinstance(name, str) or not DNS_LABEL.fullmatch(name):
            raise BadRequest("name must be a DNS label (lowercase letters, digits and dashes, at most 63)")
        return cls(name, _strings(body, "labels"), _strings(body, "annotations"))

    def as_wire(self) -> Document:
        wire: Document = {"name": self.name}
        if self.labels:
            wire["labels"] = dict(self.labels)
        if self.annotations:
            wire["annotations"] = dict(self.annotations)
        return wire


class Namespaces:
    """What exists, in memory; every change is stored before it counts. Raises Unavailable where that fails."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._known = {DEFAULT_NAMESPACE: Namespace(DEFAULT_NAMESPACE)}

    async def load(self) -> None:
        documents = await self._store.all()
        self._known = {DEFAULT_NAMESPACE: Namespace(DEFAULT_NAMESPACE)}
        self._known |= {name: Namespace.from_wire(document) for name, document in documents.items()}

    def names(self) -> list[str]:
        return sorted(self._known)

    def get(self, name: str) -> Namespace:
        """Raises NotFound."""
        if name not in self._known:
            raise NotFound(f"namespace {name[:80]} does not exist")
        return self._known[name]

    def require(self, name: str) -> str:
        """The name, where it exists. Raises BadRequest otherwise: for requests that only mention a namespace."""
        if name not in self._known:
            raise BadRequest(f"namespace {name[:80]} does not exist")
        return name

    async def create(self, namespace: Namespace) -> None:
        """Raises Conflict."""
        if namespace.name in self._known:
            raise Conflict(f"namespace {namespace.name} exists already")
        await self._save(namespace)

    async def update(self, namespace: Namespace) -> None:
        """Raises NotFound."""
        self.get(namespace.name)
        await self._save(namespace)

    async def delete(self, name: str, *, in_use: bool) -> None:
        """Raises NotFound, or BadRequest for the default namespace and for one that holds functions or secrets."""
        self.get(name)
        if name == DEFAULT_NAMESPACE:
            raise BadRequest(f"namespace {name} is the default one and stays")
        if in_use:
            raise BadRequest(f"namespace {name} is not empty", hint="remove its functions and secrets first")
        await self._store.delete(name)
        del self._known[name]

    async def _save(self, namespace: Namespace) -> None:
        await self._store.put(namespace.name, namespace.as_wire())
        self._known[namespace.name] = namespace


def _strings(body: dict[str, Any], key: str) -> dict[str, str]:
    value = body.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise BadRequest(f"{key} must be an object of strings")
    return value
