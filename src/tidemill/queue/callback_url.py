"""Where a callback may go: our own gateway, or a public address; never the inside of somebody's network.

Checked twice: at the door, so that the caller is told, and by the worker for the address it really connects to,
since a name may resolve to something else by then.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tidemill.contract.errors import BadRequest

GATEWAY_PATHS = ("/function/", "/async-function/")
URL_MOST_CHARACTERS = 2048

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All that was ever given out (RFC 4291); Python also calls much of the rest global."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Whose last four bytes a translator in the network takes for an IPv4 address (RFC 6052)."""


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """`path` on our gateway, or `base` and `path` elsewhere."""

    path: str
    """With the query."""
    base: str | None = None
    """`http://host:port`; None: our own gateway."""
    host: str = ""
    port: int = 0


class CallbackRules:
    """Which targets are ours or allowed."""

    def __init__(self, *, gateway_urls: Collection[str], allow: Collection[str]) -> None:
        self._gateways = frozenset(gateway_urls)
        self._allow = frozenset(allow)

    def parse(self, text: str) -> CallbackTarget:
        """What can be said without asking a name server. Raises BadRequest."""
        if len(text) > URL_MOST_CHARACTERS or not text.isascii() or any(c <= " " or c == "\x7f" for c in text):
            raise BadRequest(f"X-Callback-Url must be a URL of at most {URL_MOST_CHARACTERS} printable characters")
        try:
            url = urlsplit(text)
            host, port = (url.hostname or "").lower(), url.port
        except ValueError as cause:
            raise BadRequest(f"X-Callback-Url {text[:80]!r} is not a URL: {cause}") from cause
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        if not url.scheme and not url.netloc:
            return self._on_gateway(text, path)
        if url.scheme not in ("http", "https") or not host or url.username or url.password:
            raise BadRequest(
                f"X-Callback-Url {text[:80]!r} must be http(s)://host/… without a login, or a path of ours"
            )
        port = port or (443 if url.scheme == "https" else 80)
        if f"{url.scheme}://{host}:{port}" in self._gateways:
            return self._on_gateway(text, path)
        literal = _literal(host)
        if literal is not None:
            self.check_address(host, literal)
        base_host = f"[{host}]" if ":" in host else host
        return CallbackTarget(path, f"{url.scheme}://{base_host}:{port}", host, port)

    def check_address(self, host: str, address: Address) -> None:
        """Raises BadRequest where `address`, which `host` stands for, is inside a network."""
        address = _carried(address)
        if host in self._allow or str(address) in self._allow:
            return
        if not address.is_global or address.is_multicast or (address.version == 6 and address not in _PUBLIC_IPV6):
            raise BadRequest(
                f"X-Callback-Url leads to {address}, which is not a public address",
                hint="the operator can allow the host with TIDEMILL_CALLBACK_ALLOW",
            )

    async def resolve(self, target: CallbackTarget) -> Sequence[str]:
        """The addresses to connect to. Raises BadRequest where one of them is not allowed, OSError where the name
        does not resolve."""
        found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        addresses = [str(info[4][0]) for info in found]
        for address in addresses:
            self.check_address(target.host, ipaddress.ip_address(address.partition("%")[0]))
        return addresses

    @staticmethod
    def _on_gateway(text: str, path: str) -> CallbackTarget:
        if not path.startswith(GATEWAY_PATHS):
            raise BadRequest(f"X-Callback-Url {text[:80]!r}: on this gateway only /function/… and /async-function/…")
        return CallbackTarget(path)


def gateway_origins(bind_host: str, port: int) -> frozenset[str]:
    """How callers write our own gateway."""
    hosts = {bind_host, "127.0.0.1", "localhost", "gateway", "gateway.openfaas"}
    ports = {port, 8080}
    return frozenset(
        f"http://{host}:{number}" for host in hosts for number in (ports if host.startswith("gateway") else {port})
    )


def _carried(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, else itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
