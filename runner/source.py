"""Reads YAML as plain data and remembers on which line each value stands.

YAML 1.2 rules for booleans (only ``true`` and ``false``), because a SOP table has a column ``no`` and
answers like ``ya``. Refused: duplicate keys, tags, anchors and aliases, more than one document, and text
over the size limit, so that a file means what a reader of it sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from runner import errors

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
_SURROGATE = re.compile(r"[\ud800-\udfff]")

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


class _TooDeepError(Exception):
    """Ends the reading of a file before its nesting costs time."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with the booleans of YAML 1.2 and no dates: a SOP's dates are words on paper.

    While it composes, it collects what a SOP file may not use; nothing is built of a file with problems.
    """

    def __init__(self, text: str, problems: list[Problem]) -> None:
        super().__init__(text)
        self._problems = problems
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.NodeEvent = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1 if event.start_mark else 1
        self._problems += [Problem(line, what) for what in _refused(event)]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._problems.append(Problem(line, f"nested deeper than {MAX_DEPTH} levels"))
            raise _TooDeepError
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _refused(event: yaml.NodeEvent) -> Iterator[str]:
    if event.anchor:
        yield "anchors and aliases (& and *) are not allowed"
    tag = getattr(event, "tag", None)
    if tag:
        yield f"tags like {tag} are not allowed"
    if isinstance(event, yaml.ScalarEvent) and _SURROGATE.search(event.value):
        yield "half of a character (a surrogate) is not allowed"


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
# No row or size needs more digits; longer ones stay text, and text where a number belongs is told as that.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9]\d{0,17})$"), list("-0123456789")
)


def read(text: str, name: str) -> Source:
    """Parse ``text``; ``name`` is the file's name for messages.

    Raises:
        SourceError: naming every problem found with its line.
    """
    if len(text.encode()) > MAX_BYTES:
        raise SourceError(name, [Problem(1, f"the file is larger than {MAX_BYTES} bytes")])
    node = _compose(text, name)
    reader = _Reader()
    data = reader.value(node, ())
    if reader.problems:
        raise SourceError(name, reader.problems)
    return Source(name, data, reader.lines)


def syntax_problem(text: str) -> Problem | None:
    """Return why text is no YAML, or None; what a Rawat file may not use besides is not asked."""
    try:
        for _ in yaml.parse(text, yaml.SafeLoader):
            pass
    except yaml.MarkedYAMLError as error:
        return _syntax_problem(error)
    except yaml.YAMLError as error:
        return Problem(1, f"not valid YAML: {str(error).splitlines()[0]}")
    return None


def _compose(text: str, name: str) -> yaml.Node:
    problems: list[Problem] = []
    node: yaml.Node | None = None
    try:
        node = _Loader(text, problems).get_single_node()
    except yaml.MarkedYAMLError as error:
        problems = problems or [_syntax_problem(error)]
    except yaml.YAMLError as error:
        problems = [Problem(1, f"not valid YAML: {str(error).splitlines()[0]}")]
    except _TooDeepError:
        pass  # told among the problems
    if node is None and not problems:
        problems = [Problem(1, "the file is empty")]
    if node is None or problems:
        raise SourceError(name, problems)
    return node


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    problem = error.problem or ""
    mark = error.problem_mark or error.context_mark
    if "\\t" in problem:
        problem = "a tab stands where only spaces may"
    elif "another document" in problem:
        problem = "a second document begins; a file holds one"
    elif error.context_mark and re.search("end of stream|stream end", problem):
        problem, mark = f"{error.context}, the file came to its end", error.context_mark
    return Problem(mark.line + 1 if mark else 1, f"not valid YAML: {problem}")


class _Reader:
    """Turns nodes into values, collecting lines and problems on the way."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - YAML holds anything
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalars.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key, str):
                self.problems.append(Problem(line, "a key must be a word"))
                continue
            if key in found:
                first = self.lines[*path, key]
                self.problems.append(Problem(line, f"duplicate key {key!r} (first on line {first})"))
                continue
            self.lines[*path, key] = line
            found[key] = self.value(value_node, (*path, key))
        return found


class _Dumper(yaml.SafeDumper):
    """Writes what ``_Loader`` reads back: lists stand under their key, and only its own words are quoted."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - PyYAML's
        super().increase_indent(flow, indentless=False)


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def text(data: Any) -> str:  # noqa: ANN401 - YAML holds anything
    """Return plain data as YAML that ``read`` reads back as the same data."""
    return yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)
