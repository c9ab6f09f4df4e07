"""Where callbacks may go."""

from __future__ import annotations

import ipaddress

import pytest

from tidemill.contract.errors import BadRequest
from tidemill.queue.callback_url import CallbackRules, CallbackTarget, gateway_origins

RULES = CallbackRules(gateway_urls=gateway_origins("127.0.0.1", 8080), allow={"hooks.internal", "10.0.0.7"})


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/function/hook", "/function/hook"),
        ("/async-function/hook/x?y=1", "/async-function/hook/x?y=1"),
        ("http://127.0.0.1:8080/function/hook", "/function/hook"),
        ("http://localhost:8080/function/hook", "/function/hook"),
        ("http://gateway.openfaas:8080/function/hook", "/function/hook"),
    ],
)
def test_our_own_gateway_is_allowed(url: str, path: str) -> None:
    """However callers write it; it is reached by the trusted socket."""
    assert RULES.parse(url) == CallbackTarget(path)


@pytest.mark.parametrize(
    "url",
    [
        "/system/functions",
        "http://127.0.0.1:8080/system/functions",
        "http://127.0.0.1:9999/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.8/",
        "http://192.168.1.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.8]/",
        "http://[64:ff9b::10.0.0.8]/",
        "http://[64:ff9b:1::10.0.0.8]/",
        "http://[2002:a00:8::]/",
        "http://[::10.0.0.8]/",
        "http://[fec0::1]/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://user:password@example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "nonsense",
        "",
        "http://example.com:99999/",
        "http://example.com/\r\nX: y",
        "http://example.com/" + "x" * 3000,
    ],
)
def test_what_is_refused(url: str) -> None:
    """Our own management API, private and special addresses, and what is no HTTP URL."""
    with pytest.raises(BadRequest):
        RULES.parse(url)


def test_public_and_allowed_hosts() -> None:
    """A name is taken at the door; its address is checked when it is connected to."""
    target = RULES.parse("https://example.com/hook?a=b")
    assert target == CallbackTarget("/hook?a=b", "https://example.com:443", "example.com", 443)
    assert RULES.parse("http://93.184.216.34:81/").base == "http://93.184.216.34:81"
    assert RULES.parse("http://[2606:4700::1111]/").base == "http://[2606:4700::1111]:80"
    assert RULES.parse("http://[64:ff9b::93.184.216.34]/").host == "64:ff9b::93.184.216.34"
    assert RULES.parse("http://10.0.0.7/").host == "10.0.0.7"
    RULES.check_address("hooks.internal", ipaddress.ip_address("10.1.1.1"))
    with pytest.raises(BadRequest):
        RULES.check_address("example.com", ipaddress.ip_address("10.1.1.1"))


async def test_a_name_that_leads_inside_is_refused_when_it_is_resolved() -> None:
    """DNS may say something else by then."""
    target = CallbackTarget("/", "http://localhost:1", "localhost", 1)
    with pytest.raises(BadRequest):
        await RULES.resolve(target)
