"""The `tidemill` command: joins the commands and turns whatever ends one into an exit code.

Command modules import only what their signatures need; HTTP, YAML and display libraries are loaded by the command
that runs, so that `tidemill --help` and shell completion answer at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import Abort, TyperException

from tidemill.cli import failures
from tidemill.cli.commands import (
    calls,
    dead,
    dev,
    functions,
    invoking,
    login,
    logs,
    namespaces,
    new,
    platform,
    secrets,
)
from tidemill.cli.failures import BadUsage, Failure
from tidemill.cli.output import Output
from tidemill.contract.errors import TidemillError

INTERRUPTED = 130
"""What shells use for a command that ended by Ctrl-C."""

app = typer.Typer(
    name="tidemill",
    help="Serverless functions on your own machines, compatible with OpenFaaS.",
    no_args_is_help=True,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,  # rich costs a script's --help 150 ms
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in (
    ("up", platform.up),
    ("down", platform.down),
    ("status", platform.status),
    ("doctor", platform.doctor),
    ("new", new.new),
    ("deploy", functions.deploy),
    ("dev", dev.dev),
    ("list", functions.list_),
    ("describe", functions.describe),
    ("invoke", invoking.invoke),
    ("logs", logs.logs),
    ("scale", functions.scale),
    ("remove", functions.remove),
    ("calls", calls.calls),
    ("login", login.login),
    ("version", login.version),
):
    app.command(_name)(_command)
app.add_typer(dead.app, name="dead")
app.add_typer(secrets.app, name="secret")
app.add_typer(namespaces.app, name="namespace")


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: runs the command and exits."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """The exit code; see docs/reference/cli.md. A user's mistake never ends in a traceback, a bug of ours does."""
    # httpx imports its own command line where it can, with rich and click: 150 ms that nobody here has use for.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a function may print and answer anything
    output = Output(as_json="--json" in arguments)
    try:
        code = app(list(arguments), standalone_mode=False, prog_name="tidemill")
        return int(code or 0)
    except Failure as error:
        return _tell(output, error)
    except TidemillError as error:
        return _tell(output, failures.of_error(error))
    except TyperException as error:
        message = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":  # typer keeps it private; with rich it has printed the help
            if message:
                output.note(message)
            return BadUsage.exit_code
        command = getattr(getattr(error, "ctx", None), "command_path", "tidemill")
        return _tell(output, BadUsage(message, hint=f"see: {command} --help"))
    except OSError as error:  # a full disk, a folder that may not be written
        return _tell(output, Failure(f"{error.filename}: {error.strerror}" if error.filename else str(error)))
    except (KeyboardInterrupt, Abort):
        return INTERRUPTED


def _tell(output: Output, failure: Failure) -> int:
    output.failure(failure)
    return failure.exit_code


if __name__ == "__main__":
    main()
