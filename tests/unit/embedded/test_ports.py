"""Ports that are taken are named before anything starts."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from tidemill.contract.errors import BadRequest
from tidemill.embedded.ports import PortTaken, ports, require_free
from tidemill.lib.settings import Settings


def test_free_ports_are_fine(platform_settings: Settings) -> None:
    """Nothing listens, so nothing is said."""
    require_free(platform_settings)


@pytest.mark.parametrize("name", ["gateway", "metrics", "nats", "mongo", "s3"])
def test_a_taken_port_is_named_with_what_moves_it(platform_settings: Settings, name: str) -> None:
    """The message has the number; the hint has the flag and the variable."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {number} .* is taken") as caught:
            require_free(replace(platform_settings, **{f"{name}_port": number}))
    assert caught.value.hint is not None
    assert f"--{name}-port" in caught.value.hint
    assert f"TIDEMILL_{name.upper()}_PORT" in caught.value.hint


def test_an_address_of_another_machine_is_refused(platform_settings: Settings) -> None:
    """A bind address that is not ours is told apart from a taken port."""
    with pytest.raises(BadRequest, match=r"cannot listen on 192\.0\.2\.1"):
        require_free(replace(platform_settings, bind_host="192.0.2.1"))


def test_servers_of_the_users_own_need_no_port(platform_settings: Settings) -> None:
    """With MONGODB_URI and S3_ENDPOINT those two ports are nobody's."""
    own = replace(platform_settings, mongodb_uri="mongodb://db", s3_endpoint="http://s3")
    assert [port.purpose for port in ports(own)] == ["gateway", "metrics", "nats"]
