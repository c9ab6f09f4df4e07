"""Which gateway is spoken to, and with which login."""

import base64
import stat
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Tidemill
from tests.unit.cli.gateway import World
from tidemill.cli.failures import BadUsage
from tidemill.cli.target import choose_url, config_path, login_headers, save_login, saved_logins
from tidemill.lib.auth import Credentials
from tidemill.lib.settings import Settings

DEFAULT = "http://127.0.0.1:8080"
LOCAL = "http://127.0.0.1:9191"


@pytest.mark.parametrize(
    ("flag", "stack", "variable", "expected"),
    [
        ("http://a/", "http://b", "http://c", "http://a"),
        (None, "http://B:80", "http://c", "http://b:80"),
        (None, None, "http://c", "http://c"),
        (None, None, None, LOCAL),
        (DEFAULT, "http://b", None, "http://b"),
        (None, DEFAULT, "http://c", "http://c"),
        (None, DEFAULT, None, LOCAL),
        (DEFAULT, None, None, DEFAULT),
    ],
)
def test_gateway_precedence(flag: str | None, stack: str | None, variable: str | None, expected: str) -> None:
    """As faas-cli chooses, the default counting as not given; last comes the platform on this machine."""
    environ = {"OPENFAAS_URL": variable} if variable else {}
    assert choose_url(flag=flag, stack=stack, environ=environ, local=LOCAL) == expected


def test_a_gateway_must_be_a_url() -> None:
    """A host alone is refused with how it should be written."""
    with pytest.raises(BadUsage):
        choose_url(flag="localhost:8080", stack=None, environ={}, local=LOCAL)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, "/h/.openfaas/config.yml"),
        ({"HOME": "/h", "CI": "true"}, ".openfaas/config.yml"),
        ({"HOME": "/h", "CI": "true", "OPENFAAS_CONFIG": "/c"}, "/c/config.yml"),
    ],
)
def test_where_logins_are(environ: dict[str, str], expected: str) -> None:
    """The file that faas-cli reads."""
    assert str(config_path(environ)) == expected


def test_saved_logins_are_faas_clis(tmp_path: Path) -> None:
    """The form is faas-cli's, private to its owner; a second login at a gateway replaces the first, others stay."""
    file = tmp_path / "deep/config.yml"
    save_login(file, "http://a", Credentials("u", "one"))
    save_login(file, "http://b", Credentials("u", "b"))
    save_login(file, "http://a", Credentials("u", "two"))
    token = base64.b64encode(b"u:two").decode()
    assert [(login.gateway, login.header) for login in saved_logins(file)][1] == ("http://a", f"Basic {token}")
    assert len(saved_logins(file)) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_tokens_and_broken_files(tmp_path: Path) -> None:
    """oauth2 entries are Bearer tokens; a file that is something else is named."""
    file = tmp_path / "config.yml"
    file.write_text("auths:\n- gateway: http://a\n  auth: oauth2\n  token: t\n")
    assert saved_logins(file)[0].header == "Bearer t"
    file.write_text("auths: [1]\n")
    with pytest.raises(BadUsage, match=r"config\.yml"):
        saved_logins(file)
    with pytest.raises(BadUsage, match=r"config\.yml"):
        save_login(file, "http://a", Credentials("u", "p"))
    assert file.read_text() == "auths: [1]\n"


def test_the_local_password_goes_nowhere_else(tmp_path: Path) -> None:
    """It is sent to the local platform's own address only, after a saved login for it."""
    settings = Settings(data_dir=tmp_path, gateway_port=9191)
    settings.secrets_dir.mkdir()
    (settings.secrets_dir / "basic-auth-user").write_text("admin")
    (settings.secrets_dir / "basic-auth-password").write_text("local")
    local = Credentials("admin", "local").header
    environ = {"OPENFAAS_CONFIG": str(tmp_path)}
    assert login_headers(LOCAL, environ=environ, settings=settings) == [local]
    assert login_headers("http://localhost:9191", environ=environ, settings=settings) == [local]
    assert login_headers("https://127.0.0.1:9191", environ=environ, settings=settings) == []
    assert login_headers("http://elsewhere:9191", environ=environ, settings=settings) == []
    save_login(tmp_path / "config.yml", LOCAL, Credentials("admin", "saved"))
    assert login_headers(LOCAL, environ=environ, settings=settings) == [Credentials("admin", "saved").header, local]


def test_a_stale_login_does_not_lock_out(tidemill: Tidemill, world: World, tmp_path: Path) -> None:
    """After a new data directory the saved password is old: the local one is tried next."""
    save_login(tmp_path / "home/.openfaas/config.yml", world.url, Credentials("admin", "old"))
    assert tidemill("list").code == 0


def test_login_checks_and_keeps(tidemill: Tidemill, world: World, tmp_path: Path) -> None:
    """A wrong password is exit code 4 and is not kept; the right one works without the data directory."""
    assert tidemill("login", "--password-stdin", stdin=b"wrong\n").code == 4
    file = tmp_path / "home/.openfaas/config.yml"
    assert not file.exists()
    assert tidemill("login", "--password-stdin", stdin=b"right\n").code == 0
    (tmp_path / "data/secrets/basic-auth-password").unlink()
    assert tidemill("list").code == 0


def test_login_with_the_local_password(tidemill: Tidemill, world: World, tmp_path: Path) -> None:
    """Without a password the local platform's own is taken; where it was never started that is exit code 2."""
    assert tidemill("login", "--json").json["user"] == "admin"
    (tmp_path / "data/secrets/basic-auth-password").unlink()
    assert tidemill("login").code == 2
