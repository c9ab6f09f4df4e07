"""login and version."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tidemill.cli import options
from tidemill.cli.failures import BadUsage, Failure, LoginNeeded
from tidemill.cli.output import Output
from tidemill.cli.session import connect, gateway_url, local_settings


def login(
    username: Annotated[str, typer.Option("--username", "-u")] = "admin",
    password: Annotated[
        str | None, typer.Option("--password", "-p", help="It stays in the shell's history; better --password-stdin.")
    ] = None,
    from_stdin: Annotated[bool, typer.Option("--password-stdin", "-s", help="Read it from standard input.")] = False,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Check a login and keep it, for faas-cli too. Without a password it is the local platform's own."""
    from tidemill.cli.client import Gateway
    from tidemill.cli.target import config_path, save_login
    from tidemill.lib.auth import Credentials

    output = Output(as_json=as_json)
    settings = local_settings()
    url = gateway_url(gateway, settings=settings)
    if password is not None and from_stdin:
        raise BadUsage("--password and --password-stdin cannot be used together")
    if from_stdin:
        password = sys.stdin.read().strip()
    if password is not None:
        credentials = Credentials(username, password)
    else:
        try:
            credentials = Credentials.load(settings.secrets_dir)
        except FileNotFoundError as cause:
            message = f"there is no password in {settings.secrets_dir}: the platform was not started there"
            raise BadUsage(message, hint="give one with --password-stdin, or start it with: tidemill up") from cause
    with Gateway(url, logins=[credentials.header]) as client:
        try:
            client.functions()
        except LoginNeeded as cause:
            raise LoginNeeded(f"{url} refuses this user and password") from cause
    path = config_path(os.environ)
    save_login(path, url, credentials)
    if as_json:
        output.result({"gateway": url, "user": credentials.user, "file": str(path)})
    output.note(f"the login of {credentials.user} at {url} is kept in {path}")


def version(
    client_only: Annotated[bool, typer.Option("--client", help="Ask no gateway.")] = False,
    gateway: options.GatewayUrl = None,
    as_json: options.Json = False,
) -> None:
    """Show the versions of this command, gateway and provider."""
    from importlib.metadata import version as installed

    output = Output(as_json=as_json)
    found: dict[str, object] = {"tidemill": installed("tidemill")}
    problem = ""
    if not client_only:
        try:
            with connect(gateway) as client:
                found["url"] = client.url
                found["gateway"] = client.info()
        except Failure as cause:
            problem = str(cause)
    if as_json:
        output.result(found)
        return
    output.line(f"tidemill {found['tidemill']}")
    info = found.get("gateway")
    if isinstance(info, dict):
        release = (info.get("version") or {}).get("release", "")
        provider = info.get("provider") or {}
        output.line(f"gateway  {release} at {found['url']}")
        output.line(f"provider {provider.get('provider', '')} ({provider.get('orchestration', '')})")
    elif problem:
        output.note(f"gateway  unknown: {problem}")
