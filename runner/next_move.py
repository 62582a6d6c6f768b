"""What comes next in a run, from how it stands. Pure rules: no disk, no clock.

Order rules, enforced by ``next_move`` and by nothing else:
1. Rows are done in the SOP's order; only a row's ``next`` or the outcome of its decision leads on.
2. Within a row: its action (part by part), then its decision, then its documents, then the row is finished.
3. Before a wave changes hosts they are probed again: unless they are as the plan says, the row that plans
   is done again and its gates decide anew. What was confirmed before a stop is confirmed again.
4. A wave starts only while the hosts lost since the plan are within the failure budget, and while no host of
   it has a cluster of which another member is down: silent when last asked, or lost. Lost is every host that
   was not ok in a row that changes hosts: in a wave or its check, in whichever attempt, counted once.
   Recoveries and cures take one member of a cluster at a time as well.
5. The machine that Rawat runs on is restarted by a part of its own, after its wave; the run stops there and
   goes on when it is resumed.
6. A change of hosts begins only within the office's windows; outside them the run stops and, resumed, asks
   again. Taking back what failed does not wait.
7. A decision by result recovers the hosts that failed and tests them once more before it leads on.
   Hosts that nobody tested have not passed.
8. A row that spans later rows is finished when the row it names is finished.
9. A run that is stopped, or led out of by a decision, is reported on and closed; nothing else is done.
10. A row sent back to, or failed and resumed, gets a new attempt.
11. A form is filled in before the rest of its row; until it is, nothing else is done.
12. In a row that cures, known disturbances are proposed and the allowed ones cured before that, and the hosts
   are looked at again. The form is asked for when one of them is still disturbed.
13. Where the office signs its documents electronically, the row's documents are signed before it is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from runner import cures, moves
from runner.kinds import computers, with_data
from runner.moves import Part, wave_of
from runner.pdf_signatures import next_signature
from runner.sop import END_REPORT, TEST_AGAIN, Action, Output, Target, Waves
from runner.state import PartState, RunState
from runner.waves import Order, divide_into_waves, in_natural_order, members_down
from runner.windows import WindowClosed, closed

_JUDGED = frozenset({"playbook", "reboot", "suite"})
"""Kinds of parts by which a row comes to its result."""


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
    left_by = decision.outcome(state.last_outcome)
    if left_by.when == "ok" or left_by.completes:
        return moves.FinishRun("completed", state.came_from, "")
    said = state.last_reason if decision.by == "official" else ""
    return _end_early(state, state.came_from, said or state.last_outcome)


def window_closed(state: RunState, part: Part, at: datetime) -> WindowClosed | None:
    """Return why ``part`` may not be begun at ``at``, None when it may.

    A change of hosts, and the look at them right before it, waits for a window; taking back does not.
    """
    action = state.step.action
    changes = action is not None and action.changes and part.kind in {"playbook", "reprobe"}
    waits = changes or part.kind == "cure"
    return closed(state.windows, state.zone, at) if waits else None


def _within_step(state: RunState) -> moves.Move:
    step = state.step
    move = _next_cure(state) or _next_part(state) or _next_recovery(state)
    if move:
        return move
    if state.sop.seats(step):
        if state.gate:
            return moves.AwaitDecision(state.gate)
        if not state.decision:
            return moves.OpenGate()
    outcome, target = _exit(state)
    if not state.sop.goes_back(step, target):
        move = _next_document(state)
        if move:
            return move
    if step.span is not None and step.no not in state.spans:
        return moves.SpanOn(target)
    return moves.FinishStep(step.no, state.attempt, outcome, target)


def _next_document(state: RunState) -> moves.Move | None:
    """Return which document of the row is to be written, or signed, next."""
    for output in state.step.documents:
        if (output.document, output.version) not in state.written:
            return moves.WriteDocument(state.step.no, state.attempt, output)
    due = next_signature(state)
    if due is None:
        return None
    return moves.AwaitSignature(due) if state.signing.awaited else moves.AskSignature(due)


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
    decision = state.step.decision
    if decision is not None and decision.of is not None:
        looked = state.looked.rows.get(decision.of, {})
        return not looked or any(looked.values())
    if state.step.action and state.step.action.cures:
        # It is looked at more than once: how each host was when it was looked at last.
        looks = state.looked.rows.get(state.step.no, {})
        return not looks or any(looks.values())
    tested = [part for part in state.parts if part.part.kind in _JUDGED]
    return not tested or any(part.not_ok or part.disturbed for part in tested)


def _next_cure(state: RunState) -> moves.Move | None:
    """Return what a row that cures has to do next, None when its form is awaited or it is done.

    A host that is a service has no cure here: where all that is disturbed are services, the row has no
    such parts and is like any other with a form.
    """
    action = state.step.action
    known = {part.part.kind: part for part in state.parts}
    if action is None or action.cures is None or "propose" not in known:
        return None
    if known["propose"].status != "finished":
        return moves.DoPart(known["propose"].part)
    if state.looked.repairs is None:
        return moves.ProposeRepairs(state.step.no, state.attempt)
    concerned = concerned_hosts(action, state)
    done = {part.part.name for part in state.parts if part.status == "finished"}
    if state.looked.repairs["hosts"]:
        cures_due = _one_of_a_cluster("cure", state.looked.repairs["hosts"], state)
        for part in (*cures_due, Part("cured", "playbook", concerned)):
            if part.name not in done:
                return moves.DoPart(part)
        if known["form"].status == "pending" and not any(state.looked.rows[state.step.no].values()):
            return moves.SkipPart(known["form"].part, cures.NOTHING_LEFT)
    is_filled = known["form"].status == "finished"
    return moves.DoPart(Part("1", "playbook", concerned)) if is_filled and "1" not in done else None


def _next_part(state: RunState) -> moves.Move | None:
    action = state.step.action
    over = bool(action and action.changes) and len(state.lost) > state.failure_budget
    for part in state.parts:
        if part.part.kind in {"recover", "retest"}:
            return None
        if part.part.kind == "reprobe":
            continue
        if part.part.kind == "form" and part.status in {"pending", "started"}:
            return _form_due(state)
        if part.status in {"pending", "started"}:
            left_out = _left_out(state, part, over=over) if part.status == "pending" else ""
            if left_out:
                return moves.SkipPart(part.part, left_out)
            return _reprobe(state, part) or moves.DoPart(part.part)
    if action and action.plan and not state.planned and state.parts:
        return moves.MakePlan(state.step.no, state.attempt)
    return _nothing_worked(state)


def _form_due(state: RunState) -> moves.AskForm | moves.AwaitForm:
    awaited = state.forms.awaited
    return moves.AwaitForm(awaited) if awaited else moves.AskForm()


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


def _left_out(state: RunState, part: PartState, *, over: bool) -> str:
    """Return why a part is not to be begun, an empty string when it is."""
    if over:
        names = ", ".join(in_natural_order(state.lost))
        return f"more hosts failed than the budget of {state.failure_budget}: {names}"
    waves = [each for each in state.parts if each.part.name == wave_of(part.part.name)]
    if part.part.kind == "reboot" and any(wave.not_ok for wave in waves):
        return "the change there did not come to its end as approved"
    if part.part.kind == "check" and any(wave.status == "skipped" for wave in waves):
        return "nothing was changed there"
    if state.step.action is None or not state.step.action.changes:
        return ""
    down = [gone for host in part.part.hosts for gone in members_down(host, state.groups, state.down)]
    return (
        f"a member of its cluster is not known to be up: {', '.join(in_natural_order(down))}" if down else ""
    )


def _nothing_worked(state: RunState) -> moves.FailStep | None:
    """Return that the row failed, when its playbook worked nowhere and that is not its result."""
    action = state.step.action
    if action is None or action.playbook is None or action.changes or state.step.no in state.sop.looks:
        # Where the results decide, a silent host is a result like any other.
        return None
    hosts = {host for part in state.parts for host in part.part.hosts}
    if hosts and all(part.not_ok == set(part.part.hosts) for part in state.parts):
        return moves.FailStep(f"{action.playbook} worked on none of the hosts")
    return None


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
    recovering = _one_of_a_cluster("recover", ordered, state)
    for part in recovering:
        if part.name not in done:
            return moves.DoPart(part)
    failed = set().union(*(done[part.name].not_ok for part in recovering))
    own = tuple(host for host in ordered if host in state.controllers - failed)
    if own and "recover-reboot" not in done:
        return moves.DoPart(Part("recover-reboot", "reboot", own))
    return None if "retest" in done else moves.DoPart(Part("retest", "retest", ordered))


def _one_of_a_cluster(
    kind: Literal["recover", "cure"], hosts: Iterable[str], state: RunState
) -> tuple[Part, ...]:
    """Return the parts in which hosts are recovered or cured: all at once but for members of one cluster."""
    hosts = tuple(hosts)
    waves = divide_into_waves(hosts, state.groups, Order(first="", size=len(hosts)))
    return tuple(Part(kind if n == 1 else f"{kind}-{n}", kind, wave) for n, wave in enumerate(waves, start=1))


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
    hosts = concerned_hosts(action, state) if action.works_on_hosts else ()
    form = (Part("form", "form", ()),) if action.form else ()
    machines = computers(hosts, state.groups) if action.cures else ()
    if machines:
        # How many looks follow, and at which hosts, depends on what the cures come to.
        return (Part("propose", "propose", machines), *form)
    return (*form, *(_parts_on(hosts, action, state) if hosts else ()))


def _parts_on(hosts: tuple[str, ...], action: Action, state: RunState) -> tuple[Part, ...]:
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
        down=state.down,
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
        "with_data": with_data(state.hosts, state.groups),
        "planned": state.plan.hosts if state.plan else (),
        "ready": state.ready,
        "changed": state.changed,
        "disturbed": state.looked.disturbed,
    }[action.hosts]
    return in_natural_order(chosen)
