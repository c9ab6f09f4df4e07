"""The sample application's items in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Any

from tidemill.contract.errors import Conflict
from tidemill.lib.items import Cursor, Item, Status
from tidemill.testing.fakes import Down


@dataclass
class MemoryItems(Down):
    """`tidemill.lib.items.Items`. Safe from several threads."""

    stored: dict[str, Item] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def find(self, item_id: str) -> Item | None:
        self.check()
        return self.stored.get(item_id)

    def newest(self, limit: int, *, behind: Cursor | None = None, status: Status | None = None) -> list[Item]:
        self.check()
        found = sorted(self.stored.values(), key=_age, reverse=True)
        return [
            item
            for item in found
            if (status is None or item.status is status)
            and (behind is None or _age(item) < (behind.created_at, behind.id))
        ][:limit]

    def create(self, item_id: str, key: str, *, now: datetime) -> Item:
        self.check()
        with self._lock:
            return self.stored.setdefault(item_id, _new(item_id, key, now))

    def begin(self, item_id: str, key: str, *, owner: str, now: datetime) -> Item:
        self.check()
        with self._lock:
            item = self.stored.get(item_id) or _new(item_id, key, now)
            if item.key != key:
                raise Conflict(f"item {item_id} is about another object")
            if item.status is not Status.PROCESSED:
                item = replace(
                    item,
                    status=Status.IN_PROGRESS,
                    owner=owner,
                    updated_at=now,
                    attempts=item.attempts + 1,
                    reason=None,
                )
                self.stored[item_id] = item
            return item

    def finish(
        self,
        item_id: str,
        *,
        owner: str,
        image: dict[str, Any],
        thumbnails: list[dict[str, Any]],
        now: datetime,
    ) -> bool:
        return self._end(item_id, owner, now, status=Status.PROCESSED, image=image, thumbnails=thumbnails, effects=1)

    def fail(self, item_id: str, *, owner: str, reason: str, now: datetime) -> bool:
        return self._end(item_id, owner, now, status=Status.FAILED, reason=reason)

    def _end(self, item_id: str, owner: str, now: datetime, *, effects: int = 0, **change: Any) -> bool:
        self.check()
        with self._lock:
            item = self.stored.get(item_id)
            if item is None or item.owner != owner or item.status is not Status.IN_PROGRESS:
                return False
            self.stored[item_id] = replace(item, owner=None, updated_at=now, effects=item.effects + effects, **change)
            return True


def _age(item: Item) -> tuple[datetime, str]:
    return item.created_at, item.id


def _new(item_id: str, key: str, now: datetime) -> Item:
    return Item(item_id, key, Status.QUEUED, created_at=now, updated_at=now)
