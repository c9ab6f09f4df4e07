"""`${VAR}` and its shell-like variations in a text, as the OpenFaaS tools expand a stack file before reading it.

| expression | value |
|---|---|
| `${VAR}` | the variable, empty where unset |
| `${#VAR}` | its length |
| `${VAR^}` `${VAR^^}` `${VAR,}` `${VAR,,}` | first letter or all in upper or lower case |
| `${VAR:2}` `${VAR:2:5}` | from the third character, at most five |
| `${VAR#PATTERN}` `${VAR##PATTERN}` | without the shortest or longest match at its start |
| `${VAR%PATTERN}` `${VAR%%PATTERN}` | without the shortest or longest match at its end |
| `${VAR-TEXT}` `${VAR=TEXT}` | TEXT where unset |
| `${VAR:-TEXT}` `${VAR:=TEXT}` | TEXT where unset or empty |
| `${VAR/OLD/NEW}` `${VAR//OLD/NEW}` | the first or every OLD replaced |
| `${VAR/#OLD/NEW}` `${VAR/%OLD/NEW}` | OLD replaced at the start or at the end |
| `$${VAR}` | the text `${VAR}` itself |

TEXT, OLD and NEW may hold expressions; `\\` takes the next character as it is. `$VAR` without braces stays as it is,
so that passwords and regular expressions survive. PATTERN is a shell glob (`*`, `?`, `[abc]`), OLD is plain text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import translate

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SLICE = re.compile(r":(\d+)(?::(\d+))?")
_LETTER_CASE: dict[str, Callable[[str], str]] = {
    "": lambda value: value,
    "^": lambda value: value[:1].upper() + value[1:],
    "^^": str.upper,
    ",": lambda value: value[:1].lower() + value[1:],
    ",,": str.lower,
}


class BadExpression(ValueError):
    """An expression that cannot be expanded; `line` (1-based) says where it begins."""

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with every expression replaced. Raises BadExpression."""
    return _expand(text, environ, str)


def _expand(text: str, environ: Mapping[str, str], literal: Callable[[str], str]) -> str:
    """`literal` is applied to what stands between the expressions."""
    parts: list[str] = []
    at = 0
    while (found := text.find("${", at)) >= 0:
        if text[found - 1 : found] == "$" and found > at:
            parts.append(literal(text[at : found - 1]) + "${")
            at = found + 2
            continue
        line = text.count("\n", 0, found) + 1
        end = _closing_brace(text, found, line)
        parts += literal(text[at:found]), _evaluate(text[found + 2 : end], environ, line)
        at = end + 1
    parts.append(literal(text[at:]))
    return "".join(parts)


def _closing_brace(text: str, start: int, line: int) -> int:
    depth, at = 0, start
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text.startswith("${", at):
            depth += 1
            at += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise BadExpression(f'"{text[start : start + 20].splitlines()[0]}" has no closing brace', line=line)


def _evaluate(body: str, environ: Mapping[str, str], line: int) -> str:
    if body.startswith("#") and _NAME.fullmatch(body, 1):
        return str(len(environ.get(body[1:], "")))
    name = _NAME.match(body)
    if not name:
        raise BadExpression(f'"${{{body}}}" does not begin with the name of a variable', line=line)
    value, operation = environ.get(name[0]), body[name.end() :]
    result = _apply(value, operation, lambda inner: _expand(inner, environ, _unescape))
    if result is None:
        raise BadExpression(f'"${{{body}}}" is not an expression that can be expanded', line=line)
    return result


def _apply(given: str | None, operation: str, expanded: Callable[[str], str]) -> str | None:
    """The value after the operation; None where there is no such operation."""
    value = given or ""
    if operation in _LETTER_CASE:
        return _LETTER_CASE[operation](value)
    if operation.startswith((":-", ":=")):
        return value or expanded(operation[2:])
    if operation.startswith(("-", "=")):
        return value if given is not None else expanded(operation[1:])
    if cut := _SLICE.fullmatch(operation):
        start = int(cut[1])
        return value[start:] if cut[2] is None else value[start : start + int(cut[2])]
    if operation[0] in "#%":
        greedy = operation[:2] == operation[0] * 2
        pattern = expanded(operation[2 if greedy else 1 :])
        return _strip(value, pattern, at_start=operation[0] == "#", longest=greedy)
    if operation[0] == "/":
        return _replace(value, operation[1:], expanded)
    return None


def _strip(value: str, pattern: str, *, at_start: bool, longest: bool) -> str:
    matches = re.compile(translate(pattern)).match
    lengths = range(len(value), -1, -1) if longest else range(len(value) + 1)
    for length in lengths:
        cut = length if at_start else len(value) - length
        taken, rest = (value[:cut], value[cut:]) if at_start else (value[cut:], value[:cut])
        if matches(taken):
            return rest
    return value


def _replace(value: str, operation: str, expanded: Callable[[str], str]) -> str:
    where = operation[:1] if operation[:1] in ("/", "#", "%") else ""
    old, new = (expanded(part) for part in _halves(operation[len(where) :]))
    if not old:
        return value
    if where == "#":
        return new + value[len(old) :] if value.startswith(old) else value
    if where == "%":
        return value[: -len(old)] + new if value.endswith(old) else value
    return value.replace(old, new, -1 if where == "/" else 1)


def _halves(text: str) -> tuple[str, str]:
    """OLD and NEW, parted by the first slash that no backslash protects."""
    slash = re.search(r"(?<!\\)(?:\\\\)*(/)", text)
    return (text[: slash.start(1)], text[slash.start(1) + 1 :]) if slash else (text, "")


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
