"""Records in this process: for tests, and where one replica is all there is."""

from __future__ import annotations

from threading import Lock

from tidemill.lib.idempotency.record import Record


class MemoryRecords:
    """See Records. Safe from several threads."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._lock = Lock()

    def get(self, key: str) -> Record | None:
        return self._records.get(key)

    def insert(self, record: Record) -> bool:
        with self._lock:
            return self._records.setdefault(record.key, record) is record

    def replace(self, record: Record, *, owner: str) -> bool:
        with self._lock:
            if not self._is_held(record.key, owner):
                return False
            self._records[record.key] = record
            return True

    def remove(self, key: str, *, owner: str) -> bool:
        with self._lock:
            if not self._is_held(key, owner):
                return False
            del self._records[key]
            return True

    def _is_held(self, key: str, owner: str) -> bool:
        found = self._records.get(key)
        return found is not None and found.owner == owner
