"""Decided together ("bersama dengan"): two officials at one gate, and a witness of a result."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner import errors, gates, journal, record, verify
from runner.canonical import canonical_json
from runner.engine import Closed, Waiting
from runner.gates import Choice
from runner.officials import Deputy
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.forgery import find, forge
from scenarios.office import Office, events_of, parts_finished, rows_finished
from scenarios.test_roster_change import public_key

DAY = 24 * 3600.0
JURU = "Analis Sistem Informasi dan Jaringan"
CHANGES = [
    ("  kepala: Kepala Contoh\n", f"  kepala: Kepala Contoh\n  juru: {JURU}\n"),
    ("    pelaksana: kepala\n", "    pelaksana: kepala\n    bersama: juru\n"),
    (
        "        - {name: disetujui, next: 3}\n",
        "        - {name: disetujui, next: 3}\n        - {name: lain, next: 3}\n",
    ),
    (
        "    pelaksana: petugas\n    waktu: 30 Menit\n",
        "    pelaksana: petugas\n    bersama: juru\n    waktu: 30 Menit\n",
    ),
    ("      by: result\n", "      by: result\n      witness: true\n"),
]


@pytest.fixture
def together(quick_dir: Path, data: Path, make_office: MakeOffice) -> Office:
    """Return an office whose SOP decides row 2 by two, and row 4 by result with a witness."""
    text = (data / "contoh-pemeriksaan.yml").read_text(encoding="utf-8")
    for old, new in CHANGES:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return make_office(Path(tempfile.mkdtemp(dir=quick_dir)) / "tree", data / "contoh-pemeriksaan.yml", text)


@pytest.fixture
def waiting(together: Office) -> RunFolder:
    """Return a run that waits for two officials, row 2."""
    folder = together.start()
    assert isinstance(together.go_on(folder, {}), Waiting)
    return folder


@pytest.fixture
def witnessing(together: Office) -> RunFolder:
    """Return a run that waits for the witness, row 4."""
    folder = together.start()
    stopped = together.go_on(folder, {2: ["disetujui"]})
    assert isinstance(stopped, Waiting)
    assert stopped.gate.step == 4
    return folder


def refused(office: Office, folder: RunFolder, choice: Choice) -> str:
    with pytest.raises(errors.DecisionRefusedError) as caught:
        office.engine(folder).decide(choice, office.key(choice.official))
    return str(caught.value)


def names(folder: RunFolder) -> list[str]:
    return [event.name for event in journal.read(folder.journal)]


# Another roster between the two -----------------------------------------------------------------------


def test_who_brought_somebody_in_does_not_decide_together_with_him(
    together: Office, waiting: RunFolder
) -> None:
    """He may hold the new key himself: two statements would be one person's."""
    kabid = together.roster.officials[3]
    key = public_key(together, "baru")
    new = kabid.model_copy(update={"id": "baru", "name": "Nama Baru", "nip": "7" * 18, "key": key})
    officials = [*together.roster.officials, new]
    together.change_roster(waiting, together.roster.model_copy(update={"officials": officials}), "analis")
    together.decide(waiting, "disetujui", "analis")
    assert refused(together, waiting, Choice("baru", "disetujui")) == (
        "Nama Baru, counted as one with Nama Analis since one vouched for the other's key, has decided here "
        "already; Kepala Contoh decides too"
    )
    together.decide(waiting, "disetujui", "kabid")
    verify.check_run(waiting)


def test_what_one_of_two_decided_stays_when_the_roster_changes(together: Office, waiting: RunFolder) -> None:
    together.decide(waiting, "disetujui", "analis")
    gone = [official for official in together.roster.officials if official.id != "analis"]
    together.change_roster(waiting, together.roster.model_copy(update={"officials": gone}), "kabid")
    together.decide(waiting, "disetujui", "kabid")
    verify.check_run(waiting)
    first, second = (events_of(waiting, name)[0] for name in ("vote_made", "decision_made"))
    assert first["nonce"] != second["nonce"]


# Two officials ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("kabid", "analis"), ("analis", "kabid")])
def test_both_must_decide_in_any_order(together: Office, waiting: RunFolder, order: tuple[str, str]) -> None:
    together.decide(waiting, "disetujui", order[0])
    still = together.go_on(waiting, {}, resumed=True)
    assert isinstance(still, Waiting)
    together.decide(waiting, "disetujui", order[1])
    assert [e["person"]["id"] for e in events_of(waiting, "vote_made")] == [order[0]]
    assert [e["person"]["id"] for e in events_of(waiting, "decision_made")] == [order[1]]
    assert isinstance(together.go_on(waiting, {4: ["disaksikan"]}, resumed=True), Closed)
    verify.check_run(waiting)


def test_one_decision_of_two_changes_no_host(together: Office, waiting: RunFolder) -> None:
    together.decide(waiting, "disetujui", "kabid")
    together.go_on(waiting, {}, resumed=True)
    assert [request.step for request in together.playbooks.requests] == [1]


def test_the_other_is_still_awaited(together: Office, waiting: RunFolder) -> None:
    together.decide(waiting, "disetujui", "kabid")
    stopped = together.go_on(waiting, {}, resumed=True)
    assert isinstance(stopped, Waiting)
    assert stopped.gate.awaited == JURU


def test_nobody_takes_both_seats(together: Office) -> None:
    both = together.roster.officials[3].model_copy(update={"positions": ["Kepala Contoh", JURU]})
    officials = [*together.roster.officials[:3], both]
    together.roster = together.roster.model_copy(update={"officials": officials})
    folder = together.start()
    together.go_on(folder, {})
    together.decide(folder, "disetujui", "kabid")
    told = refused(together, folder, Choice("kabid", "disetujui"))
    assert told == f"Nama Kabid has decided here already; {JURU} decides too"


@pytest.mark.parametrize("twin", [{"nip": "0" * 17 + "4"}, {"key": ""}], ids=["staff number", "key"])
def test_nobody_takes_both_seats_with_a_second_account(together: Office, twin: dict[str, str]) -> None:
    kabid, analis = together.roster.officials[3], together.roster.officials[1]
    second = analis.model_copy(update={"id": "kembar", **twin, "key": kabid.key})
    officials = [*together.roster.officials, second]
    together.roster = together.roster.model_copy(update={"officials": officials})
    folder = together.start()
    together.go_on(folder, {})
    together.decide(folder, "disetujui", "kabid")
    with pytest.raises(errors.DecisionRefusedError, match="has decided here already"):
        together.engine(folder).decide(Choice("kembar", "disetujui"), together.key("kabid"))


def test_a_deputy_does_not_second_himself(together: Office) -> None:
    plh = {"official": "analis", "position": "Kepala Contoh", "kind": "Plh", "letter": "800/1/2026"}
    deputy = Deputy.model_validate({**plh, "from": "2026-11-01", "until": "2026-11-30"})
    together.roster = together.roster.model_copy(update={"deputies": [deputy]})
    folder = together.start()
    together.go_on(folder, {})
    together.decide(folder, "disetujui", "analis")
    assert "has decided here already" in refused(together, folder, Choice("analis", "disetujui"))


def test_two_who_differ_do_not_pass_the_gate(together: Office, waiting: RunFolder) -> None:
    together.decide(waiting, "disetujui", "kabid")
    told = refused(together, waiting, Choice("analis", "lain"))
    assert told == "Nama Kabid decided 'disetujui'; both must decide the same"


@pytest.mark.parametrize("first", ["kabid", "analis"])
@pytest.mark.parametrize("outcome", ["periksa ulang", "dibatalkan"])
def test_either_one_turns_it_down_at_once(
    together: Office, waiting: RunFolder, first: str, outcome: str
) -> None:
    together.decide(waiting, outcome, first)
    assert [e["outcome"] for e in events_of(waiting, "decision_made")] == [outcome]
    assert "vote_made" not in names(waiting)
    verify.check_run(waiting)


def test_the_first_decision_stays_on_record_when_the_second_turns_it_down(
    together: Office, waiting: RunFolder
) -> None:
    together.decide(waiting, "disetujui", "kabid")
    together.decide(waiting, "dibatalkan", "analis")
    assert [e["outcome"] for e in events_of(waiting, "vote_made")] == ["disetujui"]
    assert [e["outcome"] for e in events_of(waiting, "decision_made")] == ["dibatalkan"]
    together.go_on(waiting, {}, resumed=True)
    verify.check_run(waiting)


def test_each_statement_is_a_file_of_its_own_signed_by_its_own_key(
    together: Office, waiting: RunFolder
) -> None:
    together.decide(waiting, "disetujui", "kabid")
    together.decide(waiting, "disetujui", "analis")
    assert sorted(path.name for path in (waiting.path / "decisions").iterdir()) == [
        "2-1-2.json",
        "2-1-2.json.sig",
        "2-1.json",
        "2-1.json.sig",
    ]
    said = [json.loads(waiting.statement(2, 1, number).read_bytes()) for number in (1, 2)]
    assert [one["person"]["id"] for one in said] == ["kabid", "analis"]


def test_a_decision_lapses_with_the_first_of_its_statements(together: Office, waiting: RunFolder) -> None:
    together.decide(waiting, "disetujui", "kabid")
    together.clock.advance(1.5 * DAY)
    together.decide(waiting, "disetujui", "analis")
    together.clock.advance(DAY)
    stopped = together.go_on(waiting, {}, resumed=True)
    assert isinstance(stopped, Waiting)
    assert (stopped.gate.step, stopped.gate.attempt) == (2, 2)
    verify.check_run(waiting)


def test_a_first_decision_taken_out_of_a_record_is_found(together: Office, waiting: RunFolder) -> None:
    together.decide(waiting, "disetujui", "kabid")
    together.decide(waiting, "disetujui", "analis")
    forge(waiting.path, lambda records: records.remove(find(records, "vote_made")))
    with pytest.raises(errors.VerificationError, match="decision_made of row 2 is out of order: vote_made"):
        verify.check_run(waiting)


def test_a_first_decision_doubled_for_the_second_is_found(together: Office, waiting: RunFolder) -> None:
    together.decide(waiting, "disetujui", "kabid")

    def double(records: list[dict[str, Any]]) -> None:
        records.append({**find(records, "vote_made"), "event": "decision_made"})

    forge(waiting.path, double)
    with pytest.raises(errors.VerificationError, match="in the record already"):
        verify.check_run(waiting)


SIGNED_AGAIN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "by the first once more": lambda _: {},
    "for the other seat": lambda _: {"position": JURU},
}


@pytest.mark.parametrize("how", SIGNED_AGAIN)
def test_a_second_statement_of_the_first_person_is_found_though_rightly_signed(
    together: Office, waiting: RunFolder, how: str
) -> None:
    together.decide(waiting, "disetujui", "kabid")
    said = json.loads(waiting.statement(2, 1).read_bytes())
    said["person"].update(SIGNED_AGAIN[how](said))
    second = waiting.statement(2, 1, 2)
    second.write_bytes(canonical_json(said))
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "rawat-decision", "-f", str(together.key("kabid"))]
    subprocess.run([*sign, str(second)], check=True, capture_output=True)

    def add(records: list[dict[str, Any]]) -> None:
        files = {
            "statement": {"path": "decisions/2-1-2.json", "sha256": ""},
            "signature": {"path": "decisions/2-1-2.json.sig", "sha256": ""},
        }
        vote = find(records, "vote_made")
        records.append({**vote, **files, "event": "decision_made", "person": said["person"]})

    forge(waiting.path, add)
    with pytest.raises(errors.VerificationError, match="Nama Kabid has decided here already"):
        verify.check_run(waiting)


def test_a_gate_that_no_two_persons_can_pass_stops_the_start(together: Office) -> None:
    both = together.roster.officials[3].model_copy(update={"positions": ["Kepala Contoh", JURU]})
    officials = [together.roster.officials[0], both]
    together.roster = together.roster.model_copy(update={"officials": officials})
    with pytest.raises(errors.InputError, match="no two persons beside the operator hold"):
        together.start()


# A witness --------------------------------------------------------------------------------------------


def test_the_witness_signs_what_came_out_and_the_row_leads_on_by_the_result(
    together: Office, witnessing: RunFolder
) -> None:
    together.decide(witnessing, "disaksikan", "analis", reason="")
    closed = together.go_on(witnessing, {}, resumed=True)
    assert isinstance(closed, Closed)
    assert (closed.outcome, rows_finished(witnessing)[-1]) == ("completed", (4, "baik"))
    verify.check_run(witnessing)


def test_a_witness_does_not_make_a_bad_result_good(together: Office) -> None:
    together.suites.answer(4, "1", {"web1": "failed"})
    folder = together.start()
    closed = together.go_on(folder, {2: ["disetujui"], 4: ["disaksikan"]})
    assert isinstance(closed, Closed)
    assert (closed.outcome, closed.reason) == ("ended", "tidak baik")


def test_the_witness_is_asked_after_the_rollback_and_its_test(together: Office) -> None:
    together.suites.answer(4, "1", {"web1": "failed"})
    folder = together.start()
    together.go_on(folder, {2: ["disetujui"]})
    assert [part for step, part, _ in parts_finished(folder) if step == 4] == ["1", "recover", "retest"]
    assert names(folder)[-1] == "gate_opened"


def test_the_witness_has_it_tested_again(together: Office, witnessing: RunFolder) -> None:
    together.decide(witnessing, "uji ulang", "analis")
    stopped = together.go_on(witnessing, {}, resumed=True)
    assert isinstance(stopped, Waiting)
    assert (stopped.gate.step, stopped.gate.attempt) == (4, 2)
    assert [e["attempt"] for e in events_of(witnessing, "action_finished") if e["step"] == 4] == [1, 2]
    together.decide(witnessing, "disaksikan", "analis")
    together.go_on(witnessing, {}, resumed=True)
    verify.check_run(witnessing)


def test_testing_again_needs_a_reason(together: Office, witnessing: RunFolder) -> None:
    assert refused(together, witnessing, Choice("analis", "uji ulang")) == "'uji ulang' needs a reason"


def test_a_result_is_not_chosen_by_its_witness(together: Office, witnessing: RunFolder) -> None:
    told = refused(together, witnessing, Choice("analis", "baik"))
    assert told == "'baik' is not an outcome of row 4; expected disaksikan or uji ulang"


def test_the_operator_is_not_the_witness(together: Office) -> None:
    officials = [
        official.model_copy(update={"positions": [*official.positions, JURU]})
        if official.id in {"pengelola", "pranata"}
        else official
        for official in reversed(together.roster.officials)
    ]
    together.roster = together.roster.model_copy(update={"officials": officials})
    folder = together.start(operator="pengelola")
    together.go_on(folder, {2: ["disetujui"]})
    assert "operates this run" in refused(together, folder, Choice("pengelola", "disaksikan"))


def test_what_a_witness_saw_gives_nobody_the_right_to_change_hosts(
    together: Office, witnessing: RunFolder
) -> None:
    together.decide(witnessing, "disaksikan", "analis")
    now = record.load(witnessing)
    assert list(gates.standing(now.sop, now.state)) == [2]


def test_row_five_goes_on_watching_while_row_eight_is_tested_again(surakarta: Office) -> None:
    folder = surakarta.start()
    decisions = {3: ["sesuai"], 4: ["diperintahkan"], 8: ["uji ulang", "disaksikan"]}
    surakarta.go_on(folder, decisions)
    assert [step for step, _ in rows_finished(folder)] == [1, 2, 3, 4, 6, 7, 8, 8, 5, 9]
