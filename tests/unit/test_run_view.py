"""Which number a document has within its SOP."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.run_view import number_in_sop
from runner.sop import parse_sop

SOPS = Path(__file__).parents[2] / "sops"


@pytest.mark.parametrize("path", sorted(SOPS.glob("*.yml")), ids=lambda path: path.stem)
def test_documents_of_a_sop_have_numbers_of_their_own(path: Path) -> None:
    sop = parse_sop(path.read_text(encoding="utf-8"), path.name)
    finals = [
        (o.document, o.version, row.no) for row in sop.steps for o in row.documents if o.version == "final"
    ]
    numbers = [number_in_sop(sop, str(document), version, row) for document, version, row in finals]
    assert len(set(numbers)) == len(numbers)


def test_the_same_form_in_two_rows_has_two_numbers_and_versions_have_one() -> None:
    name = "palembang-information-system-maintenance.yml"
    palembang = parse_sop((SOPS / name).read_text(encoding="utf-8"), name)
    assert number_in_sop(palembang, "keputusan-usulan", "final", 6) == 6
    assert number_in_sop(palembang, "keputusan-usulan", "final", 7) == 7

    name = "surakarta-system-update.yml"
    surakarta = parse_sop((SOPS / name).read_text(encoding="utf-8"), name)
    assert number_in_sop(surakarta, "laporan-hasil-update", "verified", 10) == 6
    assert number_in_sop(surakarta, "laporan-hasil-update", "ratified", 11) == 6
    assert number_in_sop(surakarta, "laporan-penghentian", "final", 5) == 7
