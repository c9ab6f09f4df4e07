"""A project folder, a gateway, and the command run as a user runs it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.gateway import PASSWORD, USER, World, running_gateway
from tidemill.cli.main import run

TEMPLATE = "language: python3-http\nbuild_options:\n  - name: dev\n    packages: [gcc, make]\n"
STACK = """\
version: 1.0
provider:
  name: openfaas
functions:
  hello:
    lang: python3-http
    handler: ./hello
    image: hello:1
  world:
    lang: python3-http
    handler: ./world
    image: world:1
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The last line of standard error as JSON."""
        return json.loads(self.err.splitlines()[-1])


Tidemill = Callable[..., Done]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two functions, in a place of its own where nothing of the machine is visible."""
    folder = tmp_path / "project"
    for name in ("hello", "world"):
        (folder / name).mkdir(parents=True)
        (folder / name / "handler.py").write_text("def handle(event, context):\n    return None\n")
    template = folder / "template/python3-http"
    (template / "function").mkdir(parents=True)
    (template / "template.yml").write_text(TEMPLATE)
    (template / "index.py").write_text("# started by the platform\n")
    (template / "function/handler.py").write_text("def handle(event, context):\n    return 'starter'\n")
    (template / "function/requirements.txt").write_text("")
    (folder / "stack.yml").write_text(STACK)
    monkeypatch.chdir(folder)
    for name in ("OPENFAAS_URL", "OPENFAAS_CONFIG", "CI", "TIDEMILL_ENV", "TIDEMILL_GATEWAY_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TIDEMILL_DATA_DIR", str(tmp_path / "data"))
    return folder


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """A gateway that OPENFAAS_URL names and this user is logged in at."""
    with running_gateway() as world:
        monkeypatch.setenv("OPENFAAS_URL", world.url)
        monkeypatch.setenv("TIDEMILL_GATEWAY_PORT", world.url.rpartition(":")[2])
        secrets = tmp_path / "data/secrets"
        secrets.mkdir(parents=True)
        (secrets / "basic-auth-user").write_text(USER)
        (secrets / "basic-auth-password").write_text(PASSWORD + "\n")
        yield world


@pytest.fixture
def tidemill(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Tidemill:
    """Runs the command with these arguments and this standard input."""

    def call(*arguments: str, stdin: bytes = b"") -> Done:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(arguments)
        captured = capsysbinary.readouterr()
        return Done(code, captured.out.decode(errors="surrogateescape"), captured.err.decode())

    return call
