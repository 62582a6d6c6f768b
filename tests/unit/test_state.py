"""The state of a run and what comes next: tables of cases, no disk and no clock."""

from __future__ import annotations

import pytest
from fold import CONTOH, HOSTS, Book, every_beginning, sop

from runner import errors
from runner.moves import (
    AwaitDecision,
    DoPart,
    FailStep,
    FinishRun,
    FinishStep,
    MakePlan,
    Nothing,
    OpenGate,
    Part,
    SkipPart,
    SpanOn,
    StartStep,
    WriteDocument,
)
from runner.next_move import next_move, parts_of
from runner.sop import END_REPORT, Action, Output
from runner.state import RunState

ALL = ("db1", "web1", "web2", "web10")


# What comes next --------------------------------------------------------------------------------------


def test_a_run_begins_with_its_first_row() -> None:
    assert Book().run().next == StartStep(1, 1, (Part("1", "playbook", ALL),))


def test_a_row_s_action_is_done_once_it_has_begun() -> None:
    assert Book().run().start().next == DoPart(Part("1", "playbook", ALL))


def test_a_part_that_was_begun_and_not_ended_is_done_again() -> None:
    book = Book().run().start()
    book.tell("action_started", step=1, attempt=1, part="1", kind="playbook", hosts=list(ALL), changes=False)
    assert book.next == DoPart(Part("1", "playbook", ALL))


def test_a_plan_is_made_once_the_action_that_finds_it_has_ended() -> None:
    assert Book().run().start().part("1", "playbook", ALL).next == MakePlan(1, 1)


def test_a_document_is_written_once_the_plan_is_made() -> None:
    book = Book().run().start().part("1", "playbook", ALL).plan()
    output = Output(name="Daftar Temuan", document="daftar-temuan", version="draft")
    assert book.next == WriteDocument(1, 1, output)


def test_a_row_is_finished_once_its_documents_are_written() -> None:
    book = Book().run().start().part("1", "playbook", ALL).plan().document("daftar-temuan", "draft")
    assert book.next == FinishStep(1, 1, None, 2)


def test_a_gate_is_opened_when_its_row_has_begun() -> None:
    assert Book().run().row_1().start().next == OpenGate()


def test_an_open_gate_waits() -> None:
    book = Book().run().row_1().start().gate()
    assert book.state.gate is not None
    assert book.next == AwaitDecision(book.state.gate)


def test_a_decision_that_leads_on_has_its_document_written_first() -> None:
    book = Book().run().row_1().start().gate().decide("disetujui")
    output = Output(name="Daftar Temuan", document="daftar-temuan", version="ratified")
    assert book.next == WriteDocument(2, 1, output)


def test_a_decision_that_sends_back_leads_straight_back() -> None:
    book = Book().run().row_1().start().gate().decide("periksa ulang", "why")
    assert book.next == FinishStep(2, 1, "periksa ulang", 1)


def test_a_row_sent_back_to_gets_its_next_attempt() -> None:
    book = Book().run().row_1().row_2("periksa ulang", 1)
    assert book.next == StartStep(1, 2, (Part("1", "playbook", ALL),))


def test_a_change_is_divided_into_waves_with_checks_between() -> None:
    move = Book().run().row_1().row_2().next
    assert move == StartStep(
        3,
        1,
        (
            Part("1", "playbook", ("web1",)),
            Part("1-check", "check", ("web1",)),
            Part("2", "playbook", ("db1", "web2")),
            Part("2-check", "check", ("db1", "web2")),
            Part("3", "playbook", ("web10",)),
        ),
    )


def changing(budget: int = 0) -> Book:
    """Return a run in which the change has begun."""
    return Book().run(budget=budget).row_1().row_2().start()


def test_a_wave_beyond_the_budget_is_left_out() -> None:
    book = changing().part("1", "playbook", ["web1"], changes=True, web1="failed")
    assert book.next == SkipPart(
        Part("1-check", "check", ("web1",)), "more hosts failed than the budget of 0: web1"
    )


def test_a_wave_within_the_budget_goes_on() -> None:
    book = changing(budget=1).part("1", "playbook", ["web1"], changes=True, web1="failed")
    assert book.next == DoPart(Part("1-check", "check", ("web1",)))


def test_a_wave_that_was_begun_is_gone_on_with_though_the_budget_is_spent() -> None:
    book = changing().part("1", "playbook", ["web1"], changes=True, web1="failed")
    book.skip("1-check", "check", ["web1"])
    at = {"step": 3, "attempt": 1, "part": "2", "kind": "playbook"}
    book.tell("action_started", **at, hosts=["db1", "web2"], changes=True)
    assert book.next == DoPart(Part("2", "playbook", ("db1", "web2")))


def test_a_changing_row_in_which_no_host_was_ok_still_goes_on_to_its_test() -> None:
    book = changing().part("1", "playbook", ["web1"], changes=True, web1="failed")
    for name, kind, hosts in [
        ("1-check", "check", ["web1"]),
        ("2", "playbook", ["db1", "web2"]),
        ("2-check", "check", ["db1", "web2"]),
        ("3", "playbook", ["web10"]),
    ]:
        book.skip(name, kind, hosts)
    assert book.next == FinishStep(3, 1, None, 4)


def at_the_test(*changed: str) -> Book:
    """Return a run in which the row that tests has begun, over the hosts that were changed."""
    book = changing()
    book.part("1", "playbook", changed, changes=True)
    for part in book.state.parts[1:]:
        book.skip(part.part.name, part.part.kind, part.part.hosts)
    return book.finish(None, 4).start()


def test_only_hosts_on_which_a_change_was_begun_are_tested() -> None:
    assert at_the_test("web1", "db1").next == DoPart(Part("1", "suite", ("db1", "web1")))


@pytest.mark.parametrize("status", ["failed", "unreachable", "unknown"])
def test_a_host_that_is_anything_but_ok_is_recovered(status: str) -> None:
    book = at_the_test("web1", "db1").part("1", "suite", ["web1", "db1"], db1=status)
    assert book.next == DoPart(Part("recover", "recover", ("db1",)))


def test_a_host_that_no_test_told_of_is_recovered() -> None:
    book = at_the_test("web1", "db1")
    at = {"step": 4, "attempt": 1, "part": "1", "kind": "suite"}
    book.tell("action_started", **at, hosts=["web1", "db1"], changes=False)
    book.tell("action_finished", **at, hosts={"web1": "ok"}, disturbed=[], evidence=[])
    assert book.next == DoPart(Part("recover", "recover", ("db1",)))


def test_recovered_hosts_are_tested_again() -> None:
    book = (
        at_the_test("web1").part("1", "suite", ["web1"], web1="failed").part("recover", "recover", ["web1"])
    )
    assert book.next == DoPart(Part("retest", "retest", ("web1",)))


def test_a_recovery_cut_off_by_a_crash_is_done_again() -> None:
    book = at_the_test("web1").part("1", "suite", ["web1"], web1="failed")
    at = {"step": 4, "attempt": 1, "part": "recover", "kind": "recover"}
    book.tell("action_started", **at, hosts=["web1"], changes=True)
    assert book.next == DoPart(Part("recover", "recover", ("web1",)))


def test_hosts_healed_by_the_recovery_do_not_make_the_result_ok() -> None:
    book = (
        at_the_test("web1").part("1", "suite", ["web1"], web1="failed").part("recover", "recover", ["web1"])
    )
    book.part("retest", "retest", ["web1"]).document("hasil-uji", "final")
    assert book.next == FinishStep(4, 1, "tidak baik", "end")


def test_a_row_that_worked_on_no_host_fails() -> None:
    book = Book().run(["web1"]).start().part("1", "playbook", ["web1"], web1="unreachable").plan([])
    assert book.next == FailStep("plan-perbaikan.yml worked on none of the hosts")


def test_a_failed_row_stays_failed() -> None:
    book = Book().run().start().tell("step_failed", step=1, attempt=1, reason="why")
    assert book.next == FailStep("why")


def test_a_failed_row_that_is_resumed_gets_its_next_attempt() -> None:
    book = Book().run().start().tell("step_failed", step=1, attempt=1, reason="why").tell("run_resumed")
    assert book.next == StartStep(1, 2, (Part("1", "playbook", ALL),))


def test_an_interrupt_changes_nothing_about_what_comes_next() -> None:
    book = Book().run().start()
    before = book.next
    assert book.tell("run_interrupted", reason="why").tell("run_resumed").next == before


def test_a_lapsed_decision_leads_back_to_its_gate() -> None:
    book = changing().tell("decision_lapsed", step=2, reason="expired")
    assert book.next == StartStep(2, 2, ())


# Spans ------------------------------------------------------------------------------------------------

SPANNING = CONTOH.replace("    kegiatan: Memeriksa server", "    kegiatan: Memeriksa server\n    span: 3")


def spanning() -> Book:
    book = Book(sop(SPANNING)).run().start().part("1", "playbook", ALL).plan()
    return book.document("daftar-temuan", "draft")


def test_a_row_that_spans_leads_on_without_being_finished() -> None:
    assert spanning().next == SpanOn(2)


def test_a_span_goes_on_while_the_rows_before_its_last_are_done() -> None:
    book = spanning().tell("step_spanned", step=1, attempt=1, until=3, next=2)
    assert book.next == StartStep(2, 1, ())


def test_a_span_is_finished_when_the_row_it_names_is() -> None:
    book = spanning().tell("step_spanned", step=1, attempt=1, until=3, next=2).row_2().start().finish(None, 4)
    assert book.next == FinishStep(1, 1, None, None)


def test_a_span_is_finished_when_the_run_ends_before_the_row_it_names() -> None:
    book = spanning().tell("step_spanned", step=1, attempt=1, until=3, next=2)
    assert book.row_2("dibatalkan", "end").next == FinishStep(1, 1, None, None)


def test_a_span_is_finished_when_its_own_row_is_sent_back_to() -> None:
    book = spanning().tell("step_spanned", step=1, attempt=1, until=3, next=2)
    assert book.row_2("periksa ulang", 1).next == FinishStep(1, 1, None, None)


END = Output(name="Laporan Penghentian Pelaksanaan", document=END_REPORT, version="final")


# Endings ----------------------------------------------------------------------------------------------


def test_an_official_s_exit_to_the_end_ends_the_run_with_his_reason() -> None:
    book = Book().run().row_1().row_2("dibatalkan", "end", "no money")
    assert book.next == WriteDocument(2, 1, END)
    assert book.document(END_REPORT, "final").next == FinishRun("ended", 2, "no money")


def test_a_good_result_that_leads_to_the_end_completes_the_run() -> None:
    assert at_the_test("web1").part("1", "suite", ["web1"]).finish("baik", "end").next == FinishRun(
        "completed", 4, ""
    )


def test_a_bad_result_that_leads_to_the_end_ends_the_run_and_says_so() -> None:
    book = at_the_test("web1").part("1", "suite", ["web1"], web1="failed").finish("tidak baik", "end")
    assert book.next == WriteDocument(4, 1, END)
    assert book.document(END_REPORT, "final").next == FinishRun("ended", 4, "tidak baik")


def test_a_stop_is_reported_on_and_ends_the_run_whatever_was_due() -> None:
    book = Book().run().start()
    book.tell("run_stopped", step=1, attempt=1, person={"name": "Nama Petugas"}, reason="no power")
    assert book.next == WriteDocument(1, 1, END)
    told = book.document(END_REPORT, "final")
    assert told.next == FinishRun("ended", 1, "stopped by Nama Petugas: no power")


def test_a_closed_run_has_nothing_next() -> None:
    book = Book().run().tell("run_finished", outcome="completed", step=4, reason="")
    assert book.next == Nothing()


# Hosts an action concerns -----------------------------------------------------------------------------


def hosts(book: Book, which: str) -> tuple[str, ...]:
    action = Action.model_validate({"playbook": "x.yml", "hosts": which})
    return tuple(host for part in parts_of(action, book.state) for host in part.hosts)


def test_all_are_the_hosts_of_the_run() -> None:
    assert hosts(Book().run(), "all") == ALL


def test_computers_are_those_that_are_no_service() -> None:
    book = Book().run()
    book.state.groups = {"printers": ["web2"], "websites": ["db1", "elsewhere"], "web": ["web1"]}
    assert hosts(book, "computers") == ("web1", "web10")


def test_what_has_something_to_back_up_are_computers_and_routerboards() -> None:
    book = Book().run()
    book.state.groups = {"printers": ["web2"], "routerboards": ["db1"], "web": ["web1"]}
    assert hosts(book, "with_data") == ("db1", "web1", "web10")


def test_planned_are_those_with_something_to_do() -> None:
    assert hosts(Book().run().start().part("1", "playbook", ALL).plan(["web2"]), "planned") == ("web2",)


def test_before_a_plan_nothing_is_planned() -> None:
    assert hosts(Book().run(), "planned") == ()


@pytest.mark.parametrize("status", ["failed", "unreachable", "unknown"])
def test_ready_are_planned_hosts_that_were_ok_since(status: str) -> None:
    book = Book().run().row_1()
    book.tell(
        "step_started", step=2, attempt=1, parts=[{"name": "1", "kind": "playbook", "hosts": list(ALL)}]
    )
    book.part("1", "playbook", ALL, db1=status).finish(None, 3)
    assert hosts(book, "ready") == ("web1", "web2", "web10")


def test_a_host_left_out_of_a_wave_is_not_ready_for_the_rows_after_it() -> None:
    book = changing()
    for part in book.state.parts:
        book.skip(part.part.name, part.part.kind, part.part.hosts)
    assert hosts(book.finish(None, 4), "ready") == ()


def test_a_host_that_failed_its_test_is_still_ready() -> None:
    """Tests say whether a change was good; whether work can go on at a host is for what works there."""
    book = changing().part("1", "playbook", ["web1"], changes=True)
    book.part("1-check", "check", ["web1"], web1="failed").finish(None, 4)
    assert "web1" in hosts(book, "ready")


def test_the_newest_attempt_of_a_row_counts() -> None:
    book = Book().run().row_1()
    parts = [{"name": "1", "kind": "playbook", "hosts": list(ALL)}]
    book.tell("step_started", step=2, attempt=1, parts=parts).part("1", "playbook", ALL, db1="failed")
    book.tell("step_started", step=2, attempt=2, parts=parts).part("1", "playbook", ALL).finish(None, 3)
    assert hosts(book, "ready") == ALL


def test_a_new_plan_makes_hosts_ready_again() -> None:
    book = changing().part("1", "playbook", ["web1"], changes=True, web1="failed")
    book.tell("decision_lapsed", step=2, reason="expired").row_2("periksa ulang", 1).row_1().row_2()
    assert hosts(book, "ready") == ALL


def test_an_action_without_hosts_has_no_parts() -> None:
    assert parts_of(Action.model_validate({"suite": "uji", "hosts": "changed"}), Book().run().state) == ()


def test_drafting_documents_has_no_parts() -> None:
    assert parts_of(Action.model_validate({"document": True}), Book().run().state) == ()


# The fold ---------------------------------------------------------------------------------------------


def test_folding_again_from_the_beginning_gives_the_same_next_move() -> None:
    book = at_the_test("web1").part("1", "suite", ["web1"], web1="failed")
    for events in every_beginning(book):
        assert next_move(RunState(book.sop, events)) == next_move(RunState(book.sop, list(events)))
    assert next_move(RunState(book.sop, book.events)) == book.next


def test_an_event_of_a_later_version_is_refused_by_name() -> None:
    with pytest.raises(errors.VerificationError, match="record 2: unknown event 'host_frozen'"):
        Book().run().tell("host_frozen")


def test_hosts_stand_once_among_the_changed_however_often_they_are_changed() -> None:
    book = (
        changing().part("1", "playbook", ["web1"], changes=True).part("1", "playbook", ["web1"], changes=True)
    )
    assert book.state.changed == ["web1"]


def test_looking_does_not_change_hosts() -> None:
    assert Book().run().start().part("1", "playbook", HOSTS).state.changed == []


def test_a_host_changed_under_an_earlier_plan_and_not_tested_since_is_still_to_be_tested() -> None:
    book = changing().part("1", "playbook", ["web1"], changes=True)
    book.tell("decision_lapsed", step=2, reason="expired").row_2("periksa ulang", 1).row_1()
    assert book.state.changed == ["web1"]


def test_a_host_that_was_tested_is_not_tested_again_after_a_new_plan() -> None:
    book = at_the_test("web1").part("1", "suite", ["web1"])
    book.tell("step_finished", step=4, attempt=1, outcome="baik", next=1)
    assert book.row_1().state.changed == []


def test_an_event_that_lacks_what_the_fold_needs_is_refused_by_name() -> None:
    with pytest.raises(errors.VerificationError, match="record 2: step_started without 'parts'"):
        Book().run().tell("step_started", step=1, attempt=1)


def test_an_event_about_a_part_that_the_row_does_not_have_is_refused() -> None:
    at = {"step": 1, "attempt": 1, "part": "9", "kind": "playbook"}
    with pytest.raises(errors.VerificationError, match="record 3: action_finished tells of no part '9'"):
        Book().run().start().tell("action_finished", **at, hosts={}, disturbed=[], evidence=[])


def test_a_record_of_another_form_is_told_with_what_is_wrong_with_it() -> None:
    book = Book()
    with pytest.raises(errors.VerificationError) as caught:
        book.tell(
            "run_started",
            **dict.fromkeys(("run", "timezone", "failure_budget", "operator", "signing"), ""),
            inventory={"hosts": [], "groups": {}, "controllers": []},
            windows=[],
            owed=[],
        )
    told = str(caught.value)
    assert told.startswith("record 1: run_started: Input should be a valid dictionary or instance of Windows")


def test_before_its_first_record_nothing_is_known_of_a_run() -> None:
    state = RunState(sop())
    empty = (state.run, state.hosts, state.groups, state.controllers, state.operator, state.owed)
    assert empty == ("", (), {}, frozenset(), {}, frozenset())
    assert (state.given_budget, state.failure_budget, state.lost) == ("0", 0, set())
    assert (state.current, state.came_from, state.started, state.attempts) == (1, 0, False, {})
    assert (state.zone.key, state.windows, state.window_awaited) == ("UTC", None, None)
    assert (state.stopped, state.restarting, state.failed, state.freed) == (None, None, None, None)
    assert (state.last_outcome, state.last_reason, state.last_finished) == (None, "", 0)
    assert (state.parts, state.gate, state.decision, state.closed) == ([], None, None, None)
    assert (state.decisions, state.signed, state.written, state.spans) == ([], [], set(), {})
    assert (state.plan, state.planned, state.confirmed) == (None, False, None)
    assert (state.changed, state.changed_under_plan) == ([], set())
    assert (state.evidence, state.documents, state.breaks) == ([], [], [])
    assert (state.roster_changes, state.finished) == ([], None)
