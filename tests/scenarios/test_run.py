"""Whole runs with fakes: the order of the rows, and what each ending says."""

from __future__ import annotations

import pytest

from runner import errors, record
from runner.engine import Closed, Waiting
from runner.workspace import RunFolder
from scenarios.conftest import SURAKARTA_APPROVED
from scenarios.office import Office, events_of, rows_finished


def test_surakarta_goes_through_all_rows_in_order(closed_run: RunFolder) -> None:
    order = [step for step, _ in rows_finished(closed_run)]
    assert order == [1, 2, 3, 4, 6, 7, 8, 5, 9, 10, 11, 12, 13]


def test_made_up_sop_runs_without_any_change_to_the_program(contoh: Office) -> None:
    folder = contoh.start()
    closed = contoh.go_on(folder, {2: ["disetujui"]})
    assert closed == Closed("completed", "", None)


def test_a_run_without_gates_decided_waits_at_the_first(surakarta: Office) -> None:
    waiting = surakarta.go_on(surakarta.start(), {})
    assert isinstance(waiting, Waiting)
    assert waiting.gate.step == 3
