"""The events a journal may hold and the fields of each, as docs/run-record.md tells them.

Only the shape: which event may follow which is for ``runner.replay`` to judge.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner import errors
from runner.conffiles import Chosen
from runner.display import display
from runner.journal import Event
from runner.models import path_text
from runner.moves import PartKind
from runner.sop import Target
from runner.waves import BUDGET
from runner.windows import Windows

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=1)]


FORMAT = 2
"""Of the whole record; it changes whenever a record could be misread by the version before."""


class _Shape(BaseModel):
    # A later version may tell more in a record; what is there already keeps its meaning.
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class File(_Shape):
    """A file that a record names."""

    path: Annotated[str, Field(min_length=1)]
    sha256: Digest


class DeputyShape(_Shape):
    """As what a person stands in for a position, and the letter that names him."""

    kind: Literal["Plt", "Plh"]
    letter: Annotated[str, Field(min_length=1)]


class Person(_Shape):
    """A person as copied into the record; ``deputy`` is null for somebody in a position of his own."""

    id: str
    name: str
    nip: str
    position: str
    deputy: DeputyShape | None


class Subject(_Shape):
    """What a decision is about, by digests."""

    sop: Digest
    plan: Digest | None
    evidence: Digest


class PartShape(_Shape):
    """A part of a row's action."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    kind: PartKind
    hosts: list[str]


class SopShape(_Shape):
    """The SOP of the run."""

    id: str
    name: str
    sha256: Digest


class InventoryShape(_Shape):
    """The hosts of the run."""

    path: str
    hosts: list[str]
    groups: dict[str, list[str]]
    controllers: list[str]
    addresses: dict[str, str]


class OwedShape(_Shape):
    """A host that an earlier run could not maintain."""

    host: str
    run: str
    since: str
    reason: Literal["unreachable", "unknown", "left out", "stopped"]


class SigningShape(_Shape):
    """How the office signs its documents as PDF, and which versions of them."""

    by: Literal["pkcs12", "bsre"]
    versions: Annotated[list[Literal["verified", "ratified"]], Field(min_length=1)]


class RunStarted(_Shape):
    """The first record of every run; ``format`` is that of the whole record (docs/run-record.md)."""

    format: Literal[2]
    run: str
    sop: SopShape
    inventory: InventoryShape
    officials_sha256: Digest
    office_sha256: Digest
    trends_sha256: Digest
    number: Number
    operator: Person
    office: str
    timezone: str
    failure_budget: Annotated[str, Field(pattern=BUDGET.pattern)]
    windows: Windows | None
    owed: list[OwedShape]
    owed_unread: list[str]
    signing: SigningShape | None
    assumptions: list[Any]
    versions: dict[str, str]
    account: str = ""
    """The account of the machine under which the run was started; older records do not tell it."""


class _OfAttempt(_Shape):
    step: Number
    attempt: Number


class StepStarted(_OfAttempt):
    """An attempt of a row began."""

    parts: list[PartShape]


class ActionStarted(_OfAttempt):
    """A part of a row's action is about to begin."""

    part: str
    kind: PartKind
    hosts: list[str]
    changes: bool


class ActionFinished(_OfAttempt):
    """A part came to an end; ``hosts`` tells how on each host, ``disturbed`` which are not well."""

    part: str
    kind: PartKind
    hosts: dict[str, Literal["ok", "failed", "unreachable", "unknown"]]
    disturbed: list[str]
    evidence: list[File]


class FormAwaited(_OfAttempt):
    """Somebody is to fill in the row's form; ``signed``: the actor's signature at the row's gate follows."""

    part: str
    form: str
    actor: str
    position: str
    signed: bool


class FormFilled(_OfAttempt):
    """Somebody filled in the row's form; ``files``: what he answered, then what he attached."""

    part: str
    form: str
    person: Person
    files: Annotated[list[File], Field(min_length=1)]


class ActionSkipped(_OfAttempt):
    """A part was left out."""

    part: str
    kind: PartKind
    hosts: list[str]
    reason: Annotated[str, Field(min_length=1)]


class PlanMade(_OfAttempt):
    """The plan was made; ``hosts`` are those it proposes to change, ``failure_budget`` how many may fail."""

    path: Annotated[str, Field(min_length=1)]
    sha256: Digest
    hosts: list[str]
    failure_budget: Annotated[int, Field(ge=0)]


class RepairsProposed(_OfAttempt):
    """What was found that can be cured; ``hosts`` are those on which something of it is ``allowed``."""

    path: Annotated[str, Field(min_length=1)]
    sha256: Digest
    allowed: list[str]
    hosts: list[str]


class PlanConfirmed(_OfAttempt):
    """A reprobe found these hosts of its wave to be as the plan says, and none that is not."""

    part: str
    hosts: list[str]


class PlanDrifted(_OfAttempt):
    """A reprobe found these hosts to differ from the plan: the row ``to`` plans anew."""

    part: str
    hosts: Annotated[list[str], Field(min_length=1)]
    to: Number
    differences: File


class DeadlineShape(_Shape):
    """Until when a gate waits, counted from its opening, and what comes then."""

    seconds: Number
    then: Literal["remind", "close"]


class Paper(_Shape):
    """How a decision on paper came into the record."""

    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    scan: Digest
    entered_by: Person
    confirmed_by: Person
    entry: Digest


class GateOpened(_OfAttempt):
    """An official is awaited."""

    actor: str
    position: str
    second: str | None
    outcomes: list[str]
    subject: Subject
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    deadline: DeadlineShape | None


class GateReminded(_OfAttempt):
    """The deadline of a gate has passed; it waits on."""


class GateClosed(_OfAttempt):
    """The deadline of a gate has passed; nothing is approved and the run ends."""

    reason: str


class DecisionMade(_OfAttempt):
    """An official decided; the statement was signed with the official's key.

    ``paper`` is null, or tells of a decision in wet ink: then the statement is the confirmation.
    """

    outcome: str
    reason: str
    conffiles: Chosen
    person: Person
    subject: Subject
    nonce: str
    paper: Paper | None
    statement: File
    signature: File


class PaperEntered(_OfAttempt):
    """A decision in wet ink was entered with its scan; a second person has to confirm it."""

    outcome: str
    reason: str
    conffiles: Chosen
    person: Person
    date: str
    entered_by: Person
    scan: File
    subject: Subject
    nonce: str
    statement: File
    signature: File


class PaperWithdrawn(_OfAttempt):
    """The entry of a decision in wet ink was taken back before it was confirmed."""

    reason: str
    withdrawn_by: Person
    subject: Subject
    nonce: str
    statement: File
    signature: File


class VoteMade(DecisionMade):
    """One of two officials decided; the other's decision is awaited."""


class DecisionLapsed(_Shape):
    """A decision had expired before the change it was for; its row is done again."""

    step: Number
    reason: str


class WindowAwaited(_OfAttempt):
    """A change of hosts was due while the office allows none; ``opens`` tells when, null: in years."""

    part: str
    opens: str | None
    reason: Annotated[str, Field(min_length=1)]


class RegisterHead(_Shape):
    """How far the archive's register had come when a document was made, which prints it in its footer."""

    records: Annotated[int, Field(ge=0)]
    head: Digest


class DocumentWritten(_OfAttempt):
    """A document was made from the run as it stood after record ``as_of``."""

    document: str
    version: str
    name: str
    as_of: Number
    archive: RegisterHead
    files: Annotated[list[File], Field(min_length=1)]


class _OfSignature(_OfAttempt):
    document: str
    version: Literal["verified", "ratified"]
    person: Person
    place: str
    base: Digest


class SignatureAwaited(_OfSignature):
    """An official is asked to sign ``base`` electronically, at ``place`` of it."""


class DocumentSigned(_OfSignature):
    """An official signed ``base`` electronically; ``certificate`` is the SHA-256 of his own, in DER."""

    by: Literal["pkcs12", "bsre"]
    certificate: Digest
    files: Annotated[list[File], Field(min_length=1, max_length=1)]


class SignatureLeftOut(_OfSignature):
    """``told_by`` said why the electronic signature of ``person`` is left out; his statement stands."""

    told_by: Person
    reason: Annotated[str, Field(min_length=1, max_length=4096)]


class StepSpanned(_OfAttempt):
    """The row goes on while the rows up to ``until`` are done."""

    until: Number
    next: Target


class StepFinished(_OfAttempt):
    """The row is done and leads to ``next``."""

    outcome: str | None
    next: Target | None


class StepFailed(_OfAttempt):
    """The row could not be done."""

    reason: str


class QuestionAsked(_Shape):
    """The operator is asked at the terminal; only once for each of these."""

    about: Literal["reason", "condition"]
    step: Number | None
    attempt: Number | None


class ReasonGiven(_OfAttempt):
    """Somebody said why an attempt took longer than its row's standard time."""

    reason: Annotated[str, Field(min_length=1)]
    person: Person


class ConditionTold(_Shape):
    """Somebody said whether the conditions were normal, as the SOP's standard times suppose."""

    condition: Literal["normal", "tidak normal"]
    reason: str
    person: Person


class RunInterrupted(_Shape):
    """The operator stopped the work."""

    reason: str


class RunResumed(_Shape):
    """The work goes on after a stop."""

    account: str = ""
    """The account of the machine under which it goes on; older records do not tell it."""


class LockBroken(_Shape):
    """An official freed the run's hosts, so that another run may have them."""

    person: Person
    reason: Annotated[str, Field(min_length=1)]
    statement: File
    signature: File


class ChangeShape(_Shape):
    """One thing in which a roster differs from the one before; ``before`` or ``after`` is null for none."""

    official: str
    name: str
    field: Literal["official", "name", "positions", "key", "valid", "deputy"]
    before: str | list[str] | dict[str, Any] | None
    after: str | list[str] | dict[str, Any] | None


class RosterChanged(_Shape):
    """An official signed that from here on another roster holds; ``nonce`` is the open gate's new one."""

    person: Person
    reason: Annotated[str, Field(min_length=1)]
    changes: Annotated[list[ChangeShape], Field(min_length=1)]
    roster: File
    signers: File
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None
    statement: File
    signature: File


class TornLineDropped(_Shape):
    """A crash had cut the last line off after ``bytes`` bytes; this record stands in its place."""

    bytes: Number


class RunStopped(_Shape):
    """The operator or an official ended the run early; nothing further is done on any host."""

    step: Number
    attempt: Annotated[int, Field(ge=0)]
    person: Person
    reason: Annotated[str, Field(min_length=1, max_length=4096)]


class RunFinished(_Shape):
    """The last record: the run is closed."""

    outcome: Literal["completed", "ended"]
    step: Annotated[int, Field(ge=0)]
    reason: str


SHAPES: dict[str, type[_Shape]] = {
    "run_started": RunStarted,
    "step_started": StepStarted,
    "action_started": ActionStarted,
    "action_finished": ActionFinished,
    "form_awaited": FormAwaited,
    "form_filled": FormFilled,
    "action_skipped": ActionSkipped,
    "plan_made": PlanMade,
    "repairs_proposed": RepairsProposed,
    "plan_confirmed": PlanConfirmed,
    "plan_drifted": PlanDrifted,
    "gate_opened": GateOpened,
    "gate_reminded": GateReminded,
    "gate_closed": GateClosed,
    "paper_entered": PaperEntered,
    "paper_withdrawn": PaperWithdrawn,
    "vote_made": VoteMade,
    "decision_made": DecisionMade,
    "decision_lapsed": DecisionLapsed,
    "window_awaited": WindowAwaited,
    "document_written": DocumentWritten,
    "signature_awaited": SignatureAwaited,
    "document_signed": DocumentSigned,
    "signature_left_out": SignatureLeftOut,
    "step_spanned": StepSpanned,
    "step_finished": StepFinished,
    "step_failed": StepFailed,
    "question_asked": QuestionAsked,
    "reason_given": ReasonGiven,
    "condition_told": ConditionTold,
    "run_interrupted": RunInterrupted,
    "run_resumed": RunResumed,
    "lock_broken": LockBroken,
    "roster_changed": RosterChanged,
    "torn_line_dropped": TornLineDropped,
    "run_stopped": RunStopped,
    "run_finished": RunFinished,
}


def require_format(started: Event, run: str) -> None:
    """Refuse a record of another format, older or newer: what it says may mean something else here.

    Raises:
        InputError: naming the format, and the version that made the record where it says so.
    """
    said = started.fields.get("format")
    if type(said) is int and said != FORMAT:
        made_by = str(dict(started.fields.get("versions") or {}).get("rawat", "that made it"))
        raise errors.InputError(
            f"the record of {display(run)} is of format {said}, this Rawat reads format {FORMAT}; "
            "nothing was done with it",
            hint=f"use the version of Rawat that made it: {display(made_by, longest=40)}",
        )


def require_shape(event: Event, journal: str) -> None:
    """Raise VerificationError unless the event is a known one with all its fields."""
    shape = SHAPES.get(event.name) if isinstance(event.name, str) else None
    where = f"{journal}:{event.seq}"
    if shape is None:
        raise errors.VerificationError(where, f"{event.name!a} is not an event of this format")
    if type(event.instant.mono) is not int or not isinstance(event.instant.boot, str):
        raise errors.VerificationError(where, "has no clock reading")
    try:
        shape.model_validate(event.fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise errors.VerificationError(
            where, f"{event.name}: {path_text(first['loc'])}: {first['msg']}"
        ) from error


_FILES = ("statement", "signature", "scan", "differences", "roster", "signers")


def signer_of(event: Event) -> str:
    """Return the id of the official who signed the statement that an event names."""
    for key in ("withdrawn_by", "entered_by"):
        if key in event.fields:
            return str(event[key]["id"])
    paper = event.fields.get("paper")
    return str((paper["confirmed_by"] if paper else event["person"])["id"])


def files_of(event: Event) -> list[tuple[str, str]]:
    """Return (path, SHA-256) of every file that the event names."""
    entries = [*event.fields.get("evidence", []), *event.fields.get("files", [])]
    entries += [event[key] for key in _FILES if key in event.fields]
    if event.name in {"plan_made", "repairs_proposed"}:
        entries.append(event.fields)
    return [(entry["path"], entry["sha256"]) for entry in entries]
