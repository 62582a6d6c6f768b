"""What may be noted about a run, by whom, and what the operator is asked: pure rules."""

from __future__ import annotations

from typing import Any

import pytest
from fold import Book

from runner.gates import MAX_REASON
from runner.moves import FinishRun, Move, StartStep, WriteDocument
from runner.officials import Official, Roster
from runner.reasons import (
    Question,
    condition_told,
    misfit,
    over_without_reason,
    question_due,
    reasons_given,
    refusal_of_condition,
    refusal_of_reason,
)
from runner.sop import Output, parse_sop
from runner.timing import step_times

PETUGAS = Official(id="petugas", name="Nama Petugas", nip="0" * 18, positions=["Petugas Contoh"], key="k")
ROSTER = Roster(office="Dinas Contoh", officials=[PETUGAS])
NEXT = StartStep(2, 1, ())


def done(seconds: float) -> Book:
    """Return a run whose row 1, of ten minutes, took so long."""
    book = Book().run().tell("step_started", step=1, attempt=1, parts=[]).pass_time(seconds)
    return book.tell("step_finished", step=1, attempt=1, outcome=None, next=2)


def reason(book: Book, text: str = "Jaringan lambat") -> Book:
    return book.tell("reason_given", step=1, attempt=1, reason=text, person=PETUGAS.person())


def condition(book: Book, told: str = "normal") -> Book:
    return book.tell("condition_told", condition=told, reason="", person=PETUGAS.person())


def refused(book: Book, step: int = 1, attempt: int = 1, text: str = "Jaringan lambat") -> str | None:
    return refusal_of_reason(step_times(book.sop, book.events), step, attempt, text)


def test_a_row_that_was_over_takes_a_reason() -> None:
    assert refused(done(601)) is None


REFUSED = {
    "within its standard": (done(600), {}, "row 1, attempt 1, was within its standard time"),
    "not begun": (done(601), {"step": 2}, "row 2 has no attempt 1 in this run"),
    "no such attempt": (done(601), {"attempt": 2}, "row 1 has no attempt 2 in this run"),
    "without words": (done(601), {"text": " \n"}, "the reason is empty"),
    "without end": (done(601), {"text": "x" * (MAX_REASON + 1)}, "the reason is longer than 4096 characters"),
    "under way": (
        Book().run().tell("step_started", step=1, attempt=1, parts=[]).pass_time(601).tell("run_resumed"),
        {},
        "row 1 is still under way",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_reason_that_does_not_count_is_told_why(case: str) -> None:
    book, given, told = REFUSED[case]
    assert refused(book, **given) == told


@pytest.mark.parametrize(
    ("told", "text", "expected"),
    [
        ("normal", "", None),
        ("normal", "Semua lancar", None),
        ("tidak normal", "Listrik padam", None),
        ("tidak normal", " ", "'tidak normal' needs a reason"),
        ("biasa", "", "'biasa' is no condition; expected 'normal' or 'tidak normal'"),
        ("normal", "x" * (MAX_REASON + 1), "the reason is longer than 4096 characters"),
    ],
)
def test_a_condition_is_one_of_two_and_the_bad_one_needs_a_reason(
    told: str, text: str, expected: str | None
) -> None:
    assert refusal_of_condition(told, text) == expected


def test_the_later_of_two_notes_is_shown() -> None:
    book = condition(reason(reason(condition(done(601), "tidak normal")), "Yang benar"), "normal")
    told = condition_told(book.events)
    assert reasons_given(book.events)[1, 1]["reason"] == "Yang benar"
    assert told is not None
    assert told["condition"] == "normal"


def test_a_row_with_its_reason_is_not_listed_as_lacking_one() -> None:
    assert [time.step for time in over_without_reason(done(601).sop, done(601).events)] == [1]
    assert over_without_reason(done(601).sop, reason(done(601)).events) == []


# What the operator is asked --------------------------------------------------------------------------


def due(book: Book, move: Move = NEXT) -> Question | None:
    return question_due(book.sop, book.events, move)


def about(question: Question | None) -> tuple[str, int | None] | None:
    return (question.about, question.step) if question else None


@pytest.mark.parametrize("move", [NEXT, FinishRun("completed", 1, "")])
def test_the_reason_is_asked_before_the_run_goes_on(move: Move) -> None:
    assert about(due(done(601), move)) == ("reason", 1)


def test_nothing_is_asked_about_a_row_within_its_time() -> None:
    assert due(done(600)) is None


@pytest.mark.parametrize("told", ["question_asked", "reason_given"])
def test_a_reason_is_asked_for_once(told: str) -> None:
    book = done(601)
    if told == "question_asked":
        book.tell(told, about="reason", step=1, attempt=1)
    else:
        reason(book)
    assert due(book) is None


REPORTING = """\
format: 1
id: contoh
identity: {unit: Dinas Contoh, nama_sop: Contoh}
actors: {petugas: Petugas Contoh}
steps:
  - {no: 1, kegiatan: Memeriksa, output: [{name: Temuan, document: temuan}], next: 2}
  - no: 2
    kegiatan: Melapor
    output: [{name: Laporan, document: laporan}]
    action: {document: true}
    next: end
"""


def reporting() -> Book:
    return Book(parse_sop(REPORTING, "contoh.yml")).run()


def write(step: int) -> Move:
    return WriteDocument(step, 1, Output(name="Laporan", document="laporan"))


def test_the_condition_is_asked_before_the_report_is_drafted_and_for_no_other_document() -> None:
    assert about(due(reporting(), write(1))) is None
    assert about(due(reporting(), write(2))) == ("condition", None)


def test_the_condition_is_asked_for_once_in_a_run() -> None:
    asked = reporting().tell("question_asked", about="condition", step=None, attempt=None)
    assert due(asked, write(2)) is None
    assert due(condition(reporting()), write(2)) is None


# What can stand in a journal -------------------------------------------------------------------------

AT = {"step": 1, "attempt": 1}
STRANGER = {**PETUGAS.person(), "name": "Nama Lain"}
FORGED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a reason by a stranger": (
        "reason_given",
        {**AT, "reason": "x", "person": STRANGER},
        "by nobody of the roster",
    ),
    "a reason by nobody": (
        "reason_given",
        {**AT, "reason": "x", "person": {**STRANGER, "id": "tamu"}},
        "by nobody of the roster",
    ),
    "a reason of no attempt": (
        "reason_given",
        {"step": 1, "attempt": 2, "reason": "x", "person": PETUGAS.person()},
        "row 1 has no attempt 2 in this run",
    ),
    "a condition without its reason": (
        "condition_told",
        {"condition": "tidak normal", "reason": "", "person": PETUGAS.person()},
        "'tidak normal' needs a reason",
    ),
    "a condition by a stranger": (
        "condition_told",
        {"condition": "normal", "reason": "", "person": STRANGER},
        "by nobody of the roster",
    ),
    "a question asked twice": (
        "question_asked",
        {"about": "condition", "step": None, "attempt": None},
        "is asked twice",
    ),
    "a question about no row": (
        "question_asked",
        {"about": "condition", "step": 1, "attempt": 1},
        "the condition is of no row",
    ),
    "a question about another row": (
        "question_asked",
        {"about": "reason", "step": 2, "attempt": 1},
        "row 2 has no attempt 1 in this run",
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_note_is_found(what: str) -> None:
    name, fields, told = FORGED[what]
    book = done(601).tell("question_asked", about="condition", step=None, attempt=None)
    before = list(book.events)
    event = book.tell(name, **fields).events[-1]
    assert misfit(book.sop, ROSTER, book.state.operator, before, event) == told


def test_notes_that_may_stand_there_stand() -> None:
    book = done(601).tell("question_asked", about="reason", step=1, attempt=1)
    book = condition(reason(book))
    for count in (3, 4, 5):
        assert misfit(book.sop, ROSTER, book.state.operator, book.events[:count], book.events[count]) is None
