"""Asks the operator at the terminal why a row took long, and whether the conditions were normal.

The run does not hang on the answer: an empty line leaves it for later ('rawat note'), and so does no line at
all within the limit, for the operator may have gone home while the hosts are worked on.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from runner import typed
from runner.display import display
from runner.prompt import forget_typed_ahead
from runner.reasons import CONDITIONS, NORMAL, Answer, Question, refusal_of_condition
from runner.record import Record
from runner.times import seconds_text

LIMIT = 300.0
"""Seconds for which a question waits for a line."""

ReadLine = Callable[[str], str | None]
"""Prints a question and returns the line that was typed, or None when nobody typed one."""


class Questions:
    """Asks on one console."""

    def __init__(self, console: Console, read_line: ReadLine | None = None) -> None:
        self._console = console
        self._read_line = read_line or self._within_the_limit

    def __call__(self, question: Question, record: Record) -> Answer | None:
        """Return what the operator says, or None when it is left for later."""
        forget_typed_ahead()
        operator = display(record.started["operator"]["name"])
        self._console.print()
        if question.about == "condition":
            return self._condition(operator)
        return self._reason(question, operator)

    def _reason(self, question: Question, operator: str) -> Answer | None:
        time = question.time
        if time is None:
            raise ValueError("a question about a reason tells of which attempt")
        took = f"row {time.step} took {seconds_text(time.work)} of work"
        told = f"     {took}, {seconds_text(time.over)} over its standard time"
        self._console.print(Text(told, style="yellow"))
        answer = self._line(f"     {operator}, why? (Enter: later) ")
        return Answer(answer) if answer else None

    def _condition(self, operator: str) -> Answer | None:
        self._console.print(
            Text("     The SOP's times are meant for normal conditions (kondisi normal).", style="cyan")
        )
        for number, condition in enumerate(CONDITIONS, start=1):
            self._console.print(Text(f"       {number}  {condition}"))
        while True:
            answer = self._line(f"     {operator}, which was it? (number or word; Enter: later) ")
            chosen = dict(enumerate(CONDITIONS, start=1)).get(int(answer)) if answer.isdigit() else answer
            if not answer:
                return None
            if chosen == NORMAL:
                return Answer("", NORMAL)
            if chosen in CONDITIONS:
                reason = self._line("     What was not normal? (Enter: later) ")
                return Answer(reason, chosen) if refusal_of_condition(chosen, reason) is None else None
            self._console.print(Text(f"     please answer with 1 to {len(CONDITIONS)}", style="yellow"))

    def _line(self, question: str) -> str:
        try:
            answer = self._read_line(question)
        except (EOFError, UnicodeDecodeError):
            answer = None
        answer = (answer or "").strip()
        wrong = typed.problem(answer)
        if wrong:
            self._console.print(Text(f"     what was typed {wrong}", style="yellow"))
            answer = ""
        if not answer:
            self._console.print(Text("     left for later: rawat note", style="dim"))
        return answer

    def _within_the_limit(self, question: str) -> str | None:
        self._console.print(Text(question), end="")
        ready, _, _ = select.select([sys.stdin], [], [], LIMIT)
        line = sys.stdin.readline() if ready else ""
        if not line:
            self._console.print()
            return None
        return line
