"""What the operator is asked at the terminal, and how he answers or leaves it for later."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FixedClock
from rich.console import Console

from runner import questions
from runner.questions import Questions
from runner.reasons import Answer, Question
from runner.timing import StepTime

TIME = StepTime(6, 1, FixedClock().now(), FixedClock().now(), 3725.0, (), 3600)
REASON = Question("reason", 6, 1, TIME)
CONDITION = Question("condition")
RECORD: Any = SimpleNamespace(started={"operator": {"name": "Nama\x1b[31m Petugas"}})


def ask(question: Question, *lines: str | None) -> tuple[Answer | None, str]:
    """Return the answer, and all that was shown."""
    typed: Iterator[str | None] = iter(lines)
    shown = Console(file=io.StringIO(), width=100)

    def read_line(text: str) -> str | None:
        shown.print(text, markup=False)
        return next(typed)

    answer = Questions(shown, read_line)(question, RECORD)
    return answer, shown.file.getvalue()  # type: ignore[attr-defined]


def test_the_question_says_by_how_much_the_row_was_over() -> None:
    assert "row 6 took 1 h 02 min of work, 2 min 05 s over its standard time" in ask(REASON, "x")[1]


def test_nothing_that_steers_the_terminal_comes_out() -> None:
    assert "\x1b" not in ask(REASON, "x")[1]


def test_a_reason_is_taken_without_blanks_around_it() -> None:
    assert ask(REASON, "  Kabel putus \n")[0] == Answer("Kabel putus")


@pytest.mark.parametrize("line", ["", "\n", "   ", None])
@pytest.mark.parametrize("question", [REASON, CONDITION])
def test_an_empty_line_or_none_leaves_it_for_later(question: Question, line: str | None) -> None:
    assert ask(question, line)[0] is None


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["1"], Answer("", "normal")),
        (["normal"], Answer("", "normal")),
        (["2", "Listrik padam"], Answer("Listrik padam", "tidak normal")),
        (["tidak normal", "Listrik padam"], Answer("Listrik padam", "tidak normal")),
        (["3", "ya", "1"], Answer("", "normal")),
        (["2", ""], None),
        (["ya", ""], None),
    ],
)
def test_the_condition_is_a_number_or_a_word_and_the_bad_one_with_its_reason(
    lines: list[str], answer: Answer | None
) -> None:
    assert ask(CONDITION, *lines)[0] == answer


def typed(monkeypatch: pytest.MonkeyPatch, text: bytes, *, limit: float) -> Answer | None:
    """Ask a question of a real descriptor into which ``text`` was typed."""
    reading, writing = os.pipe()
    os.write(writing, text)
    monkeypatch.setattr(questions, "LIMIT", limit)
    with os.fdopen(reading) as stdin, os.fdopen(writing, "w"):
        monkeypatch.setattr("sys.stdin", stdin)
        return Questions(Console(file=io.StringIO()))(REASON, RECORD)


def test_a_line_is_read_from_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, b"Kabel putus\n", limit=30) == Answer("Kabel putus")


def test_without_a_line_within_the_limit_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, b"", limit=0.05) is None
