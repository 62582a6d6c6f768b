"""The SOP of Palembang says word for word what its paper says, row by row and in its identity block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.sop import Sop, parse_sop

ROOT = Path(__file__).parents[2]
PAPER = (ROOT / "tests" / "data" / "palembang.md").read_text(encoding="utf-8")
LISTED = re.compile(r"(?:^|; )\d+\. ")
CUT_OFF = " (cut off in the scan)"
# What may differ from the paper, or is not on it: nothing but this, and each is told before every run.
DOCUMENTED = {
    "identity.kantor",
    "identity.peralatan[5]",
    "identity.peralatan[6]",
    "identity.pencatatan[2]",
    "actors",
    "forms",
    *(f"steps[{index}].decision" for index in (0, 2, 3, 4, 5, 6, 10)),
    "steps[3].action",
    "steps[7].action",
    "steps[8].action",
}


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading, its head first."""
    section = PAPER.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip().strip("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.split("|")] for row in rows if not row.startswith("---")]


def entries(cell: str) -> list[str]:
    """Return the entries of a cell: numbered ones, or those that a semicolon parts."""
    if LISTED.match(cell):
        return [entry.strip().removesuffix(CUT_OFF) for entry in LISTED.split(cell)[1:]]
    return cell.split("; ")


HEAD, *CELLS = table("Steps")
ROWS = {int(row[0]): dict(zip(HEAD, row, strict=True)) for row in CELLS}
IDENTITY = dict(table("Identity block")[1:])


@pytest.fixture(scope="module")
def sop() -> Sop:
    file = ROOT / "sops" / "palembang-information-system-maintenance.yml"
    return parse_sop(file.read_text(encoding="utf-8"), file.name)


def test_there_are_the_eleven_rows_of_the_paper(sop: Sop) -> None:
    assert [step.no for step in sop.steps] == list(ROWS) == list(range(1, 12))


@pytest.mark.parametrize("no", ROWS)
def test_a_row_says_what_the_paper_says(sop: Sop, no: int) -> None:
    step, paper = sop.step(no), ROWS[no]
    assert step.kegiatan == paper["Kegiatan"]
    assert step.kelengkapan == entries(paper["Kelengkapan"])
    assert step.waktu == paper["Waktu"]
    assert [output.name for output in step.output] == [paper["Output"]]
    assert step.keterangan is None


@pytest.mark.parametrize("no", ROWS)
def test_a_row_is_done_by_whom_the_paper_says(sop: Sop, no: int) -> None:
    short = {"KPA": "Kuasa Pengguna Anggaran"}
    paper = ROWS[no]["Actor"]
    assert sop.actors[sop.step(no).pelaksana or ""] == short.get(paper, paper)


@pytest.mark.parametrize("no", ROWS)
def test_a_row_leads_where_the_paper_says(sop: Sop, no: int) -> None:
    said = re.findall(r"→ (\d+)|^(end)", ROWS[no]["Edges"])
    assert sorted(str(t) for t in sop.step(no).targets) == sorted(a or b for a, b in said)


def test_the_outcomes_have_the_papers_own_polarity(sop: Sop) -> None:
    decision = sop.step(3).decision
    assert ROWS[3]["Edges"] == "gangguan YA → 4; TIDAK → 9"
    assert decision is not None
    assert [(o.name, o.when, o.next) for o in decision.outcomes] == [("YA", "failed", 4), ("TIDAK", "ok", 9)]


@pytest.mark.parametrize(("no", "names"), [(4, ["diperbaiki", "tidak dapat"]), (6, ["disetujui", "ditolak"])])
def test_outcomes_are_named_as_on_the_paper(sop: Sop, no: int, names: list[str]) -> None:
    decision = sop.step(no).decision
    assert decision is not None
    assert [outcome.name for outcome in decision.outcomes] == names
    assert all(name in ROWS[no]["Edges"] for name in names)


@pytest.mark.parametrize(
    ("field", "head"),
    [
        ("unit", "Unit"),
        ("nama_sop", "Nama SOP"),
        ("nomor_sop", "Nomor SOP"),
        ("tgl_pembuatan", "Tgl. Pembuatan"),
        ("tgl_revisi", "Tgl. Revisi"),
        ("tgl_efektif", "Tgl. Efektif"),
        ("disahkan_oleh", "Disahkan oleh"),
    ],
)
def test_the_identity_block_is_that_of_the_paper(sop: Sop, field: str, head: str) -> None:
    assert getattr(sop.identity, field) == IDENTITY[head]


@pytest.mark.parametrize(
    ("field", "paper"),
    [
        ("dasar_hukum", entries(IDENTITY["Dasar hukum"])),
        ("kualifikasi_pelaksana", [IDENTITY["Kualifikasi pelaksana"]]),
        ("keterkaitan", entries(IDENTITY["Keterkaitan"])),
        ("peralatan", entries(IDENTITY["Peralatan dan perlengkapan"])),
        ("peringatan", [IDENTITY["Peringatan"]]),
        ("pencatatan", [*entries(IDENTITY["Pencatatan dan pendataan"]), IDENTITY["Arsip"]]),
    ],
)
def test_its_lists_are_those_of_the_paper(sop: Sop, field: str, paper: list[str]) -> None:
    assert getattr(sop.identity, field) == paper


def test_actors_are_those_of_the_paper(sop: Sop) -> None:
    paragraph = PAPER.split("## Actors\n", 1)[1].split("\n\n", 1)[0]
    assert list(sop.actors.values()) == [
        re.sub(r"[ ,]*(KPA )?\(.*\)", "", n).strip() for n in paragraph.split("·")
    ]


def test_every_deviation_is_an_assumption_told_before_a_run(sop: Sop) -> None:
    assert {assumption.field for assumption in sop.assumptions} == DOCUMENTED
