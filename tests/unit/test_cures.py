"""What a SOP may say of cures, which cures a form allows, and what a proposal holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner import cures
from runner.repair_sentences import NAMES, PROOFS, proof
from runner.repairs import CURE_CODES, Cure
from runner.sop import Cures
from runner.sop_check import judge
from runner.workspace import Workspace

ROOT = Path(__file__).parents[2]
FILE = ROOT / "sops" / "palembang-information-system-maintenance.yml"
SOP = FILE.read_text(encoding="utf-8")
ROW = "cures: {propose: propose-repairs.yml, playbook: repair-hosts.yml, allowed_by: 1, field: perbaikan}"
NAMED = Cures(propose="propose-repairs.yml", playbook="repair-hosts.yml", allowed_by=1, field="perbaikan")

WRONG = {
    "a row without a form": ("allowed_by: 1", "allowed_by: 2", "row 2 is none"),
    "a later row": ("allowed_by: 1", "allowed_by: 7", "row 7 is none"),
    "a row that is not there": ("allowed_by: 1", "allowed_by: 70", "row 70 is none"),
    "a field in free text": ("field: perbaikan}", "field: lainnya}", "no field 'lainnya' of type choices"),
    "no such field": ("field: perbaikan}", "field: apa}", "no field 'apa' of type choices"),
    "a name of no cure": (
        "          - Menyalakan layanan\n",
        "          - Menyalakan layanan web\n",
        "the names are those in roles/repair_host/README.md; did you mean 'Menyalakan layanan'?",
    ),
    "no such playbook": (
        "playbook: repair-hosts.yml",
        "playbook: repair-host.yml",
        "no playbook 'repair-host.yml'",
    ),
    "without a proof": (
        f"{ROW}\n      proof: check-hosts.yml\n",
        f"{ROW}\n",
        "cures belong to a form with proof",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_sop_in_which_nobody_could_sign_for_cures_is_refused(what: str) -> None:
    before, after, said = WRONG[what]
    assert SOP.count(before) == 1
    judged = judge(SOP.replace(before, after), FILE.name, Workspace(ROOT).available())
    assert [said in problem.message for problem in judged.errors] == [True], judged.errors


def test_every_cure_can_be_allowed_by_its_name_in_the_sop_of_palembang() -> None:
    judged = judge(SOP, FILE.name)
    assert judged.sop is not None
    assert judged.sop.forms["penugasan"].fields["perbaikan"].choices == list(NAMES.values())


@pytest.mark.parametrize(
    ("answers", "allowed"),
    [
        ({}, []),
        ({"perbaikan": []}, []),
        ({"lainnya": list(NAMES.values())}, []),
        (
            {"perbaikan": ["Menyalakan layanan", "Memperkecil jurnal sistem"]},
            ["vacuum_journal", "start_unit"],
        ),
        ({"perbaikan": ["menyalakan layanan", "start_unit", "semua"]}, []),
        ({"perbaikan": list(NAMES.values())}, list(CURE_CODES)),
    ],
)
def test_only_what_is_named_to_the_letter_is_allowed(answers: dict[str, Any], allowed: list[str]) -> None:
    assert cures.allowed_codes(NAMED, {"answers": answers}) == allowed


def told(host: str, status: str, *repairs: dict[str, Any]) -> dict[str, Any]:
    failure = None if status == "ok" else {"message": "no answer"}
    results = {"repair_host": {"outcome": "looked", "repairs": list(repairs)}}
    return {"host": host, "status": status, "results": results, "failure": failure}


def repair(code: str, cure: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"id": f"{code}:x:{cure}", "code": code, "subject": "x", "cure": cure, **more}


def test_a_proposal_hands_over_what_is_allowed_as_the_host_published_it() -> None:
    dead = repair("unit_dead", "start_unit", found={"state": "failed"}, later={"a": 1})
    lock = repair("lock_stale", "remove_lock")
    unknown = repair("unit_dead", "")
    odd = told("odd", "ok", {"id": 5})
    looked = [told("web2", "ok", dead), told("web10", "ok", lock, unknown), told("db1", "unreachable"), odd]
    proposed = cures.proposal({"run": "r", "step": 4, "attempt": 1}, ["start_unit"], None, looked)
    assert proposed["hosts"] == {"web2": {"repairs": [dead]}}
    assert proposed["left"] == {
        "web10": [{"id": lock["id"], "why": "not_allowed"}, {"id": unknown["id"], "why": "no_cure"}]
    }
    assert sorted(proposed["not_looked"]) == ["db1", "odd"]
    assert cures.hosts_to_cure(proposed) == ["web2"]


def test_nothing_is_cured_where_nothing_is_allowed() -> None:
    looked = [told("web1", "ok", repair("unit_dead", "start_unit"), repair("unit_dead", ""))]
    proposed = cures.proposal({"run": "r", "step": 4, "attempt": 1}, [], None, looked)
    assert cures.hosts_to_cure(proposed) == []


def test_what_was_seen_after_a_cure_is_worded() -> None:
    done = Cure(id="x", code="disk_full", subject="/", cure="vacuum_journal", outcome="done",
                proof={"percent": 61.0, "inodes_percent": 4, "odd": "x"})  # fmt: skip
    assert proof(done) == "ruang terpakai: 61%, jumlah berkas terpakai: 4%"
    assert "odd" not in PROOFS
