"""Where items are kept, and the only ways in which one may change."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from tidemill.contract.errors import Conflict, Unavailable
from tidemill.lib.items.model import Item, Status
from tidemill.lib.items.page import Cursor
from tidemill.lib.outages import mongo_errors

if TYPE_CHECKING:
    from pymongo.collection import Collection

Document = dict[str, Any]

MOST_RACES = 5


class Items(Protocol):
    """Each method is one atomic step and may raise Unavailable. Moments are kept to the millisecond."""

    def find(self, item_id: str) -> Item | None: ...

    def newest(self, limit: int, *, behind: Cursor | None = None, status: Status | None = None) -> list[Item]:
        """At most `limit` items, the newest first; of one moment, the largest id first."""
        ...

    def create(self, item_id: str, key: str, *, now: datetime) -> Item:
        """The new item, queued; or the one that is there already under this id, as it is."""
        ...

    def begin(self, item_id: str, key: str, *, owner: str, now: datetime) -> Item:
        """Marks the item in-progress (making it where it is missing), counts the attempt, and gives it to `owner`;
        whoever began it before can no longer finish it. A processed item is returned as it is. Raises Conflict
        where the item is about another object."""
        ...

    def finish(self, item_id: str, *, owner: str, image: Document, thumbnails: list[Document], now: datetime) -> bool:
        """The effect of processing, at most once per item: False where `owner` no longer has it."""
        ...

    def fail(self, item_id: str, *, owner: str, reason: str, now: datetime) -> bool:
        """False where `owner` no longer has it."""
        ...


class MongoItems:
    """Items in a MongoDB collection."""

    def __init__(self, collection: Collection[Document]) -> None:
        self._collection = collection
        self._has_indexes = False

    def find(self, item_id: str) -> Item | None:
        with mongo_errors():
            document = self._collection.find_one({"_id": item_id})
        return _item(document) if document else None

    def newest(self, limit: int, *, behind: Cursor | None = None, status: Status | None = None) -> list[Item]:
        query: Document = {"status": status.value} if status else {}
        if behind:
            earlier = {"created_at": {"$lt": behind.created_at}}
            query["$or"] = [earlier, {"created_at": behind.created_at, "_id": {"$lt": behind.id}}]
        with mongo_errors():
            self._ensure_indexes()
            found = self._collection.find(query).sort([("created_at", -1), ("_id", -1)]).limit(limit)
            return [_item(document) for document in found]

    def create(self, item_id: str, key: str, *, now: datetime) -> Item:
        with mongo_errors():
            document = self._collection.find_one_and_update(
                {"_id": item_id},
                {"$setOnInsert": _new(key, now)},
                upsert=True,
                return_document=True,
            )
        assert document is not None  # an upsert returns what it made
        return _item(document)

    def begin(self, item_id: str, key: str, *, owner: str, now: datetime) -> Item:
        from pymongo.errors import DuplicateKeyError

        fresh = _new(key, now)
        for field in ("key", "status", "updated_at", "attempts"):  # said by the filter and the update themselves
            del fresh[field]
        for _ in range(MOST_RACES):
            with mongo_errors():
                try:
                    document = self._collection.find_one_and_update(
                        {"_id": item_id, "key": key, "status": {"$ne": Status.PROCESSED.value}},
                        {
                            "$set": {"status": Status.IN_PROGRESS.value, "owner": owner, "updated_at": now},
                            "$inc": {"attempts": 1},
                            "$unset": {"reason": ""},
                            "$setOnInsert": fresh,
                        },
                        upsert=True,
                        return_document=True,
                    )
                    assert document is not None  # an upsert returns what it made
                    return _item(document)
                except DuplicateKeyError:  # it is there, but processed, about another key, or made this moment
                    found = self.find(item_id)
            if found and found.key != key:
                raise Conflict(f"item {item_id} is about another object")
            if found and found.status is Status.PROCESSED:
                return found
        raise Unavailable(f"item {item_id} is changed by too many at once")

    def finish(self, item_id: str, *, owner: str, image: Document, thumbnails: list[Document], now: datetime) -> bool:
        return self._end(
            item_id,
            owner,
            {"status": Status.PROCESSED.value, "image": image, "thumbnails": thumbnails, "updated_at": now},
            effects=1,
        )

    def fail(self, item_id: str, *, owner: str, reason: str, now: datetime) -> bool:
        change = {"status": Status.FAILED.value, "reason": reason, "updated_at": now}
        return self._end(item_id, owner, change, effects=0)

    def _end(self, item_id: str, owner: str, change: Document, *, effects: int) -> bool:
        with mongo_errors():
            done = self._collection.update_one(
                {"_id": item_id, "owner": owner, "status": Status.IN_PROGRESS.value},
                {"$set": change, "$unset": {"owner": ""}, "$inc": {"effects": effects}},
            )
        return done.matched_count == 1

    def _ensure_indexes(self) -> None:
        if not self._has_indexes:
            self._collection.create_index([("created_at", -1), ("_id", -1)])
            self._collection.create_index([("status", 1), ("created_at", -1), ("_id", -1)])
            self._has_indexes = True


def _new(key: str, now: datetime) -> Document:
    return {
        "key": key,
        "status": Status.QUEUED.value,
        "created_at": now,
        "updated_at": now,
        "attempts": 0,
        "effects": 0,
    }


def _item(document: Document) -> Item:
    known = dict(document)
    known["id"] = known.pop("_id")
    known["status"] = Status(known["status"])
    return Item(**known)
