"""What a person sees on a terminal."""

import sys

import pytest

from tests.unit.cli.conftest import Tidemill
from tests.unit.cli.gateway import World
from tidemill.cli.output import Output

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
