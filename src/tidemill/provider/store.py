"""Where deployments and namespaces are kept: JSON documents by key, one store a kind."""

from __future__ import annotations

import copy
from typing import Any, Protocol

from tidemill.contract.errors import Unavailable

Document = dict[str, Any]


class RecordStore(Protocol):
    """A few hundred small documents, read whole at the start and written one at a time."""

    def require_reachable(self) -> None:
        """Raises Unavailable where it is known to be away: asked before work that would be in vain."""
        ...

    async def all(self) -> dict[str, Document]:
        """Raises Unavailable."""
        ...

    async def put(self, key: str, document: Document) -> None:
        """Returns when it is on disk. Raises Unavailable: then it may or may not have been written."""
        ...

    async def delete(self, key: str) -> None:
        """An absent key is no error. Raises Unavailable."""
        ...


class MemoryRecordStore:
    """For tests; `reachable = False` plays a broker that is down."""

    def __init__(self) -> None:
        self.reachable = True
        self._documents: dict[str, Document] = {}

    async def all(self) -> dict[str, Document]:
        self.require_reachable()
        return copy.deepcopy(self._documents)

    async def put(self, key: str, document: Document) -> None:
        self.require_reachable()
        self._documents[key] = copy.deepcopy(document)

    async def delete(self, key: str) -> None:
        self.require_reachable()
        self._documents.pop(key, None)

    def require_reachable(self) -> None:
        if not self.reachable:
            raise Unavailable("the record of deployments cannot be reached", hint="is nats-server running?")
