"""The SOP as data: identity block, actors and rows, exactly as on paper. Pure rules, no disk.

``parse_sop`` reports every problem of a file at once. What only the disk can tell (does the playbook
exist?) is asked through ``Available``, so that these rules stay free of it.

A row (``Step``) has at most one action, at most one decision and any number of output documents.
Where it leads stands in the row: ``next`` without a decision, the outcomes with one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runner import source
from runner.forms import Form
from runner.models import judged, meant
from runner.source import Problem, SourceError

Target = int | Literal["end"]
END_REPORT = "laporan-penghentian"
"""The document that Rawat itself writes when a run ends before its last row; no row makes it."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)]
Group = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]

WITNESSED, TEST_AGAIN = "disaksikan", "uji ulang"
"""What a witness of a result may say: so it was; or: test it again."""

_UNITS = {"Menit": 60, "Jam": 3600, "Hari": 24 * 3600}
_DURATION = re.compile(r"^([1-9][0-9]{0,3}) (Menit|Jam|Hari)$")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Identity(_Model):
    """The identity block of the SOP document; ``null`` where the paper is empty or lost."""

    unit: Text = Field(description="Organisation the SOP belongs to")
    kantor: Text | None = Field(default=None, description="Office within the organisation")
    nama_sop: Text
    nomor_sop: Text | None = None
    tgl_pembuatan: Text | None = None
    tgl_revisi: Text | None = None
    tgl_efektif: Text | None = None
    disahkan_oleh: Text | None = None
    dasar_hukum: list[Text] = []
    kualifikasi_pelaksana: list[Text] = []
    keterkaitan: list[Text] = []
    peralatan: list[Text] = []
    peringatan: list[Text] = []
    pencatatan: list[Text] = []


class Assumption(_Model):
    """A reconstruction of something the paper's scan lost."""

    field: Text = Field(description="Path of the reconstructed value, such as steps[3].pelaksana")
    text: Text = Field(description="What was assumed and why")
    catatan: Text | None = Field(
        default=None, description="The same in Indonesian; it stands on the printed SOP in place of the text"
    )


class Waves(_Model):
    """Hosts are changed in waves: the group ``first``, the groups ``then`` in order, the rest by ``size``."""

    first: Group = Field(description="Inventory group of the canaries")
    then: list[Group] = Field(
        default=[],
        description="Inventory groups that come after the canaries, in this order, before the rest",
    )
    size: Annotated[int, Field(ge=1, le=1000)] = 10
    check: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = Field(
        default=None, description="testinfra suite each wave must pass: a folder under tests/"
    )

    @model_validator(mode="after")
    def _each_group_once(self) -> Waves:
        groups = [self.first, *self.then]
        if len(set(groups)) != len(groups):
            raise ValueError("a group of hosts stands twice in the waves")
        return self


Playbook = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.yml$")]


class Cures(_Model):
    """Before a row's form is asked for, known disturbances are cured: only what somebody signed for."""

    propose: Playbook = Field(description="Looks for known disturbances and proposes their cures")
    playbook: Playbook = Field(description="Does the cures that are allowed")
    allowed_by: Annotated[int, Field(ge=1)] = Field(
        description="The earlier row whose form names the allowed cures; its actor has signed it"
    )
    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)] = Field(
        description="The field of that form, of type choices, with the names of the cures"
    )


_ACTIONS = ("form", "playbook", "suite", "document", "archive")


class Action(_Model):
    """What is done in a row; exactly one of form, playbook, suite, document, archive."""

    form: Name | None = Field(default=None, description="A person fills in this form: a name from forms")

    playbook: Playbook | None = None
    suite: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = Field(
        default=None, description="testinfra suite: a folder under tests/"
    )
    document: Literal[True] | None = Field(default=None, description="Drafts the documents of the Output")
    archive: Literal[True] | None = Field(default=None, description="Checks and seals the run")
    proof: Playbook | None = Field(
        default=None, description="Of a form: the playbook that afterwards shows on the hosts what it says"
    )
    by_hand: bool = Field(default=False, description="Of a form: who fills it in has changed hosts by hand")
    cures: Cures | None = Field(
        default=None,
        description="Of a form with proof: what Rawat cures by itself before it asks for the form",
    )
    hosts: Literal["all", "computers", "with_data", "planned", "ready", "changed", "disturbed"] = Field(
        default="all",
        description="all of the run; computers: those of them that are no service (websites, printers, ...); "
        "with_data: computers and RouterBOARDs, which keep something to be backed up; "
        "planned: with something to do in the plan; "
        "ready: planned and ok in every action since; changed: where a change was started; "
        "disturbed: found disturbed when they were last looked at",
    )
    plan: bool = Field(default=False, description="The evidence of this action becomes the plan")
    changes: bool = Field(default=False, description="Hosts are changed: needs a standing decision")
    backup: bool = Field(default=False, description="What this action leaves is the backup of its hosts")
    waves: Waves | None = None

    @property
    def kind(self) -> str:
        """Return which of the five this action is."""
        return next(kind for kind in _ACTIONS if getattr(self, kind))

    @property
    def works_on_hosts(self) -> str | None:
        """Return the playbook or suite whose results tell how the hosts are, None where there is none."""
        return self.playbook or self.suite or self.proof

    @model_validator(mode="after")
    def _one_kind(self) -> Action:
        if sum(1 for kind in _ACTIONS if getattr(self, kind)) != 1:
            raise ValueError("an action is exactly one of form, playbook, suite, document, archive")
        if self.form is None and (self.proof or self.by_hand):
            raise ValueError("proof and by_hand belong to a form")
        if self.cures and not (self.form and self.proof):
            raise ValueError("cures belong to a form with proof: what was cured is looked at again")
        if self.playbook is None and (self.plan or self.changes or self.backup or self.waves):
            raise ValueError("plan, changes, backup and waves belong to a playbook")
        return self


class Recover(_Model):
    """What is done to the hosts that failed, before they are tested once more."""

    playbook: Playbook


class Outcome(_Model):
    """One exit of a decision."""

    name: Text
    next: Target
    when: Literal["ok", "failed"] | None = Field(
        default=None, description="For a decision by result: all hosts ok, or any host not ok"
    )
    recover: Recover | None = None
    reason: bool = Field(default=False, description="A reason must be given (always so when going back)")
    completes: bool = Field(
        default=False, description="With 'next: end': the run is complete, not ended early"
    )
    unresolved: bool = Field(
        default=False, description="What is disturbed stays so; the report says it with the reason"
    )

    @model_validator(mode="after")
    def _completes_at_the_end(self) -> Outcome:
        if self.completes and self.next != "end":
            raise ValueError("'completes' goes with 'next: end'")
        return self


class Decision(_Model):
    """Who or what decides a row's exit."""

    by: Literal["official", "result"] = "official"
    of: int | None = Field(
        default=None, description="For a decision by result: the earlier row whose results decide"
    )
    shows: Literal["plan", "results", "documents", "forms"] = "results"
    outcomes: Annotated[list[Outcome], Field(min_length=1)]
    witness: bool = Field(
        default=False,
        description="For a decision by result in a row with bersama: that actor signs what he saw of it, "
        "'disaksikan' or 'uji ulang', before the row leads on",
    )
    valid_for: Annotated[str, Field(pattern=_DURATION.pattern)] = "7 Hari"
    deadline: Annotated[str, Field(pattern=_DURATION.pattern)] | None = Field(
        default=None, description="How long an official may take"
    )
    at_deadline: Literal["remind", "close"] | None = Field(
        default=None,
        description="remind: say so once (the default); close: end the run with nothing approved",
    )

    @model_validator(mode="after")
    def _fits(self) -> Decision:
        names = [outcome.name for outcome in self.outcomes]
        if len(set(names)) != len(names):
            raise ValueError("two outcomes have the same name")
        whens = [outcome.when for outcome in self.outcomes]
        if self.by == "result" and sorted(map(str, whens)) != ["failed", "ok"]:
            raise ValueError("a decision by result has exactly two outcomes, 'when: ok' and 'when: failed'")
        if self.by == "official" and (self.of or any(o.when or o.recover for o in self.outcomes)):
            raise ValueError("'of', 'when' and 'recover' belong to a decision by result")
        if self.by == "result" and any(o.completes for o in self.outcomes):
            raise ValueError("'completes' belongs to a decision by an official")
        if self.at_deadline and not self.deadline:
            raise ValueError("'at_deadline' needs a deadline")
        if self.deadline and self.by == "result" and not self.witness:
            raise ValueError("'deadline' is for somebody who decides or witnesses; a result takes no time")
        if self.by == "official" and self.witness:
            raise ValueError("'witness' belongs to a decision by result")
        if self.witness and {WITNESSED, TEST_AGAIN} & set(names):
            raise ValueError(f"{WITNESSED!r} and {TEST_AGAIN!r} are the witness's own outcomes")
        return self

    def outcome(self, name: str) -> Outcome:
        """Return the outcome called ``name``."""
        return next(outcome for outcome in self.outcomes if outcome.name == name)


class Output(_Model):
    """One entry of the Output column, and the document that stands for it, if this row makes one."""

    name: Text
    document: Name | None = None
    version: Literal["draft", "verified", "ratified", "final"] = "final"


class Step(_Model):
    """One numbered row of the SOP."""

    no: Annotated[int, Field(ge=1, le=999)]
    kegiatan: Text
    pelaksana: Name | None = None
    bersama: Name | None = Field(default=None, description="The actor who takes part beside pelaksana")
    kelengkapan: list[Text] = []
    waktu: Annotated[str, Field(pattern=_DURATION.pattern)] | None = None
    output: list[Output] = []
    keterangan: Text | None = None
    action: Action | None = None
    decision: Decision | None = None
    span: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="The row goes on until this later row is finished"
    )
    next: Target | None = None

    @model_validator(mode="after")
    def _leaves_the_end_report_alone(self) -> Step:
        if any(output.document == END_REPORT for output in self.output):
            raise ValueError(f"{END_REPORT} is written by Rawat itself when a run ends early")
        return self

    @property
    def standard_seconds(self) -> int | None:
        """Return the row's standard time (Waktu, Mutu Baku) in seconds."""
        return duration_seconds(self.waktu) if self.waktu else None

    @property
    def targets(self) -> list[Target]:
        """Return every row this one can lead to."""
        if self.decision:
            return [outcome.next for outcome in self.decision.outcomes]
        return [] if self.next is None else [self.next]

    @property
    def documents(self) -> list[Output]:
        """Return the outputs this row makes a document for, each document and version once."""
        made = {(o.document, o.version): o for o in reversed(self.output) if o.document}
        return list(reversed(made.values()))


class Sop(_Model):
    """A whole SOP: what ``sops/<unit>-<name>.yml`` holds."""

    format: Literal[1]
    id: Name
    identity: Identity
    assumptions: list[Assumption] = []
    actors: Annotated[dict[Name, Text], Field(min_length=1)]
    forms: dict[Name, Form] = Field(default={}, description="What people fill in, by name")
    steps: Annotated[list[Step], Field(min_length=1)]

    @cached_property
    def _by_no(self) -> dict[int, Step]:
        return {step.no: step for step in self.steps}

    def step(self, no: int) -> Step:
        """Return the row numbered ``no``."""
        return self._by_no[no]

    @property
    def is_about_services(self) -> bool:
        """Tell whether some row works on websites, printers and the like, and not on computers alone."""
        working = (step.action for step in self.steps if step.action)
        return any(a.hosts == "all" and a.works_on_hosts for a in working)

    @cached_property
    def looks(self) -> frozenset[int]:
        """Return the rows that look how the hosts are: whose results decide, or prove what a form says."""
        found = {step.no for step in self.steps if step.action and step.action.proof}
        for step in self.steps:
            if step.decision and step.decision.by == "result":
                found.add(step.decision.of or step.no)
        return frozenset(found)

    @property
    def changes_before_backup(self) -> list[tuple[Step, Step]]:
        """Return each row in which hosts are changed with the backup that comes only after it."""
        found = []
        for step in self.steps:
            action = step.action
            later = next((row for row in self.steps if row.no > step.no and _backs_up(row)), None)
            before = any(_backs_up(row) for row in self.steps if row.no < step.no)
            if action and (action.changes or action.by_hand) and later and not before:
                found.append((step, later))
        return found

    def goes_back(self, step: Step, target: Target) -> bool:
        """Tell whether leaving ``step`` to ``target`` sends the work back."""
        return isinstance(target, int) and target <= step.no

    def seats(self, step: Step) -> tuple[str, ...]:
        """Return the actors who must each decide at the row's gate; none when the row has no gate.

        Two where the row is done "bersama dengan" another actor; the witness alone where a result decides.
        """
        if step.decision is None:
            return ()
        if step.decision.by == "result":
            return (step.bersama,) if step.decision.witness and step.bersama else ()
        return tuple(actor for actor in (step.pelaksana, step.bersama) if actor)

    def gate_outcomes(self, step: Step) -> tuple[str, ...]:
        """Return what may be decided at the row's gate."""
        if step.decision is None:
            return ()
        if step.decision.by == "result":
            return (WITNESSED, TEST_AGAIN)
        return tuple(outcome.name for outcome in step.decision.outcomes)

    def turns_down(self, step: Step, outcome: str) -> bool:
        """Tell whether an outcome of the row's gate sends the work back or ends the run."""
        if step.decision is None or step.decision.by == "result":
            return outcome == TEST_AGAIN
        exit_ = step.decision.outcome(outcome)
        return (exit_.next == "end" and not exit_.completes) or self.goes_back(step, exit_.next)

    def needs_reason(self, step: Step, outcome: str) -> bool:
        """Tell whether a decider must give a reason: sending back, refusing, or as the row says."""
        if self.turns_down(step, outcome):
            return True
        return bool(
            step.decision and step.decision.by == "official" and step.decision.outcome(outcome).reason
        )


def _backs_up(step: Step) -> bool:
    return bool(step.action and step.action.backup)


@dataclass(frozen=True)
class Available:
    """What a SOP may name, as found on disk."""

    playbooks: frozenset[str]
    suites: frozenset[str]
    documents: frozenset[str]


def duration_seconds(text: str) -> int:
    """Return the seconds of a standard time such as ``2 Jam`` or ``15 Menit``."""
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f"not a standard time: {text!r}")
    return int(match[1]) * _UNITS[match[2]]


def sop_digest(text: str) -> str:
    """Return the SHA-256 of a SOP file's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=8)
def parse_sop(text: str, name: str, available: Available | None = None) -> Sop:
    """Parse and judge a SOP file; a process that looks at a run again judges the same text only once.

    Raises:
        SourceError: naming every problem with its line.
    """
    read = source.read(text, name)
    # JSON mode of pydantic is not used: the data is already plain, and strict keeps "1" apart from 1.
    sop = judged(Sop, read, expected=_EXPECTED)
    # Where a row leads is judged only once every row it names exists: one mistake, one line.
    problems = list(_reference_problems(sop, read)) or list(_order_problems(sop, read))
    if available is not None:
        problems += missing_files(enumerate(sop.steps), read, available)
    if problems:
        raise SourceError(name, problems)
    return sop


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a SOP file, for editors."""
    schema = Sop.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Rawat SOP"}


_EXPECTED = {
    "string_pattern_mismatch": "expected a short name in small letters, without spaces",
    "playbook": "expected the name of a file in playbooks/, such as check-hosts.yml",
    "waktu": "expected a time such as '15 Menit', '2 Jam' or '3 Hari'",
    "deadline": "expected a time such as '15 Menit', '2 Jam' or '3 Hari'",
    "valid_for": "expected a time such as '15 Menit', '2 Jam' or '3 Hari'",
    "next": "expected the number of a row, or end",
}


def _reference_problems(sop: Sop, read: source.Source) -> Iterator[Problem]:
    numbers = [step.no for step in sop.steps]
    for index, step in enumerate(sop.steps):
        at: source.Path = ("steps", index)
        if numbers.index(step.no) != index:
            yield Problem(read.line((*at, "no")), f"row {step.no} stands twice")
        for key in ("pelaksana", "bersama"):
            actor = getattr(step, key)
            if actor is not None and actor not in sop.actors:
                known = ", ".join(sop.actors)
                yield Problem(
                    read.line((*at, key)), f"row {step.no}: unknown actor {actor!r}; known are {known}"
                )
        yield from _form_problems(sop, step, at, read)
        some = _some(numbers)
        for path, target in _targets(step, at):
            if target != "end" and target not in numbers:
                yield Problem(
                    read.line(path),
                    f"row {step.no}: leads to row {target}, which does not exist; expected {some} or end",
                )
        if step.span is not None and (step.span not in numbers or step.span <= step.no):
            yield Problem(read.line((*at, "span")), f"row {step.no}: span must name a later row")
    for index, assumption in enumerate(sop.assumptions):
        if not _path_exists(assumption.field, read.data):
            line = read.line(("assumptions", index, "field"))
            yield Problem(line, f"the assumption names {assumption.field!r}, which is not in the file")


def _some(numbers: list[int]) -> str:
    """Return the numbers of rows in words: ``one of 1 to 4, 6``; a gap between them is no row."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and spans[-1][-1] == number - 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    told = [f"{span[0]} to {span[-1]}" if len(span) > 1 else str(span[0]) for span in spans]
    return f"one of {', '.join(told)}"


def _form_problems(sop: Sop, step: Step, at: source.Path, read: source.Source) -> Iterator[Problem]:
    name = step.action.form if step.action else None
    if name is not None and name not in sop.forms:
        known = ", ".join(sop.forms) or "none"
        yield Problem(
            read.line((*at, "action", "form")), f"row {step.no}: there is no form {name!r}; there are {known}"
        )
    yield from _cures_problems(sop, step, at, read)
    of = step.decision.of if step.decision else None
    looked = next((row.action for row in sop.steps if row.no == of and of < step.no), None)
    if of is not None and (looked is None or not looked.works_on_hosts):
        yield Problem(
            read.line((*at, "decision", "of")),
            f"row {step.no}: 'of' must name an earlier row that works on hosts; row {of} does not",
        )


def _cures_problems(sop: Sop, step: Step, at: source.Path, read: source.Source) -> Iterator[Problem]:
    """Tell where nobody could sign for a cure: the row that allows them has to, with its form."""
    cures = step.action.cures if step.action else None
    if cures is None:
        return
    key = (*at, "action", "cures")
    row = next((one for one in sop.steps if one.no == cures.allowed_by and one.no < step.no), None)
    name = row.action.form if row and row.action else None
    if row is None or name not in sop.forms or row.pelaksana not in _deciders(row):
        yield Problem(
            read.line((*key, "allowed_by")),
            f"row {step.no}: 'allowed_by' must name an earlier row with a form that its actor signs at the "
            f"row's gate; row {cures.allowed_by} is none",
        )
        return
    field = sop.forms[name].fields.get(cures.field)
    if field is None or field.type != "choices":
        yield Problem(
            read.line((*key, "field")),
            f"row {step.no}: the form {name!r} of row {row.no} has no field {cures.field!r} of type choices, "
            "in which the allowed cures are named",
        )


def _deciders(step: Step) -> tuple[str | None, ...]:
    if step.decision is None or step.decision.by != "official":
        return ()
    return (step.pelaksana, step.bersama)


def _targets(step: Step, at: source.Path) -> Iterator[tuple[source.Path, Target]]:
    if step.next is not None:
        yield (*at, "next"), step.next
    for index, outcome in enumerate(step.decision.outcomes if step.decision else []):
        yield (*at, "decision", "outcomes", index, "next"), outcome.next


def _path_exists(path: str, data: Any) -> bool:  # noqa: ANN401 - plain YAML data
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        elif isinstance(data, dict) and part in data:
            data = data[part]
        else:
            return False
    return True


def _order_problems(sop: Sop, read: source.Source) -> Iterator[Problem]:
    reached = _reachable(sop)
    decided = planned = False
    for index, step in enumerate(sop.steps):
        at: source.Path = ("steps", index)
        line = read.line(at)
        if bool(step.decision) == (step.next is not None):
            yield Problem(line, f"row {step.no}: needs either 'next' or a decision, not both and not neither")
        if step.decision and step.decision.by == "official" and step.pelaksana is None:
            yield Problem(line, f"row {step.no}: a gate needs pelaksana, the actor who decides")
        if problem := _seat_problem(sop, step):
            yield Problem(line, f"row {step.no}: {problem}")
        if problem := _decision_problem(step):
            is_single = step.decision is not None and len(step.decision.outcomes) == 1
            where = read.line((*at, "decision", "outcomes")) if is_single else line
            yield Problem(where, f"row {step.no}: {problem}")
        if _cannot_test_again(step):
            yield Problem(line, f"row {step.no}: 'recover' needs a suite, to test again after it")
        if step.no not in reached:
            yield Problem(line, f"row {step.no}: no row leads here")
        if step.action and step.action.changes and not (decided and planned):
            yield Problem(line, f"row {step.no}: changes hosts, but no plan and gate come before it")
        planned = planned or bool(step.action and step.action.plan)
        decided = decided or bool(planned and step.decision and step.decision.by == "official")
    if not _end_reachable(sop):
        yield Problem(read.line(("steps",)), "no row leads to the end")


def _decision_problem(step: Step) -> str:
    """Return what is wrong with a row's decision in view of its action."""
    decision, action = step.decision, step.action
    if action and action.form and step.pelaksana is None:
        return "a form needs pelaksana, the actor who fills it in"
    if decision is None:
        return ""
    if len(decision.outcomes) == 1 and not (action and action.form):
        return "a decision has at least two outcomes, unless the row has a form that it signs"
    if decision.by == "result" and decision.of is None and not (action and action.works_on_hosts):
        return "a decision by result needs an action that has results, or 'of', the row with them"
    if decision.by == "result" and decision.of is not None and action is not None:
        return "'of' decides by the results of another row, so this one has no action"
    return ""


def _seat_problem(sop: Sop, step: Step) -> str:
    if step.decision and step.decision.witness and step.bersama is None:
        return "'witness' needs bersama, the actor who signs what he saw"
    positions = [sop.actors[actor] for actor in sop.seats(step)]
    if len(set(positions)) < len(positions):
        return f"{positions[0]} cannot decide together with himself; bersama must name another position"
    return ""


def _cannot_test_again(step: Step) -> bool:
    recovers = any(outcome.recover for outcome in step.decision.outcomes) if step.decision else False
    suite = step.action and (step.action.suite or (step.action.waves and step.action.waves.check))
    return recovers and not suite


def _reachable(sop: Sop) -> set[int]:
    found: set[int] = set()
    open_rows: list[Target] = [sop.steps[0].no]
    numbers = {step.no for step in sop.steps}
    while open_rows:
        row = open_rows.pop()
        if isinstance(row, int) and row in numbers and row not in found:
            found.add(row)
            open_rows += sop.step(row).targets
    return found


def _end_reachable(sop: Sop) -> bool:
    return any("end" in sop.step(no).targets for no in _reachable(sop))


def missing_files(
    rows: Iterable[tuple[int, Step]], read: source.Source, available: Available
) -> Iterator[Problem]:
    """Yield what rows name and the disk does not have; each row with its place in the file."""
    for index, step in rows:
        at: source.Path = ("steps", index)
        for path, kind, name in _named_files(step, at):
            known = getattr(available, kind)
            if name not in known:
                yield Problem(
                    read.line(path),
                    f"row {step.no}: there is no {kind.rstrip('s')} {name!r}; there are "
                    f"{', '.join(sorted(known)) or 'none'}{meant(name, known)}",
                )


def _named_cures(step: Step, at: source.Path) -> Iterator[tuple[source.Path, str, str]]:
    cures = step.action.cures if step.action else None
    for key in ("propose", "playbook") if cures else ():
        yield (*at, "action", "cures", key), "playbooks", getattr(cures, key)


def _named_files(step: Step, at: source.Path) -> Iterator[tuple[source.Path, str, str]]:
    if step.action and step.action.playbook:
        yield (*at, "action", "playbook"), "playbooks", step.action.playbook
    if step.action and step.action.proof:
        yield (*at, "action", "proof"), "playbooks", step.action.proof
    yield from _named_cures(step, at)
    if step.action and step.action.suite:
        yield (*at, "action", "suite"), "suites", step.action.suite
    if step.action and step.action.waves and step.action.waves.check:
        yield (*at, "action", "waves", "check"), "suites", step.action.waves.check
    for index, outcome in enumerate(step.decision.outcomes if step.decision else []):
        if outcome.recover:
            path = (*at, "decision", "outcomes", index, "recover", "playbook")
            yield path, "playbooks", outcome.recover.playbook
    for index, output in enumerate(step.output):
        if output.document:
            yield (*at, "output", index, "document"), "documents", output.document
