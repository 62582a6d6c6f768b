"""Gates: who may decide, what a decision is about, and that both are checked again before a change."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FixedClock, update
from rich.console import Console

from runner import errors, gates, journal, record, signing
from runner.canonical import canonical_json, sha256_hex
from runner.engine import Closed, Engine, Waiting
from runner.executors.base import ActionRequest, HostResult
from runner.gates import Choice
from runner.journal import FIRST_PREV
from runner.screens import gate_view
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.office import Office, events_of, rows_finished, while_signing

DAY = 24 * 3600.0


@pytest.fixture
def waiting(contoh: Office) -> RunFolder:
    """Return a run that waits at its gate, row 2."""
    folder = contoh.start()
    assert isinstance(contoh.go_on(folder, {}), Waiting)
    return folder


@pytest.fixture
def decided(contoh: Office, waiting: RunFolder) -> RunFolder:
    """Return a run whose change was approved and not yet begun."""
    contoh.decide(waiting, "disetujui", "kabid")
    return waiting


def refused(office: Office, folder: RunFolder, choice: Choice, key: str = "") -> str:
    with pytest.raises(errors.DecisionRefusedError) as caught:
        office.engine(folder).decide(choice, office.key(key or choice.official))
    return str(caught.value)


# Who may decide ---------------------------------------------------------------------------------------


def test_the_awaited_official_decides_and_the_run_goes_on(contoh: Office, decided: RunFolder) -> None:
    assert isinstance(contoh.go_on(decided, {}, resumed=True), Closed)


def test_the_operator_does_not_decide(contoh: Office, waiting: RunFolder) -> None:
    told = refused(contoh, waiting, Choice("pengelola", "disetujui"))
    assert told == "Nama Pengelola operates this run and may not decide its gates"


def test_the_operator_does_not_decide_under_another_id_either(contoh: Office) -> None:
    kabid = contoh.roster.officials[3]
    twin = kabid.model_copy(update={"id": "kembar", "positions": ["Petugas Contoh"]})
    second = contoh.roster.officials[1].model_copy(update={"positions": ["Kepala Contoh"]})
    officials = [twin, kabid, second]
    contoh.roster = contoh.roster.model_copy(update={"officials": officials})
    folder = contoh.start(operator="kembar")
    contoh.go_on(folder, {2: []})
    assert refused(contoh, folder, Choice("kabid", "disetujui")).endswith("may not decide its gates")


def test_an_official_of_another_position_does_not_decide(contoh: Office, waiting: RunFolder) -> None:
    told = refused(contoh, waiting, Choice("analis", "disetujui"))
    assert told == "Nama Analis does not hold the awaited position, Kepala Contoh"


def test_nobody_outside_the_roster_decides(contoh: Office, waiting: RunFolder) -> None:
    told = refused(contoh, waiting, Choice("stranger", "disetujui"))
    assert told == "'stranger' is not in the roster of officials"


@pytest.mark.parametrize("key", ["stranger", "pengelola"])
def test_a_decision_signed_with_another_key_does_not_count(
    contoh: Office, waiting: RunFolder, key: str
) -> None:
    told = refused(contoh, waiting, Choice("kabid", "disetujui"), key)
    assert told.endswith("is not the key of Nama Kabid in the roster")


def test_a_key_that_is_not_there_is_told(contoh: Office, waiting: RunFolder) -> None:
    assert "there is no key at" in refused(contoh, waiting, Choice("kabid", "disetujui"), "nowhere")


def test_an_official_added_to_the_roster_after_the_start_does_not_decide(
    contoh: Office, waiting: RunFolder
) -> None:
    stranger = contoh.roster.officials[3].model_copy(update={"id": "stranger"})
    contoh.roster = contoh.roster.model_copy(update={"officials": [*contoh.roster.officials, stranger]})
    assert "not in the roster" in refused(contoh, waiting, Choice("stranger", "disetujui"))


# What may be decided ----------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["periksa ulang", "dibatalkan"])
@pytest.mark.parametrize("reason", ["", "  \n"])
def test_sending_back_and_refusing_without_a_reason_do_not_count(
    contoh: Office, waiting: RunFolder, outcome: str, reason: str
) -> None:
    assert refused(contoh, waiting, Choice("kabid", outcome, reason)) == f"{outcome!r} needs a reason"


def test_approving_needs_no_reason(contoh: Office, waiting: RunFolder) -> None:
    contoh.decide(waiting, "disetujui", "kabid", reason="")
    assert events_of(waiting, "decision_made")[0]["reason"] == ""


def test_an_outcome_that_the_row_does_not_have_is_refused(contoh: Office, waiting: RunFolder) -> None:
    told = refused(contoh, waiting, Choice("kabid", "setuju"))
    assert told == "'setuju' is not an outcome of row 2; expected disetujui or periksa ulang or dibatalkan"


def test_a_reason_without_end_is_refused(contoh: Office, waiting: RunFolder) -> None:
    assert "longer than 4096" in refused(contoh, waiting, Choice("kabid", "dibatalkan", "x" * 5000))


def test_a_refused_decision_leaves_the_journal_as_it_was(contoh: Office, waiting: RunFolder) -> None:
    before = waiting.journal.read_bytes()
    refused(contoh, waiting, Choice("kabid", "disetujui"), "stranger")
    assert waiting.journal.read_bytes() == before


def test_who_decides_second_is_told_who_decided_what_and_when(contoh: Office, decided: RunFolder) -> None:
    at = journal.read(decided.journal)[-1].instant.at
    told = refused(contoh, decided, Choice("kabid", "dibatalkan", "Alasan contoh"))
    assert told == (
        f"the run waits at no gate; row 2 was decided by Nama Kabid (disetujui) at {at:%Y-%m-%d %H:%M:%S} UTC"
    )


def test_a_run_that_is_at_no_gate_takes_no_decision(contoh: Office) -> None:
    assert refused(contoh, contoh.start(), Choice("kabid", "disetujui")) == "the run waits at no gate"


def test_a_decision_from_another_terminal_while_one_is_asked_for_counts_once(
    contoh: Office, waiting: RunFolder
) -> None:
    def ask(*_: object) -> tuple[Choice, Path]:
        if not events_of(waiting, "decision_made"):
            contoh.decide(waiting, "disetujui", "kabid")
        return Choice("kabid", "dibatalkan", "Alasan contoh"), contoh.key("kabid")

    contoh.engine(waiting).run(ask)
    assert [event["outcome"] for event in events_of(waiting, "decision_made")] == ["disetujui"]


def test_a_gate_that_changed_while_the_official_signed_takes_no_decision(
    contoh: Office, waiting: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile() -> None:
        contoh.decide(waiting, "periksa ulang", "kabid")
        contoh.go_on(waiting, {}, resumed=True)

    while_signing(monkeypatch, meanwhile)
    told = refused(contoh, waiting, Choice("kabid", "disetujui"))
    assert told == "the gate has changed meanwhile; look at it again"


# What a decision says ---------------------------------------------------------------------------------


def test_the_signed_statement_names_all_that_it_is_about(contoh: Office, decided: RunFolder) -> None:
    said = json.loads(decided.statement(2, 1).read_bytes())
    gate = events_of(decided, "gate_opened")[0]
    assert said == {
        "format": 2,
        "kind": "decision",
        "signer": "kabid",
        "paper": None,
        "run": decided.name,
        "gate": {"step": 2, "attempt": 1, "kegiatan": "Menyetujui perbaikan"},
        "subject": gate["subject"],
        "person": contoh.roster.officials[3].person("Kepala Contoh"),
        "outcome": "disetujui",
        "reason": "Alasan contoh",
        "conffiles": {},
        "nonce": gate["nonce"],
        "decided": said["decided"],
        "expires": said["expires"],
    }


def test_the_gate_is_about_the_sop_the_plan_and_the_evidence_so_far(waiting: RunFolder) -> None:
    subject = events_of(waiting, "gate_opened")[0]["subject"]
    evidence = [entry for event in events_of(waiting, "action_finished") for entry in event["evidence"]]
    documents = [entry for event in events_of(waiting, "document_written") for entry in event["files"]]
    assert subject == {
        "sop": sha256_hex(waiting.sop.read_bytes()),
        "plan": sha256_hex(waiting.plan(1, 1).read_bytes()),
        "evidence": sha256_hex(canonical_json(evidence + documents)),
    }


def test_anyone_can_check_the_signature_from_the_files_of_the_run(decided: RunFolder) -> None:
    statement = decided.statement(2, 1)
    assert signing.is_signed_by(
        statement.read_bytes(),
        statement.with_name("2-1.json.sig").read_bytes(),
        "kabid",
        decided.allowed_signers.read_bytes(),
    )


# Checked again at the moment of acting ----------------------------------------------------------------

Tamper = Callable[[dict[str, Any]], None]


def change(field: str, value: object) -> Tamper:
    """Return what changes one field of a statement: ``subject.plan`` is the field plan within subject."""
    *way, last = field.split(".")

    def tamper(said: dict[str, Any]) -> None:
        for part in way:
            said = said[part]
        assert said[last] != value
        said[last] = value

    return tamper


BOUND = {
    "run": "2026-11-21-contoh-pemeriksaan-2",
    "gate.step": 3,
    "gate.attempt": 2,
    "gate.kegiatan": "Kegiatan lain",
    "subject.sop": "0" * 64,
    "subject.plan": "0" * 64,
    "subject.evidence": "0" * 64,
    "person.id": "analis",
    "person.name": "Nama Lain",
    "person.nip": "000000000000000009",
    "person.position": "Petugas Contoh",
    "outcome": "periksa ulang",
    "reason": "Alasan lain",
    "nonce": "0" * 32,
    "decided": "2026-11-20T00:00:00.000000Z",
    "expires": "2099-01-01T00:00:00.000000Z",
}


def acts(office: Office, folder: RunFolder) -> str:
    """Go on to the change, which must be refused; return what was told."""
    with pytest.raises(errors.VerificationError) as caught:
        office.go_on(folder, {}, resumed=True)
    assert [request.step for request in office.playbooks.requests if request.changes] == []
    return str(caught.value)


def rewritten(folder: RunFolder, edit: Callable[[dict[str, Any]], None]) -> None:
    """Write the journal anew with every record edited: a chain of hashes alone keeps nobody from it."""
    prev, lines = FIRST_PREV, []
    for line in folder.journal.read_bytes().splitlines():
        event = json.loads(line)
        edit(event)
        event["prev"] = prev
        lines.append(canonical_json(event))
        prev = sha256_hex(lines[-1])
    folder.journal.write_bytes(b"".join(lines))


def put_statement(folder: RunFolder, said: dict[str, Any], key: Path | None) -> None:
    """Put another statement in the place of row 2's, signed with ``key``, and let the journal name it."""
    statement = folder.statement(2, 1)
    statement.write_bytes(canonical_json(said))
    signature = signing.sign(statement, key) if key else statement.with_name(statement.name + ".sig")
    digests = {"statement": statement, "signature": signature}

    def edit(event: dict[str, Any]) -> None:
        if event["event"] == "decision_made":
            for field, path in digests.items():
                event[field]["sha256"] = sha256_hex(path.read_bytes())

    rewritten(folder, edit)


@pytest.mark.parametrize("field", BOUND)
def test_an_altered_statement_is_refused(contoh: Office, decided: RunFolder, field: str) -> None:
    statement = decided.statement(2, 1)
    said = json.loads(statement.read_bytes())
    change(field, BOUND[field])(said)
    statement.write_bytes(canonical_json(said))
    assert acts(contoh, decided) == "decisions/2-1.json: is not the file that the journal names"


@pytest.mark.parametrize("field", BOUND)
def test_an_altered_statement_is_refused_though_the_journal_was_written_anew(
    contoh: Office, decided: RunFolder, field: str
) -> None:
    said = json.loads(decided.statement(2, 1).read_bytes())
    change(field, BOUND[field])(said)
    put_statement(decided, said, key=None)
    assert acts(contoh, decided) == "decisions/2-1.json.sig: is not the decider's signature"


@pytest.mark.parametrize("field", BOUND)
def test_a_statement_that_the_official_signed_about_something_else_is_refused(
    contoh: Office, decided: RunFolder, field: str
) -> None:
    """The official's own signature over another gate, run or subject does not open this gate."""
    said = json.loads(decided.statement(2, 1).read_bytes())
    change(field, BOUND[field])(said)
    put_statement(decided, said, contoh.key("kabid"))
    assert acts(contoh, decided).startswith("decisions/2-1.json: ")


def test_a_decision_of_somebody_who_was_not_awaited_is_refused(contoh: Office, decided: RunFolder) -> None:
    analis = contoh.roster.officials[1].person("Kepala Contoh")
    said = json.loads(decided.statement(2, 1).read_bytes())
    put_statement(decided, {**said, "person": analis}, contoh.key("analis"))

    def edit(event: dict[str, Any]) -> None:
        if event["event"] == "decision_made":
            event["person"] = analis

    rewritten(decided, edit)
    assert "does not hold the awaited position" in acts(contoh, decided)


def test_a_decision_of_the_operator_is_refused(contoh: Office, decided: RunFolder) -> None:
    operator = contoh.roster.officials[0].person("Kepala Contoh")
    said = json.loads(decided.statement(2, 1).read_bytes())
    put_statement(decided, {**said, "person": operator}, contoh.key("pengelola"))

    def edit(event: dict[str, Any]) -> None:
        if event["event"] == "decision_made":
            event["person"] = operator

    rewritten(decided, edit)
    assert "operates this run" in acts(contoh, decided)


def alter_plan(folder: RunFolder) -> None:
    """Exchange a version in the plan's file."""
    plan = folder.plan(1, 1)
    data = plan.read_bytes()
    assert b"1.0-1+deb12u1" in data
    plan.write_bytes(data.replace(b"1.0-1+deb12u1", b"6.6-6+evil0u1"))


def test_a_plan_altered_before_it_is_looked_at_is_not_shown(waiting: RunFolder) -> None:
    alter_plan(waiting)
    now = record.load(waiting)
    assert now.state.gate is not None
    with pytest.raises(errors.VerificationError, match="is not the file that the journal names"):
        gate_view(now.state.gate, now)


def test_a_plan_altered_after_it_was_looked_at_takes_no_decision(contoh: Office, waiting: RunFolder) -> None:
    now = record.load(waiting)
    assert now.state.gate is not None
    gate_view(now.state.gate, now)
    alter_plan(waiting)
    with pytest.raises(errors.VerificationError, match="is not the file that the journal names"):
        contoh.decide(waiting, "disetujui", "kabid")
    assert events_of(waiting, "decision_made") == []


def test_a_plan_altered_while_the_official_signs_takes_no_decision(
    contoh: Office, waiting: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_signing(monkeypatch, lambda: alter_plan(waiting))
    with pytest.raises(errors.VerificationError, match="is not the file that the journal names"):
        contoh.decide(waiting, "disetujui", "kabid")
    assert events_of(waiting, "decision_made") == []


def test_the_digest_shown_is_the_digest_signed_and_the_digest_acted_on(
    contoh: Office, waiting: RunFolder
) -> None:
    now = record.load(waiting)
    assert now.state.gate is not None
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(gate_view(now.state.gate, now))
    contoh.decide(waiting, "disetujui", "kabid")
    contoh.go_on(waiting, {}, resumed=True)
    signed = json.loads(waiting.statement(2, 1).read_bytes())["subject"]["plan"]
    (acted_on,) = set(contoh.playbooks.acted_on)
    assert signed in console.export_text()
    assert signed == sha256_hex(acted_on)


def test_the_environment_makes_nobody_an_official(
    contoh: Office, waiting: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USER", "LOGNAME", "SUDO_USER", "USERNAME"):
        monkeypatch.setenv(name, "kabid")
    assert "is not the key of Nama Kabid" in refused(contoh, waiting, Choice("kabid", "disetujui"), "analis")


def test_a_decision_for_another_gate_than_was_shown_does_not_count(
    contoh: Office, waiting: RunFolder
) -> None:
    shown = record.load(waiting).state.gate
    assert shown is not None
    code = gates.code(waiting.name, shown)
    contoh.decide(waiting, "periksa ulang", "kabid")
    contoh.go_on(waiting, {}, resumed=True)
    decisions = contoh.engine(waiting).decisions
    with pytest.raises(errors.DecisionRefusedError, match="this is another gate than was shown"):
        decisions.decide(Choice("kabid", "disetujui"), contoh.key("kabid"), seen=code)


def test_a_plan_altered_after_the_decision_is_refused(contoh: Office, decided: RunFolder) -> None:
    plan = decided.plan(1, 1)
    plan.write_bytes(plan.read_bytes().replace(b"1.0-1+deb12u1", b"1.0-1+deb12u2"))
    assert acts(contoh, decided) == "plans/1-1.json: is not the file that the journal names"


@pytest.mark.parametrize(
    "name",
    [
        "playbooks/perbaiki-server.yml",
        "playbooks/baru.yml",
        "roles/x/tasks/main.yml",
        "ansible.cfg",
        "tests/post_update/conftest.py",
    ],
)
def test_what_acts_and_is_altered_after_the_decision_is_refused(
    contoh: Office, decided: RunFolder, name: str
) -> None:
    path = contoh.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("- hosts: all\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match=r"suites or ansible\.cfg have changed since"):
        contoh.go_on(decided, {}, resumed=True)
    assert [request.step for request in contoh.playbooks.requests] == [1]


def test_a_host_that_the_inventory_tells_otherwise_after_the_decision_is_refused(
    contoh: Office, decided: RunFolder
) -> None:
    contoh.variables["web1"] = "another address"
    with pytest.raises(errors.InputError, match="the inventory says other things of web1 than when the plan"):
        contoh.go_on(decided, {}, resumed=True)
    contoh.variables["web1"] = ""
    contoh.go_on(decided, {}, resumed=True)
    assert [request.step for request in contoh.playbooks.requests if request.changes]


def test_what_is_acted_on_is_a_copy_that_the_run_s_own_file_does_not_reach(
    contoh: Office, decided: RunFolder
) -> None:
    plan, approved = decided.plan(1, 1), decided.plan(1, 1).read_bytes()

    def exchange(request: ActionRequest) -> None:
        if request.changes:
            plan.write_bytes(approved.replace(b"1.0-1+deb12u1", b"1.0-1+deb12u2"))

    contoh.playbooks.before = exchange
    with pytest.raises(errors.VerificationError, match="is not the file that the journal names"):
        contoh.go_on(decided, {}, resumed=True)
    assert contoh.playbooks.acted_on == [approved]


@pytest.mark.parametrize("name", ["2-1.json", "2-1.json.sig"])
def test_a_decision_whose_files_are_gone_is_refused(contoh: Office, decided: RunFolder, name: str) -> None:
    (decided.path / "decisions" / name).unlink()
    assert acts(contoh, decided) == f"decisions/{name}: No such file or directory"


def test_a_gate_left_out_of_the_journal_is_refused(contoh: Office, decided: RunFolder) -> None:
    """The approval is kept, but the journal tells that it was asked for about other evidence."""

    def edit(event: dict[str, Any]) -> None:
        if event["event"] in {"gate_opened", "decision_made"}:
            event["subject"]["evidence"] = "0" * 64

    rewritten(decided, edit)
    assert acts(contoh, decided).startswith("journal.jsonl:")


def test_a_record_that_lacks_a_field_is_refused(contoh: Office, decided: RunFolder) -> None:
    rewritten(decided, lambda event: event.pop("versions", None))
    assert acts(contoh, decided).startswith("journal.jsonl:1: run_started: versions")


def test_a_plan_made_after_the_gate_is_not_what_was_decided_on(
    quick_dir: Path, data: Path, make_office: MakeOffice
) -> None:
    """A SOP may look again after its gate; what it finds then, nobody has decided on."""
    text = (data / "contoh-pemeriksaan.yml").read_text(encoding="utf-8")
    text = text.replace("{name: disetujui, next: 3}", "{name: disetujui, next: 5}")
    text += (
        "  - {no: 5, kegiatan: Memeriksa lagi, pelaksana: petugas, waktu: 1 Jam, "
        "action: {playbook: plan-perbaikan.yml, plan: true}, next: 3}\n"
    )
    office = make_office(quick_dir / "again", data / "contoh-pemeriksaan.yml", text)
    other = HostResult("web1", "ok", {"plan": {"updates": [update("lab-other")]}})
    office.playbooks.answer(5, "1", {"web1": other})
    with pytest.raises(errors.VerificationError, match=r"plans/5-1\.json: nobody has decided on this plan"):
        office.go_on(office.start(), {2: ["disetujui"]})


def test_each_wave_is_checked_anew(contoh: Office, decided: RunFolder) -> None:
    statement = decided.statement(2, 1)

    def alter(request: object) -> None:
        if getattr(request, "changes", False):
            statement.write_bytes(b"{}\n")

    contoh.playbooks.before = alter
    with pytest.raises(errors.VerificationError):
        contoh.go_on(decided, {}, resumed=True)
    assert [request.part for request in contoh.playbooks.requests if request.changes] == ["1"]


def test_a_rollback_is_checked_too(contoh: Office, decided: RunFolder) -> None:
    statement = decided.statement(2, 1)
    contoh.suites.answer(4, "1", {"web1": "failed"})

    def alter(request: object) -> None:
        if getattr(request, "step", 0) == 4:
            statement.write_bytes(b"{}\n")

    contoh.suites.before = alter
    with pytest.raises(errors.VerificationError):
        contoh.go_on(decided, {}, resumed=True)
    assert contoh.playbooks.hosts_of(4, "recover") is None


# Expiry -----------------------------------------------------------------------------------------------


def test_an_expired_decision_opens_the_gate_again_before_the_change(
    contoh: Office, decided: RunFolder
) -> None:
    contoh.clock.advance(3 * DAY)
    stopped = contoh.go_on(decided, {}, resumed=True)
    assert isinstance(stopped, Waiting)
    assert (stopped.gate.step, stopped.gate.attempt) == (2, 2)


def test_a_decision_expires_at_the_very_moment_it_names(contoh: Office) -> None:
    contoh.clock = FixedClock()
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.decide(folder, "disetujui", "kabid")
    contoh.clock.advance(2 * DAY)
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Waiting)


def test_an_expired_decision_changes_no_host(contoh: Office, decided: RunFolder) -> None:
    contoh.clock.advance(3 * DAY)
    contoh.go_on(decided, {}, resumed=True)
    assert [request.step for request in contoh.playbooks.requests] == [1]


def test_the_journal_tells_that_the_decision_lapsed(contoh: Office, decided: RunFolder) -> None:
    contoh.clock.advance(3 * DAY)
    contoh.go_on(decided, {}, resumed=True)
    said = json.loads(decided.statement(2, 1).read_bytes())
    assert events_of(decided, "decision_lapsed") == [{"step": 2, "reason": f"expired at {said['expires']}"}]


def test_after_a_lapse_a_new_decision_lets_the_run_go_on(contoh: Office, decided: RunFolder) -> None:
    contoh.clock.advance(3 * DAY)
    contoh.go_on(decided, {}, resumed=True)
    contoh.decide(decided, "disetujui", "kabid")
    contoh.go_on(decided, {}, resumed=True)
    assert rows_finished(decided) == [(1, None), (2, "disetujui"), (2, "disetujui"), (3, None), (4, "baik")]


def test_a_decision_that_still_stands_is_not_asked_for_again(contoh: Office, decided: RunFolder) -> None:
    contoh.clock.advance(1.9 * DAY)
    contoh.go_on(decided, {}, resumed=True)
    assert len(events_of(decided, "gate_opened")) == 1


def test_a_decision_that_lapses_between_waves_stops_before_the_next(
    contoh: Office, decided: RunFolder
) -> None:
    contoh.playbooks.before = lambda request: contoh.clock.advance(3 * DAY if request.changes else 0)
    contoh.go_on(decided, {}, resumed=True)
    assert [request.part for request in contoh.playbooks.requests if request.changes] == ["1"]


def test_a_rollback_does_not_wait_for_a_lapsed_decision(contoh: Office, decided: RunFolder) -> None:
    contoh.suites.answer(4, "1", {"web1": "failed"})
    contoh.suites.before = lambda request: contoh.clock.advance(3 * DAY if request.step == 4 else 0)
    contoh.go_on(decided, {}, resumed=True)
    assert contoh.playbooks.hosts_of(4, "recover") == ("web1",)


def test_a_lapse_while_a_row_spans_opens_the_first_gate_and_the_span_again(surakarta: Office) -> None:
    folder = surakarta.start()
    surakarta.playbooks.before = lambda request: surakarta.clock.advance(8 * DAY if request.step == 6 else 0)
    decisions = {
        3: ["sesuai"] * 2,
        4: ["diperintahkan"],
        8: ["disaksikan"],
        10: ["sesuai"],
        11: ["ditetapkan"],
    }
    surakarta.go_on(folder, decisions)
    surakarta.playbooks.before = lambda _request: None
    surakarta.go_on(folder, {**decisions, 4: ["diperintahkan"] * 2}, resumed=True)
    order = [step for step, _ in rows_finished(folder)]
    assert order == [1, 2, 3, 4, 6, 5, 3, 4, 6, 7, 8, 5, 9, 10, 11, 12, 13]


def test_an_engine_of_an_earlier_process_sees_the_decision_of_a_later_one(
    contoh: Office, waiting: RunFolder
) -> None:
    engine: Engine = contoh.engine(waiting)
    contoh.decide(waiting, "disetujui", "kabid")
    assert isinstance(engine.run(), Closed)
