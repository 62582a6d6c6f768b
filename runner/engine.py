"""The loop: journal, state, next move, act, append. Resuming after anything is the same loop.

What a move does is here; which move comes next is ``next_move.next_move``'s alone. Before every act the
journal has, on disk, the line that announces it.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from runner import (
    authority,
    document_signing,
    drift,
    errors,
    evidence,
    filled,
    filling,
    gates,
    holds,
    moves,
    pdf_signatures,
    record,
)
from runner import plan as plans
from runner.canonical import canonical_json, sha256_hex
from runner.checkpoint import Chain
from runner.clock import Clock, Instant, format_utc, parse_utc
from runner.cures import hosts_to_cure
from runner.decisions import Decisions
from runner.document_signing import DocumentSigning, Hand
from runner.earlier_checks import measured_before
from runner.executors import processes
from runner.executors.base import ActionRequest, Executor, Failure, HostResult, ProgressEvent
from runner.expiry import has_expired
from runner.files import RESERVE, RESERVE_PER_HOST, free_bytes, make_private_dir, require_reserve, write_once
from runner.filling import Due, Filled, due_form
from runner.findings import is_disturbed
from runner.gates import Choice
from runner.journal import Event, Journal
from runner.moves import AFTER_CHANGE, Gate, Part
from runner.next_move import next_move, window_closed
from runner.notes import Notes
from runner.reasons import Answer, Question, question_due
from runner.record import Record
from runner.replay import Replayed
from runner.sop import Output, Step
from runner.state import RunState
from runner.waves import hosts_that_may_fail
from runner.windows import WindowClosed
from runner.workspace import RunFolder, Workspace

# Others who decide or sign at the same moment hold the run for an instant each; they are waited for.
_PATIENCE_SECONDS = 20.0

BuildDocument = Callable[[Record, Output, int, int, int, Chain], Sequence[Path]]
"""(record, output, step, attempt, as_of, head of the archive's register) -> the files written."""


class Observer(Protocol):
    """Sees what the engine does, to show it to a person; it decides nothing."""

    def step_started(self, step: Step, attempt: int) -> None:
        """Take note that an attempt of a row has begun."""

    def part_started(self, step: Step, part: Part) -> None:
        """Take note that a part of a row's action has begun."""

    def progress(self, event: ProgressEvent) -> None:
        """Take note of progress within a part."""

    def part_finished(self, step: Step, part: Part, results: Sequence[HostResult]) -> None:
        """Take note that a part has ended."""

    def part_skipped(self, step: Step, part: Part, reason: str) -> None:
        """Take note that a part was left out."""

    def plan_drifted(self, hosts: Sequence[str]) -> None:
        """Take note that hosts are not as the plan says, so that it is made and decided on anew."""

    def document_written(self, output: Output, files: Sequence[Path]) -> None:
        """Take note of a document."""

    def step_finished(self, step: Step, outcome: str | None) -> None:
        """Take note that a row has ended."""

    def form_refused(self, refused: errors.InputError) -> None:
        """Take note that a form filled in at the terminal was not taken; it will be asked for again."""

    def signature_refused(self, refused: errors.InputError) -> None:
        """Take note that a signature on a document was not made; it will be asked for again."""

    def decision_refused(self, refused: errors.DecisionRefusedError) -> None:
        """Take note that a decision given at the terminal did not count; it will be asked for again."""


@dataclass(frozen=True)
class Tools:
    """What the engine works with; tests give fakes."""

    clock: Clock
    playbooks: Executor
    suites: Executor
    build_document: BuildDocument
    check_run: Callable[[RunFolder], None]
    """Raises VerificationError when the run's files are not what its journal says."""
    seal: Callable[[RunFolder], Path]
    """Seals the closed run and returns the archive's path."""
    checkpoint: Callable[[RunFolder], None] = lambda _: None
    """Takes a checkpoint of the run at its gate to where this machine cannot change it any more."""
    register_head: Callable[[Chain], Chain] = lambda known: known
    """Tells how far the archive's register has come; VerificationError when not even as far as is known."""
    variables_digests: Callable[[Path, Sequence[str]], Mapping[str, str]] = lambda _, hosts: dict.fromkeys(
        hosts, ""
    )
    """Tells host by host the digest of what the inventory says of it; a host it has lost is not told."""
    account: str = ""
    """The account of this machine that the work is done under."""
    free_bytes: Callable[[Path], int] = free_bytes
    """Tells how much the file system of a path still takes."""


@dataclass(frozen=True)
class Waiting:
    """The run waits for an official; no process is needed meanwhile."""

    gate: Gate


@dataclass(frozen=True)
class Unfilled:
    """The run waits for a form; no process is needed meanwhile. ``awaited`` says which, and whose it is."""

    awaited: Event


@dataclass(frozen=True)
class Unsigned:
    """The run waits for an official to sign a document as PDF; no process is needed meanwhile."""

    due: moves.DueSignature


@dataclass(frozen=True)
class Shut:
    """The run waits for a maintenance window; ``awaited`` says until when, and why."""

    awaited: Event

    @property
    def opens(self) -> datetime | None:
        """Return when the window opens, None when that is too far off to say."""
        return parse_utc(self.awaited["opens"]) if self.awaited["opens"] else None


@dataclass(frozen=True)
class Restarting:
    """This machine was told to restart; the run goes on when it is resumed after that."""

    hosts: tuple[str, ...]
    since: datetime | None
    """When the same was announced before without a restart since, None when this is the first time."""


@dataclass(frozen=True)
class Closed:
    """The run is over; ``archive`` is its sealed copy."""

    outcome: str
    reason: str
    archive: Path


Ask = Callable[[Gate, Record], tuple[Choice, Path] | None]
"""Asks the awaited official at the terminal: the choice and the key to sign it with, or None."""

AskForm = Callable[[Due, Record], Filled | None]
"""Asks at the terminal for the form that is due; None leaves it for later ('rawat fill')."""

AskSignature = Callable[[moves.DueSignature, Record], Hand | None]
"""Asks the official at the terminal to sign a document; None leaves it for later ('rawat sign')."""

Stop = Waiting | Unfilled | Unsigned | Shut | Restarting | Closed
"""Why a run does not go on."""

AskOperator = Callable[[Question, Record], Answer | None]
"""Asks whoever operates the run at the terminal; None leaves it for later ('rawat note')."""


class Engine:
    """Works on one run."""

    def __init__(self, workspace: Workspace, folder: RunFolder, tools: Tools, observer: Observer) -> None:
        self._workspace = workspace
        self._folder = folder
        self._tools = tools
        self._observer = observer
        self._journal = Journal(folder.journal, tools.clock)
        first = record.load(folder)
        self._sop, self._sop_sha256, self._first_roster = first.sop, first.sop_sha256, first.first_roster
        self._state = first.state
        self._replayed = Replayed()

    # The loop ------------------------------------------------------------------------------------

    def run(
        self,
        ask: Ask | None = None,
        operator: AskOperator | None = None,
        form: AskForm | None = None,
        signature: AskSignature | None = None,
        *,
        resumed: bool = False,
    ) -> Stop:
        """Go on until the run is closed or waits: for somebody, a maintenance window, this machine's restart.

        With ``ask`` the awaited official is asked at once; the run is unlocked meanwhile, so that a
        decision can also come from another terminal. With ``operator`` the operator is asked for what
        only he can tell; the run goes on without it. With ``form`` a form is asked for at once, likewise,
        and with ``signature`` the signature on a document.

        Raises:
            StepFailedError: a row could not be done; a later call with ``resumed`` tries it again.
        """
        if resumed:
            self._resume()
        while True:
            with self._locked():
                stop = self._advance(attended=operator is not None)
            if isinstance(stop, Question):
                self._ask_operator(operator, stop)
                continue
            if isinstance(stop, Unfilled) and form is not None and self._ask_form(form):
                continue
            if (
                isinstance(stop, Unsigned)
                and signature is not None
                and self._ask_signature(signature, stop.due)
            ):
                continue
            if isinstance(stop, Waiting):
                self._tools.checkpoint(self._folder)
            if not isinstance(stop, Waiting) or ask is None:
                return stop
            answer = ask(stop.gate, self.record())
            if answer is None:
                return stop
            try:
                self.decisions.decide(*answer, seen=gates.code(self._folder.name, stop.gate))
            except errors.DecisionRefusedError as refused:
                self._observer.decision_refused(refused)

    def sign_documents(self, signature: AskSignature | None = None) -> Unsigned | None:
        """Make what officials sign after a decision, and nothing else; return the signature that is awaited.

        The documents of the row are written, and with ``signature`` the official is asked at once, as in
        ``run``. No row is begun and no host touched: that is for a run that is resumed, and so is a document
        before which the operator is to be asked something. None: no signature is awaited.
        """
        while True:
            with self._locked(patience=_PATIENCE_SECONDS):
                stop = self._advance_to_signature()
            if stop is None or signature is None or not self._ask_signature(signature, stop.due):
                return stop

    def stop(self, official: str, reason: str) -> Closed:
        """End an open run early: nothing further is changed, what was done is reported, the run is closed.

        Raises:
            InputError: by whom or why is not said, another process is at work, or nothing is left to stop.
        """
        if not reason.strip() or len(reason) > gates.MAX_REASON:
            raise errors.InputError(f"a stop needs a reason of at most {gates.MAX_REASON} characters")
        with self._locked():
            person = self.record().roster.named(official)
            if self._state.finished or self._state.current == "end":
                raise errors.InputError(
                    "every row of this run is behind it: there is nothing to stop",
                    hint="'rawat resume' closes it if it is still open",
                )
            processes.kill_marked(processes.mark(self._folder.work))
            if self._state.stopped is None:
                self._append(
                    "run_stopped",
                    step=self._state.current,
                    attempt=self._state.attempt,
                    person=person.person(),
                    reason=reason.strip(),
                )
            closed = self._advance(attended=False)
        if not isinstance(closed, Closed):
            raise TypeError("a stopped run waits for nobody")
        return closed

    def record(self) -> Record:
        """Return the run as it stands."""
        return Record(self._folder, self._sop, self._sop_sha256, self._first_roster, self._journal.events)

    @contextmanager
    def _locked(self, patience: float = 0.0) -> Iterator[None]:
        with self._journal.lock(patience):
            self._state = RunState(self._sop, self._journal.events)
            yield

    def _resume(self) -> None:
        with self._locked():
            # Whatever a killed runner left working must not act beside us. Only under the lock: while
            # another runner holds it, what works for this run is not left over.
            processes.kill_marked(processes.mark(self._folder.work))
            if self._state.finished is None:
                with holds.taking(self._workspace):
                    self._require_hosts()
                    self._append("run_resumed", account=self._tools.account)

    def _require_hosts(self) -> None:
        """Refuse to go on while another open run holds one of the hosts."""
        inventory = self._journal.events[0]["inventory"]
        hosts = tuple(inventory["hosts"])
        holds.require_free(self._workspace, hosts, inventory["addresses"], own=self._folder)

    def _append(
        self,
        event: str,
        *,
        instant: Instant | None = None,
        **fields: Any,  # noqa: ANN401 - a field holds any JSON
    ) -> Event:
        written = self._journal.append(event, instant=instant, **fields)
        self._state.apply(written)
        return written

    def _ask_operator(self, operator: AskOperator | None, question: Question) -> None:
        """Ask while the run is unlocked, so that a note can also come from another terminal."""
        try:
            answer = operator(question, self.record()) if operator else None
        except KeyboardInterrupt:
            with self._locked():
                self._append("run_interrupted", reason="stopped by the operator")
            raise
        if answer is None:
            return
        notes = Notes(self.record(), self._tools.clock, self._journal)
        if question.step is None:
            notes.condition(answer.condition, answer.reason)
        else:
            notes.reason(question.step, answer.reason, attempt=question.attempt)

    def _ask_form(self, form: AskForm) -> bool:
        """Ask for a form while the run is unlocked; tell whether it was filled in, here or elsewhere."""
        now = self.record()
        given = form(due_form(now), now)
        if given is None:
            return False
        try:
            filling.fill(now, self._journal, self._tools.clock, given)
        except errors.InputError as refused:
            self._observer.form_refused(refused)
        return True

    def _ask_signature(self, signature: AskSignature, due: moves.DueSignature) -> bool:
        """Ask for a signature while the run is unlocked; tell whether to go on."""
        now = self.record()
        hand = signature(due, now)
        if hand is None:
            return False
        try:
            seen = document_signing.code(now, due)
            DocumentSigning(now, self._journal, self._tools.clock).sign(hand, seen)
        except errors.InputError as refused:
            self._observer.signature_refused(refused)
        return True

    def _advance(self, *, attended: bool) -> Stop | Question:
        while True:
            move = next_move(self._state)
            question = question_due(self._sop, self._journal.events, move) if attended else None
            if question:
                self._append(
                    "question_asked",
                    about=question.about,
                    step=question.step,
                    attempt=question.attempt,
                )
                return question
            stop = self._stop_at(move)
            if stop:
                return stop
            try:
                if not isinstance(move, moves.AwaitDecision):
                    self._make(move)
            except KeyboardInterrupt:
                self._append("run_interrupted", reason="stopped by the operator")
                raise

    def _advance_to_signature(self) -> Unsigned | None:
        while pdf_signatures.signed_outputs(self._state):
            move = next_move(self._state)
            if isinstance(move, moves.AwaitSignature):
                return Unsigned(move.due)
            asks = question_due(self._sop, self._journal.events, move)
            if asks or not isinstance(move, moves.WriteDocument | moves.AskSignature):
                return None
            self._make(move)
        return None

    def _stop_at(self, move: moves.Move) -> Stop | None:  # noqa: PLR0911 - one per move
        """Return why the run does not go on, None when there is something to do."""
        match move:
            case moves.AwaitDecision(gate):
                return None if self._meet_deadline(gate) else Waiting(gate)
            case moves.AwaitForm(awaited):
                return Unfilled(awaited)
            case moves.AwaitSignature(due):
                return Unsigned(due)
            case moves.AwaitWindow(awaited):
                return Shut(awaited)
            case moves.AwaitReboot(part):
                return self._restarting(part)
            case moves.Nothing():
                return self._closed()
        return None

    def _make(self, move: moves.Move) -> None:
        match move:
            case moves.StartStep():
                self._start_step(move)
            case moves.DoPart(part):
                self._do_part(part)
            case moves.SkipPart(part, reason):
                self._skip_part(part, reason)
            case moves.MakePlan():
                self._make_plan(move)
            case moves.ProposeRepairs():
                self._propose_repairs(move)
            case moves.ComparePlan(part):
                self._compare_plan(part)
            case moves.OpenGate():
                self._open_gate()
            case moves.WriteDocument():
                self._write_document(move)
            case _:
                self._leave(move)

    def _leave(self, move: moves.Move) -> None:
        """Make a move that asks somebody, or leads away from the row or out of the run."""
        match move:
            case moves.AskForm():
                self._append("form_awaited", **filled.awaited(self._sop, self._state))
            case moves.AskSignature(due):
                self._append("signature_awaited", **due.fields)
            case moves.SpanOn(target):
                step = self._state.step
                self._append(
                    "step_spanned", step=step.no, attempt=self._state.attempt, until=step.span, next=target
                )
            case moves.FinishStep():
                self._finish_step(move)
            case moves.FinishRun():
                self._append("run_finished", outcome=move.outcome, step=move.step, reason=move.reason)
            case moves.FailStep(reason):
                self._fail_step(reason)

    # The moves -----------------------------------------------------------------------------------

    def _start_step(self, move: moves.StartStep) -> None:
        step = self._sop.step(move.step)
        parts = [{"name": p.name, "kind": p.kind, "hosts": list(p.hosts)} for p in move.parts]
        self._append("step_started", step=move.step, attempt=move.attempt, parts=parts)
        self._observer.step_started(step, move.attempt)

    def _do_part(self, part: Part) -> None:
        state, step = self._state, self._state.step
        if state.freed is not None:
            freed_by = state.freed["person"]["name"]
            raise errors.InputError(
                f"the hosts of this run were freed by {freed_by}; nothing is done on them",
                hint=f"'rawat resume {self._folder.name}' takes them again, unless another run holds them",
            )
        changes = moves.changes_hosts(part, step)
        if (changes or part.kind == "reprobe") and not self._has_authority(part):
            return
        self._require_reserve(part)
        # Judged and recorded with one look at the clock: what is announced in time was begun in time.
        now = self._tools.clock.now()
        closed = window_closed(state, part, now.at)
        if closed is not None:
            self._await_window(part, closed, now)
            return
        self._append(
            "action_started",
            instant=now,
            step=step.no,
            attempt=state.attempt,
            part=part.name,
            kind=part.kind,
            hosts=list(part.hosts),
            changes=changes,
        )
        self._observer.part_started(step, part)
        results = self._execute(part, changes=changes)
        if part.kind == "reboot" and _is_restarting(results):
            # What came of it is told by the machine once it is back, and by nobody before.
            return
        entries = evidence.write(self._folder, step.no, state.attempt, part, results)
        self._append(
            "action_finished",
            step=step.no,
            attempt=state.attempt,
            part=part.name,
            kind=part.kind,
            hosts={result.host: result.status for result in results},
            disturbed=[r.host for r in results if is_disturbed(r.status, r.results)],
            evidence=entries,
        )
        self._observer.part_finished(step, part, results)

    def _require_reserve(self, part: Part) -> None:
        """Begin nothing whose end might not be recorded."""
        needed = RESERVE + len(part.hosts) * RESERVE_PER_HOST
        for path in (self._folder.path, self._workspace.archive):
            require_reserve(path, self._tools.free_bytes(path), needed)

    def _await_window(self, part: Part, closed: WindowClosed, now: Instant) -> None:
        self._append(
            "window_awaited",
            instant=now,
            step=self._state.step.no,
            attempt=self._state.attempt,
            part=part.name,
            opens=None if closed.opens is None else format_utc(closed.opens),
            reason=closed.reason,
        )

    def _execute(self, part: Part, *, changes: bool) -> tuple[HostResult, ...]:
        if part.kind == "archive":
            self._tools.check_run(self._folder)
            return ()
        request = self._request(part, changes=changes)
        tests = part.kind in {"suite", "check", "retest"}
        executor = self._tools.suites if tests else self._tools.playbooks
        told = {
            result.host: evidence.accepted(result, changes=changes)
            for result in executor.execute(request, self._observer.progress)
        }
        silent = Failure("", "the executor told nothing of this host")
        return tuple(told.get(host) or HostResult(host, "unknown", failure=silent) for host in part.hosts)

    def _restarting(self, part: Part) -> Restarting:
        boot = self._tools.clock.now().boot
        told = [
            e for e in self._tries(part) if e["attempt"] == self._state.attempt and e.instant.boot == boot
        ]
        return Restarting(part.hosts, told[0].instant.at if len(told) > 1 else None)

    def _tries(self, part: Part) -> list[Event]:
        return [e for e in self._journal.events if e.name == "action_started" and e["part"] == part.name]

    def _request(self, part: Part, *, changes: bool) -> ActionRequest:
        state, step = self._state, self._state.step
        # One scratch folder per try: what a killed try left behind is not mixed with this one.
        tries = len(self._tries(part))
        work = make_private_dir(self._folder.work / f"{step.no}-{state.attempt}-{part.name}-{tries}")
        return ActionRequest(
            run=self._folder.name,
            step=step.no,
            attempt=state.attempt,
            part=part.name,
            hosts=part.hosts,
            inventory=self._inventory,
            work=work,
            host_state=self._write_host_state(work, part.hosts),
            plan=self._plan_of(part, work),
            conffiles=gates.chosen_conffiles(self._sop, state),
            allowed_cures=self._allowed_cures(part),
            playbook=self._playbook(step, part),
            suite=self._suite(step, part),
            changes=changes,
            claim=self._claim(),
            ended=holds.ended(self._workspace) if changes else (),
            open_runs=tuple(folder.name for folder in holds.open_runs(self._workspace)),
            controllers=tuple(host for host in part.hosts if host in state.controllers),
            earlier=None if changes or part.kind != "playbook" else self._write_earlier(work, part.hosts),
            reprobe=part.kind == "reprobe",
            phase="after-rollback" if part.kind == "retest" else "after-update",
        )

    def _acts_by(self, hosts: Sequence[str]) -> plans.ActsBy:
        told = self._tools.variables_digests(self._inventory, hosts)
        # A host that the inventory has lost is not as it was.
        return plans.ActsBy(self._workspace.roles_digest(), {host: told.get(host, "") for host in hosts})

    @property
    def _inventory(self) -> Path:
        return self._workspace.root / str(self._journal.events[0]["inventory"]["path"])

    def _plan_of(self, part: Part, work: Path) -> Path | None:
        """Write what a part acts on: the repairs that were proposed and allowed, or the plan that stands.

        A copy of its own, of the bytes that were held against the decision: what happens to the run's file
        while Ansible reads it changes nothing.
        """
        state = self._state
        proposed = state.looked.repairs if part.kind == "cure" else None
        named = proposed.fields if proposed else state.plan.named if state.plan else None
        return None if named is None else write_once(work / "plan.json", self._folder.read(named))

    def _allowed_cures(self, part: Part) -> tuple[str, ...] | None:
        proposed = self._state.looked.repairs
        return tuple(proposed["allowed"]) if part.kind == "cure" and proposed else None

    def _claim(self) -> dict[str, str]:
        started = self._journal.events[0]
        operator = str(started["operator"]["id"])
        return {"run": self._folder.name, "started": started.digest, "operator": operator}

    def _playbook(self, step: Step, part: Part) -> Path | None:
        if part.kind == "recover" and step.decision:
            recover = next(o.recover for o in step.decision.outcomes if o.when == "failed")
            return self._workspace.playbooks / recover.playbook if recover else None
        if part.kind == "reboot":
            return self._workspace.playbooks / "reboot-controller.yml"
        if part.kind == "reprobe" and self._state.plan:
            planning = self._sop.step(self._state.plan.step).action
            return self._workspace.playbooks / planning.playbook if planning and planning.playbook else None
        cures = step.action.cures if step.action else None
        if cures and part.kind in {"propose", "cure"}:
            return self._workspace.playbooks / (cures.propose if part.kind == "propose" else cures.playbook)
        named = (step.action.playbook or step.action.proof) if step.action else None
        if part.kind == "playbook" and named:
            return self._workspace.playbooks / named
        return None

    def _suite(self, step: Step, part: Part) -> Path | None:
        if step.action is None or part.kind not in {"suite", "check", "retest"}:
            return None
        name = step.action.suite or (step.action.waves.check if step.action.waves else None)
        return self._workspace.suites / name if name else None

    def _write_host_state(self, work: Path, hosts: Sequence[str]) -> Path:
        """Give roles and tests what is known of each host: its plan entry and each role's newest evidence."""
        folder = make_private_dir(work / "host_state")
        now = self.record()
        planned = (now.plan or {"hosts": {}})["hosts"]
        results = now.latest_results(frozenset(hosts))
        for host in hosts:
            known = {**results.get(host, {}), "plan": planned.get(host)}
            write_once(folder / f"{host}.json", canonical_json(known))
        return folder

    def _write_earlier(self, work: Path, hosts: Sequence[str]) -> Path:
        """Give roles what earlier runs measured on the hosts, to tell where that is going."""
        measured = measured_before(self._workspace, hosts, own=self._folder.name)
        return write_once(work / "earlier.json", canonical_json(measured))

    def _make_plan(self, move: moves.MakePlan) -> None:
        entries = [
            entry
            for event in self._journal.events
            if event.name == "action_finished"
            and (event["step"], event["attempt"]) == (move.step, move.attempt)
            for entry in event["evidence"]
        ]
        found = evidence.read(self._folder, entries)
        acts_by = self._acts_by(self._journal.events[0]["inventory"]["hosts"])
        made = plans.make_plan(self._folder.name, self._sop_sha256, acts_by, found)
        hosts = plans.hosts_to_change(made)
        named = self._folder.write(self._folder.plan(move.step, move.attempt), canonical_json(made))
        self._append(
            "plan_made",
            step=move.step,
            attempt=move.attempt,
            path=named["path"],
            sha256=named["sha256"],
            hosts=hosts,
            failure_budget=hosts_that_may_fail(self._state.given_budget, len(hosts)),
        )

    def _propose_repairs(self, move: moves.ProposeRepairs) -> None:
        proposed = authority.due_proposal(self.record())
        path = self._folder.proposal(move.step, move.attempt)
        named = self._folder.write(path, canonical_json(proposed))
        self._append(
            "repairs_proposed",
            step=move.step,
            attempt=move.attempt,
            path=named["path"],
            sha256=named["sha256"],
            allowed=proposed["allowed_cures"],
            hosts=hosts_to_cure(proposed),
        )

    def _compare_plan(self, part: Part) -> None:
        """Compare what a wave's hosts say now with the plan; where they differ, it is made anew."""
        state = self._state
        plan = self.record().plan
        if state.plan is None or plan is None:
            raise ValueError("there is no plan to compare with")
        told = next(
            event
            for event in reversed(self._journal.events)
            if event.name == "action_finished" and event["part"] == part.name
        )
        now = evidence.read(self._folder, told["evidence"])
        alike, differing = drift.of_hosts(plan, now, state.changed_under_plan)
        at: dict[str, Any] = {"step": state.step.no, "attempt": state.attempt, "part": part.name}
        if not differing:
            self._append("plan_confirmed", **at, hosts=list(alike))
            return
        data = canonical_json({"format": 1, "plan": state.plan.sha256, "hosts": differing})
        path = self._folder.differences(state.step.no, state.attempt, part.name)
        self._append(
            "plan_drifted",
            **at,
            hosts=list(differing),
            to=state.plan.step,
            differences=self._folder.write(path, data),
        )
        self._observer.plan_drifted(tuple(differing))

    def _skip_part(self, part: Part, reason: str) -> None:
        step = self._state.step
        self._append(
            "action_skipped",
            step=step.no,
            attempt=self._state.attempt,
            part=part.name,
            kind=part.kind,
            hosts=list(part.hosts),
            reason=reason,
        )
        self._observer.part_skipped(step, part, reason)

    def _open_gate(self) -> None:
        opening = gates.opening(self._sop, self._state, self._sop_sha256)
        self._append("gate_opened", **opening, nonce=secrets.token_hex(16))

    def _write_document(self, move: moves.WriteDocument) -> None:
        as_of = len(self._journal.events)
        head = self._tools.register_head(self._state.register_head)
        files = self._tools.build_document(self.record(), move.output, move.step, move.attempt, as_of, head)
        self._append(
            "document_written",
            step=move.step,
            attempt=move.attempt,
            document=move.output.document,
            version=move.output.version,
            name=move.output.name,
            as_of=as_of,
            archive=head.model_dump(),
            files=[
                {"path": self._folder.relative(path), "sha256": sha256_hex(path.read_bytes())}
                for path in files
            ],
        )
        self._observer.document_written(move.output, files)

    def _finish_step(self, move: moves.FinishStep) -> None:
        self._append(
            "step_finished", step=move.step, attempt=move.attempt, outcome=move.outcome, next=move.next
        )
        self._observer.step_finished(self._sop.step(move.step), move.outcome)

    def _fail_step(self, reason: str) -> None:
        step = self._state.step
        if self._state.failed is None:
            self._append("step_failed", step=step.no, attempt=self._state.attempt, reason=reason)
        raise errors.StepFailedError(
            f"row {step.no} failed: {reason}", hint="mend the cause, then 'rawat resume' tries the row again"
        )

    def _closed(self) -> Closed:
        finished = self._state.finished
        if finished is None:
            raise ValueError("the run is not closed")
        # With a row that archives or without one: a closed run is sealed.
        sealed = self._tools.seal(self._folder)
        shutil.rmtree(self._folder.work, ignore_errors=True)
        return Closed(finished["outcome"], finished["reason"], sealed)

    # Decisions -----------------------------------------------------------------------------------

    @property
    def decisions(self) -> Decisions:
        """Return what takes decisions at the gate that is open now."""
        return Decisions(self.record(), self._journal, self._tools.clock)

    def decide(self, choice: Choice, key: Path) -> Event:
        """Sign and record a decision at the gate that is open now.

        Raises:
            DecisionRefusedError: the decision does not count; the gate is as open as before.
        """
        return self.decisions.decide(choice, key)

    def _meet_deadline(self, gate: Gate) -> bool:
        """Record what the gate's deadline calls for, if it has passed; tell whether it did."""
        now = self._tools.clock.now()
        due = gates.due_at_deadline(gate, self._journal.events, now)
        if due is None:
            return False
        fields: dict[str, Any] = {"step": gate.step, "attempt": gate.attempt}
        if due == "gate_closed":
            fields["reason"] = "nobody decided by the deadline"
        self._append(due, instant=now, **fields)
        return True

    def _has_authority(self, part: Part) -> bool:
        """Check, at the moment of acting, that officials decided on exactly what is about to be done.

        Returns False after having reopened a gate whose decision has expired.
        """
        expires = part.kind not in AFTER_CHANGE
        if part.kind == "cure":
            said = authority.standing_assignment(self.record(), self._replayed)
        else:
            acts_by = self._acts_by(part.hosts)
            said = authority.standing_decisions(self.record(), acts_by, self._replayed)
        now = self._tools.clock.now()
        for made, statement in said:
            if expires and has_expired(made, statement, self._journal.events, now):
                reason = f"expired at {statement['expires']}"
                self._append("decision_lapsed", step=made["step"], reason=reason)
                return False
        return True


def _is_restarting(results: Sequence[HostResult]) -> bool:
    """Tell whether the machine that Rawat runs on was told to restart (roles/reboot_host)."""
    return any(result.results.get("reboot_host", {}).get("asked") is True for result in results)
