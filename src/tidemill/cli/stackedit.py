"""Adding a function to a stack file's text: the user's comments, order and spacing stay as they are."""

from __future__ import annotations

import re

from tidemill.cli.failures import BadUsage, Exists
from tidemill.contract.errors import BadStack
from tidemill.contract.stack import parse_stack

EMPTY = """\
version: 1.0
provider:
  name: openfaas
  gateway: http://127.0.0.1:8080

functions:
"""
_KEY = re.compile(r"functions:\s*(#.*)?")


def add_function(text: str, name: str, *, lang: str, handler: str, file: str) -> str:
    """The text with one more entry at the end of `functions:`. Raises Exists, and BadUsage where the file is written
    in a way that cannot be added to."""
    if text.strip():
        try:
            if name in parse_stack(text, file=file).functions:
                raise Exists(f"{file} has a function {name} already")
        except BadStack:
            if _has_functions(text):
                raise
    lines = (text if text.strip() else EMPTY).splitlines()
    start = next((number for number, line in enumerate(lines) if _KEY.fullmatch(line)), None)
    if start is None:
        lines += ["", "functions:"]
        start = len(lines) - 1
    end = _end_of_block(lines, start)
    indent = _indent(lines[start + 1 : end])
    entry = [
        *([""] if any(not line.strip() for line in lines[start + 1 : end]) else []),  # as between the others
        f"{indent}{name}:",
        f"{indent * 2}lang: {lang}",
        f"{indent * 2}handler: ./{handler.removeprefix('./')}",
        f"{indent * 2}image: {name}:latest",
    ]
    edited = "\n".join((*lines[:end], *entry, *lines[end:])) + "\n"
    try:
        added = name in parse_stack(edited, file=file).functions
    except BadStack:
        added = False
    if not added:
        raise BadUsage(
            f"{file} is written in a way that cannot be added to", hint="add it by hand:\n" + "\n".join(entry)
        )
    return edited


def _has_functions(text: str) -> bool:
    """Whether the file's trouble is another than that `functions:` is empty or absent."""
    try:
        parse_stack(text + ("" if text.endswith("\n") else "\n"), file="")
    except BadStack as error:
        return "there are no functions" not in str(error)
    return True


def _end_of_block(lines: list[str], start: int) -> int:
    """The line after the last one that belongs to the block; blank lines and comments before the next key do not."""
    end = start + 1
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if line[:1] in (" ", "\t"):
            end = number + 1
        elif line.strip() and not line.startswith("#"):
            break
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    return end


def _indent(block: list[str]) -> str:
    first = next((line for line in block if line.strip() and not line.lstrip().startswith("#")), "  ")
    return first[: len(first) - len(first.lstrip())] or "  "
