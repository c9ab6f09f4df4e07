"""The time, as it can be stored."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Aware, and to the millisecond: MongoDB keeps no more, and what is compared must be what is stored."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
