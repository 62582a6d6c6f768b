"""Where a run stands, folded from its journal, and what comes next. Pure rules: no disk, no clock.

Order rules, enforced by ``next_move`` and by nothing else:
1. Rows are done in the SOP's order; only a row's ``next`` or the outcome of its decision leads on.
2. Within a row: its action (part by part), then its decision, then its documents, then the row is finished.
3. Before a wave changes hosts they are probed again: unless they are as the plan says, the row that plans
   is done again and its gates decide anew. What was confirmed before a stop is confirmed again.
4. A wave starts only while the hosts lost since the plan are within the failure budget. Lost is every host
   that was not ok in a row that changes hosts: in a wave or its check, in whichever attempt, counted once.
5. The machine that Rawat runs on is restarted by a part of its own, after its wave; the run stops there and
   goes on when it is resumed.
6. A change of hosts begins only within the office's windows; outside them the run stops and, resumed, asks
   again. Taking back what failed does not wait.
7. A decision by result recovers the hosts that failed and tests them once more before it leads on.
   Hosts that nobody tested have not passed.
8. A row that spans later rows is finished when the row it names is finished.
9. A run that is stopped, or led out of by a decision, is reported on and closed; nothing else is done.
10. A row sent back to, or failed and resumed, gets a new attempt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from runner import errors, moves
from runner.journal import Event
from runner.kinds import computers
from runner.moves import Gate, Part, Plan
from runner.sop import END_REPORT, TEST_AGAIN, Action, Output, Sop, Step, Target, Waves
from runner.waves import Order, divide_into_waves, in_natural_order
from runner.windows import WindowClosed, Windows, closed

HOST_OK = "ok"
_JUDGED = frozenset({"playbook", "reboot", "suite"})
"""Kinds of parts by which a row comes to its result."""


@dataclass
class PartState:
    """How far a part has got."""

    part: Part
    status: Literal["pending", "started", "finished", "skipped"] = "pending"
    results: dict[str, str] = field(default_factory=dict)
    compared: bool = False
    """Of a reprobe: it was compared with the plan, or is too old for it."""

    @property
    def not_ok(self) -> set[str]:
        """Return the hosts of this part that are anything but ok."""
        return {host for host in self.part.hosts if self.results.get(host) != HOST_OK}


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
        self.windows: Windows | None = None
        self.owed: frozenset[str] = frozenset()
        self.zone = ZoneInfo("UTC")
        self.window_awaited: Event | None = None
        self.restarting: Event | None = None
        """What announced the restart of the machine that Rawat runs on, until the run is resumed."""
        self.stopped: Event | None = None
        self.current: Target = sop.steps[0].no
        self.came_from = 0
        self.last_outcome: str | None = None
        self.last_reason = ""
        self.started = False
        self.failed: str | None = None
        self.attempts: dict[int, int] = {}
        self.parts: list[PartState] = []
        self.gate: Gate | None = None
        self.decision: Event | None = None
        self.decisions: list[Event] = []
        self.closed: str | None = None
        """Why a gate was closed without a decision."""
        self.signed: list[Event] = []
        """Every decision or half of one, in order."""
        self.written: set[tuple[str | None, str]] = set()
        self.spans: dict[int, int] = {}
        self.last_finished = 0
        self.plan: Plan | None = None
        self.planned = False
        self._not_ok: dict[int, set[str]] = {}
        self.changed: list[str] = []
        self.changed_under_plan: set[str] = set()
        self.confirmed: str | None = None
        self._untested: set[str] = set()
        self.evidence: list[dict[str, str]] = []
        self.documents: list[Event] = []
        self.freed: Event | None = None
        """The break by which the run's hosts were freed, until the run has taken them again."""
        self.breaks: list[Event] = []
        self.roster_changes: list[Event] = []
        self.finished: Event | None = None
        for event in events:
            self.apply(event)

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

    def _on_step_started(self, event: Event) -> None:
        self.attempts[event["step"]] = event["attempt"]
        self.started = True
        self.parts = [PartState(Part(p["name"], p["kind"], tuple(p["hosts"]))) for p in event["parts"]]
        self.gate = self.decision = None
        self.written = set()
        self.planned = False
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
        self.evidence += event["evidence"]
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

    def _on_plan_confirmed(self, event: Event) -> None:
        self._told(event).compared = True
        self.confirmed = wave_of(event["part"])

    def _on_plan_drifted(self, event: Event) -> None:
        self._go_to(event["to"])

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
        self.gate = None

    def _on_run_finished(self, event: Event) -> None:
        self.finished = event

    def _go_to(self, target: Target) -> None:
        self.current = target
        self.started = False
        self.parts = []
        self.gate = self.decision = None
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


def next_move(state: RunState) -> moves.Move:
    """Return the one thing to do next."""
    over = _over(state)
    if over:
        return over
    span = _span_to_finish(state)
    if span:
        return span
    if state.current == "end":
        return _finish_run(state)
    held_up = _held_up(state)
    if held_up:
        return held_up
    if not state.started:
        return moves.StartStep(state.step.no, state.attempt + 1, parts_of(state.step.action, state))
    return _within_step(state)


def _over(state: RunState) -> moves.Move | None:
    """Return what is left to do in a run that is closed or was stopped."""
    if state.finished:
        return moves.Nothing()
    stop = state.stopped
    if stop:
        return _end_early(state, stop["step"], f"stopped by {stop['person']['name']}: {stop['reason']}")
    return None


def _held_up(state: RunState) -> moves.Move | None:
    """Return why the row goes on only when the run is resumed."""
    if state.failed is not None:
        return moves.FailStep(state.failed)
    if state.restarting is not None:
        at = state.restarting
        return moves.AwaitReboot(Part(at["part"], at["kind"], tuple(at["hosts"])))
    return moves.AwaitWindow(state.window_awaited) if state.window_awaited else None


def _end_early(state: RunState, step: int, reason: str) -> moves.Move:
    """Report truthfully what was done before a run that does not reach its last row is closed."""
    report = Output(name="Laporan Penghentian Pelaksanaan", document=END_REPORT, version="final")
    if (report.document, report.version) not in state.written:
        return moves.WriteDocument(step, max(1, state.attempts.get(step, 1)), report)
    return moves.FinishRun("ended", step, reason)


def _finish_run(state: RunState) -> moves.Move:
    """A run is ended, not completed, when a decision led out of it, or none came by its deadline."""
    if state.closed is not None:
        return _end_early(state, state.came_from, state.closed)
    decision = state.sop.step(state.came_from).decision
    if decision is None or state.last_outcome is None:
        return moves.FinishRun("completed", state.came_from, "")
    if decision.outcome(state.last_outcome).when == "ok":
        return moves.FinishRun("completed", state.came_from, "")
    said = state.last_reason if decision.by == "official" else ""
    return _end_early(state, state.came_from, said or state.last_outcome)


def window_closed(state: RunState, part: Part, at: datetime) -> WindowClosed | None:
    """Return why ``part`` may not be begun at ``at``, None when it may.

    A change of hosts, and the look at them right before it, waits for a window; taking back does not.
    """
    action = state.step.action
    waits = action is not None and action.changes and part.kind in {"playbook", "reprobe"}
    return closed(state.windows, state.zone, at) if waits else None


def _within_step(state: RunState) -> moves.Move:
    step = state.step
    move = _next_part(state) or _next_recovery(state)
    if move:
        return move
    if state.sop.seats(step):
        if state.gate:
            return moves.AwaitDecision(state.gate)
        if not state.decision:
            return moves.OpenGate()
    outcome, target = _exit(state)
    if not state.sop.goes_back(step, target):
        for output in step.documents:
            if (output.document, output.version) not in state.written:
                return moves.WriteDocument(step.no, state.attempt, output)
    if step.span is not None and step.no not in state.spans:
        return moves.SpanOn(target)
    return moves.FinishStep(step.no, state.attempt, outcome, target)


def _exit(state: RunState) -> tuple[str | None, Target]:
    """Return the outcome by which the row is left (None without a decision) and where it leads."""
    step = state.step
    if step.decision is None:
        if step.next is None:
            raise ValueError(f"row {step.no} leads nowhere")
        return None, step.next
    if step.decision.by == "official":
        if state.decision is None:
            raise ValueError(f"row {step.no} is not decided")
        name = state.decision["outcome"]
    elif step.decision.witness and state.decision and state.decision["outcome"] == TEST_AGAIN:
        return TEST_AGAIN, step.no
    else:
        wanted = "failed" if _result_failed(state) else "ok"
        name = next(o.name for o in step.decision.outcomes if o.when == wanted)
    return name, step.decision.outcome(name).next


def _result_failed(state: RunState) -> bool:
    tested = [part for part in state.parts if part.part.kind in _JUDGED]
    return not tested or any(part.not_ok for part in tested)


def _next_part(state: RunState) -> moves.Move | None:
    action = state.step.action
    over = bool(action and action.changes) and len(state.lost) > state.failure_budget
    for part in state.parts:
        if part.part.kind in {"recover", "retest"}:
            return None
        if part.part.kind == "reprobe":
            continue
        if part.status in {"pending", "started"}:
            left_out = _left_out(state, part, over=over) if part.status == "pending" else ""
            if left_out:
                return moves.SkipPart(part.part, left_out)
            return _reprobe(state, part) or moves.DoPart(part.part)
    if action and action.plan and not state.planned and state.parts:
        return moves.MakePlan(state.step.no, state.attempt)
    if action and action.playbook and not action.changes and _nothing_worked(state):
        return moves.FailStep(f"{action.playbook} worked on none of the hosts")
    return None


def _reprobe(state: RunState, wave: PartState) -> moves.Move | None:
    """Return what is still to be done before a wave may change its hosts, None when nothing is.

    A wave that was begun already is not held against the plan again: its hosts are as we left them.
    """
    action = state.step.action
    changes = action is not None and action.changes and wave.part.kind == "playbook"
    if not changes or wave.status != "pending" or state.plan is None or state.confirmed == wave.part.name:
        return None
    looks = [part for part in state.parts if part.part.kind == "reprobe"]
    looks = [part for part in looks if wave_of(part.part.name) == wave.part.name]
    if looks and looks[-1].status == "started":
        return moves.DoPart(looks[-1].part)
    if looks and not looks[-1].compared:
        return moves.ComparePlan(looks[-1].part)
    return moves.DoPart(Part(f"{wave.part.name}-reprobe-{len(looks) + 1}", "reprobe", wave.part.hosts))


def wave_of(part: str) -> str:
    """Return the name of the wave that a reprobe or a reboot is for."""
    return part.partition("-")[0]


def _left_out(state: RunState, part: PartState, *, over: bool) -> str:
    """Return why a part is not to be begun, an empty string when it is."""
    if over:
        names = ", ".join(in_natural_order(state.lost))
        return f"more hosts failed than the budget of {state.failure_budget}: {names}"
    waves = [each for each in state.parts if each.part.name == wave_of(part.part.name)]
    if part.part.kind == "reboot" and any(wave.not_ok for wave in waves):
        return "the change there did not come to its end as approved"
    return ""


def _nothing_worked(state: RunState) -> bool:
    hosts = {host for part in state.parts for host in part.part.hosts}
    return bool(hosts) and all(part.not_ok == set(part.part.hosts) for part in state.parts)


def _next_recovery(state: RunState) -> moves.Move | None:
    decision = state.step.decision
    if not decision or decision.by != "result" or not _result_failed(state):
        return None
    outcome = next(o for o in decision.outcomes if o.when == "failed")
    tested = [part for part in state.parts if part.part.kind in _JUDGED]
    hosts = {host for part in tested for host in part.not_ok}
    if outcome.recover is None or not hosts:
        return None
    ordered = in_natural_order(hosts)
    done = {part.part.name: part for part in state.parts if part.status == "finished"}
    if "recover" not in done:
        return moves.DoPart(Part("recover", "recover", ordered))
    own = tuple(host for host in ordered if host in state.controllers - done["recover"].not_ok)
    if own and "recover-reboot" not in done:
        return moves.DoPart(Part("recover-reboot", "reboot", own))
    return None if "retest" in done else moves.DoPart(Part("retest", "retest", ordered))


def _span_to_finish(state: RunState) -> moves.FinishStep | None:
    for step, until in state.spans.items():
        row = state.current if isinstance(state.current, int) else None
        over = row is None or (state.last_finished == until and row > until)
        sent_back = row is not None and row <= step
        if not state.started and (over or sent_back):
            return moves.FinishStep(step, state.attempts[step], None, None)
    return None


def parts_of(action: Action | None, state: RunState) -> tuple[Part, ...]:
    """Return the parts of a row's action over the hosts it concerns now."""
    if action is None or action.kind == "document":
        return ()
    if action.kind == "archive":
        return (Part("1", "archive", ()),)
    hosts = concerned_hosts(action, state)
    if not hosts:
        return ()
    if action.suite:
        return (Part("1", "suite", hosts),)
    if action.waves is None and not action.changes:
        return (Part("1", "playbook", hosts),)
    return _waves(action.waves, hosts, state)


def _waves(asked: Waves | None, hosts: tuple[str, ...], state: RunState) -> tuple[Part, ...]:
    """Return the parts of an action in waves.

    What is changed all at once is still changed cluster member by cluster member, and the controller last.
    """
    order = Order(
        first=asked.first if asked else "",
        then=tuple(asked.then) if asked else (),
        size=asked.size if asked else len(hosts),
        owed=state.owed,
        controllers=state.controllers,
    )
    waves = divide_into_waves(hosts, state.groups, order)
    parts: list[Part] = []
    for number, wave in enumerate(waves, start=1):
        parts.append(Part(str(number), "playbook", wave))
        if state.controllers & set(wave):
            parts.append(Part(f"{number}-reboot", "reboot", wave))
        # The last wave needs no check of its own: the rows after it test every host.
        if asked and asked.check and number < len(waves):
            parts.append(Part(f"{number}-check", "check", wave))
    return tuple(parts)


def concerned_hosts(action: Action, state: RunState) -> tuple[str, ...]:
    """Return the hosts an action is done on, in natural order."""
    chosen: Iterable[str] = {
        "all": state.hosts,
        "computers": computers(state.hosts, state.groups),
        "planned": state.plan.hosts if state.plan else (),
        "ready": state.ready,
        "changed": state.changed,
    }[action.hosts]
    return in_natural_order(chosen)
