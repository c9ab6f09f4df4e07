"""Records in a MongoDB collection. The key is the document's `_id`, so that every step is one atomic write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.lib.idempotency.record import Record, State
from tidemill.lib.outages import mongo_errors

if TYPE_CHECKING:
    from pymongo.collection import Collection


class MongoRecords:
    """See Records. The client's URI must ask for journaled writes (`w=majority&journal=true`)."""

    def __init__(self, collection: Collection[dict[str, Any]]) -> None:
        self._collection = collection

    def get(self, key: str) -> Record | None:
        with mongo_errors():
            document = self._collection.find_one({"_id": key})
        return _record(document) if document else None

    def insert(self, record: Record) -> bool:
        from pymongo.errors import DuplicateKeyError

        with mongo_errors():
            try:
                self._collection.insert_one(_document(record))
            except DuplicateKeyError:
                return False
        return True

    def replace(self, record: Record, *, owner: str) -> bool:
        with mongo_errors():
            return (
                self._collection.replace_one({"_id": record.key, "owner": owner}, _document(record)).matched_count
                == 1
            )

    def remove(self, key: str, *, owner: str) -> bool:
        with mongo_errors():
            return self._collection.delete_one({"_id": key, "owner": owner}).deleted_count == 1


def _document(record: Record) -> dict[str, Any]:
    return {
        "_id": record.key,
        "payload_hash": record.payload_hash,
        "owner": record.owner,
        "state": record.stored.value,
        "until": record.until,
        "answer": record.answer,
    }


def _record(document: dict[str, Any]) -> Record:
    return Record(
        key=document["_id"],
        payload_hash=document["payload_hash"],
        owner=document["owner"],
        stored=State(document["state"]),
        until=document["until"],
        answer=document["answer"],
    )
