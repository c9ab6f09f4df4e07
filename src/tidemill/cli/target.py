"""Which gateway a command speaks to, and with which login, chosen as faas-cli chooses.

Gateway: `--gateway`, else `provider.gateway` of the stack file, else OPENFAAS_URL, each where it is not OpenFaaS's
default `http://127.0.0.1:8080`; else the local platform's own, which a `--gateway` that names the default overrides.
Login: the entry of that exact URL in `~/.openfaas/config.yml` (OPENFAAS_CONFIG names another folder; with CI=true
it is `./.openfaas`), then the local platform's own credentials where the gateway is the local platform.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tidemill.cli.failures import BadUsage
from tidemill.lib.auth import Credentials
from tidemill.lib.settings import Settings

DEFAULT_URL = "http://127.0.0.1:8080"
CONFIG_FILE = "config.yml"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """One entry of the credentials file that faas-cli shares."""

    gateway: str
    kind: str
    """`basic` or `oauth2`."""
    token: str

    @property
    def header(self) -> str:
        return f"{'Basic' if self.kind == 'basic' else 'Bearer'} {self.token}"


def choose_url(*, flag: str | None, stack: str | None, environ: Mapping[str, str], local: str) -> str:
    """See the module's first lines; lower case and without a last slash, as logins are stored."""
    given = [normal_url(each) for each in (flag, stack, environ.get("OPENFAAS_URL")) if each]
    fallback = DEFAULT_URL if flag else normal_url(local)
    return next((url for url in given if url != DEFAULT_URL), fallback)


def normal_url(url: str) -> str:
    """Raises BadUsage for what is no URL."""
    url = url.strip().rstrip("/").lower()
    if not url.startswith(("http://", "https://")):
        raise BadUsage(f"{url} is not a gateway's URL", hint="write it as http://127.0.0.1:8080")
    return url


def login_headers(url: str, *, environ: Mapping[str, str], settings: Settings) -> list[str]:
    """Values of `Authorization` worth trying, the best first. The local platform's password goes nowhere else."""
    headers = [login.header for login in saved_logins(config_path(environ)) if login.gateway == url]
    if _is_local(url, settings):
        with suppress(FileNotFoundError):  # never started here: nothing to add
            headers.append(Credentials.load(settings.secrets_dir).header)
    return list(dict.fromkeys(headers))


def config_path(environ: Mapping[str, str]) -> Path:
    """Where faas-cli keeps its logins."""
    if folder := environ.get("OPENFAAS_CONFIG"):
        return Path(folder).expanduser() / CONFIG_FILE
    if environ.get("CI") in ("true", "1"):
        return Path(".openfaas") / CONFIG_FILE
    return Path(environ.get("HOME") or Path.home()) / ".openfaas" / CONFIG_FILE


def saved_logins(path: Path) -> list[SavedLogin]:
    """Raises BadUsage where the file cannot be understood."""
    if not path.is_file():
        return []
    import yaml

    try:
        content = yaml.safe_load(path.read_text()) or {}
        return [
            SavedLogin(normal_url(entry["gateway"]), entry.get("auth", "basic"), entry["token"])
            for entry in content.get("auths") or []
            if entry.get("token")
        ]
    except (OSError, yaml.YAMLError, KeyError, AttributeError, TypeError) as cause:
        raise BadUsage(f"{path} cannot be read as a file of logins: {cause}") from cause


def save_login(path: Path, url: str, credentials: Credentials) -> None:
    """Replaces the entry of this gateway and keeps everything else; the file is private to its owner. Raises BadUsage
    where the file that is there cannot be understood: it is left as it is."""
    import os

    import yaml

    saved_logins(path)
    content = (yaml.safe_load(path.read_text()) if path.is_file() else None) or {}
    token = base64.b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
    others = [entry for entry in content.get("auths") or [] if entry.get("gateway") != url]
    content["auths"] = [*others, {"gateway": url, "auth": "basic", "token": token}]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        yaml.safe_dump(content, file, sort_keys=False)
    fresh.replace(path)


def _is_local(url: str, settings: Settings) -> bool:
    scheme, _, address = url.partition("://")
    host, _, port = address.rpartition(":")
    on_loopback = host in _LOOPBACK and port == str(settings.gateway_port)
    return scheme == "http" and (on_loopback or address == settings.gateway_address)
