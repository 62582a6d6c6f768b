"""Where a run stands, folded from its journal. Pure: no disk, no clock. What comes next: ``next_move``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from runner import errors, moves
from runner.checkpoint import EMPTY, Chain
from runner.journal import Event
from runner.moves import Gate, Part, Plan, wave_of
from runner.sop import Sop, Step, Target
from runner.windows import Windows

HOST_OK = "ok"
_NO_ANSWER = frozenset({"unreachable", "unknown"})
_LEAVE_FORM_OPEN = frozenset(
    {"gate_opened", "gate_reminded", "run_resumed", "run_interrupted", "torn_line_dropped"}
) | {
    "question_asked",
    "reason_given",
    "condition_told",
    "lock_broken",
    "roster_changed",
}
"""Events after which a form may still be filled in anew."""


@dataclass
class PartState:
    """How far a part has got."""

    part: Part
    status: Literal["pending", "started", "finished", "skipped"] = "pending"
    results: dict[str, str] = field(default_factory=dict)
    compared: bool = False
    """Of a reprobe: it was compared with the plan, or is too old for it."""
    disturbed: frozenset[str] = frozenset()
    """Hosts that are not well: not ok, or a check found something critical or could not measure it."""

    @property
    def not_ok(self) -> set[str]:
        """Return the hosts of this part that are anything but ok."""
        return {host for host in self.part.hosts if self.results.get(host) != HOST_OK}


@dataclass
class Forms:
    """The forms of a run."""

    awaited: Event | None = None
    """``form_awaited`` of the form that nobody has filled in yet."""
    filled: list[Event] = field(default_factory=list)
    """Every form that was filled in, in order; of one row the newest counts."""
    is_open: bool = False
    """The newest form may still be filled in anew: nothing was signed on it or done since."""


@dataclass
class Signing:
    """The electronic signatures on documents of a run."""

    asked: dict[str, Any] | None = None
    """How the office signs, as ``run_started`` says; None when it does not."""
    awaited: Event | None = None
    """``signature_awaited`` of the signature that is neither there nor left out."""
    told: list[Event] = field(default_factory=list)
    """Every signature that was made or left out, in order."""


@dataclass
class Looked:
    """What the rows found that look how the hosts are (``Sop.looks``)."""

    rows: dict[int, dict[str, bool]] = field(default_factory=dict)
    """Row -> host -> whether it is disturbed, as the newest attempt of the row found it."""
    disturbed: set[str] = field(default_factory=set)
    """The hosts that were disturbed when a row last looked at them."""
    repairs: Event | None = None
    """``repairs_proposed`` of this attempt of the row: what it found that can be cured, and may be."""

    def take(self, step: int, hosts: Iterable[str], disturbed: Iterable[str]) -> None:
        """Take into account what a part of a row came to."""
        hosts, disturbed = set(hosts), set(disturbed)
        self.rows.setdefault(step, {}).update({host: host in disturbed for host in hosts})
        self.disturbed = (self.disturbed - hosts) | disturbed


class RunState:
    """The state of one run; ``apply`` takes the journal's events one by one."""

    def __init__(self, sop: Sop, events: Iterable[Event] = ()) -> None:
        self.sop = sop
        self.run = ""
        self.hosts: tuple[str, ...] = ()
        self.groups: dict[str, list[str]] = {}
        self.controllers: frozenset[str] = frozenset()
        self.operator: dict[str, Any] = {}
        self.given_budget = "0"
        self.failure_budget = 0
        self.lost: set[str] = set()
        self.silent: set[str] = set()  # hosts that gave no answer when something was last asked of them
        self.windows: Windows | None = None
        self.owed: frozenset[str] = frozenset()
        self.zone = ZoneInfo("UTC")
        self.window_awaited: Event | None = None
        self.restarting: Event | None = None
        """What announced the restart of the machine that Rawat runs on, until the run is resumed."""
        self.stopped: Event | None = None
        self.current: Target = sop.steps[0].no
        self.came_from = self.last_finished = 0
        self.last_outcome: str | None = None
        self.last_reason = ""
        self.started = False
        self.failed: str | None = None
        self.attempts: dict[int, int] = {}
        self.parts: list[PartState] = []
        self.gate: Gate | None = None
        self.forms = Forms()
        self.looked = Looked()
        self.decision: Event | None = None
        self.decisions: list[Event] = []
        self.closed: str | None = None  # why a gate was closed without a decision
        self.signed: list[Event] = []
        """Every decision or half of one, in order."""
        self.written: set[tuple[str | None, str]] = set()
        self.spans: dict[int, int] = {}
        self.plan: Plan | None = None
        self.planned = False
        self._not_ok: dict[int, set[str]] = {}
        self.changed: list[str] = []
        self.changed_under_plan: set[str] = set()
        self.confirmed: str | None = None
        self._untested: set[str] = set()
        self.evidence: list[dict[str, str]] = []
        self.documents: list[Event] = []
        self.signing = Signing()
        # The break by which the run's hosts were freed, until the run has taken them again.
        self.freed: Event | None = None
        self.breaks: list[Event] = []
        self.roster_changes: list[Event] = []
        self.finished: Event | None = None
        for event in events:
            self.apply(event)

    @property
    def register_head(self) -> Chain:
        """Return how far the archive's register had come when the newest document was made."""
        return Chain.model_validate(self.documents[-1]["archive"]) if self.documents else EMPTY

    @property
    def step(self) -> Step:
        """Return the row the run is at; only while it is at one."""
        if not isinstance(self.current, int):
            raise TypeError("the run is at its end, at no row")
        return self.sop.step(self.current)

    @property
    def attempt(self) -> int:
        """Return the number of the current row's attempt, 0 before the first."""
        return self.attempts.get(self.current, 0) if isinstance(self.current, int) else 0

    @property
    def ready(self) -> list[str]:
        """Return the planned hosts that were ok in the newest attempt of every other row since the plan."""
        other_rows = (hosts for no, hosts in self._not_ok.items() if no != self.current)
        not_ok = set().union(*other_rows)
        return [host for host in (self.plan.hosts if self.plan else ()) if host not in not_ok]

    @property
    def down(self) -> frozenset[str]:
        """Return the hosts that are not known to be up: silent, or lost in a change under this plan."""
        return frozenset(self.silent | self.lost)

    def apply(self, event: Event) -> None:
        """Take one event of the journal into account.

        Raises:
            VerificationError: when this version does not know such an event, or it lacks a field.
        """
        take = getattr(self, f"_on_{event.name}", None)
        if take is None:
            raise errors.VerificationError(f"record {event.seq}", f"unknown event {event.name!r}")
        try:
            take(event)
        except KeyError as error:
            raise errors.VerificationError(f"record {event.seq}", f"{event.name} without {error}") from error
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise errors.VerificationError(f"record {event.seq}", f"{event.name}: {problem}") from error
        self.forms.is_open = event.name == "form_filled" or (
            self.forms.is_open and event.name in _LEAVE_FORM_OPEN
        )

    def _on_run_started(self, event: Event) -> None:
        self.run = event["run"]
        self.hosts = tuple(event["inventory"]["hosts"])
        self.groups = event["inventory"]["groups"]
        self.controllers = frozenset(event["inventory"]["controllers"])
        self.operator = event["operator"]
        self.given_budget = event["failure_budget"]
        self.windows = None if event["windows"] is None else Windows.model_validate(event["windows"])
        self.zone = ZoneInfo(event["timezone"])
        self.owed = frozenset(owed["host"] for owed in event["owed"])
        self.signing.asked = event["signing"]

    def _on_step_started(self, event: Event) -> None:
        self.attempts[event["step"]] = event["attempt"]
        self.started = True
        self.parts = [PartState(Part(p["name"], p["kind"], tuple(p["hosts"]))) for p in event["parts"]]
        self.gate = self.decision = self.forms.awaited = None
        self.looked.rows.pop(event["step"], None)
        self.written = set()
        self.planned = False
        self.looked.repairs = None
        self.confirmed = None
        self.last_reason = ""
        # What an earlier attempt of the row came to is done over.
        self._not_ok[event["step"]] = set()

    def _on_action_started(self, event: Event) -> None:
        part = Part(event["part"], event["kind"], tuple(event["hosts"]))
        self._part(part).status = "started"
        if event["changes"]:
            self.changed += [host for host in part.hosts if host not in self.changed]
            self._untested.update(part.hosts)
            self.changed_under_plan.update(part.hosts)
        if part.kind == "reboot":
            self.restarting = event

    def _on_action_finished(self, event: Event) -> None:
        state = self._told(event)
        state.status = "finished"
        self.restarting = None
        state.results = event["hosts"]
        state.disturbed = frozenset(event["disturbed"])
        if event["step"] in self.sop.looks and state.part.kind not in moves.NO_LOOK:
            self.looked.take(event["step"], event["hosts"], state.disturbed)
        self.evidence += event["evidence"]
        self.silent.difference_update(event["hosts"])
        self.silent.update(host for host, status in event["hosts"].items() if status in _NO_ANSWER)
        if self._changes(event["step"]) and state.part.kind != "reprobe":
            self.lost.update(state.not_ok)
        if state.part.kind in {"suite", "retest"}:
            self._untested.difference_update(state.part.hosts)
        if state.part.kind in {"playbook", "reboot", "recover"}:
            self._not_ok.setdefault(event["step"], set()).update(state.not_ok)

    def _on_action_skipped(self, event: Event) -> None:
        self._told(event).status = "skipped"
        self._not_ok.setdefault(event["step"], set()).update(event["hosts"])

    def _on_plan_made(self, event: Event) -> None:
        self.plan = Plan(event["path"], event["sha256"], tuple(event["hosts"]), event["step"])
        self.planned = True
        self.failure_budget = event["failure_budget"]
        self.lost = set()
        self._not_ok = {}
        self.changed_under_plan = set()
        # A host changed under an earlier plan that no row has tested since is still to be tested.
        self.changed = [host for host in self.changed if host in self._untested]

    def _on_repairs_proposed(self, event: Event) -> None:
        self.looked.repairs = event

    def _on_plan_confirmed(self, event: Event) -> None:
        self._told(event).compared = True
        self.confirmed = wave_of(event["part"])

    def _on_plan_drifted(self, event: Event) -> None:
        self._go_to(event["to"])

    def _on_form_awaited(self, event: Event) -> None:
        self._told(event).status = "started"
        self.forms.awaited = event

    def _on_form_filled(self, event: Event) -> None:
        self._told(event).status = "finished"
        self.forms.awaited = None
        # What was filled in anew is decided on anew.
        self.gate = None
        self.forms.filled.append(event)
        self.evidence += event["files"]

    def _on_gate_opened(self, event: Event) -> None:
        self.gate = Gate(
            step=event["step"],
            attempt=event["attempt"],
            actor=event["actor"],
            position=event["position"],
            outcomes=tuple(event["outcomes"]),
            subject=event["subject"],
            nonce=event["nonce"],
            opened=event,
            second=event["second"],
            deadline=moves.Deadline(**event["deadline"]) if event["deadline"] else None,
        )

    def _on_gate_reminded(self, event: Event) -> None:
        self.gate = replace(self._open_gate(event), reminded=True)

    def _on_gate_closed(self, event: Event) -> None:
        self._go_to("end")
        self.came_from = event["step"]
        self.closed = event["reason"]

    def _on_paper_entered(self, event: Event) -> None:
        gate = self._open_gate(event)
        self.gate = replace(gate, entry=event, signed=gate.signed + 1)
        self.signed.append(event)

    def _on_paper_withdrawn(self, event: Event) -> None:
        gate = self._open_gate(event)
        self.gate = replace(gate, entry=None, signed=gate.signed + 1)
        self.signed.append(event)

    def _open_gate(self, event: Event) -> Gate:
        if self.gate is None:
            raise errors.VerificationError(f"record {event.seq}", f"{event.name} at no open gate")
        return self.gate

    def _on_vote_made(self, event: Event) -> None:
        gate = self._open_gate(event)
        entry = gate.entry
        # An entry of the same position is settled by this; one of the other position still waits.
        if entry is not None and entry["person"]["position"] == event["person"]["position"]:
            entry = None
        self.gate = replace(gate, votes=(*gate.votes, event), entry=entry, signed=gate.signed + 1)
        self.signed.append(event)

    def _on_decision_made(self, event: Event) -> None:
        self.signed.append(event)
        self.gate = None
        self.decision = event
        self.decisions.append(event)
        self.last_reason = event["reason"]

    def _on_decision_lapsed(self, event: Event) -> None:
        self._go_to(event["step"])

    def _on_window_awaited(self, event: Event) -> None:
        self.window_awaited = event

    def _on_document_written(self, event: Event) -> None:
        self.documents.append(event)
        self.evidence += event["files"]
        self.written.add((event["document"], event["version"]))

    def _on_signature_awaited(self, event: Event) -> None:
        self.signing.awaited = event

    def _on_document_signed(self, event: Event) -> None:
        self.signing.awaited = None
        self.signing.told.append(event)
        # Who decides next decides on the signed file, too.
        self.evidence += event["files"]

    def _on_signature_left_out(self, event: Event) -> None:
        self.signing.awaited = None
        self.signing.told.append(event)

    def _on_step_spanned(self, event: Event) -> None:
        self.spans[event["step"]] = event["until"]
        self._go_to(event["next"])

    def _on_step_finished(self, event: Event) -> None:
        if event["step"] in self.spans:
            del self.spans[event["step"]]
            return
        self.last_finished = event["step"]
        self.last_outcome = event["outcome"]
        self.came_from = event["step"]
        self._go_to(event["next"])

    def _on_step_failed(self, event: Event) -> None:
        self.failed = event["reason"]

    def _on_question_asked(self, _event: Event) -> None:
        """What is asked of the operator, and what he notes, changes nothing that comes next."""

    _on_reason_given = _on_condition_told = _on_question_asked

    def _on_run_interrupted(self, _event: Event) -> None:
        """A stop on purpose; the next move is the same as after a crash."""

    def _on_run_resumed(self, _event: Event) -> None:
        self.window_awaited = None
        self.restarting = None
        # Nobody knows how long the run stood still: what the hosts said before is not relied on.
        self.confirmed = None
        for part in self.parts:
            part.compared = part.status == "finished"
        self.freed = None
        if self.failed is not None:
            self.failed = None
            self.started = False

    def _on_lock_broken(self, event: Event) -> None:
        self.freed = event
        self.breaks.append(event)

    def _on_roster_changed(self, event: Event) -> None:
        self.roster_changes.append(event)
        if self.gate is not None:
            # Nothing that was signed for the old roster, and not yet recorded as a decision, counts here.
            self.gate = replace(self.gate, nonce=event["nonce"], entry=None)

    def _on_torn_line_dropped(self, _event: Event) -> None:
        """What the crash cut off had announced nothing that was done."""

    def _on_run_stopped(self, event: Event) -> None:
        self.stopped = event
        self.gate = self.forms.awaited = self.signing.awaited = None

    def _on_run_finished(self, event: Event) -> None:
        self.finished = event

    def _go_to(self, target: Target) -> None:
        self.current = target
        self.started = False
        self.parts = []
        self.gate = self.decision = self.forms.awaited = None
        self.written = set()

    def _changes(self, step: int) -> bool:
        action = self.sop.step(step).action
        return action is not None and action.changes

    def _told(self, event: Event) -> PartState:
        for state in self.parts:
            if state.part.name == event["part"]:
                return state
        raise errors.VerificationError(
            f"record {event.seq}", f"{event.name} tells of no part {event['part']!r} of the row"
        )

    def _part(self, part: Part) -> PartState:
        """Return the state of ``part``; recovery parts join the row when they begin."""
        for state in self.parts:
            if state.part.name == part.name:
                return state
        self.parts.append(PartState(part))
        return self.parts[-1]
