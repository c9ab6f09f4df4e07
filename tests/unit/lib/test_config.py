"""A function's configuration is read strictly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidemill.lib.config import Config
from tidemill.lib.settings import BadSetting


def test_values_are_read_by_their_kind() -> None:
    """Durations and sizes as OpenFaaS writes them."""
    config = Config({"a": " text ", "b": "7", "c": "1m30s", "d": "10Mi"})
    assert config.text("a") == "text"
    assert config.whole("b") == 7
    assert config.duration_s("c") == 90
    assert config.size_bytes("d") == 10 << 20


def test_a_default_stands_in_for_what_is_not_set() -> None:
    """An empty variable counts as not set, as envsubst leaves it."""
    config = Config({"empty": ""})
    assert config.text("empty", "x") == "x"
    assert config.whole("missing", 0) == 0


@pytest.mark.parametrize("read", [Config.text, Config.whole, Config.duration_s, Config.size_bytes])
def test_what_has_no_default_must_be_set(read: Callable[..., Any]) -> None:
    """The variable is named."""
    with pytest.raises(BadSetting, match="LIMIT is not set"):
        read(Config({}), "LIMIT")


@pytest.mark.parametrize(
    ("read", "bad"),
    [(Config.whole, "-1"), (Config.whole, "²"), (Config.duration_s, "soon"), (Config.size_bytes, "10 MB")],
)
def test_a_bad_value_names_its_variable(read: Callable[..., Any], bad: str) -> None:
    """It never becomes the default quietly."""
    with pytest.raises(BadSetting, match="LIMIT: "):
        read(Config({"LIMIT": bad}), "LIMIT", 1)


def test_a_number_may_have_a_least_value() -> None:
    """Zero workers would never do anything."""
    with pytest.raises(BadSetting, match="from 1 on"):
        Config({"n": "0"}).whole("n", least=1)


def test_secrets_are_files(tmp_path: Path) -> None:
    """A missing one says what to do, and never shows a value."""
    (tmp_path / "token").write_text("hush\n")
    config = Config({"TIDEMILL_SECRETS_DIR": str(tmp_path)})
    assert config.secret("token") == "hush"
    with pytest.raises(BadSetting, match="secret other cannot be read; does the function list it"):
        config.secret("other")


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is when it is read, since a replica's environment is set after the fork."""
    config = Config()
    monkeypatch.setenv("SET_LATER", "yes")
    assert config.text("SET_LATER") == "yes"
