"""Routes that functions declare by the annotation `com.tidemill.route`, such as `GET /items/{id}`.

Several routes are separated by `;` or a new line. A segment is literal text or one `{name}`; a last segment
`{name...}` takes the rest of the path. The method may be `*`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidemill.contract.errors import BadRequest
from tidemill.contract.names import RESERVED_PATHS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What the edge carries to functions; `*` in a route stands for all of them."""

_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()+,=:@%-]+")
_PARAMETER = re.compile(r"\{([a-z_][a-z0-9_]*)(\.\.\.)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One method and one pattern; `str()` gives the annotation's text back, spaces normalised."""

    method: str
    pattern: str

    @classmethod
    def parse(cls, text: str) -> Route:
        """Raises BadRequest naming the route and what is wrong with it."""
        words = text.split()
        if len(words) != 2:
            raise BadRequest(f'route "{text}" is not METHOD /path', hint="write it as GET /items/{id}")
        method, pattern = words[0].upper(), words[1]
        if method != "*" and method not in METHODS:
            raise BadRequest(f'route "{text}": method {words[0]} is not one of {", ".join(METHODS)} or *')
        if not pattern.startswith("/"):
            raise BadRequest(f'route "{text}": the path must start with /')
        segments = pattern[1:].split("/")
        names: set[str] = set()
        for number, segment in enumerate(segments):
            parameter = _PARAMETER.fullmatch(segment)
            if parameter:
                if parameter[1] in names:
                    raise BadRequest(f'route "{text}": {{{parameter[1]}}} stands twice')
                if parameter[2] and number != len(segments) - 1:
                    raise BadRequest(f'route "{text}": {segment} must be the last segment')
                names.add(parameter[1])
            elif segment in (".", "..") or not (_LITERAL.fullmatch(segment) or (segment == "" and pattern == "/")):
                raise BadRequest(f'route "{text}": segment "{segment}" is neither plain text nor one {{name}}')
        for reserved in RESERVED_PATHS:
            if pattern == reserved or pattern.startswith(reserved + "/"):
                raise BadRequest(f'route "{text}": {reserved} is reserved for the platform')
        if _PARAMETER.fullmatch(segments[0]):
            raise BadRequest(f'route "{text}": the first segment must be plain text')
        return cls(method, pattern)

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.pattern[1:].split("/"))

    @property
    def is_literal(self) -> bool:
        """No parameter: the path is compared as it is."""
        return "{" not in self.pattern

    @property
    def path_regex(self) -> str:
        """A PCRE that matches exactly the paths of this route; parameters do not take `/` or the empty string."""
        parts = []
        for segment in self.segments:
            parameter = _PARAMETER.fullmatch(segment)
            parts.append(re.escape(segment) if not parameter else (".+" if parameter[2] else "[^/]+"))
        return "^/" + "/".join(parts) + "$"

    @property
    def specificity(self) -> tuple[tuple[int, ...], int]:
        """Sort key: the most specific route first (literal segments before parameters before the rest)."""
        ranks = tuple(
            0 if not (parameter := _PARAMETER.fullmatch(segment)) else (2 if parameter[2] else 1)
            for segment in self.segments
        )
        return ranks, self.method == "*"

    def clashes(self, other: Route) -> bool:
        """Both claim the same calls: one method in common and patterns that differ in parameter names only."""
        methods = self.method == other.method or "*" in (self.method, other.method)
        return methods and self.path_regex == other.path_regex

    def parameters(self, path: str) -> dict[str, str]:
        """The parameters of `path` by name; {} where it does not match."""
        segments = path[1:].split("/")
        found: dict[str, str] = {}
        for number, segment in enumerate(self.segments):
            parameter = _PARAMETER.fullmatch(segment)
            if parameter and parameter[2]:
                found[parameter[1]] = "/".join(segments[number:])
                return found if found[parameter[1]] else {}
            if number >= len(segments):
                return {}
            if parameter:
                if not segments[number]:
                    return {}
                found[parameter[1]] = segments[number]
            elif segment != segments[number]:
                return {}
        return found if len(segments) == len(self.segments) else {}

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"


def parse_routes(annotation: str) -> tuple[Route, ...]:
    """Every route of one annotation value. Raises BadRequest, also where the function clashes with itself."""
    routes: list[Route] = []
    for text in re.split(r"[;\n]", annotation):
        if text.strip():
            route = Route.parse(text.strip())
            if any(route.clashes(other) for other in routes):
                raise BadRequest(f'route "{route}" is declared twice')
            routes.append(route)
    return tuple(routes)
