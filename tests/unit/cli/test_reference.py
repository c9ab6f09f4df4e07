"""The command as a whole: its documentation, its start, what ends it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.unit.cli.conftest import Tidemill
from tidemill.cli.failures import Failure
from tidemill.cli.main import INTERRUPTED, app

REFERENCE = (Path(__file__).parents[3] / "docs/reference/cli.md").read_text()


def _commands(command: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in command.commands.items():
        if hasattr(each, "commands"):
            yield from _commands(each, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", each


COMMANDS = dict(_commands(get_command(app)))


def _rows() -> dict[str, str]:
    """Command and the last cell of its row in one of the page's tables."""
    return {row[1]: row[2] for row in re.finditer(r"^\| `([a-z ]+)` \|.*\| `([^|]+)` \|$", REFERENCE, re.MULTILINE)}


def test_every_command_is_documented_with_an_example() -> None:
    """No command without a row, no row without a command, and the example is of that command."""
    rows = _rows()
    assert set(rows) == set(COMMANDS)
    for name, example in rows.items():
        assert example.startswith(f"tidemill {name}"), example


def test_every_option_in_an_example_exists() -> None:
    """An example that cannot be typed helps nobody."""
    for name, example in _rows().items():
        known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        used = set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", example))
        assert used <= known, f"{name}: {used - known}"


def test_every_exit_code_is_documented() -> None:
    """The table of the page is the failures' own."""
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", REFERENCE, re.MULTILINE)}
    kinds: list[type[Failure]] = [Failure, *Failure.__subclasses__()]
    assert documented == {0, INTERRUPTED, *(kind.exit_code for kind in kinds)}


def test_every_command_takes_json() -> None:
    """Scripts need not know which do."""
    for name, command in COMMANDS.items():
        assert any("--json" in parameter.opts for parameter in command.params), name


def test_help_loads_nothing_heavy() -> None:
    """HTTP, YAML, display and the platform's own parts are loaded by the command that needs them: `--help` and
    completion stay quick."""
    heavy = ("httpx", "yaml", "rich", "watchfiles", "pydantic", "tidemill.embedded")
    code = f"import sys, tidemill.cli.main as m; m.run(['--help']); print([x for x in {heavy!r} if x in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lst"], "No such command 'lst'"),
        (["list", "--wrong"], "No such option: --wrong"),
        (["scale", "a"], "Missing argument"),
    ],
)
def test_wrong_use(tidemill: Tidemill, arguments: list[str], says: str) -> None:
    """Exit code 2, one sentence, and where the help is; as JSON where that was asked for."""
    done = tidemill(*arguments)
    assert done.code == 2
    assert says in done.err
    assert "--help" in done.err
    assert says in tidemill(*arguments, "--json").error["error"]


def test_what_the_machine_refuses(tidemill: Tidemill, project: Path) -> None:
    """A file where a folder is needed: the path and the system's reason, no traceback."""
    (project / "functions").write_text("")
    done = tidemill("new", "fresh", "--handler", "functions/fresh")
    assert done.code == 1
    assert done.err.startswith("error: ") and "functions" in done.err


def test_no_arguments_is_a_request_for_help(tidemill: Tidemill) -> None:
    """The commands are shown; the exit code still says that nothing was done."""
    done = tidemill()
    assert done.code == 2
    assert "deploy" in done.out + done.err


def test_a_local_platform_that_never_ran(tidemill: Tidemill) -> None:
    """status is exit code 5; down has nothing to do and says so."""
    done = tidemill("status", "--json")
    assert (done.code, done.json["running"]) == (5, False)
    assert tidemill("down", "--json").json == {"was_running": False}
    assert "nothing was running" in tidemill("down").err


def test_a_platform_of_a_folder_above_is_pointed_at(
    tidemill: Tidemill, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a function's folder the command does not find it by itself."""
    (project / ".tidemill").mkdir()
    (project / ".tidemill/supervisor.lock").touch()
    monkeypatch.chdir(project / "hello")
    assert f"--data-dir {project}/.tidemill" in tidemill("status").err


def test_up_reads_the_stack_file_before_it_starts_anything(tidemill: Tidemill, project: Path) -> None:
    """A typo costs no start of the platform."""
    (project / "stack.yml").write_text("functions:\n  a:\n    imge: x\n")
    done = tidemill("up", "--json")
    assert done.code == 2
    assert "stack.yml:3" in done.error["error"]
    assert not (project.parent / "data").exists()


def test_doctor(tidemill: Tidemill) -> None:
    """Every server and the machine itself, each with what was found or how to get it."""
    told = tidemill("doctor", "--json").json
    assert [part["name"] for part in told["parts"]] == ["nats", "haproxy", "mongo", "objects"]
    assert {finding["name"] for finding in told["machine"]} >= {"system", "python", "data directory", "ports"}
