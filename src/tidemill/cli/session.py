"""What commands share: the gateway they speak to, and the stack file they read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.cli.failures import BadUsage
from tidemill.cli.target import choose_url, login_headers, normal_url
from tidemill.lib.settings import BadSetting, Settings

if TYPE_CHECKING:
    from tidemill.cli.client import Gateway
    from tidemill.contract.stack import Stack


@dataclass(frozen=True, slots=True)
class Project:
    """A stack file and the folder its paths are relative to."""

    stack: Stack
    folder: Path


def read_settings(data_dir: Path | None = None) -> Settings:
    """Raises BadUsage naming the variable that cannot be used."""
    try:
        settings = Settings.from_env(os.environ)
    except BadSetting as cause:
        raise BadUsage(str(cause)) from cause
    return replace(settings, data_dir=data_dir.absolute()) if data_dir else settings


def local_settings(data_dir: Path | None = None) -> Settings:
    """The settings of the platform that runs for this data directory, such as ports chosen when it was started; where
    none runs, those of the environment. Raises BadUsage."""
    settings = read_settings(data_dir)
    if not settings.socket("supervisor").exists():
        return settings
    from tidemill.embedded.status import status

    running = status(settings).settings
    return Settings.from_env(running) if running else settings


def connect(url: str | None, *, stack: Stack | None = None, settings: Settings | None = None) -> Gateway:
    """The gateway as a context manager. Raises BadUsage."""
    from tidemill.cli.client import Gateway

    settings = settings or local_settings()
    chosen = gateway_url(url, stack=stack, settings=settings)
    return Gateway(chosen, logins=login_headers(chosen, environ=os.environ, settings=settings))


def connect_local(settings: Settings) -> Gateway:
    """The platform of these settings, whatever OPENFAAS_URL says."""
    from tidemill.cli.client import Gateway

    url = normal_url(settings.gateway_url)
    return Gateway(url, logins=login_headers(url, environ=os.environ, settings=settings))


def gateway_url(url: str | None, *, stack: Stack | None = None, settings: Settings) -> str:
    named = stack.gateway if stack else None
    return choose_url(flag=url, stack=named, environ=os.environ, local=normal_url(settings.gateway_url))


def open_project(file: str | None, *, envsubst: bool = True, environment: str | None = None) -> Project:
    """The stack file that is meant, all its environment files read. Raises BadUsage, BadStack."""
    from tidemill.contract.stack import parse_stack
    from tidemill.contract.stackfile import complete, find_stack_file, load_stack

    environ = _expansion(environment) if envsubst else None
    if file and file.startswith(("http://", "https://")):
        stack = parse_stack(_download(file), file=file, environ=environ)
        return Project(complete(stack, Path.cwd(), environment=environment), Path.cwd())
    path = Path(file) if file else find_stack_file(Path())
    if path is None:
        hint = "name one with -f, or make a function with: tidemill new NAME --lang python3-http"
        raise BadUsage("there is no stack.yaml or stack.yml here", hint=hint)
    return Project(load_stack(path, environ=environ, environment=environment), path.parent)


def select(stack: Stack, *, names: Iterable[str] = (), glob: str | None = None, regex: str | None = None) -> Stack:
    """The stack with the wanted functions only; none wanted by name or pattern is all of them. Raises BadUsage."""
    import re
    from fnmatch import fnmatchcase

    if glob and regex:
        raise BadUsage("--filter and --regex cannot be used together")
    wanted = list(names)
    if unknown := [name for name in wanted if name not in stack.functions]:
        raise BadUsage(f"{stack.file} has no function {unknown[0]}", hint=f"it has: {', '.join(stack.functions)}")
    try:
        pattern = re.compile(regex) if regex else None
    except re.error as cause:
        raise BadUsage(f"--regex {regex!r} is not a regular expression: {cause}") from cause

    def chosen(name: str) -> bool:
        return (
            (not wanted or name in wanted)
            and (not glob or fnmatchcase(name, glob))
            and (not pattern or pattern.search(name) is not None)
        )

    functions = {name: function for name, function in stack.functions.items() if chosen(name)}
    if not functions:
        raise BadUsage(f"no function in {stack.file} matches", hint=f"it has: {', '.join(stack.functions)}")
    return replace(stack, functions=functions)


def read_pairs(pairs: Iterable[str] | None, flag: str) -> dict[str, str]:
    """`NAME=VALUE` flags. Raises BadUsage."""
    found = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise BadUsage(f"{flag} {pair} is not NAME=VALUE")
        found[name] = value
    return found


def _expansion(environment: str | None) -> dict[str, str]:
    """What `${VAR}` in the stack file means: the environment, with TIDEMILL_ENV as `--environment` says."""
    return {**os.environ, **({"TIDEMILL_ENV": environment} if environment else {})}


def _download(url: str) -> str:
    import httpx

    try:
        answer = httpx.get(url, follow_redirects=True, timeout=30)
    except httpx.HTTPError as cause:
        raise BadUsage(f"{url} cannot be read: {cause}") from cause
    if not answer.is_success:
        raise BadUsage(f"{url} cannot be read: it answered {answer.status_code}")
    return answer.text
