"""Whole runs with fakes: the order of the rows, and what each ending says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner import errors, journal, record
from runner.engine import Closed, Waiting
from runner.executors.base import ActionRequest, HostResult
from runner.workspace import RunFolder
from scenarios.conftest import SURAKARTA_APPROVED, MakeOffice
from scenarios.office import Office, events_of, rows_finished

ALL_ROWS = [1, 2, 3, 4, 6, 7, 8, 5, 9, 10, 11, 12, 13]


def order(folder: RunFolder) -> list[int]:
    return [step for step, _ in rows_finished(folder)]


# The order of the rows --------------------------------------------------------------------------------


def test_surakarta_goes_through_all_thirteen_rows(closed_run: RunFolder) -> None:
    assert order(closed_run) == ALL_ROWS


def test_made_up_sop_runs_without_any_change_to_the_program(contoh: Office) -> None:
    folder = contoh.start()
    closed = contoh.go_on(folder, {2: ["disetujui"]})
    assert closed == Closed("completed", "", contoh.root / "archive" / folder.name)


def test_surakarta_waits_at_row_three_when_nobody_decides(surakarta: Office) -> None:
    waiting = surakarta.go_on(surakarta.start(), {})
    assert isinstance(waiting, Waiting)
    assert (waiting.gate.step, waiting.gate.position) == (3, "Analis Sistem Informasi dan Jaringan")


def test_row_three_belum_leads_back_to_row_two(surakarta: Office) -> None:
    folder = surakarta.start()
    surakarta.go_on(folder, {**SURAKARTA_APPROVED, 3: ["belum", "sesuai"]})
    assert order(folder) == [1, 2, 3, 2, 3, *ALL_ROWS[3:]]


def test_row_sent_back_to_gets_a_second_attempt_with_a_plan_of_its_own(surakarta: Office) -> None:
    folder = surakarta.start()
    surakarta.go_on(folder, {3: ["belum"]})
    assert [event["path"] for event in events_of(folder, "plan_made")] == ["plans/2-1.json", "plans/2-2.json"]


def test_row_ten_needing_mending_leads_back_to_row_nine(surakarta: Office) -> None:
    folder = surakarta.start()
    surakarta.go_on(folder, {**SURAKARTA_APPROVED, 10: ["perlu perbaikan", "sesuai"]})
    assert order(folder) == [*ALL_ROWS[:8], 9, 10, 9, 10, 11, 12, 13]


def test_row_eleven_returned_leads_back_to_row_nine(surakarta: Office) -> None:
    folder = surakarta.start()
    decisions = {**SURAKARTA_APPROVED, 10: ["sesuai", "sesuai"], 11: ["dikembalikan", "ditetapkan"]}
    surakarta.go_on(folder, decisions)
    assert order(folder) == [*ALL_ROWS[:8], 9, 10, 11, 9, 10, 11, 12, 13]


def test_row_four_not_ordered_ends_the_run_with_its_reason(surakarta: Office) -> None:
    folder = surakarta.start()
    closed = surakarta.go_on(folder, {3: ["sesuai"], 4: ["tidak diperintahkan"]})
    assert closed == Closed("ended", "Alasan contoh", surakarta.root / "archive" / folder.name)


def test_a_run_that_was_not_ordered_changed_no_host(surakarta: Office) -> None:
    surakarta.go_on(surakarta.start(), {3: ["sesuai"], 4: ["tidak diperintahkan"]})
    assert [request.step for request in surakarta.playbooks.requests] == [2]


def test_row_five_is_under_way_until_row_eight_is_finished(closed_run: RunFolder) -> None:
    told = [
        (event.name, event["step"])
        for event in journal.read(closed_run.journal)
        if event.name in {"step_started", "step_spanned", "step_finished"} and event["step"] in range(5, 10)
    ]
    assert told == [
        ("step_started", 5),
        ("step_spanned", 5),
        ("step_started", 6),
        ("step_finished", 6),
        ("step_started", 7),
        ("step_finished", 7),
        ("step_started", 8),
        ("step_finished", 8),
        ("step_finished", 5),
        ("step_started", 9),
        ("step_finished", 9),
    ]


# What is announced, asked for, shown ------------------------------------------------------------------


def test_every_action_stands_in_the_journal_before_it_is_done(contoh: Office) -> None:
    folder = contoh.start()
    told: list[tuple[str, int, str]] = []

    def look(_request: ActionRequest) -> None:
        last = json.loads(folder.journal.read_bytes().splitlines()[-1])
        told.append((last["event"], last["step"], last["part"]))

    contoh.playbooks.before = contoh.suites.before = look
    contoh.go_on(folder, {2: ["disetujui"]})
    asked = [("action_started", e["step"], e["part"]) for e in events_of(folder, "action_finished")]
    assert told == asked


def test_changing_playbook_gets_the_approved_plan(surakarta: Office) -> None:
    folder = surakarta.start()
    surakarta.go_on(folder, SURAKARTA_APPROVED)
    assert set(surakarta.playbooks.acted_on) == {folder.plan(2, 1).read_bytes()}


def test_playbooks_and_suites_are_those_the_rows_name(surakarta: Office) -> None:
    surakarta.go_on(surakarta.start(), SURAKARTA_APPROVED)
    named = [request.playbook for request in surakarta.playbooks.requests if request.part == "1"]
    assert [path.name for path in named if path] == [
        "plan-updates.yml",
        "backup-hosts.yml",
        "apply-updates.yml",
    ]


def test_host_state_holds_the_plan_and_the_newest_evidence_of_each_role(contoh: Office) -> None:
    known: dict[str, object] = {}

    def look(request: ActionRequest) -> None:
        if request.step == 4:
            known.update(json.loads((request.host_state / "web1.json").read_bytes()))

    contoh.suites.before = look
    contoh.go_on(contoh.start(), {2: ["disetujui"]})
    assert sorted(known) == ["perbaiki-server", "plan", "plan-perbaikan", "verification"]


def test_work_is_shown_in_the_order_in_which_it_is_done(contoh: Office) -> None:
    contoh.hosts = ("web1",)
    contoh.go_on(contoh.start(), {2: ["disetujui"]})
    assert contoh.observer.seen == [
        "row 1 attempt 1",
        "row 1 part 1 on web1",
        "progress fake task",
        "row 1 part 1 came to web1=ok",
        "document daftar-temuan draft in 1 files",
        "row 1 finished: None",
        "row 2 attempt 1",
        "document daftar-temuan ratified in 1 files",
        "row 2 finished: disetujui",
        "row 3 attempt 1",
        "row 3 part 1-reprobe-1 on web1",
        "progress fake task",
        "row 3 part 1-reprobe-1 came to web1=ok",
        "row 3 part 1 on web1",
        "progress fake task",
        "row 3 part 1 came to web1=ok",
        "row 3 finished: None",
        "row 4 attempt 1",
        "row 4 part 1 on web1",
        "progress fake task",
        "row 4 part 1 came to web1=ok",
        "document hasil-uji final in 1 files",
        "row 4 finished: baik",
    ]


def test_documents_of_a_gate_are_written_after_its_decision(surakarta: Office) -> None:
    folder = surakarta.start()
    surakarta.go_on(folder, {3: ["sesuai"]})
    versions = [(e["step"], e["version"]) for e in events_of(folder, "document_written")]
    assert versions == [(2, "draft"), (2, "draft"), (3, "verified"), (3, "verified")]


def test_a_gate_that_sends_back_writes_no_document(surakarta: Office) -> None:
    folder = surakarta.start()
    surakarta.go_on(folder, {3: ["belum"]})
    assert {e["step"] for e in events_of(folder, "document_written")} == {2}


def test_one_document_for_two_outputs_of_a_row_is_written_once(surakarta: Office) -> None:
    surakarta.sop_text = surakarta.sop_text.replace("jadwal-pengecekan", "laporan-hasil-pengecekan")
    folder = surakarta.start()
    surakarta.go_on(folder, {})
    assert [e["document"] for e in events_of(folder, "document_written")] == ["laporan-hasil-pengecekan"]


# Closing ----------------------------------------------------------------------------------------------


def test_a_completed_run_with_an_archive_row_is_checked_then_sealed(surakarta: Office) -> None:
    folder = surakarta.start()
    surakarta.go_on(folder, SURAKARTA_APPROVED)
    assert (surakarta.archive.checked, surakarta.archive.sealed) == ([folder.name], [folder.name])


def test_scratch_is_gone_once_the_run_is_sealed(closed_run: RunFolder) -> None:
    assert not closed_run.work.exists()


def test_a_run_whose_files_fail_the_check_is_not_closed(
    surakarta: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: RunFolder) -> None:
        raise errors.VerificationError(f"{folder.name}/plans/2-1.json", "is not the file")

    monkeypatch.setattr(surakarta.archive, "check_run", refuse)
    folder = surakarta.start()
    with pytest.raises(errors.VerificationError):
        surakarta.go_on(folder, SURAKARTA_APPROVED)
    assert events_of(folder, "run_finished") == []


def test_resuming_a_closed_run_adds_nothing_to_its_journal(closed_run: RunFolder, surakarta: Office) -> None:
    before = closed_run.journal.read_bytes()
    surakarta.go_on(closed_run, {}, resumed=True)
    assert closed_run.journal.read_bytes() == before


def test_a_failed_result_that_leads_to_the_end_ends_the_run(contoh: Office) -> None:
    contoh.suites.answer(4, "1", {"web2": "failed"})
    folder = contoh.start()
    closed = contoh.go_on(folder, {2: ["disetujui"]})
    assert closed == Closed("ended", "tidak baik", contoh.root / "archive" / folder.name)


# A row that cannot be done ----------------------------------------------------------------------------

NOBODY = dict.fromkeys(("web1", "db1", "file1", "web2", "web10"), "unreachable")


def test_a_row_that_worked_on_no_host_fails(surakarta: Office) -> None:
    surakarta.playbooks.answer(2, "1", NOBODY)
    with pytest.raises(errors.StepFailedError, match=r"row 2 failed: plan-updates\.yml worked on none"):
        surakarta.go_on(surakarta.start(), {})


def test_a_failed_row_stays_failed_until_it_is_resumed(surakarta: Office) -> None:
    surakarta.playbooks.answer(2, "1", NOBODY)
    folder = surakarta.start()
    for _ in range(2):
        with pytest.raises(errors.StepFailedError):
            surakarta.go_on(folder, {})
    assert len(events_of(folder, "step_failed")) == 1


def test_a_failed_row_is_tried_again_in_a_new_attempt_when_resumed(surakarta: Office) -> None:
    surakarta.playbooks.answer(2, "1", NOBODY, attempt=1)
    folder = surakarta.start()
    with pytest.raises(errors.StepFailedError):
        surakarta.go_on(folder, {})
    surakarta.go_on(folder, {}, resumed=True)
    assert [(e["step"], e["attempt"]) for e in events_of(folder, "step_started")] == [
        (1, 1),
        (2, 1),
        (2, 2),
        (3, 1),
    ]


def test_hosts_that_failed_only_in_the_attempt_before_are_changed_after_all(surakarta: Office) -> None:
    surakarta.playbooks.answer(6, "1", NOBODY, attempt=1)
    folder = surakarta.start()
    with pytest.raises(errors.StepFailedError):
        surakarta.go_on(folder, SURAKARTA_APPROVED)
    surakarta.go_on(folder, SURAKARTA_APPROVED, resumed=True)
    assert record.load(folder).state.changed == ["web1", "db1", "file1", "web2", "web10"]


# Hosts that are not ok --------------------------------------------------------------------------------


def test_host_out_of_reach_at_the_plan_is_left_out_of_all_that_follows(surakarta: Office) -> None:
    surakarta.playbooks.answer(2, "1", {"db1": "unreachable"})
    surakarta.go_on(surakarta.start(), SURAKARTA_APPROVED)
    later = [request for request in surakarta.playbooks.requests if request.step > 2]
    assert {host for request in later for host in request.hosts} == {"web1", "file1", "web2", "web10"}


def test_host_out_of_reach_at_the_plan_is_named_in_the_plan(surakarta: Office) -> None:
    surakarta.playbooks.answer(2, "1", {"db1": "unreachable"})
    folder = surakarta.start()
    surakarta.go_on(folder, {})
    plan = record.load(folder).plan
    assert plan is not None
    assert plan["not_planned"] == {"db1": "unreachable: db1 was scripted as unreachable"}


def test_host_whose_backup_failed_is_not_changed(surakarta: Office) -> None:
    surakarta.playbooks.answer(6, "1", {"db1": "failed"})
    folder = surakarta.start()
    surakarta.go_on(folder, SURAKARTA_APPROVED)
    assert "db1" not in record.load(folder).state.changed


@pytest.mark.parametrize("status", ["failed", "unreachable", "unknown"])
def test_only_hosts_that_fail_their_tests_are_rolled_back_and_tested_again(
    surakarta: Office, status: str
) -> None:
    surakarta.suites.answer(8, "1", {"web2": status, "web10": status})  # type: ignore[dict-item]
    surakarta.go_on(surakarta.start(), SURAKARTA_APPROVED)
    hosts = (surakarta.playbooks.hosts_of(8, "recover"), surakarta.suites.hosts_of(8, "retest"))
    assert hosts == (("web2", "web10"), ("web2", "web10"))


def test_rollback_runs_the_playbook_that_the_row_names(surakarta: Office) -> None:
    surakarta.suites.answer(8, "1", {"web2": "failed"})
    surakarta.go_on(surakarta.start(), SURAKARTA_APPROVED)
    playbook = surakarta.playbooks.requests[-1].playbook
    assert playbook == surakarta.root / "playbooks" / "rollback-updates.yml"


def test_tests_after_a_rollback_know_that_it_is_one(surakarta: Office) -> None:
    surakarta.suites.answer(8, "1", {"web2": "failed"})
    surakarta.go_on(surakarta.start(), SURAKARTA_APPROVED)
    assert [r.phase for r in surakarta.suites.requests] == ["after-update", "after-update", "after-rollback"]


def test_row_eight_is_not_normal_even_when_the_rollback_healed_the_host(surakarta: Office) -> None:
    surakarta.suites.answer(8, "1", {"web2": "failed"})
    folder = surakarta.start()
    surakarta.go_on(folder, SURAKARTA_APPROVED)
    assert (8, "tidak normal") in rows_finished(folder)


def test_nothing_is_rolled_back_when_all_tests_pass(surakarta: Office) -> None:
    surakarta.go_on(surakarta.start(), SURAKARTA_APPROVED)
    assert surakarta.playbooks.hosts_of(8, "recover") is None


def test_a_run_in_which_no_host_was_tested_has_not_passed(contoh: Office) -> None:
    contoh.hosts = ("web1",)
    contoh.playbooks.answer(1, "1", {"web1": HostResult("web1", "ok", {"plan": {"updates": []}})})
    folder = contoh.start()
    contoh.go_on(folder, {2: ["disetujui"]})
    assert rows_finished(folder)[-1] == (4, "tidak baik")


def test_a_host_that_the_executor_does_not_answer_for_has_not_passed(
    surakarta: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = surakarta.suites.execute
    monkeypatch.setattr(surakarta.suites, "execute", lambda *args: real(*args)[1:])
    surakarta.go_on(surakarta.start(), SURAKARTA_APPROVED)
    assert surakarta.playbooks.hosts_of(8, "recover") is not None


# Starting ---------------------------------------------------------------------------------------------


def test_a_run_starts_with_what_it_was_started_with(contoh: Office) -> None:
    started = events_of(contoh.start(), "run_started")[0]
    assert started["inventory"]["hosts"] == ["web1", "db1", "file1", "web2", "web10"]
    assert started["operator"]["id"] == "pengelola"


def test_a_sop_about_computers_leaves_services_alone(surakarta: Office) -> None:
    surakarta.groups = {"canary": ["web1"], "websites": ["web10"], "printers": ["web2", "file1"]}
    started = record.load(surakarta.start()).started["inventory"]
    groups = {"canary": ["web1"]}
    assert (started["hosts"], started["groups"]) == (["web1", "db1"], groups)


def test_a_sop_about_computers_does_not_begin_without_any(surakarta: Office) -> None:
    surakarta.groups = {"databases": list(surakarta.hosts)}
    with pytest.raises(errors.InputError, match="works on computers, and the inventory leaves none"):
        surakarta.start()


def test_a_sop_about_all_hosts_works_on_services_too(contoh: Office) -> None:
    contoh.groups = {"canary": ["web1"], "printers": ["db1"]}
    assert "db1" in record.load(contoh.start()).started["inventory"]["hosts"]


def test_runs_of_one_day_are_numbered(contoh: Office) -> None:
    first = contoh.start()
    contoh.free(first)
    assert [first.name, contoh.start().name] == [
        "2026-11-21-contoh-pemeriksaan-1",
        "2026-11-21-contoh-pemeriksaan-2",
    ]


def test_a_run_is_named_after_the_day_at_the_office_not_in_utc(contoh: Office) -> None:
    contoh.clock.advance(4 * 3600)  # 18:00 UTC is past midnight in Jakarta
    assert contoh.start().name.startswith("2026-11-22-")


def test_everything_in_a_run_is_private(closed_run: RunFolder) -> None:
    modes = {
        path.relative_to(closed_run.path): path.stat().st_mode & 0o077 for path in closed_run.path.rglob("*")
    }
    assert {str(path): mode for path, mode in modes.items() if mode} == {}


def test_a_gate_that_only_the_operator_could_pass_refuses_the_start(contoh: Office) -> None:
    with pytest.raises(
        errors.InputError, match="row 2 waits for Kepala Contoh, but only the operator 'kabid'"
    ):
        contoh.start(operator="kabid")


def test_a_gate_that_only_the_operator_s_other_id_could_pass_refuses_the_start(contoh: Office) -> None:
    twin = contoh.roster.officials[3].model_copy(update={"id": "kembar", "positions": ["Petugas Contoh"]})
    contoh.roster = contoh.roster.model_copy(update={"officials": [twin, *contoh.roster.officials]})
    with pytest.raises(errors.InputError, match="row 2 waits for Kepala Contoh, but only the operator"):
        contoh.start(operator="kembar")


def test_with_an_empty_roster_no_run_with_a_gate_starts(
    tmp_path: Path, data: Path, make_office: MakeOffice
) -> None:
    office = make_office(tmp_path / "contoh", data / "contoh-pemeriksaan.yml")
    operator = office.roster.officials[0]
    office.roster = office.roster.model_copy(update={"officials": [operator]})
    with pytest.raises(errors.InputError, match="nobody holds that position"):
        office.start()


def test_a_run_goes_on_with_the_sop_it_was_started_with(contoh: Office) -> None:
    folder = contoh.start()
    folder.sop.write_text(contoh.sop_text.replace("2 Hari", "9 Hari"), encoding="utf-8")
    with pytest.raises(errors.VerificationError, match=r"sop\.yml: is not the SOP the run was started with"):
        contoh.engine(folder)


def test_a_run_goes_on_with_the_officials_it_was_started_with(contoh: Office) -> None:
    folder = contoh.start()
    folder.officials.write_bytes(folder.officials.read_bytes().replace(b"Nama Kabid", b"Nama Lain"))
    with pytest.raises(errors.VerificationError, match=r"officials\.json: is not the roster"):
        contoh.engine(folder)
