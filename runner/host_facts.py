"""What is known about each host of a run at one point of its journal. Pure: a fold over events and evidence.

Rules:
1. Later evidence replaces earlier evidence of the same kind; a new plan forgets everything before it, but
   for what was installed under the one before.
2. A host counts as updated only if its changes were made *and* it was tested *and* the tests passed.
3. A host counts as rolled back only if the changes were taken back *and* it was tested again and passed.
4. What nobody looked at is ``unknown``, ``untested`` or ``not_done``, never good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from pydantic import Field

from runner.checks import Check
from runner.findings import (
    Already,
    ApplyUpdates,
    BackUp,
    Change,
    CompareBaseline,
    Evidence,
    Finding,
    NotUndone,
    PlanUpdates,
    ProposeRetention,
    PruneBackups,
    RebootHost,
    Refused,
    RestoreFiles,
    Results,
    ReturnToSnapshot,
    RollbackUpdates,
    SavePackages,
    ScanHost,
    TakeSnapshot,
    Update,
    UpdateAntivirus,
    Verification,
)
from runner.journal import Event
from runner.waves import in_natural_order

HostState = Literal["updated", "rolled_back", "failed", "unknown", "untested", "not_done", "current"]
_LOST = frozenset({"unknown", "unreachable"})
"""Nobody can say how a host is that was changed and then gave no answer."""
ReadEvidence = Callable[[dict[str, str]], Evidence]


class Span(Finding):
    """When an action worked on a host, as the journal's times."""

    started: str
    ended: str


class HostFailure(Finding):
    """Something that did not succeed on a host, told plainly."""

    step: int
    attempt: int
    kind: str
    status: str
    task: str = ""
    message: str = ""


class Earlier(Finding):
    """A package that this run changed under an earlier plan, and what the host came to under that plan."""

    package: str
    from_: str = Field(alias="from")
    to: str
    state: HostState


class HostFacts(Finding):
    """Everything known about one host."""

    host: str
    state: HostState = "not_done"
    check: Check | None = None
    plan: PlanUpdates | None = None
    unplanned_because: str = ""
    backup: BackUp | None = None
    backup_status: str = ""
    backup_span: Span | None = None
    wave: str = ""
    apply: ApplyUpdates | None = None
    apply_status: str = ""
    apply_span: Span | None = None
    skipped_because: str = ""
    changes: tuple[Change, ...] = ()
    already: tuple[Already, ...] = ()
    refused: tuple[Refused, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    antivirus: UpdateAntivirus | None = None
    reboot: RebootHost | None = None
    tests: Verification | None = None
    tests_status: str = ""
    rollback: RollbackUpdates | None = None
    rollback_status: str = ""
    rollback_span: Span | None = None
    kept: SavePackages | None = None
    scan: ScanHost | None = None
    rungs: CompareBaseline | None = None
    retention: ProposeRetention | None = None
    pruned: PruneBackups | None = None
    pruned_status: str = ""
    snapshot: TakeSnapshot | None = None
    returned: ReturnToSnapshot | None = None
    files: RestoreFiles | None = None
    retest: Verification | None = None
    retest_status: str = ""
    failures: tuple[HostFailure, ...] = ()

    @property
    def is_backed_up(self) -> bool:
        """Tell whether the host has a backup that was checked and restored from."""
        return bool(self.backup and self.backup.snapshot) and self.backup_status == "ok"

    @property
    def is_by_snapshot(self) -> bool:
        """Tell whether the host runs from the snapshot of its root from before the update."""
        return self.returned is not None and self.returned.outcome == "returned"

    @property
    def taken_back(self) -> tuple[Change, ...]:
        """Return the changes that were taken back; with the root all that the run had made."""
        if self.is_by_snapshot:
            return tuple(Change(package=c.package, from_=c.to, to=c.from_) for c in self.changes)
        return self.rollback.changes if self.rollback else ()

    @property
    def undone(self) -> frozenset[str]:
        """Return the packages whose change was taken back."""
        return frozenset(change.package for change in self.taken_back)

    @property
    def not_undone(self) -> tuple[NotUndone, ...]:
        """Return what could not be taken back; a file stands under its path."""
        files = self.files.not_restored if self.files else ()
        packages = self.rollback.not_undone if self.rollback else ()
        return (*packages, *(NotUndone(package=file.path, reason=file.reason) for file in files))

    @property
    def in_effect(self) -> tuple[Update, ...]:
        """Return the planned updates whose new version the host has now."""
        if self.plan is None:
            return ()
        had = {change.package for change in self.changes} | {item.package for item in self.already}
        return tuple(u for u in self.plan.updates if u.package in had and u.package not in self.undone)

    def now(self, update: Update) -> str:
        """Return what became of a planned update: in_effect, undone, unknown or not_done."""
        if self.state == "unknown":
            return "unknown"
        if update in self.in_effect:
            return "in_effect"
        return "undone" if update.package in self.undone else "not_done"


def host_facts(
    events: Iterable[Event], read_evidence: ReadEvidence, not_planned: Mapping[str, str]
) -> tuple[HostFacts, ...]:
    """Return what is known about each host of the run after these events, in natural order.

    Args:
        events: the journal up to the point in question.
        read_evidence: reads the evidence file that an entry of the journal names.
        not_planned: why a host is not in the plan that stands.
    """
    fold = _Fold(read_evidence)
    for event in events:
        fold.apply(event)
    hosts = in_natural_order(fold.known)
    return tuple(_judged(fold.known[host], not_planned.get(host, "")) for host in hosts)


class _Fold:
    def __init__(self, read_evidence: ReadEvidence) -> None:
        self.known: dict[str, HostFacts] = {}
        self._read = read_evidence
        self._started: dict[tuple[int, int, str], Event] = {}
        self._checked: dict[str, tuple[int, int]] = {}

    def apply(self, event: Event) -> None:
        if event.name == "run_started":
            self.known = {host: HostFacts(host=host) for host in event["inventory"]["hosts"]}
        elif event.name == "action_started":
            self._started.setdefault((event["step"], event["attempt"], event["part"]), event)
            if event["changes"] and event["kind"] not in {"reboot", "cure"}:
                self._each(event["hosts"], wave=event["part"], skipped_because="")
        elif event.name == "action_skipped" and event["kind"] != "reboot":
            self._each(event["hosts"], skipped_because=str(event["reason"]))
        elif event.name == "plan_made":
            self._forget_before(event)
        elif event.name == "decision_made":
            self._choose(event["conffiles"])
        elif event.name == "action_finished":
            for item in event["evidence"]:
                self._take(self._read(item), event)

    def _forget_before(self, plan: Event) -> None:
        """A check that was done again replaces the one before it: failures, and hosts it did not reach."""
        for host, known in self.known.items():
            kept = tuple(f for f in known.failures if f.step != plan["step"] or f.attempt >= plan["attempt"])
            is_old = self._checked.get(host) != (plan["step"], plan["attempt"])
            found = _anew(known) if is_old else known
            self.known[host] = found.model_copy(update={"failures": kept})

    def _choose(self, chosen: Mapping[str, Mapping[str, str]]) -> None:
        """Put what was decided for configuration files in place of what the check proposed."""
        for host, files in chosen.items():
            if plan := self.known[host].plan:
                decided = tuple(
                    item.model_copy(update={"choice": files.get(item.path, item.choice)})
                    for item in plan.conffiles
                )
                told = plan.model_copy(update={"conffiles": decided})
                self.known[host] = self.known[host].model_copy(update={"plan": told})

    def _each(self, hosts: Iterable[str], **changes: str) -> None:
        for host in hosts:
            self.known[host] = self.known[host].model_copy(update=changes)

    def _take(self, evidence: Evidence, event: Event) -> None:
        if event["kind"] == "reprobe":
            return  # it confirms the plan, or has it made anew: it tells nothing of its own about the host
        known, results = self.known[evidence.host], evidence.results
        if (results.plan_updates or results.propose_retention) and evidence.status == "ok":
            known = _anew(known)
            self._checked[evidence.host] = (event["step"], event["attempt"])
        update = _from_results(known, results, evidence.status, self._span(event), event["kind"])
        if evidence.status != "ok":
            update["failures"] = (*known.failures, _failure(evidence, event["kind"]))
        self.known[evidence.host] = known.model_copy(update=update)

    def _span(self, event: Event) -> Span:
        started = self._started[event["step"], event["attempt"], event["part"]]
        return Span(started=_at(started), ended=_at(event))


def _anew(known: HostFacts) -> HostFacts:
    """Return what stays known of a host when it is planned for again: what was installed on it till then."""
    state = _state(known)
    earlier = tuple(
        Earlier(
            package=change.package,
            from_=change.from_,
            to=change.to,
            state="rolled_back" if change.package in known.undone else state,
        )
        for change in known.changes
    )
    return HostFacts(host=known.host, earlier=(*known.earlier, *earlier))


def _at(event: Event) -> str:
    return event.instant.at.isoformat()


def _failure(evidence: Evidence, kind: str) -> HostFailure:
    return HostFailure(
        step=evidence.step,
        attempt=evidence.attempt,
        kind=kind,
        status=evidence.status,
        task=evidence.failure.task if evidence.failure else "",
        message=evidence.failure.message if evidence.failure else "",
    )


def _from_results(
    known: HostFacts, results: Results, status: str, span: Span, kind: str
) -> dict[str, object]:
    update: dict[str, object] = {}
    # A check that failed half-way knows nothing about updates, whatever it published.
    if results.plan_updates and status == "ok":
        update["plan"] = results.plan_updates
    if results.check:
        # The values behind the findings stay in the evidence: a document is no table of measurements.
        update["check"] = results.check.model_copy(update={"facts": {}})
    if results.back_up_host:
        update |= {"backup": results.back_up_host, "backup_status": status, "backup_span": span}
    if results.apply_updates:
        update |= _applied(known, results.apply_updates) | {"apply_status": status, "apply_span": span}
    if results.update_antivirus and results.update_antivirus.product:
        update["antivirus"] = results.update_antivirus
    if results.reboot_host:
        update["reboot"] = results.reboot_host
    update |= _noted(results, status)
    if results.rollback_updates or kind == "recover":
        update |= _taken_back(results, status, span)
    if kind == "retest":
        update |= {"retest": results.verification, "retest_status": status}
    elif kind in {"suite", "check"}:
        update |= {"tests": results.verification, "tests_status": status}
    return update


def _noted(results: Results, status: str) -> dict[str, object]:
    """Return what is told of a host as it was published, where it was."""
    told: dict[str, object] = {
        "kept": results.save_packages,
        "scan": results.scan_host,
        "snapshot": results.take_snapshot,
        "retention": results.propose_retention,
        "pruned": results.prune_backups,
        "pruned_status": status if results.prune_backups else "",
    }
    return {name: found for name, found in told.items() if found}


def _taken_back(results: Results, status: str, span: Span) -> dict[str, object]:
    return {
        "rungs": results.compare_baseline,
        "returned": results.return_to_snapshot,
        "files": results.restore_files,
        "rollback": results.rollback_updates,
        "rollback_status": status,
        "rollback_span": span,
    }


def _applied(known: HostFacts, apply: ApplyUpdates) -> dict[str, object]:
    """Add up the changes of several attempts: what one changed, a later one finds already there."""
    changed = {change.package for change in apply.changes}
    changes = (*(change for change in known.changes if change.package not in changed), *apply.changes)
    ours = {change.package for change in changes}
    return {
        "apply": apply,
        "changes": changes,
        "already": tuple(item for item in apply.already if item.package not in ours),
        "refused": apply.refused,
        # Tests and rollback speak of the state before this attempt.
        "tests": None,
        "rollback": None,
        "rungs": None,
        "returned": None,
        "files": None,
        "retest": None,
    }


def _judged(known: HostFacts, unplanned_because: str) -> HostFacts:
    return known.model_copy(update={"state": _state(known), "unplanned_because": unplanned_because})


def _state(known: HostFacts) -> HostState:
    if known.plan is None:
        return "not_done"
    if not known.wave:
        return "not_done" if has_work(known.plan) else _state_without_work(known)
    if known.rollback_status:
        return _state_after_rollback(known)
    return _state_after_change(known)


def _state_without_work(known: HostFacts) -> HostState:
    """Nothing is pending: as the host was before the run, or because the run has installed it already."""
    states = {item.state for item in known.earlier} - {"rolled_back"}
    if not states:
        return "current"
    return states.pop() if len(states) == 1 else "failed"


def _state_after_change(known: HostFacts) -> HostState:
    if known.apply is None:
        return _state_without_result(known)
    if _LOST & {known.apply_status, known.tests_status}:
        return "unknown"
    if known.apply_status != "ok" or known.apply.outcome != "applied":
        return "failed"
    if has_passed(known.tests, known.tests_status):
        return "updated"
    return "failed" if known.tests else "untested"


def _state_after_rollback(known: HostFacts) -> HostState:
    if _LOST & {known.rollback_status, known.retest_status}:
        return "unknown"
    taken_back = known.is_by_snapshot or (
        known.rollback is not None and known.rollback.outcome == "rolled back"
    )
    whole = known.rollback_status == "ok" and taken_back and has_passed(known.retest, known.retest_status)
    return "rolled_back" if whole else "failed"


def _state_without_result(known: HostFacts) -> HostState:
    """A change was announced, and the host sent nothing back about it."""
    last = known.failures[-1].status if known.failures else "unknown"
    return {"unknown": "unknown", "unreachable": "not_done"}.get(last, "failed")  # type: ignore[return-value]


def has_passed(tests: Verification | None, status: str) -> bool:
    """Tell whether a host was tested and every test passed; no tests are no pass."""
    return tests is not None and status == "ok" and tests.failed == 0 and tests.passed > 0


def has_work(plan: PlanUpdates) -> bool:
    """Tell whether the check found anything to bring up to date."""
    return bool(plan.updates) or bool(plan.antivirus and plan.antivirus.update_pending)
