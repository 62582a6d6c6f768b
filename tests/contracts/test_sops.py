"""The SOPs of the repository: all are good, and Surakarta's says word for word what its paper says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from runner import source
from runner.sop import Sop, Step, parse_sop
from runner.workspace import Workspace

ROOT = Path(__file__).parents[2]
SOPS = sorted((ROOT / "sops").glob("*.yml"))
PAPER = (ROOT / "tests" / "data" / "surakarta.md").read_text(encoding="utf-8")

# What may differ from the paper, or is not on it: nothing but this, and each is told before every run.
DOCUMENTED = {
    "identity.nama_sop",
    "identity.kantor",
    "identity.nomor_sop",
    "identity.dasar_hukum[1]",
    "identity.kualifikasi_pelaksana[2]",
    "identity.peringatan[1]",
    "actors",
    "steps[2].decision",
    "steps[3].decision",
    "steps[4].span",
    "steps[7].decision",
    "steps[7].decision.witness",
    "steps[9].decision",
    "steps[10].decision",
}


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading, without its head."""
    section = PAPER.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip() for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row[1:-1])] for row in rows[2:]]


def listed(cell: str) -> list[str]:
    """Return the entries of a cell such as ``1. X; 2. Y``; one entry alone has no number."""
    if not cell.startswith("1. "):
        return [cell] if cell else []
    return [entry.strip() for entry in re.split(r"(?:^|; )\d+\. ", cell)[1:]]


def columns() -> list[str]:
    return [cell.strip() for cell in PAPER.split("## Steps\n", 1)[1].splitlines()[0].strip("|").split("|")]


def actors() -> list[str]:
    paragraph = PAPER.split("## Actors\n", 1)[1].split("\n\n", 1)[0].replace("\n", " ")
    return [re.sub(r" \(.*\)", "", name).strip() for name in paragraph.split("·")]


IDENTITY = dict(table("Identity block"))
ROWS = {int(row[0]): dict(zip(columns(), row, strict=True)) for row in table("Steps")}
ACTORS = actors()


@pytest.fixture(scope="module")
def surakarta() -> Sop:
    file = ROOT / "sops" / "surakarta-system-update.yml"
    return parse_sop(file.read_text(encoding="utf-8"), file.name)


@pytest.mark.parametrize("file", SOPS, ids=lambda file: file.stem)
def test_every_sop_is_good_and_names_only_what_there_is(file: Path) -> None:
    parse_sop(file.read_text(encoding="utf-8"), file.name, Workspace(ROOT).available())


@pytest.mark.parametrize("file", SOPS, ids=lambda file: file.stem)
def test_every_sop_is_named_after_its_id(file: Path) -> None:
    assert parse_sop(file.read_text(encoding="utf-8"), file.name).id == file.stem


@pytest.mark.parametrize("file", SOPS, ids=lambda file: file.stem)
def test_an_editor_that_knows_the_schema_accepts_every_sop(file: Path) -> None:
    schema = json.loads((ROOT / "sops" / "sop.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(source.read(file.read_text(encoding="utf-8"), file.name).data, schema)


# Surakarta, column by column --------------------------------------------------------------------------


def test_there_are_the_thirteen_rows_of_the_paper(surakarta: Sop) -> None:
    assert [step.no for step in surakarta.steps] == list(ROWS) == list(range(1, 14))


@pytest.mark.parametrize("no", ROWS)
def test_kegiatan_is_that_of_the_paper(surakarta: Sop, no: int) -> None:
    assert surakarta.step(no).kegiatan == ROWS[no]["Kegiatan"]


@pytest.mark.parametrize("no", ROWS)
def test_kelengkapan_is_that_of_the_paper(surakarta: Sop, no: int) -> None:
    assert surakarta.step(no).kelengkapan == listed(ROWS[no]["Kelengkapan"])


@pytest.mark.parametrize("no", ROWS)
def test_waktu_is_that_of_the_paper(surakarta: Sop, no: int) -> None:
    assert (surakarta.step(no).waktu or "") == ROWS[no]["Waktu"]


@pytest.mark.parametrize("no", ROWS)
def test_output_is_that_of_the_paper(surakarta: Sop, no: int) -> None:
    assert [output.name for output in surakarta.step(no).output] == listed(ROWS[no]["Output"])


@pytest.mark.parametrize("no", ROWS)
def test_keterangan_is_that_of_the_paper(surakarta: Sop, no: int) -> None:
    assert (surakarta.step(no).keterangan or "") == ROWS[no]["Keterangan"]


@pytest.mark.parametrize("no", ROWS)
def test_actors_are_those_of_the_paper(surakarta: Sop, no: int) -> None:
    step = surakarta.step(no)
    keys = [key for key in (step.pelaksana, step.bersama) if key]
    short = [name for name in ROWS[no]["Actor"].split(", with ") if name != "-"]
    full = [next(actor for actor in ACTORS if actor.startswith(name)) for name in short]
    assert [surakarta.actors[key] for key in keys] == full


@pytest.mark.parametrize("no", ROWS)
def test_rows_lead_where_the_paper_says(surakarta: Sop, no: int) -> None:
    said = re.findall(r"(?:→|then) (\d+|end)\b|^(end)$", ROWS[no]["Edges"])
    targets = [target for pair in said for target in pair if target]
    assert [str(target) for target in surakarta.step(no).targets] == targets


@pytest.mark.parametrize("no", [3, 8, 10, 11])
def test_outcomes_are_named_as_on_the_paper(surakarta: Sop, no: int) -> None:
    decision = surakarta.step(no).decision
    assert decision is not None
    assert [outcome.name for outcome in decision.outcomes] == re.findall(
        r"(?:^|; )([a-z ]+) →", ROWS[no]["Edges"]
    )


def test_not_ordering_row_four_ends_the_run_with_a_reason(surakarta: Sop) -> None:
    assert ROWS[4]["Edges"] == "→ 5; not ordered → end, with the reason"
    step = surakarta.step(4)
    assert step.decision is not None
    refusing = next(outcome for outcome in step.decision.outcomes if outcome.next == "end")
    assert surakarta.needs_reason(step, refusing.name)


def test_row_five_watches_rows_six_to_eight(surakarta: Sop) -> None:
    assert ROWS[5]["Edges"] == "→ 6; it watches 6 to 8 while they run"
    assert surakarta.step(5).span == 8


def test_row_eight_rolls_back_what_fails(surakarta: Sop) -> None:
    assert "rollback of the failing hosts" in ROWS[8]["Edges"]
    assert recovers(surakarta.step(8)) == ["rollback-updates.yml"]


def recovers(step: Step) -> list[str]:
    return [o.recover.playbook for o in step.decision.outcomes if o.recover] if step.decision else []


# Surakarta, identity block ----------------------------------------------------------------------------

LISTS = {
    "dasar_hukum": "Dasar hukum",
    "kualifikasi_pelaksana": "Kualifikasi pelaksana",
    "keterkaitan": "Keterkaitan",
    "peralatan": "Peralatan",
    "peringatan": "Peringatan",
    "pencatatan": "Pencatatan dan pendataan",
}


@pytest.mark.parametrize("field", LISTS)
def test_identity_lists_are_those_of_the_paper(surakarta: Sop, field: str) -> None:
    # The transcription tells of one slip of the scan within the text; the slip is an assumption of the SOP.
    paper = IDENTITY[LISTS[field]].replace(' (the scan: "Nmor")', "")
    assert getattr(surakarta.identity, field) == listed(paper)


def test_unit_is_that_of_the_paper(surakarta: Sop) -> None:
    assert surakarta.identity.unit == IDENTITY["Unit"].split(" (")[0]


def test_name_is_the_one_reconstructed_in_the_transcription(surakarta: Sop) -> None:
    assert surakarta.identity.nama_sop == IDENTITY["Nama SOP"].split(": ")[1]


def test_what_the_scan_lost_is_kept_empty(surakarta: Sop) -> None:
    assert IDENTITY["Nomor, tanggal"] == "not in the scan: kept empty, not invented"
    lost = ("kantor", "nomor_sop", "tgl_pembuatan", "tgl_revisi", "tgl_efektif", "disahkan_oleh")
    assert {field: getattr(surakarta.identity, field) for field in lost} == dict.fromkeys(lost)


def test_actors_block_is_that_of_the_paper(surakarta: Sop) -> None:
    assert list(surakarta.actors.values()) == ACTORS


def test_every_deviation_is_an_assumption_told_before_a_run(surakarta: Sop) -> None:
    assert {assumption.field for assumption in surakarta.assumptions} == DOCUMENTED
