"""Pages of a list: an opaque token says where the next one begins."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidemill.contract.errors import BadRequest
from tidemill.lib.items.model import Item, Status, check_id

if TYPE_CHECKING:
    from tidemill.lib.items.store import Items

LARGEST_PAGE = 100
DEFAULT_PAGE = 20


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last item of a page; the next page begins behind it. The newest item comes first."""

    created_at: datetime
    id: str

    @property
    def token(self) -> str:
        text = json.dumps([round(self.created_at.timestamp() * 1000), self.id], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """Raises BadRequest where we cannot have made this token."""
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            moment_ms, item_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if type(moment_ms) is not int:
                raise ValueError("no moment")
            return cls(datetime.fromtimestamp(moment_ms / 1000, UTC), check_id(item_id))
        except (ValueError, TypeError, OverflowError, OSError, RecursionError, BadRequest) as cause:
            raise BadRequest("next is not a token from an earlier page") from cause


@dataclass(frozen=True, slots=True)
class Page:
    items: list[Item]
    next: str | None
    """The token of the page behind this one; None at the end."""


def next_page(items: Items, *, limit: int | str | None, token: str | None, status: str | None) -> Page:
    """One page, with everything that a caller may have got wrong refused. Raises BadRequest, Unavailable."""
    size = _limit(limit)
    found = items.newest(size + 1, behind=Cursor.parse(token) if token else None, status=_status(status))
    if len(found) <= size:
        return Page(found, None)
    last = found[size - 1]
    return Page(found[:size], Cursor(last.created_at, last.id).token)


def _limit(limit: int | str | None) -> int:
    text = str(DEFAULT_PAGE if limit is None else limit)
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not 1 <= int(text) <= LARGEST_PAGE:
        raise BadRequest(f"limit must be a whole number from 1 to {LARGEST_PAGE}")
    return int(text)


def _status(status: str | None) -> Status | None:
    if not status:
        return None
    try:
        return Status(status)
    except ValueError as cause:
        raise BadRequest(f"status must be one of {', '.join(Status)}") from cause
