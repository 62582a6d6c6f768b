"""The table of faults names every row once, and only tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = 48
MOST_WITHOUT_TEST = 8
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> list[list[str]]:
    """Return the cells of every row of the table."""
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_in(file: Path) -> set[str]:
    """Return the names of the tests in a file; a parametrised one has one name."""
    found = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_fault_stands_in_the_table_once_and_in_order() -> None:
    assert [int(row[0]) for row in rows()] == list(range(1, ROWS + 1))
    assert {len(row) for row in rows()} == {5}


def test_every_test_that_the_table_names_exists() -> None:
    named = [found for row in rows() for found in TEST.findall(row[3])]
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or name not in names_in(ROOT / file)
    ]

    assert missing == []
    assert named


def test_a_row_without_a_test_says_why() -> None:
    """No cell is left empty, and what stands there beside tests is a whole sentence."""
    bare = [row for row in rows() if not TEST.search(row[3])]

    assert len(bare) <= MOST_WITHOUT_TEST
    assert [row[0] for row in bare if not re.fullmatch(r"(No|Not yet): .+\.", row[3])] == []
