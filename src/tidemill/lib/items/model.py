"""An item: an uploaded photo and what became of it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from tidemill.contract.errors import BadRequest
from tidemill.contract.functions import rfc3339

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


class Status(StrEnum):
    """Where an item is on its way: queued → in-progress → processed or failed; a failed one may be tried again."""

    QUEUED = "queued"
    IN_PROGRESS = "in-progress"
    PROCESSED = "processed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Item:
    """One item as it is stored."""

    id: str
    key: str
    """The photo's object."""
    status: Status
    created_at: datetime
    updated_at: datetime
    attempts: int = 0
    """How often processing began; more than one after a crash or an outage."""
    effects: int = 0
    """How often processing took effect: 1 once processed, never more."""
    owner: str | None = None
    """Who may finish it: the attempt that began last."""
    image: dict[str, Any] | None = None
    """Facts about the photo: format, width, height, mode, size_bytes, sha256."""
    thumbnails: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None
    """Why it failed."""

    def as_wire(self) -> dict[str, Any]:
        """What callers see; what does not apply is absent."""
        wire: dict[str, Any] = {
            "id": self.id,
            "status": self.status.value,
            "key": self.key,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "attempts": self.attempts,
            "effects": self.effects,
        }
        if self.image:
            wire["image"] = self.image
        if self.thumbnails:
            wire["thumbnails"] = self.thumbnails
        if self.reason:
            wire["reason"] = self.reason
        return wire


def check_id(item_id: object) -> str:
    """An id that is safe in a path, an object key and a query. Raises BadRequest."""
    if not isinstance(item_id, str) or not _ID.fullmatch(item_id):
        raise BadRequest("id must be 1 to 64 of the characters A-Z a-z 0-9 . _ - and not begin with a dot")
    return item_id


def upload_key(item_id: str, data: bytes) -> str:
    """Where an uploaded photo is kept. It follows from the content: the same photo again changes nothing, and
    another one under the same id cannot overwrite the first."""
    return f"uploads/{item_id}/{hashlib.sha256(data).hexdigest()[:32]}"
