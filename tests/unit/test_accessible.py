"""Every form of document as PDF: the checks of PDF/UA that pdfua has, and fonts that are in the file."""

from __future__ import annotations

from pathlib import Path

import pikepdf
import pytest
from accessible import problems
from sample_run import whole_run

from runner import record
from runner.report import build_document

# Every form of the Surakarta SOP; those of the others are read in tests/scenarios/test_golden.py.
DOCUMENTS = [
    ("laporan-hasil-pengecekan", "verified"),
    ("jadwal-pengecekan", "verified"),
    ("catatan-update", "final"),
    ("laporan-hasil-update", "ratified"),
    ("disposisi", "final"),
    ("notulensi-hasil-update", "final"),
]


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    run = whole_run(tmp_path_factory.mktemp("run"))
    now, folder = record.load(run.folder), tmp_path_factory.mktemp("pdf")
    return {d: build_document(now, d, v, *run.marks[d, v], folder)[2] for d, v in DOCUMENTS}


@pytest.mark.parametrize("document", [document for document, _ in DOCUMENTS])
def test_a_screen_reader_finds_its_way(made: dict[str, Path], document: str) -> None:
    assert problems(made[document]) == []


def test_tables_of_all_hosts_are_attached_as_data(made: dict[str, Path]) -> None:
    with pikepdf.open(made["laporan-hasil-update"]) as document:
        attached = {str(each.UF): str(each.AFRelationship) for each in document.Root.AF}
    assert attached == {
        "11-1-laporan-hasil-update-ratified.json": "/Data",
        "host.csv": "/Data",
        "pemutakhiran.csv": "/Data",
    }
