"""Every form of document as PDF: the checks of PDF/UA that pdfua has, and fonts that are in the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pikepdf
import pytest
from sample_run import whole_run

from runner import record
from runner.report import build_document

# A report with charts, annexes and flowchart, a disposition, and minutes with two signers.
DOCUMENTS = [
    ("laporan-hasil-update", "ratified"),
    ("disposisi", "final"),
    ("notulensi-hasil-update", "final"),
]
NOT_CLAIMED = "UA-28-004"
"""Rawat claims PDF/A-3a; PDF/UA it does not claim, for only a part of it could be checked."""


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    run = whole_run(tmp_path_factory.mktemp("run"))
    now, folder = record.load(run.folder), tmp_path_factory.mktemp("pdf")
    return {d: build_document(now, d, v, *run.marks[d, v], folder)[2] for d, v in DOCUMENTS}


@pytest.mark.parametrize("document", [document for document, _ in DOCUMENTS])
def test_a_screen_reader_finds_its_way(made: dict[str, Path], document: str) -> None:
    command = [sys.executable, "-m", "pdfua", "check", "--format", "json", str(made[document])]
    said = json.loads(subprocess.run(command, check=False, capture_output=True).stdout)
    # One rule stumbles over WeasyPrint's tree itself; if more do, nothing was checked.
    assert [each["rule_id"] for each in said["skipped"]] in ([], ["UA-14-001"])
    found = [(each["rule_id"], each["message"]) for each in said["findings"]]
    assert [each for each in found if each[0] != NOT_CLAIMED] == []


def test_tables_of_all_hosts_are_attached_as_data(made: dict[str, Path]) -> None:
    with pikepdf.open(made["laporan-hasil-update"]) as document:
        attached = {str(each.UF): str(each.AFRelationship) for each in document.Root.AF}
    assert attached == {
        "11-1-laporan-hasil-update-ratified.json": "/Data",
        "host.csv": "/Data",
        "pemutakhiran.csv": "/Data",
    }
