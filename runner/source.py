"""Reads YAML as plain data and remembers on which line each value stands.

YAML 1.2 rules for booleans (only ``true`` and ``false``), because a SOP table has a column ``no`` and
answers like ``ya``. Refused: duplicate keys, tags, anchors and aliases, more than one document, and text
over the size limit, so that a file means what a reader of it sees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from runner import errors

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file, told as ``file:line: message``."""

    line: int
    message: str


class SourceError(errors.InputError):
    """A file with problems; the text of the error is one line per problem."""

    def __init__(self, name: str, problems: list[Problem], *, hint: str = "") -> None:
        self.name = name
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(f"{name}:{p.line}: {p.message}" for p in self.problems), hint=hint)


@dataclass(frozen=True)
class Source:
    """The data of a file and the line of every path in it."""

    name: str
    data: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of ``path``, or of the nearest thing around it that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the booleans of YAML 1.2 and no dates: a SOP's dates are words on paper."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9]\d*)$"), list("-0123456789"))


def read(text: str, name: str) -> Source:
    """Parse ``text``; ``name`` is the file's name for messages.

    Raises:
        SourceError: naming every problem found with its line.
    """
    if len(text.encode()) > MAX_BYTES:
        raise SourceError(name, [Problem(1, f"the file is larger than {MAX_BYTES} bytes")])
    reader = _Reader()
    try:
        loader = _Loader(text)
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise SourceError(name, [Problem(line, "anchors and aliases (& and *) are not allowed")])
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise SourceError(name, [Problem(line, f"not valid YAML: {error.problem}")]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SourceError(name, [Problem(1, f"not valid YAML: {str(error).splitlines()[0]}")]) from error
    if node is None:
        raise SourceError(name, [Problem(1, "the file is empty")])
    data = reader.value(node, ())
    if reader.problems:
        raise SourceError(name, reader.problems)
    return Source(name, data, reader.lines)


class _Reader:
    """Turns nodes into values, collecting lines and problems on the way."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - YAML holds anything
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if len(path) > MAX_DEPTH:
            self.problems.append(Problem(line, f"nested deeper than {MAX_DEPTH} levels"))
            return None
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self.problems.append(Problem(line, f"tags like {node.tag} are not allowed"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalars.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in found:
                first = self.lines[*path, key]
                self.problems.append(Problem(line, f"duplicate key {key!r} (first on line {first})"))
                continue
            self.lines[*path, key] = line
            found[key] = self.value(value_node, (*path, key))
        return found
