"""What a person sees on a terminal."""

import io
import sys

import pytest
from rich.console import Console

from tests.unit.cli.conftest import Tidemill
from tests.unit.cli.gateway import World
from tidemill.cli.deploying import Outcome
from tidemill.cli.failures import Failure
from tidemill.cli.output import Output
from tidemill.cli.progress import shown

CALL_ID = "31ea8434-ee21-4fb3-b6c0-c7e9a0d4486d"


def test_a_table_cuts_nothing_off(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An id must be there whole to be copied, however narrow the terminal; a cell is one line."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    Output().table(("CALL", "REASON"), [(CALL_ID, "two\nlines")], empty="")
    header, row = capsys.readouterr().out.splitlines()
    assert row == f"{CALL_ID}  two lines"
    assert header.removeprefix("\033[1m").startswith(f"{'CALL':<36}  REASON")


def test_the_command_alone_shows_what_there_is(tidemill: Tidemill) -> None:
    """Help is no error; the exit code still says that nothing was done."""
    for arguments in ([], ["secret"]):
        done = tidemill(*arguments)
        assert done.code == 2
        assert "Commands" in done.err
        assert "error" not in done.err


def test_a_wrong_name_is_followed_by_where_the_right_one_is(tidemill: Tidemill, world: World) -> None:
    """Most unknown functions are typing mistakes."""
    assert "tidemill list" in tidemill("describe", "helo").err


def test_why_a_deployment_failed_is_told_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The live display cuts its lines at the terminal's width: the reason stands above it."""
    reason = "it did not become ready: " + "ModuleNotFoundError: No module named 'nope' " * 9 + "(handler.py, line 1)"
    screen = io.StringIO()
    monkeypatch.setattr(Output, "is_interactive", True)
    monkeypatch.setattr(Output, "console", lambda self: Console(file=screen, force_terminal=True, width=60))
    with shown(Output()) as report:
        report.step("hello", "starting")
        report.ended(Outcome("hello", "openfaas-fn", 1.0, failure=Failure(reason)))
    assert reason in screen.getvalue()
