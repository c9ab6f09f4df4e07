"""YAML whose every complaint names file and line: the nodes of the parser, read by typed questions.

Scalars are given as they are written, so `true`, `1.0` and `007` reach a label or a variable unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches

import yaml

from tidemill.contract.errors import BadStack

_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"


class Section:
    """One mapping of the file. Every question raises BadStack with the line where the answer has another shape."""

    def __init__(self, name: str, *, file: str, line: int, entries: dict[str, tuple[int, yaml.Node]]) -> None:
        self.name = name
        """Such as `functions.hello`; empty for the file itself."""
        self.file = file
        self.line = line
        self._entries = entries

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def line_of(self, key: str) -> int:
        return self._entries[key][0] if key in self._entries else self.line

    def path(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def only(self, known: Collection[str]) -> Section:
        """Itself, after refusing keys that nobody reads."""
        for key in self._entries:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
                raise self.error(f"unknown key {self.path(key)}", key, hint=hint)
        return self

    def error(self, message: str, key: str | None = None, *, hint: str | None = None) -> BadStack:
        line = self.line if key is None else self.line_of(key)
        return BadStack(message, file=self.file, line=line, hint=hint)

    def text(self, key: str) -> str | None:
        """A scalar as written; None where absent, null or empty."""
        if key not in self._entries:
            return None
        return self._scalar(self._entries[key][1], key) or None

    def flag(self, key: str) -> bool:
        text = self.text(key)
        if text not in (None, "true", "false"):
            raise self.error(f"{self.path(key)} must be true or false, not {text}", key)
        return text == "true"

    def words(self, key: str) -> tuple[str, ...]:
        """A list of scalars."""
        node = self._entries[key][1] if key in self._entries else None
        if node is None or node.tag == _NULL:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(f"{self.path(key)} must be a list", key)
        return tuple(self._scalar(item, key) for item in node.value)

    def strings(self, key: str) -> dict[str, str]:
        """A mapping of scalars; null is the empty string."""
        section = self.section(key)
        return {name: section._scalar(section._entries[name][1], name) for name in section}

    def section(self, key: str) -> Section:
        """A mapping; an empty one where absent or null."""
        line, node = self._entries.get(key, (self.line, None))
        return _section(node, name=self.path(key), file=self.file, line=line)

    def sections(self, key: str) -> Iterator[Section]:
        """A list of mappings."""
        node = self._entries[key][1] if key in self._entries else None
        if node is None or node.tag == _NULL:
            return
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(f"{self.path(key)} must be a list", key)
        for number, item in enumerate(node.value):
            yield _section(item, name=f"{self.path(key)}[{number}]", file=self.file, line=_line(item))

    def _scalar(self, node: yaml.Node, key: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            message = f"{self.path(key)} must be text, a number, true or false"
            raise BadStack(message, file=self.file, line=_line(node))
        return "" if node.tag == _NULL else str(node.value)


def read_yaml(text: str, *, file: str) -> Section:
    """The file's top mapping. Raises BadStack."""
    loader = _Loader(text)
    try:
        return _section(loader.get_single_node(), name="", file=file, line=1)
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        sentence = " ".join(part for part in (cause.context, cause.problem) if part)
        raise BadStack(sentence, file=file, line=mark.line + 1 if mark else None) from cause
    except yaml.YAMLError as cause:
        raise BadStack(f"this is not YAML: {cause}", file=file) from cause
    finally:
        loader.dispose()


def _section(node: yaml.Node | None, *, name: str, file: str, line: int) -> Section:
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _NULL):
        return Section(name, file=file, line=line, entries={})
    if not isinstance(node, yaml.MappingNode):
        raise BadStack(f"{name or 'the file'} must be a mapping of keys to values", file=file, line=_line(node))
    return Section(name, file=file, line=line, entries=_entries(node, name, file))


def _entries(node: yaml.MappingNode, name: str, file: str) -> dict[str, tuple[int, yaml.Node]]:
    own: dict[str, tuple[int, yaml.Node]] = {}
    merged: dict[str, tuple[int, yaml.Node]] = {}
    for key, value in node.value:
        if key.tag == _MERGE:
            for source in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                if not isinstance(source, yaml.MappingNode):
                    raise BadStack("<< takes a mapping or a list of mappings", file=file, line=_line(key))
                merged = _entries(source, name, file) | merged
        elif not isinstance(key, yaml.ScalarNode):
            raise BadStack("a key must be plain text", file=file, line=_line(key))
        elif key.value in own:
            first = own[key.value][0]
            raise BadStack(f"{key.value} stands twice, first in line {first}", file=file, line=_line(key))
        else:
            own[key.value] = (_line(key), value)
    return merged | own


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
