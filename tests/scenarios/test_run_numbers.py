"""Numbers of runs, which stand on papers: none is given twice, whatever became of the run."""

from __future__ import annotations

import shutil

import pytest

from runner import archive, errors
from runner.engine import Closed
from runner.run_numbers import BOOK
from runner.workspace import RunFolder
from scenarios.office import Office, events_of


def number_of(folder: RunFolder) -> int:
    (started,) = events_of(folder, "run_started")
    return int(started["number"])


def closed_run(office: Office) -> RunFolder:
    folder = office.start()
    decisions = {step.no: [step.decision.outcomes[0].name] for step in office.sop.steps if step.decision}
    assert isinstance(office.go_on(folder, decisions), Closed)
    return folder


def remove(folder: RunFolder) -> None:
    shutil.rmtree(folder.path)


def test_a_run_that_was_removed_before_it_was_sealed_keeps_its_number(contoh: Office) -> None:
    runs = [closed_run(contoh) for _ in range(2)]
    assert [number_of(run) for run in runs] == [1, 2]
    remove(runs[1])

    assert number_of(contoh.start()) == 3


def test_the_archive_remembers_numbers_though_runs_and_book_are_gone(contoh: Office) -> None:
    for run in [closed_run(contoh) for _ in range(2)]:
        archive.seal(run, contoh.workspace.archive)
    shutil.rmtree(contoh.workspace.runs)

    assert number_of(contoh.start()) == 3


def test_the_archive_remembers_numbers_though_its_content_was_destroyed(contoh: Office) -> None:
    bag = archive.seal(closed_run(contoh), contoh.workspace.archive)
    shutil.rmtree(bag / "data")
    shutil.rmtree(contoh.workspace.runs)

    assert number_of(contoh.start()) == 2


def test_runs_tell_their_numbers_though_the_book_is_gone(contoh: Office) -> None:
    closed_run(contoh)
    (contoh.workspace.runs / BOOK).unlink()

    assert number_of(contoh.start()) == 2


def test_another_office_has_numbers_of_its_own(contoh: Office) -> None:
    closed_run(contoh)
    contoh.roster = contoh.roster.model_copy(update={"office": "Dinas Lain"})

    assert number_of(contoh.start()) == 1


def test_a_book_that_cannot_be_read_gives_no_number(contoh: Office) -> None:
    closed_run(contoh)
    (contoh.workspace.runs / BOOK).write_text("{}x", encoding="utf-8")

    with pytest.raises(errors.InputError, match="a number might be given twice"):
        contoh.start()
