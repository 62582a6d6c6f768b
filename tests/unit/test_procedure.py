"""A SOP as its paper shows it: symbols, columns, exits, notes, and how its rows stand in a run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from runner.clock import Instant, parse_utc
from runner.procedure import Exit, Mark, marks_of, procedure_of, standings
from runner.rows import rows_view
from runner.sop import Sop, parse_sop
from runner.timing import StepTime

ROOT = Path(__file__).parents[2]
AT = Instant(at=parse_utc("2026-11-21T01:00:00.000Z"), mono=1, boot="b")


def read(path: str) -> Sop:
    return parse_sop((ROOT / path).read_text(encoding="utf-8"), path)


@pytest.fixture(name="surakarta", scope="module")
def _surakarta() -> Sop:
    return read("sops/surakarta-system-update.yml")


@pytest.fixture(name="palembang", scope="module")
def _palembang() -> Sop:
    return read("sops/palembang-information-system-maintenance.yml")


def time(step: int, attempt: int = 1, *, finished: bool = True) -> StepTime:
    ended = AT if finished else None
    return StepTime(
        step=step, attempt=attempt, started=AT, finished=ended, total=0.0, waits=(), standard=None
    )


def test_first_and_last_are_capsules_and_decisions_diamonds(surakarta: Sop, palembang: Sop) -> None:
    symbols = {row.no: row.symbol for row in procedure_of(surakarta).rows}
    assert [no for no, symbol in symbols.items() if symbol == "terminator"] == [1, 13]
    assert [no for no, symbol in symbols.items() if symbol == "decision"] == [3, 4, 8, 10, 11]
    symbols = {row.no: row.symbol for row in procedure_of(palembang).rows}
    assert [no for no, symbol in symbols.items() if symbol == "terminator"] == [1]
    assert [no for no, symbol in symbols.items() if symbol == "decision"] == [3, 4, 6, 11]


def test_begin_and_end_stand_with_the_actor_beside_them(surakarta: Sop) -> None:
    rows = procedure_of(surakarta).rows
    assert (rows[0].lanes, rows[12].lanes) == (rows[1].lanes, rows[11].lanes) == ((0,), (0,))
    assert [row.no for row in rows if not row.has_actor] == [1, 13]


def test_who_takes_part_has_a_column_too(surakarta: Sop) -> None:
    assert procedure_of(surakarta).rows[7].lanes == (0, 1)


def test_a_decision_whose_outcomes_lead_to_the_same_row_keeps_both(surakarta: Sop) -> None:
    assert procedure_of(surakarta).rows[7].exits == (
        Exit(label="normal", to=9),
        Exit(label="tidak normal", to=9),
    )


def test_polarity_is_the_row_s_own(palembang: Sop) -> None:
    assert procedure_of(palembang).rows[2].exits == (Exit(label="YA", to=4), Exit(label="TIDAK", to=9))


def test_a_decision_with_one_single_outcome_is_drawn_as_a_process(palembang: Sop) -> None:
    step = palembang.step(3)
    assert step.decision is not None
    one = step.decision.model_copy(update={"outcomes": step.decision.outcomes[:1]})
    steps = [step.model_copy(update={"decision": one}) if s.no == 3 else s for s in palembang.steps]
    row = procedure_of(palembang.model_copy(update={"steps": steps})).rows[2]
    assert (row.symbol, row.exits) == ("process", (Exit(label="", to=4),))


def test_notes_are_about_a_place_of_the_paper(surakarta: Sop) -> None:
    marks = marks_of(surakarta)
    assert marks[0] == Mark(number=1, row=None, column="nama_sop", text=surakarta.assumptions[0].catatan)
    assert [(m.row, m.column) for m in marks if m.row] == [
        (3, "activity"), (4, "activity"), (5, "activity"), (8, "activity"), (8, "activity"), (10, "activity"),
        (11, "activity"),
    ]  # fmt: skip


def test_rows_are_done_current_or_not_reached(surakarta: Sop) -> None:
    begun = standings(surakarta, [time(1), time(2), time(3, finished=False)])
    rows = procedure_of(surakarta, begun).rows
    assert [row.standing for row in rows[:4]] == ["done", "done", "current", "not_reached"]
    assert {row.standing for row in procedure_of(surakarta).rows} == {None}


def test_what_has_to_be_gone_through_again_is_not_done(surakarta: Sop) -> None:
    times = [*(time(no) for no in range(1, 11)), time(9, 2, finished=False)]
    begun = standings(surakarta, times)
    assert (begun[8], begun[9], begun.get(10)) == ("done", "current", None)


def test_rows_that_were_not_gone_through_are_not_done(palembang: Sop) -> None:
    begun = standings(palembang, [time(1), time(2), time(3), time(9, finished=False)])
    assert set(begun) == {1, 2, 3, 9}


def test_the_terminal_marks_the_current_row_by_a_word(palembang: Sop) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, color_system=None)
    console.print(rows_view(palembang, [time(1), time(2), time(3, finished=False)]))
    lines = stream.getvalue().splitlines()
    (current,) = [line for line in lines if "HERE" in line]
    assert current.split()[:4] == ["\u2502", "HERE", "\u2502", "3"]
    assert "Memastikan tidak ada" in current
    assert "YA: 4" in current
    assert "TIDAK: 9" in lines[lines.index(current) + 1]
    assert sum("done" in line for line in lines) == 2
