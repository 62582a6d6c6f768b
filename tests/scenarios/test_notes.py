"""Reasons and the condition: asked of the operator once, noted at any time, never in the run's way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from runner import cli, errors, record, verify
from runner.engine import Closed, Waiting
from runner.notes import Notes
from runner.reasons import Answer, Question
from runner.record import Record
from runner.workspace import RunFolder
from scenarios.conftest import SURAKARTA_APPROVED
from scenarios.forgery import Record as Line
from scenarios.forgery import find, forge
from scenarios.office import Office, events_of

HOUR = 3600.0


class Operator:
    """Sits at the terminal and gives prepared answers."""

    def __init__(self, **answers: Answer | None) -> None:
        self.answers = answers
        self.asked: list[tuple[str, int | None]] = []

    def __call__(self, question: Question, _record: Record) -> Answer | None:
        self.asked.append((question.about, question.step))
        return self.answers.get(question.about)


WILLING = {"reason": Answer("Jaringan lambat"), "condition": Answer("Listrik padam", "tidak normal")}


def slow(office: Office, *rows: int) -> None:
    """Let the action of these rows take four hours."""
    office.playbooks.before = lambda request: office.clock.advance(4 * HOUR if request.step in rows else 0)


def run(office: Office, folder: RunFolder, operator: Operator | None) -> Waiting | Closed:
    """Do the run as far as it goes, deciding all gates well, with or without somebody at the terminal."""
    while True:
        stop = office.engine(folder).run(operator=operator, resumed=True)
        if isinstance(stop, Closed):
            return stop
        office.decide(folder, SURAKARTA_APPROVED[stop.gate.step][0], office.holder(stop.gate).id)


@pytest.fixture
def slow_run(surakarta: Office) -> RunFolder:
    """Return a run whose rows 6 and, with it, 5 are going to take longer than their three hours."""
    slow(surakarta, 6)
    return surakarta.start()


def test_the_operator_is_asked_once_for_each_row_that_was_over_and_once_for_the_condition(
    surakarta: Office, slow_run: RunFolder
) -> None:
    operator = Operator(**WILLING)
    run(surakarta, slow_run, operator)
    assert operator.asked == [("reason", 6), ("reason", 5), ("condition", None)]
    verify.check_run(slow_run)


def test_what_the_operator_says_is_recorded_in_his_name(surakarta: Office, slow_run: RunFolder) -> None:
    run(surakarta, slow_run, Operator(**WILLING))
    person = record.load(slow_run).started["operator"]
    assert events_of(slow_run, "reason_given") == [
        {"step": step, "attempt": 1, "reason": "Jaringan lambat", "person": person} for step in (6, 5)
    ]
    assert events_of(slow_run, "condition_told") == [
        {"condition": "tidak normal", "reason": "Listrik padam", "person": person}
    ]


def test_the_condition_is_asked_before_the_report_is_built(surakarta: Office, slow_run: RunFolder) -> None:
    run(surakarta, slow_run, Operator(**WILLING))
    names = [(event.name, event.fields.get("document")) for event in record.load(slow_run).events]
    assert names.index(("condition_told", None)) < names.index(("document_written", "laporan-hasil-update"))


def test_what_is_left_for_later_is_not_asked_again_and_stops_nothing(
    surakarta: Office, slow_run: RunFolder
) -> None:
    operator = Operator()
    assert isinstance(run(surakarta, slow_run, operator), Closed)
    assert operator.asked == [("reason", 6), ("reason", 5), ("condition", None)]
    assert events_of(slow_run, "reason_given") == events_of(slow_run, "condition_told") == []
    verify.check_run(slow_run)


def test_with_nobody_at_the_terminal_nothing_is_asked(surakarta: Office, slow_run: RunFolder) -> None:
    assert isinstance(run(surakarta, slow_run, None), Closed)
    assert events_of(slow_run, "question_asked") == []
    verify.check_run(slow_run)


def test_what_an_unattended_part_of_the_run_left_open_is_asked_at_the_next_terminal(
    surakarta: Office, slow_run: RunFolder
) -> None:
    def leave(_request: object) -> None:
        raise KeyboardInterrupt

    surakarta.suites.before = leave
    with pytest.raises(KeyboardInterrupt):
        run(surakarta, slow_run, None)
    surakarta.suites.before = lambda _request: None
    operator = Operator(**WILLING)
    run(surakarta, slow_run, operator)
    assert ("reason", 6) in operator.asked


def test_ctrl_c_at_the_question_is_a_stop_like_any_other(surakarta: Office, slow_run: RunFolder) -> None:
    def leave(_question: Question, _record: Record) -> Answer | None:
        raise KeyboardInterrupt

    office = surakarta
    office.go_on(slow_run, {})
    for step in (3, 4):
        office.decide(slow_run, SURAKARTA_APPROVED[step][0], {3: "analis", 4: "kabid"}[step])
        if step == 3:
            office.engine(slow_run).run(resumed=True)
    with pytest.raises(KeyboardInterrupt):
        office.engine(slow_run).run(operator=leave, resumed=True)
    assert record.load(slow_run).events[-1].name == "run_interrupted"
    assert isinstance(run(office, slow_run, Operator()), Closed)
    verify.check_run(slow_run)


def test_the_time_of_a_question_is_waiting_for_the_operator(surakarta: Office, slow_run: RunFolder) -> None:
    """Row 5 watches row 6: the hours in which the question about row 6 stands open are not its work."""

    def ponder(question: Question, _record: Record) -> Answer | None:
        surakarta.clock.advance(10 * HOUR if question.step == 6 else 0)
        return None

    while isinstance(stop := surakarta.engine(slow_run).run(operator=ponder, resumed=True), Waiting):
        surakarta.decide(slow_run, SURAKARTA_APPROVED[stop.gate.step][0], surakarta.holder(stop.gate).id)
    (watching,) = [time for time in record.load(slow_run).times if time.step == 5]
    asked = next(wait for wait in watching.waits if wait.on == "operator")
    assert round(asked.seconds / HOUR) == 10
    assert round(watching.work / HOUR) == 4


# From any terminal ------------------------------------------------------------------------------------


@pytest.fixture
def waiting(surakarta: Office, slow_run: RunFolder) -> RunFolder:
    """Return the slow run at the gate of row 10."""
    decisions = {3: ["sesuai"], 4: ["diperintahkan"], 8: ["disaksikan"]}
    assert isinstance(surakarta.go_on(slow_run, decisions), Waiting)
    return slow_run


def notes(office: Office, folder: RunFolder) -> Notes:
    return Notes(record.load(folder), office.clock)


def test_notes_stand_in_a_record_that_holds(surakarta: Office, waiting: RunFolder) -> None:
    notes(surakarta, waiting).reason(6, " Jaringan lambat \n")
    notes(surakarta, waiting).reason(6, "Kabel putus", official="kabid")
    notes(surakarta, waiting).condition("tidak normal", "Listrik padam")
    run(surakarta, waiting, None)
    assert [told["reason"] for told in events_of(waiting, "reason_given")] == [
        "Jaringan lambat",
        "Kabel putus",
    ]
    assert events_of(waiting, "reason_given")[1]["person"]["id"] == "kabid"
    verify.check_run(waiting)


@pytest.mark.parametrize(
    ("step", "official", "told"),
    [
        (7, "", "row 7, attempt 1, was within its standard time"),
        (12, "", "row 12 has no attempt 1"),
        (6, "tamu", "'tamu' is not in the roster of officials"),
    ],
)
def test_a_reason_that_does_not_count_changes_nothing(
    surakarta: Office, waiting: RunFolder, step: int, official: str, told: str
) -> None:
    before = waiting.journal.read_bytes()
    with pytest.raises(errors.InputError, match=told):
        notes(surakarta, waiting).reason(step, "Jaringan lambat", official=official)
    assert waiting.journal.read_bytes() == before


def test_a_closed_run_takes_no_note(surakarta: Office, closed_run: RunFolder) -> None:
    with pytest.raises(errors.InputError, match="the run is closed"):
        notes(surakarta, closed_run).condition("normal", "")


def test_a_note_between_crash_and_resume_does_not_break_the_order(contoh: Office) -> None:
    """The record before an action that is announced again is, for the order's sake, the resumption."""

    def die(_request: object) -> None:
        raise SystemExit

    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.decide(folder, "disetujui", "kabid")
    contoh.playbooks.before = die
    with pytest.raises(SystemExit):
        contoh.engine(folder).run(resumed=True)
    notes(contoh, folder).condition("normal", "")
    contoh.playbooks.before = lambda _request: None
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Closed)
    verify.check_run(folder)


STRANGER = {"id": "tamu", "name": "Nama Tamu", "nip": "9" * 18, "position": "Tamu", "deputy": None}
FORGED: dict[str, tuple[str, dict[str, Any], str]] = {
    "another reason's author": ("reason_given", {"person": STRANGER}, "by nobody of the roster"),
    "a reason for another row": ("reason_given", {"step": 4}, "was within its standard time"),
    "an empty reason": ("reason_given", {"reason": " "}, "the reason is empty"),
    "another condition's author": ("condition_told", {"person": STRANGER}, "by nobody of the roster"),
    "a condition without its reason": ("condition_told", {"reason": ""}, "needs a reason"),
    "no condition at all": ("condition_told", {"condition": "biasa"}, "condition_told: condition"),
    "a question about a row in time": ("question_asked", {"step": 4}, "was within its standard time"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_note_is_found_though_every_hash_fits(
    surakarta: Office, slow_run: RunFolder, what: str
) -> None:
    event, fields, told = FORGED[what]
    run(surakarta, slow_run, Operator(**WILLING))

    def change(records: list[Line]) -> None:
        find(records, event).update(fields)

    forge(slow_run.path, change)
    with pytest.raises(errors.VerificationError, match=told):
        verify.verify(slow_run.path)


def test_a_note_after_the_end_of_the_run_is_found(surakarta: Office, slow_run: RunFolder) -> None:
    run(surakarta, slow_run, Operator(**WILLING))
    forge(slow_run.path, lambda records: records.append(dict(find(records, "condition_told"))))
    with pytest.raises(errors.VerificationError, match=r"condition_told .*is out of order"):
        verify.verify(slow_run.path)


# At the command line ----------------------------------------------------------------------------------


Rawat = Callable[..., Result]


@pytest.fixture
def rawat(waiting: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Rawat:
    """Return what calls the command line, in this process, on the waiting run."""
    monkeypatch.setenv("RAWAT_RUNS", str(waiting.path.parent))
    return lambda *arguments: CliRunner().invoke(cli.app, arguments)


def test_status_tells_times_waiting_and_what_was_noted(rawat: Rawat) -> None:
    noted = rawat("note", "--row", "6", "--reason", "Kabel putus", "--official", "kabid")
    assert (noted.exit_code, noted.stdout) == (0, "noted, row 6, attempt 1: Kabel putus (Nama Kabid)\n")
    noted = rawat("note", "--condition", "tidak normal", "--reason", "Listrik padam")
    assert noted.stdout == "noted, conditions: tidak normal: Listrik padam (Nama Pengelola)\n"

    told = json.loads(rawat("status", "--json").stdout)
    rows = {row["row"]: row for row in told["rows"]}
    assert told["timezone"] == "Asia/Jakarta"
    assert told["condition"]["condition"] == "tidak normal"
    assert rows[6]["reason"]["reason"] == "Kabel putus"
    assert rows[6]["deviation_seconds"] == round(rows[6]["work_seconds"] - rows[6]["standard_seconds"], 3)
    assert rows[10]["waits"][0]["position"] == "JF Pranata Komputer Ahli Muda"
    for row in told["rows"]:
        parts = [row["work_seconds"], *(wait["seconds"] for wait in row["waits"])]
        assert round(sum(parts), 3) == row["total_seconds"]

    shown = rawat("status").stdout
    assert "over because: Kabel putus (Nama Kabid)" in shown
    assert "over, no reason given: rawat note" in shown
    assert "for JF Pranata Komputer Ahli Muda" in shown
    assert "Conditions: tidak normal Listrik padam" in shown
    assert [line.split()[2:4] for line in shown.splitlines() if " HERE " in line] == [["\u2502", "10"]]
    assert " WIB" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give either --row"),
        (("--row", "6", "--condition", "normal"), "give either --row"),
        (("--condition", "normal", "--attempt", "1"), "give either --row"),
        (("--row", "6"), "the reason is empty"),
        (("--condition", "biasa"), "'biasa' is no condition; expected 'normal' or 'tidak normal'"),
        (("--condition", "tidak normal"), "'tidak normal' needs a reason"),
    ],
)
def test_a_note_that_says_nothing_is_refused(rawat: Rawat, arguments: tuple[str, ...], told: str) -> None:
    refused = rawat("note", *arguments).exception
    assert isinstance(refused, errors.InputError)
    assert told in str(refused)
