"""HTTP Basic authentication of the platform's own API (faas-provider `auth/basic_auth.go`: realm and status)."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from pathlib import Path

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Restricted"'}
USER_FILE = "basic-auth-user"
PASSWORD_FILE = "basic-auth-password"


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password of the platform's operator."""

    user: str
    password: str

    @classmethod
    def load(cls, secrets_dir: Path) -> Credentials:
        """Raises FileNotFoundError naming the file: the platform was not started here yet."""
        return cls(
            (secrets_dir / USER_FILE).read_text().strip(),
            (secrets_dir / PASSWORD_FILE).read_text().strip(),
        )

    @property
    def header(self) -> str:
        """The value of `Authorization` that `permits` accepts."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def permits(self, authorization: str | None) -> bool:
        """Whether this `Authorization` header is ours: Basic, or Bearer with the password as token. Compares in
        constant time; an empty password, as a truncated file leaves it, permits nobody."""
        if not self.password:
            return False
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(value.strip().encode(), self.password.encode())
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, f"{self.user}:{self.password}".encode())
