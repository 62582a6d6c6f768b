"""A gate with a deadline: it reminds or closes, and never approves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from fakes import StepClock

from runner import errors, journal, record, report, sop, verify
from runner.engine import Closed, Waiting
from runner.gates import Choice
from runner.run_view import document_view
from runner.sop import END_REPORT
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.forgery import forge
from scenarios.office import Office, events_of, rows_finished

DAY = 24 * 3600.0


@pytest.fixture
def office(quick_dir: Path, data: Path, make_office: MakeOffice, request: pytest.FixtureRequest) -> Office:
    """Return an office whose row 2 has a deadline of two days; the parameter says what comes then."""
    text = (data / "contoh-pemeriksaan.yml").read_text(encoding="utf-8")
    deadline = f"      deadline: 2 Hari\n      at_deadline: {request.param}\n"
    text = text.replace("      valid_for: 2 Hari\n", f"      valid_for: 2 Hari\n{deadline}")
    return make_office(Path(tempfile.mkdtemp(dir=quick_dir)) / "tree", data / "contoh-pemeriksaan.yml", text)


def waiting(office: Office) -> RunFolder:
    folder = office.start()
    assert isinstance(office.go_on(folder, {}), Waiting)
    return folder


def names(folder: RunFolder) -> list[str]:
    return [event.name for event in journal.read(folder.journal)]


reminds = pytest.mark.parametrize("office", ["remind"], indirect=True)
closes = pytest.mark.parametrize("office", ["close"], indirect=True)
both = pytest.mark.parametrize("office", ["remind", "close"], indirect=True)


@both
def test_before_its_deadline_a_gate_only_waits(office: Office) -> None:
    folder = waiting(office)
    office.clock.advance(1.99 * DAY)
    assert isinstance(office.go_on(folder, {}, resumed=True), Waiting)
    assert not {"gate_reminded", "gate_closed"} & set(names(folder))


@reminds
def test_past_its_deadline_a_gate_reminds_once_and_waits_on(office: Office) -> None:
    folder = waiting(office)
    for _ in range(3):
        office.clock.advance(2 * DAY)
        assert isinstance(office.go_on(folder, {}, resumed=True), Waiting)
    assert names(folder).count("gate_reminded") == 1
    office.decide(folder, "disetujui", "kabid")
    assert isinstance(office.go_on(folder, {}, resumed=True), Closed)
    verify.check_run(folder)


@closes
def test_past_its_deadline_a_gate_closes_and_the_run_ends_with_nothing_approved(office: Office) -> None:
    folder = waiting(office)
    office.clock.advance(2 * DAY)
    closed = office.go_on(folder, {}, resumed=True)
    assert isinstance(closed, Closed)
    assert (closed.outcome, closed.reason) == ("ended", "nobody decided by the deadline")
    assert rows_finished(folder) == [(1, None)]
    assert events_of(folder, "decision_made") == []
    assert [request.step for request in office.playbooks.requests] == [1]
    verify.check_run(folder)


@closes
def test_a_statement_that_a_crash_left_before_the_deadline_is_no_stranger_after_it(office: Office) -> None:
    folder = waiting(office)
    (folder.path / "decisions").mkdir(exist_ok=True)
    folder.statement(2, 1, 1).write_bytes(b"{}")
    office.clock.advance(2 * DAY)
    assert isinstance(office.go_on(folder, {}, resumed=True), Closed)
    verify.check_run(folder)


@closes
def test_a_run_closed_by_a_deadline_leaves_a_report_of_it_and_owes_its_hosts(office: Office) -> None:
    folder = waiting(office)
    office.clock.advance(2 * DAY)
    office.go_on(folder, {}, resumed=True)
    made = events_of(folder, "document_written")[-1]
    assert made["document"] == END_REPORT
    now = record.load(folder)
    view = document_view(now.at(made["as_of"]), END_REPORT, "final", 2, 1, made["as_of"])
    assert view.ending is not None
    assert (view.ending.how, view.ending.step, view.ending.person) == ("closed", 2, None)
    assert "batas waktu keputusan terlampaui" in report.render_html(view)
    assert {owed.reason for owed in view.owed} == {"stopped"}


@closes
def test_a_decision_after_the_deadline_is_refused(office: Office) -> None:
    folder = waiting(office)
    office.clock.advance(2 * DAY)
    with pytest.raises(errors.DecisionRefusedError, match="the gate closed at its deadline, 2026-11-23"):
        office.decide(folder, "disetujui", "kabid")
    assert events_of(folder, "decision_made") == []


@closes
def test_a_decision_before_the_deadline_counts_though_it_is_looked_at_later(office: Office) -> None:
    folder = waiting(office)
    office.clock.advance(1.9 * DAY)
    office.decide(folder, "disetujui", "kabid")
    office.clock.advance(0.2 * DAY)
    assert isinstance(office.go_on(folder, {}, resumed=True), Closed)
    assert names(folder)[-1] == "run_finished"
    assert "gate_closed" not in names(folder)
    verify.check_run(folder)


@both
def test_a_wall_clock_set_forward_brings_no_deadline_nearer(office: Office) -> None:
    folder = waiting(office)
    office.clock.set_wall(30 * DAY)
    assert isinstance(office.go_on(folder, {}, resumed=True), Waiting)
    assert not {"gate_reminded", "gate_closed"} & set(names(folder))


@closes
def test_a_wall_clock_set_back_holds_no_gate_open(office: Office) -> None:
    folder = waiting(office)
    office.clock.advance(2 * DAY)
    office.clock.set_wall(-30 * DAY)
    assert isinstance(office.go_on(folder, {}, resumed=True), Closed)


@closes
def test_after_a_reboot_the_wall_clock_measures(office: Office) -> None:
    folder = waiting(office)
    office.clock.reboot("boot-2", down=1.9 * DAY)
    assert isinstance(office.go_on(folder, {}, resumed=True), Waiting)
    office.clock.advance(0.2 * DAY)
    assert isinstance(office.go_on(folder, {}, resumed=True), Closed)
    verify.check_run(folder)


@closes
def test_a_gate_closed_before_its_deadline_is_found(office: Office) -> None:
    folder = waiting(office)
    office.clock.advance(2 * DAY)
    office.go_on(folder, {}, resumed=True)
    opened = next(e for e in journal.read(folder.journal) if e.name == "gate_opened").instant

    def early(records: list[dict[str, Any]]) -> None:
        for each in records:
            if each["mono"] > opened.mono + 3600 * 10**9:
                each["mono"] -= int(DAY * 10**9)

    forge(folder.path, early)
    with pytest.raises(errors.VerificationError, match="gate_closed: no deadline had passed"):
        verify.check_run(folder)


@closes
def test_a_decision_recorded_after_the_gate_had_closed_is_found(office: Office) -> None:
    folder = waiting(office)
    office.decide(folder, "disetujui", "kabid")

    def late(records: list[dict[str, Any]]) -> None:
        records[-1]["mono"] += int(2.1 * DAY * 10**9)

    forge(folder.path, late)
    with pytest.raises(errors.VerificationError, match="the gate had closed at its deadline"):
        verify.check_run(folder)


@closes
def test_a_deadline_left_out_of_the_record_is_found(office: Office) -> None:
    folder = waiting(office)

    def for_ever(records: list[dict[str, Any]]) -> None:
        next(r for r in records if r["event"] == "gate_opened")["deadline"] = None

    forge(folder.path, for_ever)
    with pytest.raises(errors.VerificationError, match="gate_opened: deadline is null"):
        verify.check_run(folder)


@closes
def test_a_gate_closes_while_it_is_asked_at_the_terminal(office: Office) -> None:
    folder = waiting(office)
    clock: StepClock = office.clock

    def ask(*_: object) -> Any:  # noqa: ANN401 - what a prompt returns
        clock.advance(2 * DAY)
        return Choice("kabid", "disetujui"), office.key("kabid")

    closed = office.engine(folder).run(ask)
    assert isinstance(closed, Closed)
    assert closed.outcome == "ended"
    assert any("refused: the gate closed at its deadline" in line for line in office.observer.seen)


WRONG = {
    "at_deadline alone": (
        "      valid_for: 2 Hari\n",
        "      at_deadline: close\n",
        "'at_deadline' needs a deadline",
    ),
    "approve at the deadline": (
        "      valid_for: 2 Hari\n",
        "      deadline: 2 Hari\n      at_deadline: approve\n",
        "steps[1].decision.at_deadline: expected 'remind' or 'close', got 'approve'",
    ),
    "no time": (
        "      valid_for: 2 Hari\n",
        "      deadline: besok\n",
        "expected a time such as '15 Menit', '2 Jam' or '3 Hari', got 'besok'",
    ),
    "a result's": (
        "      by: result\n",
        "      by: result\n      deadline: 2 Hari\n",
        "a result takes no time",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_deadline_that_cannot_be_is_told(data: Path, case: str) -> None:
    old, new, told = WRONG[case]
    text = (data / "contoh-pemeriksaan.yml").read_text(encoding="utf-8")
    with pytest.raises(errors.InputError) as caught:
        sop.parse_sop(text.replace(old, new), "contoh.yml")
    assert told in str(caught.value)
