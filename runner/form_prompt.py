"""Asks for a form at the terminal, field by field; what counts as an answer is for ``forms`` to say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from runner import errors, filled, forms, scans
from runner.clock import SystemClock
from runner.display import display
from runner.filling import Due, Filled
from runner.forms import Answers, Column, Field
from runner.prompt import forget_typed_ahead
from runner.record import Record
from runner.typed import read_line

_YES = frozenset({"y", "yes", "ya"})


class FormPrompt:
    """Asks on one console."""

    def __init__(self, console: Console, read_line: Callable[[str], str] = read_line) -> None:
        self._console = console
        self._read_line = read_line

    def __call__(self, due: Due, record: Record) -> Filled | None:
        """Return what was filled in, or None when it is left for later."""
        form = due.form
        self._say(f"     form: {form.title}", "bold magenta")
        self._say("     Ctrl-D leaves it for later: rawat fill", "dim")
        forget_typed_ahead()
        try:
            who = self._who(due, record)
            if who is None:
                self._say("     nobody of the roster may fill it in today", "yellow")
                return None
            while True:
                answers = {name: self._field(field) for name, field in form.typed.items()}
                kept = {name: value for name, value in answers.items() if value not in (None, "", [])}
                papers = self._papers(form.attachments) if form.attachments else ()
                if self._is_right(form, kept, papers):
                    return Filled(who, kept, papers)
        except (EOFError, KeyboardInterrupt):
            self._console.print()
            self._say("     left for later: rawat fill", "dim")
            return None

    def _who(self, due: Due, record: Record) -> str | None:
        today = record.roster.day(SystemClock().now().at)
        operator = record.started["operator"]
        fillers = filled.Fillers(record.sop, record.roster, operator, today)
        able = [
            official for official in record.roster.officials if fillers.refusal(due.step, official.id) is None
        ]
        # Whose row it is comes before the operator, who only writes it down for him.
        able.sort(key=lambda official: official.id == operator["id"])
        if len(able) <= 1:
            for official in able:
                self._say(f"     {official.name} ({official.id}) fills it in", "magenta")
            return able[0].id if able else None
        for number, official in enumerate(able, start=1):
            self._say(f"       {number}  {official.name} ({official.id})")
        return able[self._number("Who fills it in", len(able)) - 1].id

    def _field(self, field: Field) -> Any:  # noqa: ANN401 - as the field's type says
        must = "" if field.required else " (may stay empty)"
        self._say(f"     {field.label}{must}", "bold")
        if field.help:
            self._say(f"       {field.help}", "dim")
        if field.type == "table":
            return self._table(field)
        while True:
            try:
                value = self._value(field)
            except ValueError as error:
                self._say(f"       {error}", "yellow")
                continue
            if value not in (None, "", []) or not field.required:
                return value
            self._say("       must be filled in", "yellow")

    def _value(self, field: Field | Column) -> Any:  # noqa: ANN401 - as the field's type says
        """Ask for one answer; None when it was left empty."""
        if field.choices:
            for number, choice in enumerate(field.choices, start=1):
                self._say(f"         {number}  {choice}")
        if field.type in {"lines", "choices"}:
            self._say("       one per line, an empty line ends", "dim")
            lines = list(iter(lambda: self._read_line("       - ").strip(), ""))
            return forms.value_of(field, [_chosen(field, line) for line in lines])
        answer = self._read_line("       > ").strip()
        return forms.value_of(field, _chosen(field, answer)) if answer else None

    def _table(self, field: Field) -> list[Answers]:
        rows: list[Answers] = []
        while True:
            first = next(iter(field.columns.values())).label
            self._say(f"       row {len(rows) + 1}; an empty {first} ends", "dim")
            row = self._row(field)
            if row is not None:
                rows.append(row)
                if field.total:
                    self._say(f"       {forms.rupiah_text(forms.total_of(field, row))}")
            elif rows or not field.required:
                return rows
            else:
                self._say("       at least one row must be filled in", "yellow")

    def _row(self, field: Field) -> Answers | None:
        row: Answers = {}
        for number, (name, column) in enumerate(field.columns.items()):
            while True:
                self._say(f"       {column.label} ({forms.EXPECTED[column.type]})")
                try:
                    value = self._value(column)
                except ValueError as error:
                    self._say(f"       {error}", "yellow")
                    continue
                if value is None and number == 0:
                    return None
                if value is None and column.required:
                    self._say("       must be filled in", "yellow")
                    continue
                break
            if value is not None:
                row[name] = value
        return row

    def _papers(self, field: Field) -> tuple[Path, ...]:
        must = "" if field.required else " (may stay empty)"
        self._say(f"     {field.label}{must}: {forms.EXPECTED['attachments']}", "bold")
        self._say("       a path per line, an empty line ends", "dim")
        papers: list[Path] = []
        while True:
            answer = self._read_line("       - ").strip()
            if not answer and field.required and not papers:
                self._say("       must be attached", "yellow")
                continue
            if not answer:
                return tuple(papers)
            try:
                path = Path(answer).expanduser()
                scans.read_scan(path, "attachment")
            except errors.InputError as error:
                self._say(f"       {error}", "yellow")
                continue
            papers.append(path)

    def _is_right(self, form: forms.Form, answers: Answers, papers: tuple[Path, ...]) -> bool:
        self._console.print()
        attached = [{"name": path.name, "sha256": ""} for path in papers]
        said = {"answers": answers, "totals": forms.totals_of(form, answers), "attachments": attached}
        for told in filled.shown(form, said):
            for number, line in enumerate((*told.lines, *(name for name, _ in told.files)) or ("-",)):
                self._say((f"     {told.label}: " if number == 0 else "       ") + display(line))
        return self._read_line("     Is all of it right? [y/N: ask again] ").strip().lower() in _YES

    def _number(self, question: str, most: int) -> int:
        while True:
            answer = self._read_line(f"     {question} (number): ").strip()
            if answer.isdigit() and 1 <= int(answer) <= most:
                return int(answer)
            self._say(f"     please answer with 1 to {most}", "yellow")

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(Text(display(line), style=style), soft_wrap=True)


def _chosen(field: Field | Column, answer: str) -> str:
    """Return the choice that a number stands for, or the answer as it was typed."""
    if field.choices and answer.isdigit() and 1 <= int(answer) <= len(field.choices):
        return field.choices[int(answer) - 1]
    return answer
