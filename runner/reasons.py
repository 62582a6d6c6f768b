"""What a person notes about a run besides decisions: why a row took long, and the conditions. Pure rules.

1. A reason belongs to an attempt of a row that has ended and whose work took longer than its standard time
   (Waktu, Mutu Baku).
2. The condition is ``normal`` or ``tidak normal``, as SOPs say of their standard times ("Pencapaian Waktu SOP
   Dalam Kondisi Normal"); what is not normal needs a reason.
3. A note is by the operator or another official of the roster, at any time until the run is closed. Of two
   notes about the same thing the later is shown, and both stay.
4. Whoever operates a run at a terminal is asked once for each: for a reason when the row has ended, for the
   condition before the first document of a row that drafts a report. Nothing waits for the answer for long.

Notes open no gate, and nothing is done on them; they are not signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runner.gates import refusal_of_length
from runner.journal import Event
from runner.moves import FinishRun, Move, StartStep, WriteDocument
from runner.officials import Roster
from runner.sop import Sop
from runner.timing import StepTime, step_times

NORMAL, NOT_NORMAL = "normal", "tidak normal"
CONDITIONS = (NORMAL, NOT_NORMAL)
EVENTS = frozenset({"question_asked", "reason_given", "condition_told"})


@dataclass(frozen=True)
class Question:
    """What the operator is asked: the reason of an attempt, or the condition (then of no row)."""

    about: Literal["reason", "condition"]
    step: int | None = None
    attempt: int | None = None
    time: StepTime | None = None


@dataclass(frozen=True)
class Answer:
    """What the operator says; ``condition`` is empty when a reason was asked for."""

    reason: str
    condition: str = ""


def question_due(sop: Sop, events: Sequence[Event], move: Move) -> Question | None:
    """Return what the operator is to be asked before ``move``, if anything."""
    asked = {(e["about"], e["step"], e["attempt"]) for e in events if e.name == "question_asked"}
    if isinstance(move, StartStep | FinishRun):
        for time in over_without_reason(sop, events):
            if ("reason", time.step, time.attempt) not in asked:
                return Question("reason", time.step, time.attempt, time)
    if isinstance(move, WriteDocument) and ("condition", None, None) not in asked:
        action = sop.step(move.step).action
        if action and action.kind == "document" and condition_told(events) is None:
            return Question("condition")
    return None


def over_without_reason(sop: Sop, events: Sequence[Event]) -> list[StepTime]:
    """Return the ended attempts that were over their standard time and of which nobody has said why."""
    told = reasons_given(events)
    times = step_times(sop, events)
    return [t for t in times if t.finished and t.over and (t.step, t.attempt) not in told]


def reasons_given(events: Iterable[Event]) -> dict[tuple[int, int], Event]:
    """Return the reason that is shown for each (row, attempt): the newest."""
    return {(event["step"], event["attempt"]): event for event in events if event.name == "reason_given"}


def condition_told(events: Iterable[Event]) -> Event | None:
    """Return the newest word on the condition, None when nobody has said it."""
    return next((event for event in reversed(list(events)) if event.name == "condition_told"), None)


def refusal_of_reason(times: Iterable[StepTime], step: int, attempt: int, reason: str) -> str | None:
    """Return why a reason cannot be noted for this attempt, or None when it can."""
    time = next((time for time in times if (time.step, time.attempt) == (step, attempt)), None)
    if time is None:
        return f"row {step} has no attempt {attempt} in this run"
    if time.finished is None:
        return f"row {step} is still under way"
    if time.standard is None:
        return f"row {step} has no standard time (Waktu)"
    if not time.over:
        return f"row {step}, attempt {attempt}, was within its standard time"
    return refusal_of_length(reason) if reason.strip() else "the reason is empty"


def refusal_of_condition(condition: str, reason: str) -> str | None:
    """Return why a condition cannot be noted, or None when it can."""
    if condition not in CONDITIONS:
        return f"{condition!r} is no condition; expected {' or '.join(map(repr, CONDITIONS))}"
    if condition == NOT_NORMAL and not reason.strip():
        return f"{condition!r} needs a reason"
    return refusal_of_length(reason)


def misfit(
    sop: Sop, roster: Roster, operator: dict[str, Any], before: Sequence[Event], event: Event
) -> str | None:
    """Return why one of ``EVENTS`` cannot follow the records before it, or None when it can."""
    told = event.fields
    if event.name == "question_asked":
        again = any(e.name == event.name and e.fields == told for e in before)
        return "is asked twice" if again else _misfit_of_question(sop, before, told)
    official = roster.official(told["person"]["id"])
    if told["person"] != operator and (official is None or told["person"] != official.person()):
        return "by nobody of the roster"
    if event.name == "condition_told":
        return refusal_of_condition(told["condition"], told["reason"])
    return refusal_of_reason(step_times(sop, before), told["step"], told["attempt"], told["reason"])


def _misfit_of_question(sop: Sop, before: Sequence[Event], asked: dict[str, Any]) -> str | None:
    if asked["about"] == "condition":
        return None if asked["step"] is asked["attempt"] is None else "the condition is of no row"
    return refusal_of_reason(step_times(sop, before), asked["step"], asked["attempt"], "asked")
