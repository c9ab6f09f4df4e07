"""Settings: read once, frozen, wrong values named."""

from pathlib import Path

import pytest

from tidemill.lib.settings import SOCKET_PATH_BYTES, BadSetting, Settings


def test_settings_survive_the_way_to_a_child(tmp_path: Path) -> None:
    """The supervisor hands its settings down by environment; nothing is lost."""
    settings = Settings(
        data_dir=tmp_path, gateway_port=1, nats_port=2, mongodb_uri="mongodb://x", s3_endpoint="http://y"
    )
    assert Settings.from_env(settings.as_env()) == settings


@pytest.mark.parametrize("bad", ["", "0", "65536", "http", "-1"])
def test_a_bad_port_names_the_variable(bad: str) -> None:
    """It stops the process rather than fall back quietly."""
    with pytest.raises(BadSetting, match="TIDEMILL_GATEWAY_PORT"):
        Settings.from_env({"TIDEMILL_GATEWAY_PORT": bad})


def test_an_ipv6_address_stands_in_brackets(tmp_path: Path) -> None:
    """In the URL that functions are told, and in the edge's configuration."""
    settings = Settings(data_dir=tmp_path, bind_host="::1", gateway_port=8080)
    assert (settings.gateway_address, settings.gateway_url) == ("[::1]:8080", "http://[::1]:8080")
    assert Settings(data_dir=tmp_path, bind_host="0.0.0.0").gateway_url == "http://0.0.0.0:8080"


def test_sockets_are_short_whatever_the_data_dir(tmp_path: Path) -> None:
    """HAProxy refuses long socket paths; a deep project folder must not break it."""
    settings = Settings(data_dir=tmp_path / ("deep" * 60))
    assert len(str(settings.socket("haproxy-master"))) <= SOCKET_PATH_BYTES
    assert settings.socket("door") != Settings(data_dir=tmp_path).socket("door")
