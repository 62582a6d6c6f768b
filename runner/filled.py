"""A form in a run: who may fill it in, where it is kept, and what its file says. Pure rules.

1. A form waits until somebody fills it in; no process is needed meanwhile.
2. It is filled in by who holds a position of its row. Where he decides at the row's gate, he signs what was
   filled in, for the file's digest is part of that gate's evidence; then the operator may write it for him.
3. Until something was signed or done since, it may be filled in anew; the newest counts and all are kept.
4. What stands in the file is judged again whenever the record is checked, by the form in the run's SOP.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from runner import forms, gates, wording
from runner.journal import Event
from runner.language import _, in_sense
from runner.moves import SCAN_EXTENSIONS, AwaitForm, Move, statement_name
from runner.officials import Holder, Official, Roster
from runner.sop import Sop, Step
from runner.state import RunState

FORMAT = 1
PART = "form"


def awaited(sop: Sop, state: RunState) -> dict[str, Any]:
    """Return what ``form_awaited`` says of the form that the run has come to."""
    step = state.step
    if step.action is None or step.action.form is None or step.pelaksana is None:
        raise ValueError(f"row {step.no} has no form")
    return {
        "step": step.no,
        "attempt": state.attempt,
        "part": PART,
        "form": step.action.form,
        "actor": step.pelaksana,
        "position": sop.actors[step.pelaksana],
        "signed": is_signed(sop, step),
    }


def is_signed(sop: Sop, step: Step) -> bool:
    """Tell whether the actor whose form it is signs it at the row's gate."""
    return step.pelaksana is not None and step.pelaksana in sop.seats(step)


def due(state: RunState, move: Move) -> dict[str, Any] | None:
    """Return which form can be filled in now (step, attempt, part, form): the awaited one, or one anew."""
    told = move.awaited if isinstance(move, AwaitForm) else None
    if told is None and state.forms.is_open and state.stopped is None and state.failed is None:
        told = state.forms.filled[-1]
    return None if told is None else {key: told[key] for key in ("step", "attempt", "part", "form")}


@dataclass(frozen=True)
class Fillers:
    """Who may fill in the forms of a run on a day."""

    sop: Sop
    roster: Roster
    operator: dict[str, Any]
    day: date

    def refusal(self, step: Step, who: str) -> str | None:
        """Return why somebody may not fill in the form of a row, or None when he may."""
        official = self.roster.official(who)
        if official is None:
            return f"{who!r} is not in the roster of officials"
        if not official.valid.includes(self.day):
            return f"{official.name} is an official {official.valid.days()}, not on {self.day}"
        if gates.is_person(self.roster, self.operator, official) and is_signed(self.sop, step):
            return None  # he writes it down for whoever signs it
        if self._holder(step, official) is not None:
            return None
        positions = " or ".join(self._positions(step))
        return f"{official.name} does not hold {positions}, and a form is filled in by whose row it is"

    def person(self, step: Step, who: str) -> dict[str, Any]:
        """Return who fills in the form of a row, in the position of the row where he holds it."""
        official = self.roster.named(who)
        holder = self._holder(step, official)
        return holder.person if holder else official.person()

    def _holder(self, step: Step, official: Official) -> Holder | None:
        found = (self.roster.holder(official, position, self.day) for position in self._positions(step))
        return next((holder for holder in found if holder is not None), None)

    def _positions(self, step: Step) -> list[str]:
        return [self.sop.actors[actor] for actor in (step.pelaksana, step.bersama) if actor]


def folder_name(state: RunState, step: int, attempt: int) -> str:
    """Return the path, but for its ending, of what is filled in next at an attempt: ``forms/5-1``."""
    number = sum(1 for made in state.forms.filled if (made["step"], made["attempt"]) == (step, attempt)) + 1
    return f"forms/{statement_name(step, attempt, number)}"


def attachment_name(stem: str, number: int, extension: str) -> str:
    """Return the path of an attachment: ``forms/8-1-attachment-1.pdf``."""
    return f"{stem}-attachment-{number}{extension}"


def possible_paths(stem: str) -> set[str]:
    """Return every path that filling in a form once can write."""
    numbers = range(1, forms.MAX_ATTACHMENTS + 1)
    return {f"{stem}.json"} | {attachment_name(stem, n, e) for n in numbers for e in SCAN_EXTENSIONS}


def content(
    form: forms.Form, at: dict[str, Any], answers: forms.Answers, attachments: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what the file of a filled form says.

    Args:
        form: the form as the SOP has it.
        at: step, attempt, form (its name) and person.
        answers: judged answers.
        attachments: of each attached file its ``path``, given ``name``, ``bytes`` and ``sha256``.
    """
    kept = {key: at[key] for key in ("step", "attempt", "form", "person")}
    totals = forms.totals_of(form, answers)
    return {"format": FORMAT, **kept, "answers": answers, "totals": totals, "attachments": attachments}


def misfit(sop: Sop, event: Event, said: dict[str, Any]) -> str | None:
    """Return in what a file differs from the record that names it and from the form, or None when it fits."""
    form = sop.forms[event["form"]]
    answers, wrong = forms.answers_of(form, said.get("answers"))
    if wrong:
        return wrong[0].message
    attached = said.get("attachments")
    if not isinstance(attached, list) or not all(isinstance(each, dict) for each in attached):
        return "attachments"
    named = [{"path": each.get("path"), "sha256": each.get("sha256")} for each in attached]
    if named != [{key: file[key] for key in ("path", "sha256")} for file in event["files"][1:]]:
        return "attachments"
    if refused := refusal_of_attachments(form, len(attached)):
        return refused
    expected = content(form, event.fields, answers, attached)
    return next((key for key in sorted({*expected, *said}) if said.get(key) != expected.get(key)), None)


def refusal_of_attachments(form: forms.Form, count: int) -> str | None:
    """Return why a form is not filled in with so many attachments, or None when it is."""
    field = form.attachments
    if field is None:
        return "this form takes no attachments" if count else None
    if field.required and not count:
        return f"{field.label}: must be attached"
    if count > forms.MAX_ATTACHMENTS:
        return f"more than {forms.MAX_ATTACHMENTS} attachments: {count}"
    return None


@dataclass(frozen=True)
class Answered:
    """One field of a filled form for people: its label, its answer as lines, and what was attached."""

    label: str
    lines: tuple[str, ...]
    table: tuple[tuple[str, ...], ...] = ()
    """Of a table: its head, then its rows, as text."""
    total: int | None = None
    files: tuple[tuple[str, str], ...] = ()
    """Of attachments: (given name, SHA-256)."""


def shown(form: forms.Form, said: dict[str, Any]) -> list[Answered]:
    """Return the fields of a filled form, in the form's order, as people read them."""
    return [_answered(name, field, said) for name, field in form.fields.items()]


def _answered(name: str, field: forms.Field, said: dict[str, Any]) -> Answered:
    given = said["answers"].get(name)
    if field.type == "attachments":
        return Answered(field.label, (), files=tuple((a["name"], a["sha256"]) for a in said["attachments"]))
    if given is None:
        return Answered(field.label, ())
    if field.type != "table":
        given = given if isinstance(given, list) else [given]
        lines = [line for each in given for line in _worded(field, each).splitlines()]
        return Answered(field.label, tuple(lines))
    total = said["totals"].get(name)
    head = tuple(column.label for column in field.columns.values())
    rows = [tuple(_worded(c, row.get(key)) for key, c in field.columns.items()) for row in given]
    if total is not None:
        head = (*head, in_sense("money", "Jumlah"))
        sums = [forms.rupiah_text(forms.total_of(field, row)) for row in given]
        rows = [(*row, each) for row, each in zip(rows, sums, strict=True)]
    lines = [", ".join(f"{k} {v}" for k, v in zip(head, row, strict=True) if v) for row in rows]
    lines += (
        [_("Jumlah seluruhnya: {total}").format(total=forms.rupiah_text(total))] if total is not None else []
    )
    return Answered(field.label, tuple(lines), (head, *rows), total)


def _worded(field: forms.Field | forms.Column, value: str | int | None) -> str:
    if value is None:
        return ""
    match field.type:
        case "rupiah":
            return forms.rupiah_text(int(value))
        case "date":
            return wording.calendar_day(str(value))
        case _:
            return str(value)
