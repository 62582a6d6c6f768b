"""A SOP as its paper shows it: actors as columns, rows with their symbol and where they lead. Pure.

It is what the flowchart is drawn from (``runner.flow``), in the SOP's own document and in the documents of a
run alike. The wording of the SOP is passed on to the letter; nothing is added to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from runner.findings import Finding
from runner.language import is_original
from runner.sop import Assumption, Sop, Step, Target
from runner.timing import StepTime

Symbol = Literal["terminator", "process", "decision"]
Standing = Literal["done", "current", "not_reached"]

_COLUMN = {
    "no": "no",
    "kelengkapan": "requirements",
    "waktu": "time",
    "output": "outputs",
    "keterangan": "remark",
}


class Exit(Finding):
    """Where a row leads: to the row of that number, or to the end when there is none; outcomes as labels."""

    label: str
    to: int | None


class Row(Finding):
    """A row of the flowchart; ``lanes`` are the columns of its actors, the one who does it first.

    A row without an actor ("Mulai") is drawn in the column of the one beside it, and ``has_actor`` is false.
    """

    no: int
    activity: str
    lanes: tuple[int, ...]
    has_actor: bool = True
    symbol: Symbol
    requirements: tuple[str, ...]
    time: str
    outputs: tuple[str, ...]
    remark: str
    exits: tuple[Exit, ...]
    standing: Standing | None = None
    """How it stands in a run; None on the SOP's own paper."""


class Procedure(Finding):
    """The flowchart of a SOP: positions in the order of their columns, and the rows."""

    actors: tuple[str, ...]
    rows: tuple[Row, ...]


class Mark(Finding):
    """A note on a place of the paper: ``row`` and ``column`` of the flowchart, or a field of the identity.

    The other columns are ``actors``, the head of the flowchart, and ``sop``, all of it.
    """

    number: int
    row: int | None
    column: str
    text: str


def procedure_of(sop: Sop, begun: Mapping[int, Standing] | None = None) -> Procedure:
    """Return the flowchart's content of a SOP; with ``begun``, of a run that has begun these rows."""
    columns = {actor: index for index, actor in enumerate(sop.actors)}
    lanes = [_lanes(sop, index, columns) for index in range(len(sop.steps))]
    rows = tuple(_row(sop, index, own) for index, own in enumerate(lanes))
    if begun is not None:
        rows = tuple(row.model_copy(update={"standing": begun.get(row.no, "not_reached")}) for row in rows)
    return Procedure(actors=tuple(sop.actors.values()), rows=rows)


def _row(sop: Sop, index: int, lanes: tuple[int, ...]) -> Row:
    step = sop.steps[index]
    return Row(
        no=step.no,
        activity=step.kegiatan,
        lanes=lanes,
        has_actor=step.pelaksana is not None,
        symbol=_symbol(step, first=index == 0),
        requirements=tuple(step.kelengkapan),
        time=step.waktu or "",
        outputs=tuple(output.name for output in step.output),
        remark=step.keterangan or "",
        exits=tuple(_exits(step)),
    )


def _symbol(step: Step, *, first: bool) -> Symbol:
    # A decision with one single exit asks nothing: it is drawn as what it is, a piece of work.
    if step.decision and len(step.decision.outcomes) > 1:
        return "decision"
    return "terminator" if first or step.targets == ["end"] else "process"


def _lanes(sop: Sop, index: int, columns: dict[str, int]) -> tuple[int, ...]:
    """Return the row's columns; "Mulai" and "Selesai" stand in that of the row beside them."""
    step = sop.steps[index]
    own = dict.fromkeys(columns[actor] for actor in (step.pelaksana, step.bersama) if actor)
    if own:
        return tuple(own)
    beside = [*sop.steps[index + 1 :], *reversed(sop.steps[:index])]
    if index == len(sop.steps) - 1:
        beside = list(reversed(sop.steps[:index]))
    return (next((columns[other.pelaksana] for other in beside if other.pelaksana), 0),)


def _exits(step: Step) -> Iterator[Exit]:
    """Yield the exits: outcomes that lead to the same place share one.

    Where all lead to the same row there are two, so that a diamond always has a choice.
    """
    if step.decision is None or len(step.decision.outcomes) == 1:
        for target in step.targets:
            yield Exit(label="", to=_number(target))
        return
    named: dict[Target, list[str]] = {}
    for outcome in step.decision.outcomes:
        named.setdefault(outcome.next, []).append(outcome.name)
    for target, names in named.items():
        if len(named) == 1 and len(names) > 1 and target != "end":
            yield Exit(label=names[0], to=_number(target))
            yield Exit(label=" / ".join(names[1:]), to=_number(target))
        else:
            yield Exit(label=" / ".join(names), to=_number(target))


def _number(target: Target) -> int | None:
    return None if target == "end" else target


def marks_of(sop: Sop) -> tuple[Mark, ...]:
    """Return the SOP's assumptions, numbered as they stand, each with the place it is about.

    A SOP file says each in Indonesian for its paper, and in English for who works with the file.
    """
    return tuple(
        Mark(number=number, text=_told(assumption), **_place(sop, assumption.field))
        for number, assumption in enumerate(sop.assumptions, start=1)
    )


def _told(assumption: Assumption) -> str:
    return (assumption.catatan if is_original() else None) or assumption.text


def _place(sop: Sop, field: str) -> dict[str, int | str | None]:
    found = re.match(r"steps\[(\d+)\](?:\.(\w+))?", field)
    if found is None:
        if field.startswith("identity."):
            return {"row": None, "column": field.removeprefix("identity.")}
        return {"row": None, "column": "actors" if field.startswith("actors") else "sop"}
    no = sop.steps[int(found[1])].no
    return {"row": no, "column": _COLUMN.get(found[2] or "", "activity")}


def standings(sop: Sop, times: Iterable[StepTime]) -> dict[int, Standing]:
    """Return how the rows that a run has begun stand, from the times of its attempts in their order.

    Work that was sent back to a row has to go through all rows from there on again: they are not done.
    """
    order = {step.no: index for index, step in enumerate(sop.steps)}
    found: dict[int, Standing] = {}
    for time in times:
        found = {no: standing for no, standing in found.items() if order[no] < order[time.step]}
        found[time.step] = "done" if time.finished else "current"
    return found
