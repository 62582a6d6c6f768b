"""Every cell of docs/coverage.md names tests that exist, or says in a sentence why there is none."""

from __future__ import annotations

import re

import pytest
from named_tests import ROOT, TEST, missing

COLUMNS = ["what the SOPs name", "check", "backup", "update", "test", "repair"]


def lines() -> list[list[str]]:
    page = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("| ")
    ]


CELLS = [(row[0], column, cell) for row in lines()[1:] for column, cell in zip(COLUMNS, row, strict=True)]


def test_the_columns() -> None:
    assert lines()[0] == COLUMNS
    assert len(lines()) >= len(COLUMNS)


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, id=f"{name}: {column}") for name, column, cell in CELLS if column != COLUMNS[0]],
)
def test_a_cell_is_shown_by_tests_or_says_why_not(cell: str) -> None:
    assert missing(cell) == []
    assert TEST.search(cell) or re.fullmatch(r"[A-Z].+\.", cell)
