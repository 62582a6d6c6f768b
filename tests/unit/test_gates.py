"""Who may pass a gate and what a decision says: pure rules, every doubt closes the gate."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fakes import START
from fold import Book

from runner.gates import MAX_REASON, Choice, misfit, refusal
from runner.moves import Gate
from runner.officials import Deputy, Official, Roster, Validity
from runner.statements import Statements

KEPALA, PETUGAS = "Kepala Contoh", "Petugas Contoh"
OPERATOR = {"id": "petugas", "name": "Nama Petugas", "nip": "0" * 17 + "1", "position": PETUGAS}


def official(official_id: str, nip: int, *positions: str) -> Official:
    return Official(
        id=official_id,
        name=f"Nama {official_id}",
        nip=f"{nip:018d}",
        positions=list(positions),
        key=f"k{nip}",
    )


def roster(*officials: Official) -> Roster:
    return Roster(office="Dinas Contoh", officials=list(officials))


PETUGAS_1, KEPALA_2, STAF_3 = (
    official("petugas", 1, PETUGAS, KEPALA),
    official("kepala", 2, KEPALA),
    official("staf", 3, "Staf"),
)
ALL = roster(PETUGAS_1, KEPALA_2, STAF_3)


def open_gate() -> tuple[Book, Gate]:
    book = Book().run().row_1().start().gate()
    assert book.state.gate is not None
    return book, book.state.gate


def refused(choice: Choice, officials: Roster = ALL) -> str | None:
    book, gate = open_gate()
    return refusal(book.sop, gate, officials, OPERATOR, choice, START.date())


def test_the_awaited_official_may_decide() -> None:
    assert refused(Choice("kepala", "disetujui")) is None


CASES = {
    "nobody of the roster": (Choice("tamu", "disetujui"), "'tamu' is not in the roster of officials"),
    "the operator, though of the position": (
        Choice("petugas", "disetujui"),
        "Nama petugas operates this run and may not decide its gates",
    ),
    "another position": (
        Choice("staf", "disetujui"),
        "Nama staf does not hold the awaited position, Kepala Contoh",
    ),
    "no such outcome": (
        Choice("kepala", "ya"),
        "'ya' is not an outcome of row 2; expected disetujui or periksa ulang or dibatalkan",
    ),
    "outcome in other letters": (
        Choice("kepala", "Disetujui"),
        "'Disetujui' is not an outcome of row 2; expected disetujui or periksa ulang or dibatalkan",
    ),
    "sending back without a reason": (Choice("kepala", "periksa ulang"), "'periksa ulang' needs a reason"),
    "refusing without a reason": (Choice("kepala", "dibatalkan"), "'dibatalkan' needs a reason"),
    "a reason of blanks": (Choice("kepala", "dibatalkan", " \t\n"), "'dibatalkan' needs a reason"),
    "a reason without end": (
        Choice("kepala", "dibatalkan", "x" * (MAX_REASON + 1)),
        "the reason is longer than 4096 characters",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_choice_that_does_not_count_is_told_why(case: str) -> None:
    choice, expected = CASES[case]
    assert refused(choice) == expected


def test_an_empty_roster_means_nobody() -> None:
    assert refused(Choice("kepala", "disetujui"), roster()) == "'kepala' is not in the roster of officials"


def test_the_operator_under_another_id_may_not_decide() -> None:
    twin = official("kembar", 1, KEPALA)
    told = refused(Choice("kembar", "disetujui"), roster(PETUGAS_1, twin))
    assert told == "Nama kembar operates this run and may not decide its gates"


# Dates, deputies, second accounts ---------------------------------------------------------------------

DEPUTY = {
    "official": "staf",
    "position": KEPALA,
    "kind": "Plh",
    "from": "2026-11-01",
    "until": "2026-11-30",
    "letter": "800/12/2026",
}


def of_days(of: Official, **days: str) -> Official:
    return of.model_copy(update={"valid": Validity(**days)})  # type: ignore[arg-type] # text, read as a day


def with_deputy(*officials: Official, **days: str) -> Roster:
    deputy = Deputy.model_validate({**DEPUTY, **days})
    return roster(*officials).model_copy(update={"deputies": [deputy]})


def test_an_official_whose_days_are_over_may_not_decide() -> None:
    old = of_days(KEPALA_2, until="2026-11-20")
    told = refused(Choice("kepala", "disetujui"), roster(PETUGAS_1, old))
    assert told == "Nama kepala is an official until 2026-11-20, not on 2026-11-21"


def test_an_official_decides_on_his_last_day() -> None:
    assert refused(Choice("kepala", "disetujui"), roster(of_days(KEPALA_2, until="2026-11-21"))) is None


def test_a_deputy_may_decide() -> None:
    assert refused(Choice("staf", "disetujui"), with_deputy(PETUGAS_1, STAF_3)) is None


def test_a_deputy_may_not_decide_on_other_days() -> None:
    officials = with_deputy(PETUGAS_1, STAF_3, until="2026-11-20")
    told = refused(Choice("staf", "disetujui"), officials)
    assert told == "Nama staf stands in for Kepala Contoh from 2026-11-01 until 2026-11-20, not on 2026-11-21"


def test_the_operator_may_not_decide_as_a_deputy_either() -> None:
    told = refused(Choice("petugas", "disetujui"), with_deputy(KEPALA_2, official("petugas", 1, PETUGAS)))
    assert told == "Nama petugas operates this run and may not decide its gates"


def test_who_the_operator_stands_in_for_may_decide() -> None:
    officials = with_deputy(PETUGAS_1, KEPALA_2, official="petugas")
    assert refused(Choice("kepala", "disetujui"), officials) is None


def test_the_operator_s_key_under_another_id_and_number_may_not_decide() -> None:
    twin = official("kembar", 9, KEPALA).model_copy(update={"key": PETUGAS_1.key})
    told = refused(Choice("kembar", "disetujui"), roster(PETUGAS_1, twin))
    assert told == "Nama kembar operates this run and may not decide its gates"


# The statement ----------------------------------------------------------------------------------------


def said() -> tuple[dict[str, Any], Gate]:
    book, gate = open_gate()
    choice = Choice("kepala", "dibatalkan", "  no money \n")
    made = Statements(book.sop, ALL, "run-1", OPERATOR).decision(gate, choice, START)
    return made.said, gate


def test_a_statement_expires_after_the_time_that_the_row_gives() -> None:
    assert said()[0]["expires"] == "2026-11-23T14:00:00.000000Z"


def test_the_reason_is_signed_without_blanks_around_it() -> None:
    assert said()[0]["reason"] == "no money"


def test_the_person_signs_in_the_awaited_position() -> None:
    assert said()[0]["person"] == {
        "id": "kepala",
        "name": "Nama kepala",
        "nip": "000000000000000002",
        "position": KEPALA,
        "deputy": None,
    }


def test_a_statement_fits_the_gate_it_was_made_for() -> None:
    statement_, gate = said()
    assert misfit(statement_, "run-1", gate, START) is None


MISFITS = {
    "run": ({"run": "run-2"}, "the decision is about another run"),
    "subject": (
        {"subject": {"sop": "0", "plan": None, "evidence": "0"}},
        "the decision is about another subject",
    ),
    "nonce": ({"nonce": "0"}, "the decision is about another nonce"),
    "row": ({"gate": {"step": 3, "attempt": 1}}, "the decision is about another gate"),
    "attempt": ({"gate": {"step": 2, "attempt": 2}}, "the decision is about another gate"),
    "position": ({"person": {"position": PETUGAS}}, "the decision is of another position"),
}


@pytest.mark.parametrize("field", MISFITS)
def test_a_statement_about_something_else_does_not_fit(field: str) -> None:
    change, expected = MISFITS[field]
    statement_, gate = said()
    assert misfit({**statement_, **change}, "run-1", gate, START) == expected


@pytest.mark.parametrize(("days", "fits"), [(1.99, True), (2, False), (3, False)])
def test_a_statement_fits_until_it_expires(days: float, fits: bool) -> None:  # noqa: FBT001 - a column
    statement_, gate = said()
    assert (misfit(statement_, "run-1", gate, START + timedelta(days=days)) is None) is fits
