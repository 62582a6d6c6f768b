"""What is signed at a gate: seats, papers and deadlines, as pure rules over a journal made in memory."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from fakes import START
from fold import CONTOH, Book, sop

from runner import errors, gates
from runner.gates import Choice
from runner.moves import Gate
from runner.officials import Official, Roster
from runner.sop import Sop
from runner.statements import Signed, Statements

KEPALA, JURU = "Kepala Contoh", "Juru Contoh"
TOGETHER = (
    CONTOH.replace("  kepala: Kepala Contoh\n", f"  kepala: Kepala Contoh\n  juru: {JURU}\n")
    .replace("    pelaksana: kepala\n", "    pelaksana: kepala\n    bersama: juru\n")
    .replace("      valid_for: 2 Hari\n", "      deadline: 2 Hari\n      at_deadline: close\n")
)
OPERATOR = {"id": "petugas", "name": "Nama petugas", "nip": f"{1:018d}", "position": "Petugas Contoh"}


def official(name: str, number: int, *positions: str, **valid: str) -> Official:
    person = {"id": name, "name": f"Nama {name}", "nip": f"{number:018d}", "positions": list(positions)}
    return Official.model_validate({**person, "key": f"k{number}", "valid": valid})


ROSTER = Roster(
    office="Dinas Contoh",
    officials=[
        official("petugas", 1, "Petugas Contoh"),
        official("kepala", 2, KEPALA),
        official("juru", 3, JURU),
        official("staf", 4, "Staf"),
        official("mantan", 5, "Staf", until="2026-11-20"),
        official("rangkap", 6, KEPALA, JURU),
    ],
)


class Desk:
    """A run at its gate, and the statements that are made there."""

    def __init__(self, text: str = TOGETHER) -> None:
        self.book = Book(sop(text)).run().row_1().start().gate()
        self.make = Statements(self.sop, ROSTER, "run-1", OPERATOR)

    @property
    def sop(self) -> Sop:
        return self.book.sop

    @property
    def gate(self) -> Gate:
        assert self.book.state.gate is not None
        return self.book.state.gate

    def record(self, signed: Signed, **more: Any) -> Signed:  # noqa: ANN401 - any field
        file = {"path": self.gate.next_statement, "sha256": "a" * 64}
        at = {"step": self.gate.step, "attempt": self.gate.attempt, "statement": file, "signature": file}
        self.book.tell(signed.event, **at, **signed.fields, **more)
        return signed

    def decide(self, who: str, outcome: str = "disetujui", at: datetime = START) -> Signed:
        return self.record(self.make.decision(self.gate, Choice(who, outcome, "why"), at))

    def enter(self, who: str = "kepala", by: str = "petugas", at: datetime = START, **dated: date) -> Signed:
        paper = dated.get("dated", START.date())
        made = self.make.entry(self.gate, Choice(who, "disetujui", "why"), paper, "b" * 64, by, at)
        return self.record(made, scan={"path": "decisions/2-1.pdf", "sha256": "b" * 64})


def refused(act: Any, *arguments: Any, **named: Any) -> str:  # noqa: ANN401 - any act
    with pytest.raises(errors.DecisionRefusedError) as caught:
        act(*arguments, **named)
    return str(caught.value)


# Two seats --------------------------------------------------------------------------------------------


def test_the_first_of_two_is_a_vote_and_the_second_the_decision() -> None:
    desk = Desk()
    assert desk.decide("kepala").event == "vote_made"
    assert desk.gate.awaited == JURU
    assert desk.make.decision(desk.gate, Choice("juru", "disetujui"), START).event == "decision_made"


def test_one_alone_turns_it_down() -> None:
    desk = Desk()
    made = desk.make.decision(desk.gate, Choice("juru", "dibatalkan", "why"), START)
    assert made.event == "decision_made"


def test_nobody_takes_two_seats() -> None:
    desk = Desk()
    desk.decide("rangkap")
    assert refused(desk.decide, "rangkap") == f"Nama rangkap has decided here already; {JURU} decides too"


def test_two_decide_the_same() -> None:
    one = "        - {name: disetujui, next: 3}\n"
    desk = Desk(TOGETHER.replace(one, one + one.replace("disetujui", "lain")))
    desk.decide("kepala")
    told = "Nama kepala decided 'disetujui'; both must decide the same"
    assert refused(desk.decide, "juru", "lain") == told


def test_a_statement_is_of_a_seat_that_is_open() -> None:
    desk = Desk()
    said = desk.decide("kepala").said
    assert gates.misfit(said, "run-1", desk.gate, START) == "the decision is of another position"


def test_a_row_without_a_decision_has_no_gate_to_open() -> None:
    book = Book(sop()).run().start()
    with pytest.raises(ValueError, match="row 1 is no gate"):
        gates.opening(book.sop, book.state, "5" * 64)


# Papers -----------------------------------------------------------------------------------------------


def test_a_paper_is_entered_then_confirmed_by_another() -> None:
    desk = Desk()
    assert desk.enter().event == "paper_entered"
    made = desk.make.confirmation(desk.gate, "staf", START)
    assert (made.event, made.signer.id, made.said["signer"]) == ("vote_made", "staf", "staf")
    assert made.said["paper"] == {
        "date": "2026-11-21",
        "scan": "b" * 64,
        "entered_by": ROSTER.officials[0].person(),
        "confirmed_by": ROSTER.officials[3].person(),
        "entry": "a" * 64,
    }


ENTERED_BY = {
    "tamu": "'tamu' is not in the roster of officials",
    "mantan": "Nama mantan is an official until 2026-11-20, not on 2026-11-21",
    "kepala": "Nama kepala signed the paper; others have to enter and confirm it",
}


@pytest.mark.parametrize("by", ENTERED_BY)
def test_who_may_not_enter(by: str) -> None:
    assert refused(Desk().enter, by=by) == ENTERED_BY[by]


@pytest.mark.parametrize("days", [-1, 1])
def test_a_paper_is_of_a_day_on_which_the_gate_was_open(days: int) -> None:
    told = refused(Desk().enter, dated=START.date() + timedelta(days=days))
    assert "the gate has been open from 2026-11-21, and today is 2026-11-21" in told


CONFIRMED_BY = {
    "tamu": "'tamu' is not in the roster of officials",
    "mantan": "Nama mantan is an official until 2026-11-20, not on 2026-11-21",
    "kepala": "Nama kepala signed the paper; others have to enter and confirm it",
    "staf": "Nama staf entered this decision; a second person has to confirm it",
    "petugas": "Nama petugas operates this run and may not confirm a decision of it",
}


@pytest.mark.parametrize("by", CONFIRMED_BY)
def test_who_may_not_confirm(by: str) -> None:
    desk = Desk()
    desk.enter(by="staf")
    assert refused(desk.make.confirmation, desk.gate, by, START) == CONFIRMED_BY[by]


def test_who_decided_does_not_confirm_the_other_s_paper() -> None:
    desk = Desk()
    desk.decide("juru")
    desk.enter()
    told = refused(desk.make.confirmation, desk.gate, "juru", START)
    assert told == "Nama juru has decided here already and may not confirm the other decision"


def test_who_confirmed_the_first_paper_does_not_take_the_other_seat() -> None:
    desk = Desk()
    desk.enter()
    desk.record(desk.make.confirmation(desk.gate, "juru", START))
    assert "Nama juru has decided here already" in refused(desk.decide, "juru")


def test_a_vote_of_the_same_position_settles_its_paper_and_one_of_the_other_does_not() -> None:
    own, other = Desk(), Desk()
    for desk, who in ((own, "kepala"), (other, "juru")):
        desk.enter()
        desk.decide(who)
    assert own.gate.entry is None
    assert other.gate.entry is not None


WITHDRAWN = {
    "tamu": ("why", "'tamu' is not in the roster of officials"),
    "mantan": ("why", "Nama mantan is an official until 2026-11-20, not on 2026-11-21"),
    "staf": (" ", "to withdraw needs a reason"),
    "juru": ("x" * 4097, "the reason is longer than 4096 characters"),
}


@pytest.mark.parametrize("by", WITHDRAWN)
def test_who_may_not_withdraw_and_how(by: str) -> None:
    desk = Desk()
    desk.enter()
    reason, told = WITHDRAWN[by]
    assert refused(desk.make.withdrawal, desk.gate, by, reason, START) == told


def test_a_paper_withdrawn_is_gone() -> None:
    desk = Desk()
    desk.enter()
    desk.record(desk.make.withdrawal(desk.gate, "staf", "wrong sheet", START))
    assert desk.gate.entry is None
    for act in (desk.make.confirmation, lambda *a: desk.make.withdrawal(*a[:2], "why", START)):
        assert "no decision on paper was entered" in refused(act, desk.gate, "staf", START)


def test_every_record_is_made_again_from_what_it_says() -> None:
    desk = Desk()
    steps = (
        desk.enter,
        lambda: desk.record(desk.make.withdrawal(desk.gate, "staf", "wrong sheet", START)),
        desk.enter,
        lambda: desk.record(desk.make.confirmation(desk.gate, "staf", START)),
        lambda: desk.decide("juru"),
    )
    for step in steps:
        gate = desk.gate
        signed = step()
        again = desk.make.of_record(gate, desk.book.events[-1], START)
        assert (again.event, again.said, again.fields) == (signed.event, signed.said, signed.fields)


# Deadlines --------------------------------------------------------------------------------------------


def due(desk: Desk, seconds: float) -> str | None:
    return gates.due_at_deadline(desk.gate, desk.book.events, desk.book.pass_time(seconds).now())


@pytest.mark.parametrize(("then", "event"), [("close", "gate_closed"), ("remind", "gate_reminded")])
def test_a_deadline_calls_for_its_record_when_it_has_passed(then: str, event: str) -> None:
    desk = Desk(TOGETHER.replace("at_deadline: close", f"at_deadline: {then}"))
    assert due(desk, 2 * 86400 - 1) is None
    assert due(desk, 1) == event
    assert gates.has_closed(desk.gate, desk.book.events, desk.book.now()) is (then == "close")


def test_it_reminds_once() -> None:
    desk = Desk(TOGETHER.replace("      at_deadline: close\n", ""))
    assert due(desk, 3 * 86400) == "gate_reminded"
    desk.book.tell("gate_reminded", step=2, attempt=1)
    assert due(desk, 86400) is None
    assert gates.is_overdue(desk.gate, desk.book.events, desk.book.now())


def test_a_gate_without_a_deadline_waits_for_ever() -> None:
    desk = Desk(CONTOH)
    assert gates.deadline(desk.gate) is None
    assert due(desk, 1e9) is None


def test_a_closed_gate_ends_the_run() -> None:
    desk = Desk()
    desk.book.tell("gate_closed", step=2, attempt=1, reason="nobody decided by the deadline")
    assert (desk.book.state.gate, desk.book.state.current) == (None, "end")


# What a decision stands on ----------------------------------------------------------------------------


def test_both_statements_make_up_a_decision_and_a_paper_s_entry_does_not() -> None:
    desk = Desk()
    desk.enter()
    desk.record(desk.make.confirmation(desk.gate, "staf", START))
    desk.decide("juru")
    state = desk.book.state
    names = [signed.name for signed in gates.signed_for(state, state.decisions[0])]
    assert names == ["vote_made", "decision_made"]
