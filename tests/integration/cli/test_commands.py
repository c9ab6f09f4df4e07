"""The command against the real platform, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.platform import Platform
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

COMMAND = [sys.executable, "-m", "tidemill.cli.main"]
NAME = "typed-by-hand"
Tidemill = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(stack: Platform, tmp_path: Path) -> dict[str, str]:
    """Of a user who only knows the data directory: ports and login are found by the command."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(tmp_path / "home"), "TIDEMILL_DATA_DIR": str(stack.settings.data_dir)}


@pytest.fixture
def tidemill(environ: dict[str, str], tmp_path: Path) -> Tidemill:
    def call(*arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=environ,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    return call


@pytest.fixture
def handler(tidemill: Tidemill, stack: Platform, tmp_path: Path) -> Iterator[Path]:
    """The handler of a new function, which is removed afterwards."""
    tidemill("new", NAME)
    yield tmp_path / NAME / "handler.py"
    stack.remove(NAME)


def test_from_new_to_removed(tidemill: Tidemill, handler: Path) -> None:
    """A function is made, deployed, called, queued, looked at and removed."""
    handler.write_text("def handle(event, context):\n    print('seen')\n    return event.body[::-1]\n")
    deployed = json.loads(tidemill("deploy", "--json").stdout)
    assert deployed["functions"][0]["status"] == "deployed"
    assert tidemill("invoke", NAME, "--data", "abc").stdout == "cba"
    waited = json.loads(tidemill("invoke", NAME, "--wait", "--json", stdin="xyz").stdout)
    assert (waited["status"], waited["body"]) == (200, "zyx")
    call = json.loads(tidemill("calls", waited["call_id"], "--json").stdout)
    assert (call["state"], call["body"], len(call["attempts"])) == ("succeeded", "zyx", 1)
    assert tidemill("calls", waited["call_id"], "--result").stdout == "zyx"
    wait_until(lambda: "seen" in tidemill("logs", NAME).stdout, "the function's output is among its logs")
    assert json.loads(tidemill("describe", NAME, "--json").stdout)["availableReplicas"] >= 1
    tidemill("remove", NAME)
    tidemill("invoke", NAME, "--data", "x", code=3)


def test_a_version_that_cannot_start_is_told_and_not_used(tidemill: Tidemill, handler: Path) -> None:
    """The traceback's last line is the reason; the version before goes on answering."""
    handler.write_text("def handle(event, context):\n    return 'first'\n")
    tidemill("deploy")
    handler.write_text("import nothing_of_this_name\n")
    done = tidemill("deploy", code=1)
    assert "ModuleNotFoundError: No module named 'nothing_of_this_name'" in done.stderr
    assert tidemill("invoke", NAME).stdout == "first"


def test_a_call_that_cannot_succeed_becomes_a_dead_letter(tidemill: Tidemill, handler: Path) -> None:
    """It is listed with its reason and payload, queued again once the function is mended, and then succeeds."""
    handler.write_text("def handle(event, context):\n    return {'statusCode': 422, 'body': 'never'}\n")
    tidemill("deploy")
    done = tidemill("invoke", NAME, "--wait", "--json", "--data", "payload", code=1)
    failure = json.loads(done.stderr.splitlines()[-1])
    assert failure["code"] == "dead"
    letters = json.loads(tidemill("dead", "list", "--function", NAME, "--json").stdout)
    assert [letter["call_id"] for letter in letters] == [failure["call_id"]]
    assert tidemill("dead", "show", failure["call_id"], "--payload").stdout == "payload"
    handler.write_text("def handle(event, context):\n    return 'mended'\n")
    tidemill("deploy")
    tidemill("dead", "redrive", failure["call_id"])
    assert tidemill("calls", failure["call_id"], "--wait", "--result").stdout == "mended"


def test_dev_makes_a_save_live(tidemill: Tidemill, environ: dict[str, str], handler: Path, stack: Platform) -> None:
    """Every save is deployed, one that does not start is told, and the next one heals it."""

    def answer() -> str:
        return httpx.post(f"{stack.url}/function/{NAME}").text

    def save(code: str) -> None:
        handler.write_text(f"def handle(event, context):\n    {code}\n")

    save("return 'one'")
    command = [*COMMAND, "dev"]
    folder = handler.parents[1]
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as dev:
        try:
            assert dev.stderr is not None
            assert any(line.startswith("watching") for line in dev.stderr)
            save("return 'two'")
            wait_until(lambda: answer() == "two", "the save is live")
            save("return (")
            assert any("SyntaxError" in line for line in dev.stderr)
            assert answer() == "two"
            save("return 'three'")
            wait_until(lambda: answer() == "three", "the next save is live")
        finally:
            dev.send_signal(signal.SIGINT)
            dev.wait(20)
    assert dev.returncode == 0


def test_status_and_a_second_up(tidemill: Tidemill, stack: Platform) -> None:
    """All services are ready; `up` again changes nothing and starts nothing."""
    before = json.loads(tidemill("status", "--json").stdout)
    assert before["ready"]
    again = json.loads(tidemill("up", "--no-deploy", "--json").stdout)
    assert again["gateway"] == stack.url
    assert {each["name"]: each["pid"] for each in again["services"]} == {
        each["name"]: each["pid"] for each in before["services"]
    }
