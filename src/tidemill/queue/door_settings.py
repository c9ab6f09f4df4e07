"""What an operator may set for the door, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.contract.units import parse_memory_bytes
from tidemill.lib.settings import BadSetting

MAX_ASYNC_BODY = "TIDEMILL_MAX_ASYNC_BODY"
CALLBACK_ALLOW = "TIDEMILL_CALLBACK_ALLOW"
DEFAULT_MAX_BODY_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DoorSettings:
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    """Largest body of an asynchronous call."""
    callback_allow: frozenset[str] = frozenset()
    """Host names and addresses that callbacks may go to although they are private."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> DoorSettings:
        """Reads TIDEMILL_MAX_ASYNC_BODY (such as 100Mi) and TIDEMILL_CALLBACK_ALLOW (hosts, comma between).
        Raises BadSetting."""
        text = environ.get(MAX_ASYNC_BODY) or str(DEFAULT_MAX_BODY_BYTES)
        try:
            max_body_bytes = parse_memory_bytes(text)
        except ValueError as cause:
            raise BadSetting(f"{MAX_ASYNC_BODY}: {cause}") from cause
        allowed = environ.get(CALLBACK_ALLOW, "")
        hosts = frozenset(host.strip().lower() for host in allowed.split(",") if host.strip())
        return cls(max_body_bytes=max_body_bytes, callback_allow=hosts)
