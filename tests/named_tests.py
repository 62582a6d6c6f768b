"""Tests that a page of docs/ names as pytest names them."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+|Test\w+)`")


def missing(text: str) -> list[str]:
    """Return the tests that a text names and that do not exist."""
    return [f"{file}::{name}" for file, name in TEST.findall(text) if name not in _names_in(ROOT / file)]


@cache
def _names_in(file: Path) -> set[str]:
    """Return the names of the tests in a file, and of their classes; a parametrised one has one name."""
    if not file.is_file():
        return set()
    found = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in found if isinstance(node, kinds)}
