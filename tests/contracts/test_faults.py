"""The table of faults names every row once, and only tests that exist."""

from __future__ import annotations

import re

from named_tests import ROOT, TEST, missing

ROWS = 48
MOST_WITHOUT_TEST = 8


def rows() -> list[list[str]]:
    """Return the cells of every row of the table."""
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_fault_stands_in_the_table_once_and_in_order() -> None:
    assert [int(row[0]) for row in rows()] == list(range(1, ROWS + 1))
    assert {len(row) for row in rows()} == {5}


def test_every_test_that_the_table_names_exists() -> None:
    named = " ".join(row[3] for row in rows())
    assert TEST.search(named)
    assert missing(named) == []


def test_every_test_that_the_rest_of_the_page_names_exists() -> None:
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")

    assert missing(page) == []


def test_a_row_without_a_test_says_why() -> None:
    """No cell is left empty, and what stands there beside tests is a whole sentence."""
    bare = [row for row in rows() if not TEST.search(row[3])]

    assert len(bare) <= MOST_WITHOUT_TEST
    assert [row[0] for row in bare if not re.fullmatch(r"(No|Not yet): .+\.", row[3])] == []
