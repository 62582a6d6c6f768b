"""Judges a SOP file as a colleague would who knows the work: everything that is wrong with it, at once.

``parse_sop`` refuses what no run could follow. Here is what a careful reader sees besides. Errors keep a run
from starting; warnings are for the office to weigh. What stands so on the paper is no slip: an assumption on
that very field makes the error a warning, and is shown before every run. Pure rules, no disk.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from pydantic import ValidationError

from runner import cures, source
from runner.models import meant, path_text
from runner.officials import Holder, Official, Roster
from runner.repair_sentences import NAMES
from runner.sop import Available, Cures, Outcome, Sop, Step, missing_files, parse_sop
from runner.source import Problem, SourceError

_NEEDS_A_PLAN = {"planned", "ready"}
_NOBODY_PLANS = "but no row with 'plan: true' comes before it"
_NOBODY_CHANGES = "but no row with 'changes: true' comes before it"
# How Indonesian offices call an exit that says no; what else refuses is known by where it leads.
_REFUSES = re.compile(
    r"(tidak|belum|tolak|ditolak|menolak|tunda|ditunda|ditangguhkan|batal|dibatalkan|dikembalikan)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Staff:
    """Who there is to do the rows: the office's roster, and who would operate on which day."""

    roster: Roster
    operator: Official | None
    today: date


@dataclass(frozen=True)
class Judgement:
    """What was found: ``sop`` is None when the file is none; problems in the order of their lines."""

    sop: Sop | None
    errors: list[Problem]
    warnings: list[Problem]


@dataclass(frozen=True)
class _Found:
    """One thing that was found, and where; ``assumable`` when the paper itself may say so."""

    path: source.Path
    message: str
    is_error: bool = True
    assumable: bool = False


def judge(text: str, name: str, available: Available | None = None, staff: Staff | None = None) -> Judgement:
    """Judge a SOP file called ``name``, and with ``staff`` whether the office has the people for it."""
    try:
        read = source.read(text, name)
    except SourceError as error:
        return Judgement(None, error.problems, [])
    told = _refusals(text, name, available)
    try:
        sop = Sop.model_validate(read.data)
    except ValidationError:
        # What cannot be read as a whole is still judged row by row, so that one round of mending is enough.
        rows = list(_readable_rows(read))
        told += missing_files(rows, read, available) if available else []
        return _judgement(None, read, told, itertools.chain.from_iterable(_of_row(i, s) for i, s in rows))
    found = list(itertools.chain.from_iterable(_of_row(i, s) for i, s in enumerate(sop.steps)))
    found += _of_actors(sop, staff)
    if _leads_only_to_rows(sop):
        found += _of_ways(sop)
    return _judgement(sop, read, told, found)


def require_good(text: str, name: str, available: Available) -> Sop:
    """Return the SOP that a run may be started with.

    Raises:
        SourceError: naming every error with its line.
    """
    judged = judge(text, name, available)
    if judged.sop is None or judged.errors:
        raise SourceError(name, judged.errors)
    return judged.sop


def vacancy(sop: Sop, step: Step, staff: Staff) -> str | None:
    """Return why nobody can ever take the seats of the row's gate, or None when somebody can.

    Different persons are needed, none of them the operator.
    """
    positions = [sop.actors[actor] for actor in sop.seats(step)]
    seats = [staff.roster.ever_holders(position, staff.today) for position in positions]
    if can_be_filled(seats, staff.operator):
        return None
    vacant = [position for position, holders in zip(positions, seats, strict=True) if not holders]
    if vacant or staff.operator is None:
        who = "nobody holds that position"
    elif len(positions) == 1:
        who = f"only the operator {staff.operator.id!r} holds that position"
    else:
        who = "no two persons beside the operator hold these positions"
    return f"row {step.no} waits for {' and '.join(vacant or positions)}, but {who} in the roster"


def can_be_filled(seats: list[list[Holder]], operator: Official | None) -> bool:
    """Tell whether different persons, none of them the operator, can take the seats of a gate."""
    able = [
        [h.official for h in holders if operator is None or not h.official.is_same_person(operator)]
        for holders in seats
    ]
    return any(
        all(not a.is_same_person(b) for a, b in itertools.combinations(officials, 2))
        for officials in itertools.product(*able)
    )


def _refusals(text: str, name: str, available: Available | None) -> list[Problem]:
    try:
        parse_sop(text, name, available)
    except SourceError as error:
        return list(error.problems)
    return []


def _judgement(
    sop: Sop | None, read: source.Source, told: Iterable[Problem], found: Iterable[_Found]
) -> Judgement:
    wrong, weigh = list(told), []
    assumed = {assumption.field: assumption.text for assumption in sop.assumptions} if sop else {}
    for one in found:
        line, field = read.line(one.path), path_text(one.path)
        if one.assumable and field in assumed:
            weigh.append(Problem(line, f"{one.message} (assumed: {assumed[field]})"))
        else:
            (wrong if one.is_error else weigh).append(Problem(line, one.message))
    wrong = list(dict.fromkeys(wrong))
    return Judgement(sop, sorted(wrong, key=_line), sorted(weigh, key=_line))


def _line(problem: Problem) -> int:
    return problem.line


def _readable_rows(read: source.Source) -> Iterator[tuple[int, Step]]:
    rows = read.data.get("steps") if isinstance(read.data, dict) else None
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        try:
            yield index, Step.model_validate(row)
        except ValidationError:
            continue  # its mistakes are told with the rest of the file's


# A row by itself --------------------------------------------------------------------------------------


def _of_row(index: int, step: Step) -> Iterator[_Found]:
    at: source.Path = ("steps", index)
    works = step.action is not None or step.decision is not None
    # Of a gate and a form parse_sop asks for the actor.
    waits = bool(step.decision and step.decision.by == "official") or bool(step.action and step.action.form)
    if works and not waits and step.pelaksana is None:
        yield _Found(at, f"row {step.no}: does something, but pelaksana does not say who")
    if (works or step.pelaksana) and step.waktu is None:
        yield _Found(
            (*at, "waktu"),
            f"row {step.no}: has no standard time (waktu); where the paper has none, write 'waktu: null' "
            f"and an assumption on {path_text((*at, 'waktu'))}",
            assumable=True,
        )
    if step.action and step.action.document and not step.documents:
        yield _Found(
            (*at, "action"), f"row {step.no}: drafts documents, but no entry of its output names one"
        )


# What must have a reason ------------------------------------------------------------------------------


def _of_reasons(sop: Sop) -> Iterator[_Found]:
    """Tell which exits refuse and lead on: of them no rule of the run asks a reason, the row has to."""
    for index, step in enumerate(sop.steps):
        outcomes = step.decision.outcomes if step.decision and step.decision.by == "official" else []
        for number, outcome in enumerate(outcomes):
            if not outcome.reason and not sop.turns_down(step, outcome.name):
                yield from _of_exit(("steps", index, "decision", "outcomes", number), step, outcome, outcomes)


def _of_exit(at: source.Path, step: Step, outcome: Outcome, others: list[Outcome]) -> Iterator[_Found]:
    onward = sorted((o.next, o.name) for o in others if isinstance(o.next, int) and o.next > step.no)
    settled = "reason" in outcome.model_fields_set
    to = "completes the run" if outcome.next == "end" else f"leads on to row {outcome.next}"
    if outcome.unresolved:
        told = "a disturbance stays, and reports tell why; write 'reason: true' there"
        yield _Found(at, f"row {step.no}: with {outcome.name!r} {told}")
    elif _REFUSES.match(outcome.name) and settled:
        told = "sounds like a refusal, and 'reason: false' lets it pass without a reason"
        yield _Found(at, f"row {step.no}: {outcome.name!r} {told}", is_error=False)
    elif _REFUSES.match(outcome.name):
        told = "without a reason; write 'reason: true' there, or 'reason: false' where it refuses nothing"
        yield _Found(at, f"row {step.no}: {outcome.name!r} refuses and {to} {told}")
    elif isinstance(outcome.next, int) and onward[0][0] < outcome.next and not settled:
        told = f"leads past row {onward[0][0]}, where {onward[0][1]!r} leads"
        mend = "if it refuses, write 'reason: true' there, and if not, 'reason: false'"
        yield _Found(at, f"row {step.no}: {outcome.name!r} {told}; {mend}", is_error=False)


# The people -------------------------------------------------------------------------------------------


def _of_actors(sop: Sop, staff: Staff | None) -> Iterator[_Found]:
    rows = {actor: [s.no for s in sop.steps if actor in {s.pelaksana, s.bersama}] for actor in sop.actors}
    unknown = {actor for s in sop.steps for actor in (s.pelaksana, s.bersama) if actor} - set(sop.actors)
    for actor, position in sop.actors.items():
        at: source.Path = ("actors", actor)
        if not rows[actor] and not unknown:
            yield _Found(at, f"actor {actor!r} ({position}) stands in no row", is_error=False)
        elif rows[actor] and staff is not None:
            yield from _of_position(sop, actor, rows[actor], staff)
    for index, step in enumerate(sop.steps):
        if set(sop.seats(step)) <= set(sop.actors) and sop.seats(step):
            yield from _of_gate(sop, ("steps", index), step, staff)


def _of_position(sop: Sop, actor: str, rows: list[int], staff: Staff) -> Iterator[_Found]:
    position, at = sop.actors[actor], ("actors", actor)
    if not staff.roster.ever_holders(position, staff.today):
        held = {held for official in staff.roster.officials for held in official.positions}
        yield _Found(
            at,
            f"actor {actor!r}: nobody in officials.yml holds {position!r}, who is needed in "
            f"{_rows(rows)}{meant(position, held - set(sop.actors.values()))}",
        )
    elif not staff.roster.holders(position, staff.today):
        yield _Found(
            at,
            f"actor {actor!r}: nobody is {position} today ({staff.today}); see the dates in officials.yml",
            is_error=False,
        )


def _of_gate(sop: Sop, at: source.Path, step: Step, staff: Staff | None) -> Iterator[_Found]:
    seats = sop.seats(step)
    if staff is None:
        # Who runs the playbooks and tests is who operates; the file says no more than that.
        for actor in seats:
            done = [s.no for s in sop.steps if s.pelaksana == actor and _is_technical(s)]
            if done:
                yield _Found(
                    (*at, "decision"),
                    f"row {step.no}: its gate waits for {sop.actors[actor]}, who also does {_rows(done)}; "
                    "who operates a run decides none of its gates: a second person must hold that position",
                    is_error=False,
                )
        return
    everybody = all(staff.roster.ever_holders(sop.actors[actor], staff.today) for actor in seats)
    if everybody and (why := vacancy(sop, step, staff)):
        yield _Found((*at, "decision"), why)


def _is_technical(step: Step) -> bool:
    return step.action is not None and step.action.kind in {"playbook", "suite"}


# The ways through -------------------------------------------------------------------------------------


def _leads_only_to_rows(sop: Sop) -> bool:
    numbers = [step.no for step in sop.steps]
    targets = {target for step in sop.steps for target in step.targets}
    return len(set(numbers)) == len(numbers) and targets <= {*numbers, "end"}


def _of_ways(sop: Sop) -> Iterator[_Found]:
    yield from _of_reasons(sop)
    yield from _of_order(sop)
    yield from _of_loops(sop)
    made = {output.name for step in sop.steps for output in step.output}
    for index, step in enumerate(sop.steps):
        at: source.Path = ("steps", index)
        before = _reached(sop, stops={step.no})
        if step.no in before:
            yield from _of_needs(sop, at, step, [sop.step(no) for no in sorted(before - {step.no})])
            yield from _of_kelengkapan(sop, at, step, before, made)


def _of_order(sop: Sop) -> Iterator[_Found]:
    for index, (before, step) in enumerate(itertools.pairwise(sop.steps), start=1):
        if step.no < before.no:
            yield _Found(
                ("steps", index, "no"),
                f"row {step.no} stands after row {before.no}; rows stand in the order of their numbers",
            )


def _of_loops(sop: Sop) -> Iterator[_Found]:
    index = {step.no: number for number, step in enumerate(sop.steps)}
    reached = _reached(sop)
    lost = {no for no in reached if not _ends(sop, no)}
    if lost != reached:  # where nothing leads to the end at all, parse_sop says so
        for ring in (ring for ring in _rings(sop, lost) if _leads_on(sop, ring) <= set(ring)):
            what = "leads only to itself" if len(ring) == 1 else "lead only to each other"
            yield _Found(("steps", index[ring[0]]), f"{_rows(ring)}: {what}; no way out leads to the end")
    alone = {no for no in reached - lost if not _has_person(sop, sop.step(no))}
    for ring in _rings(sop, alone):
        round_ = "leads back to itself" if len(ring) == 1 else "go round"
        yield _Found(
            ("steps", index[ring[0]]),
            f"{_rows(ring)}: {round_} without anybody deciding, so a host that stays broken keeps the run "
            "going for ever",
            is_error=False,
        )


def _of_needs(sop: Sop, at: source.Path, step: Step, before: list[Step]) -> Iterator[_Found]:
    """Tell what a row rests on and no row before it gives: a plan, a change, documents, a backup."""
    plans = any(one.action and one.action.plan for one in before)
    changes = any(one.action and one.action.changes for one in before)
    action = step.action
    hosts, key = action.hosts if action else "all", (*at, "action", "hosts")
    if hosts in _NEEDS_A_PLAN and not plans:
        yield _Found(key, f"row {step.no}: works on {hosts!r} hosts, {_NOBODY_PLANS}")
    if hosts == "changed" and not changes:
        yield _Found(key, f"row {step.no}: works on 'changed' hosts, {_NOBODY_CHANGES}")
    shows = step.decision.shows if step.decision and step.decision.by == "official" else None
    key = (*at, "decision", "shows")
    if shows == "plan" and not plans:
        yield _Found(key, f"row {step.no}: shows the plan, {_NOBODY_PLANS}")
    if shows == "documents" and not any(one.documents for one in before):
        yield _Found(key, f"row {step.no}: shows the documents, but no row before it makes one")
    if action and action.cures:
        yield from _of_cures(sop, at, step, action.cures)
    if hosts == "disturbed" and not sop.looks & {one.no for one in before}:
        yield _Found(key, f"row {step.no}: works on 'disturbed' hosts, but no row before it looks at hosts")
    if action and (action.changes or action.by_hand):
        yield from _of_backup(sop, at, step)


def _of_cures(sop: Sop, at: source.Path, step: Step, named: Cures) -> Iterator[_Found]:
    """Tell which choices of the form name no cure: who ticks one would have signed for nothing."""
    row = next((one for one in sop.steps if one.no == named.allowed_by), None)
    form = sop.forms.get(row.action.form) if row and row.action and row.action.form else None
    field = form.fields.get(named.field) if form else None
    for choice in cures.unknown_names(field.choices) if field else ():
        yield _Found(
            (*at, "action", "cures", "field"),
            f"row {step.no}: {choice!r} in the field {named.field!r} is the name of no cure; the names are "
            f"those in roles/repair_host/README.md{meant(choice, NAMES.values())}",
        )


def _of_backup(sop: Sop, at: source.Path, step: Step) -> Iterator[_Found]:
    backups = {one.no for one in sop.steps if one.action and one.action.backup}
    if step.no in _reached(sop, stops=backups):
        where = f"; the backup is in {_rows(sorted(backups))}" if backups else ""
        yield _Found(
            (*at, "action"),
            f"row {step.no}: changes hosts, and a way leads there without a row with 'backup: true'{where}",
            is_error=False,
        )


def _of_kelengkapan(
    sop: Sop, at: source.Path, step: Step, before: set[int], made: set[str]
) -> Iterator[_Found]:
    for number, needed in enumerate(step.kelengkapan):
        makers = [one.no for one in sop.steps if needed in {output.name for output in one.output}]
        if needed in made and not before & set(makers):
            yield _Found(
                (*at, "kelengkapan", number),
                f"row {step.no}: needs {needed!r}, which only {_rows(makers)} makes, after it",
                assumable=True,
            )


def _has_person(sop: Sop, step: Step) -> bool:
    """Tell whether somebody has to act before the row leads on: at a gate, or with a form."""
    return bool(sop.seats(step)) or bool(step.action and step.action.form)


def _edges(sop: Sop) -> Mapping[int, set[int]]:
    return {step.no: {target for target in step.targets if isinstance(target, int)} for step in sop.steps}


def _reached(sop: Sop, stops: Iterable[int] = ()) -> set[int]:
    """Return the rows that can be reached from the first one without leaving a row of ``stops``."""
    return {sop.steps[0].no} | _reachable(_edges(sop), sop.steps[0].no, set(stops))


def _reachable(edges: Mapping[int, set[int]], start: int, stops: set[int]) -> set[int]:
    found: set[int] = set()
    leaving = [start]
    while leaving:
        row = leaving.pop()
        if row not in stops:
            leaving += sorted(edges.get(row, set()) - found)
            found |= edges.get(row, set())
    return found


def _ends(sop: Sop, no: int) -> bool:
    return any("end" in sop.step(row).targets for row in {no} | _reachable(_edges(sop), no, set()))


def _rings(sop: Sop, rows: set[int]) -> list[list[int]]:
    """Return the loops that lie within ``rows``, each with all of its rows."""
    edges = {no: targets & rows for no, targets in _edges(sop).items() if no in rows}
    ahead = {no: _reachable(edges, no, set()) for no in rows}
    rings = {tuple(sorted(other for other in ahead[no] if no in ahead[other])) for no in rows}
    return [list(ring) for ring in sorted(rings) if ring]


def _leads_on(sop: Sop, rows: list[int]) -> set[int]:
    return set().union(*(_edges(sop)[no] for no in rows))


def _rows(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    return f"rows {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
