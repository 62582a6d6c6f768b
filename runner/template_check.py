"""Judges the templates of documents before a run needs them: an office may write its own.

What a template names and nobody has (a filter, a macro, a fact of ``view``) would be found only when its
document is made, amid a run. Here it is told as file:line, for the templates of a SOP's documents and for all
that they rest on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import jinja2
from jinja2 import nodes

from runner import errors
from runner.models import meant
from runner.report import GIVEN, TEMPLATES, environment
from runner.sop import END_REPORT, Sop
from runner.view import DocumentView
from runner.workspace import Workspace

_REST_ON = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
# What Jinja itself gives a template, or parts of it.
_OWN = {"loop", "caller", "self", "super", "varargs", "kwargs"}


def problems(workspace: Workspace, sop: Sop) -> list[str]:
    """Return each mistake in the templates of a SOP's documents as ``file:line: message``."""
    templates = _Templates(workspace.root / TEMPLATES)
    wanted = {output.document for step in sop.steps for output in step.documents} | {END_REPORT}
    for document in sorted(workspace.available().documents & wanted):
        templates.judge(f"{document}.html.j2", is_document=True)
    return templates.told


def require_good(workspace: Workspace, sop: Sop) -> None:
    """Refuse a SOP whose documents could not be made.

    Raises:
        InputError: naming every mistake in their templates with file and line.
    """
    if told := problems(workspace, sop):
        raise errors.InputError(
            "\n".join(told), hint="mend the templates; 'rawat sop check' reads them again"
        )


class _Templates:
    """Reads templates, each once, and collects what is wrong in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = environment().overlay(loader=jinja2.FileSystemLoader(folder))
        self._read: dict[str, nodes.Template | None] = {}
        self.told: list[str] = []

    def judge(self, name: str, *, is_document: bool = False) -> nodes.Template | None:
        if name in self._read:
            return self._read[name]
        self._read[name] = None
        try:
            text = (self._folder / name).read_text(encoding="utf-8")
            tree = self._environment.parse(text, name)
            # What there is no filter or test for is told only by compiling.
            self._environment.compile(tree, name, name, raw=True)
        except (OSError, UnicodeDecodeError) as error:
            self._tell(name, 1, f"cannot be read: {error}")
            return None
        except jinja2.TemplateSyntaxError as error:
            self._tell(name, error.lineno, error.message or "is no template")
            return None
        self._read[name] = tree
        family = list(self._family(name, tree))
        if is_document:
            for line, what in sorted(
                {*self._unknown_words(tree, family), *self._unknown_facts(tree, family)}
            ):
                self._tell(name, line, what)
        return tree

    def _tell(self, name: str, line: int, what: str) -> None:
        self.told.append(f"{self._folder / name}:{line}: {what}")

    def _family(self, name: str, tree: nodes.Template) -> Iterator[nodes.Template]:
        """Judge the templates that one rests on; yield it with those that it extends."""
        yield tree
        for node in tree.find_all(_REST_ON):
            other = getattr(node, "template", None)
            if not (isinstance(other, nodes.Const) and isinstance(other.value, str)):
                continue  # chosen when the document is made
            if not (self._folder / other.value).is_file():
                self._tell(name, node.lineno, f"there is no template {other.value!r}")
                continue
            judged = self.judge(other.value)
            if isinstance(node, nodes.Extends) and judged is not None:
                yield from self._family(other.value, judged)

    def _unknown_words(self, tree: nodes.Template, family: list[nodes.Template]) -> Iterator[tuple[int, str]]:
        known = {*GIVEN, *_OWN, *self._environment.globals}.union(*map(_named, family))
        for node in tree.find_all(nodes.Name):
            if node.name not in known:
                yield node.lineno, f"there is no {node.name!r} here{meant(node.name, known)}"

    def _unknown_facts(self, tree: nodes.Template, family: list[nodes.Template]) -> Iterator[tuple[int, str]]:
        has = {"view": {*dir(DocumentView), *DocumentView.model_fields}} | self._parts(family)
        for node in tree.find_all(nodes.Getattr):
            if isinstance(node.node, nodes.Name) and node.attr not in has.get(node.node.name, {node.attr}):
                of = node.node.name
                yield node.lineno, f"{of!r} has no {node.attr!r}{meant(node.attr, has[of])}"

    def _parts(self, family: list[nodes.Template]) -> dict[str, set[str]]:
        """Return what stands ready under each name that a template is imported by, such as ``m``."""
        imports = [node for tree in family for node in tree.find_all(nodes.Import)]
        read = {node.target: self._read.get(str(getattr(node.template, "value", ""))) for node in imports}
        return {target: _named(tree) for target, tree in read.items() if tree is not None}


def _named(tree: nodes.Template) -> set[str]:
    """Return the names that a template gives to something, wherever it does."""
    found = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    found |= {node.name for node in tree.find_all(nodes.Macro)}
    found |= {node.target for node in tree.find_all(nodes.Import)}
    return found | set(_imported(tree.find_all(nodes.FromImport)))


def _imported(imports: Iterable[nodes.FromImport]) -> Iterator[str]:
    for node in imports:
        for name in node.names:
            yield name if isinstance(name, str) else name[1]
