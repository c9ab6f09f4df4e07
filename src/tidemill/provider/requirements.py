"""A handler's requirements.txt: what may stand in it, and which distributions it names."""

from __future__ import annotations

import re

from tidemill.contract.errors import BadRequest

ALLOWED_OPTIONS = ("--hash", "--index-url", "--extra-index-url", "--prefer-binary")
"""Options that change where packages come from or what they must be; everything else reads further files, which the
environment's hash would not cover."""

_DISTRIBUTION = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~;@#(]|$|--)")


def normalize(name: str) -> str:
    """One spelling for `Flask_Cors` and `flask-cors` (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(text: str) -> tuple[str, ...]:
    """The distributions that requirements.txt names, normalised. Raises BadRequest naming the line that cannot be
    used: a path, an editable install or a further file."""
    found = []
    for number, line in _logical_lines(text):
        if line.startswith("-"):
            if not line.startswith(ALLOWED_OPTIONS):
                raise BadRequest(
                    f"requirements.txt:{number}: {line.split()[0]!r} cannot be used here",
                    hint="write every package into this one file",
                )
            continue
        match = _DISTRIBUTION.match(line)
        if not match:
            raise BadRequest(f"requirements.txt:{number}: {line[:80]!r} is not a package such as requests==2.32")
        if "file:" in line:
            raise BadRequest(f"requirements.txt:{number}: files of this machine cannot be installed from")
        found.append(normalize(match[1]))
    return tuple(dict.fromkeys(found))


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with continuations joined and comments gone, each with the number of its first line."""
    lines: list[tuple[int, str]] = []
    pending, first = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        first = first if pending else number
        pending += raw
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        line = re.sub(r"(^|\s)#.*$", "", pending).strip()
        if line:
            lines.append((first, line))
        pending = ""
    return lines
