"""What a run does next, as values: the parts of a row's action, an open gate, and every possible move.

``next_move.next_move`` chooses one of them; the engine makes it; ``replay`` asks whether it was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from runner.journal import Event
from runner.sop import Output, Step, Target

SCAN_EXTENSIONS = (".pdf", ".jpg", ".png")
PartKind = Literal[
    "form",
    "playbook",
    "suite",
    "check",
    "reprobe",
    "reboot",
    "recover",
    "retest",
    "archive",
    "propose",
    "cure",
]

AFTER_CHANGE: frozenset[PartKind] = frozenset({"reboot", "recover"})
"""Parts that finish a change or take it back: they change hosts too, and wait for no window and no expiry."""

NO_LOOK: frozenset[PartKind] = frozenset({"reprobe", "propose", "cure"})
"""Parts that do not tell how hosts are, though a row that looks at them has them."""


@dataclass(frozen=True)
class Part:
    """A piece of a row's action that is done in one go: a wave, a test, a rollback."""

    name: str
    kind: PartKind
    hosts: tuple[str, ...]


def changes_hosts(part: Part, step: Step) -> bool:
    """Tell whether a part of that row changes its hosts."""
    if part.kind in AFTER_CHANGE or part.kind == "cure":
        return True
    return part.kind == "playbook" and step.action is not None and step.action.changes


@dataclass(frozen=True)
class Deadline:
    """How long the officials of a gate may take, and what is done when they have not decided by then."""

    seconds: int
    then: Literal["remind", "close"]


def statement_name(step: int, attempt: int, number: int) -> str:
    """Return the name of a statement signed at a gate: ``3-1``, and ``3-1-2`` for the second of that gate."""
    return f"{step}-{attempt}" if number == 1 else f"{step}-{attempt}-{number}"


def roster_name(number: int) -> str:
    """Return the path, but for its ending, of a roster that came in the place of the run's first."""
    return f"rosters/{number}"


@dataclass(frozen=True)
class Gate:
    """An open gate: who is awaited, on what the decision is, and the nonce that binds it.

    ``second`` is the position that must decide the same where the row is done together; ``votes`` are the
    decisions (``vote_made``) that await the other's. ``entry`` is a decision on paper (``paper_entered``)
    which a second person has not confirmed yet; ``signed`` counts the statements of this gate.
    """

    step: int
    attempt: int
    actor: str
    position: str
    outcomes: tuple[str, ...]
    subject: dict[str, str | None]
    nonce: str
    opened: Event
    second: str | None = None
    votes: tuple[Event, ...] = ()
    entry: Event | None = None
    signed: int = 0
    deadline: Deadline | None = None
    reminded: bool = False

    @property
    def open_seats(self) -> tuple[str, ...]:
        """Return the positions that have not decided yet."""
        decided = {vote["person"]["position"] for vote in self.votes}
        seats = (self.position, *([self.second] if self.second else []))
        return tuple(position for position in seats if position not in decided)

    @property
    def awaited(self) -> str:
        """Return who is awaited still, in words."""
        return " and ".join(self.open_seats)

    @property
    def next_statement(self) -> str:
        """Return the path in the run folder of the statement that is signed next at this gate."""
        return f"decisions/{statement_name(self.step, self.attempt, self.signed + 1)}.json"


@dataclass(frozen=True)
class Plan:
    """The plan that stands: where it is, its digest, the hosts it would change, and the row that made it."""

    path: str
    sha256: str
    hosts: tuple[str, ...]
    step: int

    @property
    def named(self) -> dict[str, str]:
        """Return the plan's file as records name files."""
        return {"path": self.path, "sha256": self.sha256}


@dataclass(frozen=True)
class DueSignature:
    """A signature that is awaited: on which document, whose, at which place of it."""

    step: int
    attempt: int
    document: str
    version: str
    person: dict[str, Any]
    place: str
    """The id of the room that the layout keeps for it (``runner.pdf_worker``)."""
    base: dict[str, str]
    """The file that is signed, as records name files."""
    path: str
    """Where the signed file is put, in the run folder."""

    @property
    def fields(self) -> dict[str, Any]:
        """Return what records of this signature say of it."""
        return {
            "step": self.step,
            "attempt": self.attempt,
            "document": self.document,
            "version": self.version,
            "person": self.person,
            "place": self.place,
            "base": self.base["sha256"],
        }


def wave_of(part: str) -> str:
    """Return the name of the wave that a reprobe or a reboot is for."""
    return part.partition("-")[0]


# What comes next -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class StartStep:
    """Begin an attempt of a row, with these parts."""

    step: int
    attempt: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class DoPart:
    """Do (or, after a crash, do again) a part of the row's action."""

    part: Part


@dataclass(frozen=True)
class SkipPart:
    """Leave a part out, and say why."""

    part: Part
    reason: str


@dataclass(frozen=True)
class MakePlan:
    """Make the plan from what the row's action found."""

    step: int
    attempt: int


@dataclass(frozen=True)
class ProposeRepairs:
    """Put together what was found that can be cured, and what of it somebody signed for."""

    step: int
    attempt: int


@dataclass(frozen=True)
class ComparePlan:
    """Compare what the hosts of a wave say now with the plan that was decided on."""

    part: Part


@dataclass(frozen=True)
class FailStep:
    """The row cannot be done; the run stops until it is resumed."""

    reason: str


@dataclass(frozen=True)
class OpenGate:
    """Ask an official."""


@dataclass(frozen=True)
class AwaitDecision:
    """Nothing can be done until the official has decided."""

    gate: Gate


@dataclass(frozen=True)
class AskForm:
    """Ask for the row's form."""


@dataclass(frozen=True)
class AwaitForm:
    """Nothing can be done until somebody has filled in the form; ``awaited`` says which, and whose it is."""

    awaited: Event


@dataclass(frozen=True)
class AwaitWindow:
    """Hosts may not be changed now; ``awaited`` says until when, and why."""

    awaited: Event


@dataclass(frozen=True)
class AwaitReboot:
    """The machine that Rawat runs on was told to restart; the run goes on when it is resumed after that."""

    part: Part


@dataclass(frozen=True)
class WriteDocument:
    """Write one document of the row's Output."""

    step: int
    attempt: int
    output: Output


@dataclass(frozen=True)
class AskSignature:
    """Ask an official to sign a document electronically."""

    due: DueSignature


@dataclass(frozen=True)
class AwaitSignature:
    """Nothing can be done until an official has signed a document electronically, or that is left out."""

    due: DueSignature


@dataclass(frozen=True)
class SpanOn:
    """The row goes on while later rows are done."""

    next: Target


@dataclass(frozen=True)
class FinishStep:
    """The row (the current one, or one that spanned others) is done."""

    step: int
    attempt: int
    outcome: str | None
    next: Target | None


@dataclass(frozen=True)
class FinishRun:
    """No row is left."""

    outcome: Literal["completed", "ended"]
    step: int
    reason: str


@dataclass(frozen=True)
class Nothing:
    """The run is closed."""


Move = (
    StartStep
    | DoPart
    | SkipPart
    | MakePlan
    | ProposeRepairs
    | ComparePlan
    | FailStep
    | OpenGate
    | AwaitDecision
    | AskForm
    | AwaitForm
    | AwaitWindow
    | AwaitReboot
    | WriteDocument
    | AskSignature
    | AwaitSignature
    | SpanOn
    | FinishStep
    | FinishRun
    | Nothing
)
