"""new: a function from a template, and its entry in the stack file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli import options
from tidemill.cli.failures import BadUsage, Exists
from tidemill.cli.output import Output


def new(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The function: a DNS label.")] = None,
    lang: Annotated[str, typer.Option("--lang", help="Template; --list shows them.")] = "python3-http",
    handler: Annotated[
        Path | None, typer.Option("--handler", help="Its folder; else functions/NAME where functions/ is, else NAME.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--yaml", "-f", help="Stack file to add it to.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the templates.")] = False,
    as_json: options.Json = False,
) -> None:
    """Make a function from a template and add it to the stack file."""
    from tidemill.cli.stackedit import add_function
    from tidemill.cli.templates import find_template, template_names
    from tidemill.contract.names import FunctionRef
    from tidemill.contract.stackfile import find_stack_file

    output = Output(as_json=as_json)
    if show:
        names = template_names(Path.cwd())
        output.entry(names, "\n".join(names))
        return
    if name is None:
        raise BadUsage("new needs the function's NAME", hint="tidemill new hello --lang python3-http")
    FunctionRef(name)
    stack_file = file or find_stack_file(Path()) or Path("stack.yml")
    project = stack_file.parent
    template = find_template(lang, project)
    folder = handler or (Path("functions", name) if (project / "functions").is_dir() else Path(name))
    if (project / folder).exists():
        raise Exists(f"{project / folder} exists already", hint="choose another name, or another folder by --handler")
    before = stack_file.read_text(encoding="utf-8") if stack_file.is_file() else ""
    after = add_function(before, name, lang=lang, handler=folder.as_posix(), file=str(stack_file))
    starter = template.folder / template.handler_folder
    shutil.copytree(starter, project / folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    stack_file.write_text(after, encoding="utf-8")
    if as_json:
        output.result({"name": name, "handler": str(project / folder), "stack": str(stack_file), "lang": lang})
    output.note(f"{project / folder}: made from {lang}")
    output.note(f"{stack_file}: {name} added")
    if template.welcome:
        output.note(template.welcome.rstrip().replace(f"{template.handler_folder}/", f"{project / folder}/"))
    output.note(f"deploy it with: tidemill deploy {name}, or on every save with: tidemill dev {name}")
