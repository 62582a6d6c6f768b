"""A form at the terminal, field by field: what is asked again, what is computed, what is left for later."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Console

from runner import record
from runner.filling import Filled, due_form
from runner.form_prompt import FormPrompt
from runner.workspace import RunFolder
from scenarios.office import Office
from scenarios.palembang import ANSWERS, SICK, filled_in


@pytest.fixture(autouse=True)
def _nobody_typed_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.form_prompt.forget_typed_ahead", lambda: None)


def asked(folder: RunFolder, lines: Iterable[str]) -> tuple[Filled | None, str]:
    """Answer the form that is due with these lines; return what it came to, and the screen."""
    typed = iter(lines)
    screen = io.StringIO()

    def read_line(question: str) -> str:
        screen.write(question)
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    now = record.load(folder)
    prompt = FormPrompt(Console(file=screen, width=100), read_line)
    return prompt(due_form(now), now), screen.getvalue()


@pytest.fixture
def assignment(palembang: Office) -> RunFolder:
    """Return a run that waits for its first form."""
    folder = palembang.start()
    palembang.go_on(folder, {})
    return folder


@pytest.fixture
def proposal(palembang: Office) -> RunFolder:
    """Return a run that waits for the form with amounts."""
    for row in (2, 4):
        palembang.playbooks.answer(row, "1", {"web1": SICK})
    folder = palembang.start()
    palembang.go_on(folder, {1: ["ditugaskan"]}, filled_in(1, 4))
    return folder


LIST = ["Situs web kantor", "Basis data kepegawaian", ""]


def test_what_is_typed_becomes_the_form(assignment: RunFolder) -> None:
    given, screen = asked(assignment, ["1", *LIST, "", "", "", "y"])
    assert given == Filled("kabid", ANSWERS["penugasan"], ())
    assert "1  Nama Kabid (kabid)" in screen
    assert "Yang tidak dipilih hanya diusulkan" in screen
    assert "8  Menyalakan layanan" in screen


def test_what_must_be_filled_in_is_asked_for_again(assignment: RunFolder) -> None:
    given, screen = asked(assignment, ["7", "2", "", *LIST, "", "", "", "y"])
    assert given is not None
    assert given.official == "pengelola"
    assert "please answer with 1 to 2" in screen
    assert screen.count("must be filled in") == 1


def test_all_of_it_is_asked_again_when_something_is_not_right(assignment: RunFolder) -> None:
    given, _ = asked(assignment, ["1", "Salah", "", "", "", "", "n", *LIST, "", "", "", "ya"])
    assert given == Filled("kabid", ANSWERS["penugasan"], ())


def test_no_more_lines_leave_it_for_later(assignment: RunFolder) -> None:
    before = assignment.journal.read_bytes()
    given, screen = asked(assignment, ["1", "Situs web"])
    assert given is None
    assert "left for later: rawat fill" in screen
    assert assignment.journal.read_bytes() == before


def test_amounts_and_papers_are_judged_as_they_are_typed(proposal: RunFolder, tmp_path: Path) -> None:
    paper, odd = tmp_path / "penawaran.pdf", tmp_path / "x.exe"
    paper.write_bytes(b"%PDF-1.7 x")
    odd.write_bytes(b"MZ")
    rows = ["Disk 1 TB", "dua", "2", "buah", "mahal", "Rp1.250.000", "Jasa pemasangan", "1", "", "350000", ""]
    lines = ["1", "Disk server rusak.", *rows, "besok", "", str(odd), str(paper), "", "y"]
    given, screen = asked(proposal, lines)
    assert given == Filled("kabid", ANSWERS["usulan"], (paper,))
    for words in (
        "expected a whole number, got 'dua'",
        "expected an amount such as",
        "Rp2.500.000",
        "is no attachment",
        "Jumlah seluruhnya: Rp2.850.000",
    ):
        assert words in screen


def test_a_choice_is_typed_by_its_number_or_word(palembang: Office) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK})
    folder = palembang.start()
    palembang.go_on(folder, {1: ["ditugaskan"]}, filled_in(1))
    lines = [
        "Situs web tidak menjawab.",
        "",
        "Layanan web dijalankan ulang.",
        "3",
        "2",
        "Disk pengganti",
        "",
        "y",
    ]
    given, screen = asked(folder, lines)
    assert given == Filled("pengelola", ANSWERS["perbaikan"], ())
    assert "Nama Pengelola (pengelola) fills it in" in screen
    assert "expected one of Diperbaiki" in screen
