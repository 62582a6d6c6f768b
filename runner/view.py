"""What a document says, as data: the one model behind its HTML, its PDF and its JSON.

Values only; ``runner.run_view`` fills them from the record of a run. Times are ISO 8601 in UTC, spans are
seconds; how they are worded is the templates' business. Properties are choices among the values (which hosts,
which decisions) that the templates would otherwise make for themselves; they are not part of the JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from runner.checks import WORST_FIRST, CheckFinding, Severity
from runner.findings import Change, Finding, KeptConfiguration, PlanUpdates, Update
from runner.host_facts import HostFacts, HostState, has_work
from runner.kinds import Kind as HostKind
from runner.office_settings import Archiving, Font
from runner.office_settings import Paper as PaperSize
from runner.procedure import Procedure
from runner.repairs import Cure, Repair
from runner.trends import Point, Recurring

FORMAT = 1
Kind = Literal["security", "system", "antivirus"]
Electronic = Literal["", "signed", "copy"]
"""Whether officials sign this very PDF electronically, or it is a copy of one that they signed."""
MOST_TOLD = 60
"""Hosts that a table of a signed document names one by one; all of them stand in the attached tables."""
_DRAFT, _VERIFIED, _FINAL = "draft", "verified", ("ratified", "final")


class LogoShown(Finding):
    """A logo of the letterhead: its name for who does not see it, and its digest; the picture is no data."""

    name: str
    sha256: str
    address: str = Field(exclude=True)


class OfficeShown(Finding):
    """How the office's documents look, what they are filed under, and the digest of those settings."""

    sha256: str
    lines: tuple[str, ...]
    address: tuple[str, ...]
    logos: tuple[LogoShown, ...]
    paper: PaperSize
    font: Font
    place: str
    archive: Archiving


class StandsIn(Finding):
    """How a deputy holds a position, Plt or Plh, and the letter that names him."""

    kind: str
    letter: str


class Person(Finding):
    """Somebody as the record names him."""

    id: str
    name: str
    nip: str
    position: str
    deputy: StandsIn | None = None

    @property
    def title(self) -> str:
        """Return the position as an office writes it: ``Plh. Kepala Bidang``."""
        return f"{self.deputy.kind}. {self.position}" if self.deputy else self.position


class SopBlock(Finding):
    """The procedure a document belongs to."""

    id: str
    name: str
    unit: str
    number: str
    sha256: str
    legal_basis: tuple[str, ...]


class Paper(Finding):
    """How a decision in wet ink came into the record."""

    date: str
    scan: str
    entered_by: Person
    confirmed_by: Person


class DecisionMade(Finding):
    """A decision of an official, with the digest of the statement that was signed."""

    step: int
    attempt: int
    activity: str
    outcome: str
    back: bool
    reason: str
    person: Person
    asked_at: str
    decided_at: str
    statement_sha256: str
    together_with: tuple[Person, ...]
    paper: Paper | None
    unresolved: bool = False
    """With this outcome a disturbance stays."""


class AnsweredField(Finding):
    """One field of a filled form: lines of text, or a table with its head and total, or attached files."""

    label: str
    lines: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    total: str = ""
    files: tuple[tuple[str, str], ...] = ()


class FilledForm(Finding):
    """What was filled in at a row, the newest of it, and the decision by which it was signed."""

    step: int
    attempt: int
    activity: str
    name: str
    title: str
    person: Person
    filled_at: str
    fields: tuple[AnsweredField, ...]
    signed: DecisionMade | None


class LockBreak(Finding):
    """An official freed the run's hosts although it was not closed."""

    person: Person
    reason: str
    at: str
    statement_sha256: str


class RosterDifference(Finding):
    """One thing in which the roster was changed; ``before`` or ``after`` is None for none."""

    official: str
    name: str
    field: Literal["official", "name", "positions", "key", "valid", "deputy"]
    before: str | list[str] | dict[str, Any] | None
    after: str | list[str] | dict[str, Any] | None


class RosterChange(Finding):
    """An official signed that another roster holds from then on; what was decided before stays."""

    person: Person
    reason: str
    at: str
    statement_sha256: str
    differences: tuple[RosterDifference, ...]


class Approval(Finding):
    """A place at which an official approves this document, and the decision once it is there."""

    step: int
    activity: str
    position: str
    version: str
    place: str
    """The id of the room that the layout keeps for this signature."""
    decision: DecisionMade | None


class Waited(Finding):
    """A part of an attempt's waiting time: ``on`` is official, operator or window; seconds."""

    on: str
    position: str
    seconds: float


class AttemptTime(Finding):
    """One attempt of a row against its standard time, in seconds; ``ended_at`` is empty while under way."""

    attempt: int
    started_at: str
    ended_at: str
    measured: float
    work: float
    waiting: float
    waits: tuple[Waited, ...]
    deviation: float | None
    over: float
    reason: str
    reason_by: Person | None
    outcome: str
    shifts: tuple[float, ...]
    reboots: int


class ConditionTold(Finding):
    """Whether the conditions were normal, as the standard times suppose, and who says so."""

    condition: str
    reason: str
    person: Person


class RowTime(Finding):
    """A row's time against its standard time, all attempts together and each for itself, in seconds."""

    no: int
    activity: str
    position: str
    standard: str
    standard_seconds: int | None
    attempts: int
    work: float
    waiting: float
    over: float
    started_at: str
    ended_at: str
    state: str
    outcome: str
    span: int | None
    tries: tuple[AttemptTime, ...]


class PlanReference(Finding):
    """The plan that stands: its digest and where it is in the run."""

    path: str
    sha256: str
    made_at: str


class HostGroup(Finding):
    """Hosts of the inventory that stand together in it; without a name those that stand in no group."""

    name: str
    hosts: tuple[str, ...]


class WindowShown(Finding):
    """A span of the week in which hosts may be changed; days from 0 for Monday, by the office's clock."""

    days: tuple[int, ...]
    from_: str
    until: str


class FreezeShown(Finding):
    """Days of the office, the first and the last, on which no host is changed."""

    from_: str
    until: str
    reason: str


class Schedule(Finding):
    """When the check was done and when it is due again (empty when only done on demand)."""

    started_at: str
    ended_at: str
    due_at: str
    standard: str
    note: str
    position: str
    groups: tuple[HostGroup, ...]
    windows: tuple[WindowShown, ...]
    freezes: tuple[FreezeShown, ...]


class Cve(Finding):
    """A vulnerability named by an update, and where it is closed and still open."""

    id: str
    packages: tuple[str, ...]
    closed_on: tuple[str, ...]
    open_on: tuple[str, ...]


class Owed(Finding):
    """A host that could not be maintained, since when, and which run first said so."""

    host: str
    run: str
    since: str
    reason: str


class Ending(Finding):
    """How a run ended before its last row."""

    how: Literal["stopped", "refused", "closed", "failed"]
    step: int
    activity: str
    at: str
    person: Person | None
    reason: str
    silent: tuple[str, ...]
    """Hosts on which a change was announced and never told of."""


class KindCount(Finding):
    """Updates of one kind: how many are planned and how many are in effect, counted per host."""

    kind: Kind
    planned: int
    in_effect: int


class PlanGroup(Finding):
    """Hosts for which the check found exactly the same."""

    hosts: tuple[str, ...]
    plan: PlanUpdates


class Place(Finding):
    """Hosts on which the same became of a change: in_effect, undone, unknown, not_done; "" if not asked."""

    now: str
    hosts: tuple[str, ...]


class SharedChange(Finding):
    """A change of version that is the same for some packages on some hosts: one line of a long list."""

    packages: tuple[str, ...]
    from_: str
    to: str
    kind: str = ""
    cves: tuple[str, ...] = ()
    changelog: str = ""
    reboot: bool = False
    places: tuple[Place, ...]


class SharedFinding(Finding):
    """What a check found that is not good, and the hosts on which it found exactly that."""

    kind: HostKind
    finding: CheckFinding
    hosts: tuple[str, ...]


class Look(Finding):
    """How a row found a host: its status, and what was critical or not measured there."""

    step: int
    at: str
    status: str
    message: str
    findings: tuple[SharedFinding, ...]


class Disturbance(Finding):
    """A host that a row found disturbed: how it was found first, and when a row last looked at it."""

    host: str
    first: Look
    last: Look
    is_resolved: bool


class ProposedRepair(Finding):
    """A known disturbance of a host: what was proposed for it, whether that was allowed, what came of it."""

    step: int
    attempt: int
    host: str
    repair: Repair
    allowed: bool
    done: Cure | None
    """None where the cure was not begun, or nobody can say what came of it."""
    silent: bool = False
    """The cure was begun, and nothing was told of what came of it."""


class RouterBackup(Finding):
    """What backing the configuration of a RouterBOARD up came to; without a file nothing was kept."""

    host: str
    status: str
    kept: KeptConfiguration | None
    message: str


class CveGroup(Finding):
    """Vulnerabilities of the same packages that are closed and open on the same hosts."""

    packages: tuple[str, ...]
    closed_on: tuple[str, ...]
    open_on: tuple[str, ...]
    cves: tuple[str, ...]


class PlanChange(Finding):
    """Something that is not as it was in the plan officials decided on before: one line of a table."""

    host: str
    what: Literal["added", "left_out", "appeared", "gone", "changed", "new_packages", "removals", "reboot"]
    package: str = ""
    before: str = ""
    now: str = ""


class DecidedBefore(Finding):
    """What differs from the newest plan that officials decided on before this one."""

    decision: DecisionMade
    changes: tuple[PlanChange, ...]


class RegisterHead(Finding):
    """How far the archive's register had come when the document was made: the anchor on paper."""

    records: int
    head: str


class DocumentView(Finding):
    """Everything one version of one document says."""

    format: int = FORMAT
    document: str
    version: str
    draft: bool
    electronic: Electronic
    run: str
    step: int
    attempt: int
    as_of: int
    archive: RegisterHead
    made_at: str
    timezone: str
    office: str
    number: str
    """By the office's pattern; empty on a draft, and where the office has no pattern."""
    look: OfficeShown
    started_at: str
    sop: SopBlock
    activity: str
    position: str
    outcome: str
    operator: Person
    attendants: tuple[Person, ...]
    hosts: tuple[HostFacts, ...]
    plan: PlanReference | None
    decided_before: DecidedBefore | None
    schedule: Schedule | None
    order: DecisionMade | None
    order_outcomes: tuple[str, ...]
    decided_outcomes: tuple[str, ...]
    """The exits of the newest decision that was not made on a form of its own row."""
    addressee: str
    """The position that decides next after this row; empty for nobody."""
    forwarded_to: tuple[str, ...]
    approvals: tuple[Approval, ...]
    decisions: tuple[DecisionMade, ...]
    breaks: tuple[LockBreak, ...]
    roster_changes: tuple[RosterChange, ...]
    rows: tuple[RowTime, ...]
    procedure: Procedure
    elapsed: float
    condition: ConditionTold | None
    kinds: tuple[KindCount, ...]
    cves: tuple[Cve, ...]
    owed: tuple[Owed, ...]
    ending: Ending | None
    trend: tuple[Point, ...] = ()
    """Sealed runs before this one and, last, this run; empty without an earlier one."""
    forms: tuple[FilledForm, ...] = ()
    looked_for: tuple[str, ...] = ()
    """Hosts that some row looked at to tell whether they are disturbed."""
    disturbances: tuple[Disturbance, ...] = ()
    repairs: tuple[ProposedRepair, ...] = ()
    """What was proposed to be cured in the newest attempt of each row that cures."""
    repairs_unseen: tuple[str, ...] = ()
    """Hosts on which nobody could look for known disturbances there."""
    backup_tried: tuple[str, ...] = ()
    """Computers of the rows that back up."""
    router_backups: tuple[RouterBackup, ...] = ()
    """RouterBOARDs of the rows that back up, as it was tried last."""

    @property
    def backup_wanted(self) -> tuple[HostFacts, ...]:
        """Return the hosts on which a backup was tried, whatever came of it."""
        return tuple(host for host in self.hosts if host.host in self.backup_tried)

    @property
    def resolved(self) -> tuple[Disturbance, ...]:
        """Return the disturbances that were gone when a row last looked."""
        return tuple(found for found in self.disturbances if found.is_resolved)

    @property
    def unresolved(self) -> tuple[Disturbance, ...]:
        """Return the disturbances that were still there when a row last looked."""
        return tuple(found for found in self.disturbances if not found.is_resolved)

    @property
    def refusals(self) -> tuple[DecisionMade, ...]:
        """Return the decisions with which a disturbance stays."""
        return tuple(decision for decision in self.decisions if decision.unresolved)

    @property
    def own_form(self) -> FilledForm | None:
        """Return the form of the row that this document is of."""
        return self.form if self.form and self.form.step == self.step else None

    @property
    def repairs_left(self) -> tuple[ProposedRepair, ...]:
        """Return what was proposed and is not known to be cured."""
        return tuple(r for r in self.repairs if not (r.done and r.done.outcome in {"done", "not needed"}))

    @property
    def form(self) -> FilledForm | None:
        """Return the form of the row that this document is of, or of the newest row before it."""
        return next((form for form in reversed(self.forms) if form.step <= self.step), None)

    @property
    def recurring(self) -> tuple[tuple[SharedFinding, tuple[str, ...], int], ...]:
        """Return what is not good and was not before either: the finding, its hosts, in how many runs."""
        earlier = self.trend[:-1]
        lines = []
        for line in self.not_good:
            code, subject = line.finding.code, line.finding.subject
            keys = [Recurring(host=host, code=code, subject=subject) for host in line.hosts]
            counts = [sum(key in point.found for point in earlier) for key in keys]
            again = tuple(key.host for key, count in zip(keys, counts, strict=True) if count)
            if again:
                lines.append((line, again, max(counts) + 1))
        return tuple(sorted(lines, key=lambda found: -found[2]))

    def told(self, hosts: Iterable[HostFacts]) -> tuple[HostFacts, ...]:
        """Return those of the hosts that a table names: all of a few, of many only the exceptions."""
        named = tuple(hosts)
        if len(named) <= MOST_TOLD:
            return named
        bad = {"failed", "unknown", "untested", "rolled_back"} | ({"not_done"} if self.has_applied else set())
        return tuple(host for host in named if host.state in bad or not host.plan)[:MOST_TOLD]

    def few(self, lines: Sequence[Any]) -> Sequence[Any]:
        """Return all lines of a list about a few hosts, about many only the first ``MOST_TOLD``."""
        return lines if len(self.hosts) <= MOST_TOLD else lines[:MOST_TOLD]

    @property
    def told_backups(self) -> tuple[HostFacts, ...]:
        """Return whose backup a table tells: all of a few, of many only those that were not proven."""
        if len(self.hosts) <= MOST_TOLD:
            return self.with_backup
        return tuple(host for host in self.with_backup if not host.is_backed_up)[:MOST_TOLD]

    @property
    def told_outcomes(self) -> tuple[SharedChange, ...]:
        """Return which updates a table tells: all on a few hosts, on many those not in effect everywhere."""
        if len(self.hosts) <= MOST_TOLD:
            return self.outcomes
        return tuple(c for c in self.outcomes if any(p.now != "in_effect" for p in c.places))[:MOST_TOLD]

    @property
    def told_cves(self) -> tuple[CveGroup, ...]:
        """Return which vulnerabilities a table tells: all of a few hosts, of many those still open."""
        if len(self.hosts) <= MOST_TOLD:
            return self.cve_groups
        return tuple(group for group in self.cve_groups if group.open_on)[:MOST_TOLD]

    @property
    def with_left_alone(self) -> tuple[HostFacts, ...]:
        """Return the hosts on which the plan leaves something as it is, or puts something else at stake."""
        return tuple(host for host in self.checked if host.plan and _leaves_alone(host.plan))

    def hosts_in(self, *states: HostState) -> tuple[HostFacts, ...]:
        """Return the hosts in one of these states."""
        return tuple(host for host in self.hosts if host.state in states)

    @property
    def checked(self) -> tuple[HostFacts, ...]:
        """Return the hosts that the check reached."""
        return tuple(host for host in self.hosts if host.plan)

    @property
    def unchecked(self) -> tuple[HostFacts, ...]:
        """Return the hosts about which the check knows nothing."""
        return tuple(host for host in self.hosts if not host.plan)

    @property
    def with_work(self) -> tuple[HostFacts, ...]:
        """Return the hosts on which something can be brought up to date."""
        return tuple(host for host in self.hosts if host.plan and has_work(host.plan))

    @property
    def with_backup(self) -> tuple[HostFacts, ...]:
        """Return the hosts on which a backup was tried and told something about."""
        return tuple(host for host in self.hosts if host.backup)

    @property
    def backed_up(self) -> tuple[HostFacts, ...]:
        """Return the hosts with a backup that was checked and restored from."""
        return tuple(host for host in self.hosts if host.is_backed_up)

    @property
    def tested(self) -> tuple[HostFacts, ...]:
        """Return the hosts that were to be tested after the change."""
        return tuple(host for host in self.hosts if host.wave)

    @property
    def recovered(self) -> tuple[HostFacts, ...]:
        """Return the hosts on which taking the changes back was begun."""
        return tuple(host for host in self.hosts if host.rollback_status)

    @property
    def has_applied(self) -> bool:
        """Tell whether changing hosts has begun."""
        return any(host.wave for host in self.hosts)

    @property
    def planned_count(self) -> int:
        """Return the number of planned package updates, counted per host."""
        return sum(count.planned for count in self.kinds)

    @property
    def in_effect_count(self) -> int:
        """Return the number of updates in effect, counted per host."""
        return sum(count.in_effect for count in self.kinds)

    @property
    def closed_cves(self) -> tuple[Cve, ...]:
        """Return the vulnerabilities closed on every host that had them."""
        return tuple(cve for cve in self.cves if not cve.open_on)

    @property
    def open_cves(self) -> tuple[Cve, ...]:
        """Return the vulnerabilities still open on some host."""
        return tuple(cve for cve in self.cves if cve.open_on)

    @property
    def plan_groups(self) -> tuple[PlanGroup, ...]:
        """Return what the check found, hosts with equal findings together."""
        groups: list[PlanGroup] = []
        for host in self.checked:
            same = next((i for i, group in enumerate(groups) if group.plan == host.plan), None)
            if same is None and host.plan:
                groups.append(PlanGroup(hosts=(host.host,), plan=host.plan))
            elif same is not None:
                joined = (*groups[same].hosts, host.host)
                groups[same] = PlanGroup(hosts=joined, plan=groups[same].plan)
        return tuple(groups)

    @property
    def looked_at(self) -> tuple[HostFacts, ...]:
        """Return the hosts whose condition was looked at."""
        return tuple(host for host in self.hosts if host.check)

    @property
    def not_good(self) -> tuple[SharedFinding, ...]:
        """Return what is not good on the hosts, equal findings together, the worst first."""
        places: dict[tuple[HostKind, CheckFinding], list[str]] = {}
        checks = [(each.check, each.host) for each in self.hosts if each.check]
        for check, host in checks:
            for found in check.not_good:
                places.setdefault((check.kind, found), []).append(host)
        lines = [SharedFinding(kind=k, finding=f, hosts=tuple(names)) for (k, f), names in places.items()]
        return tuple(sorted(lines, key=lambda line: WORST_FIRST.index(line.finding.severity)))

    def count_of(self, severity: Severity) -> int:
        """Return how many findings are of a severity, counted per host."""
        return sum(len(line.hosts) for line in self.not_good if line.finding.severity == severity)

    def hosts_with(self, *severities: Severity) -> tuple[HostFacts, ...]:
        """Return the hosts with a finding of one of these severities."""
        return tuple(
            host
            for host in self.hosts
            if host.check and any(found.severity in severities for found in host.check.findings)
        )

    @property
    def planned_changes(self) -> tuple[SharedChange, ...]:
        """Return the planned updates, equal ones together."""
        return _shared((host.host, "", u) for host in self.checked if host.plan for u in host.plan.updates)

    @property
    def outcomes(self) -> tuple[SharedChange, ...]:
        """Return what became of the planned updates, equal ones together."""
        return _shared(
            (host.host, host.now(u), u) for host in self.with_work if host.plan for u in host.plan.updates
        )

    @property
    def changes_made(self) -> tuple[SharedChange, ...]:
        """Return the changes that were made, equal ones together."""
        return _shared((host.host, "", change) for host in self.hosts for change in host.changes)

    @property
    def changes_undone(self) -> tuple[SharedChange, ...]:
        """Return the changes that were taken back, equal ones together."""
        return _shared((host.host, "", change) for host in self.recovered for change in host.taken_back)

    @property
    def cve_groups(self) -> tuple[CveGroup, ...]:
        """Return the vulnerabilities by package and place, those still open somewhere first."""
        found: dict[tuple[tuple[str, ...], ...], list[str]] = {}
        for cve in (*self.open_cves, *self.closed_cves):
            found.setdefault((cve.packages, cve.closed_on, cve.open_on), []).append(cve.id)
        return tuple(
            CveGroup(packages=key[0], closed_on=key[1], open_on=key[2], cves=tuple(cves))
            for key, cves in found.items()
        )

    @property
    def witnessed(self) -> DecisionMade | None:
        """Return the decision by which somebody witnessed the results of this row, in its newest attempt."""
        made = [d for d in self.decisions if d.step == self.step and d.outcome == "disaksikan"]
        return made[-1] if made else None

    @property
    def sent_back(self) -> tuple[DecisionMade, ...]:
        """Return the decisions that sent work back."""
        return tuple(decision for decision in self.decisions if decision.back)

    @property
    def over_rows(self) -> tuple[RowTime, ...]:
        """Return the rows whose work took longer than their standard time."""
        return tuple(row for row in self.rows if row.over)

    @property
    def spanning_rows(self) -> tuple[RowTime, ...]:
        """Return the rows that went on beside later ones."""
        return tuple(row for row in self.rows if row.span and row.tries)


def _leaves_alone(plan: PlanUpdates) -> bool:
    packages = plan.held or plan.kept_back or plan.new_packages or plan.dpkg_audit
    return bool(packages or plan.conffiles or plan.snapshot.returns)


def _shared(changes: Iterable[tuple[str, str, Update | Change]]) -> tuple[SharedChange, ...]:
    """Return (host, what became of it, change) with equal changes of hosts and packages together."""
    places: dict[tuple[str, SharedChange], dict[str, list[str]]] = {}
    for host, now, change in changes:
        key = (change.package, _without_package(change))
        places.setdefault(key, {}).setdefault(now, []).append(host)
    packages: dict[SharedChange, list[str]] = {}
    for (package, line), nows in places.items():
        where = tuple(Place(now=now, hosts=tuple(hosts)) for now, hosts in nows.items())
        packages.setdefault(line.model_copy(update={"places": where}), []).append(package)
    lines = (
        change.model_copy(update={"packages": tuple(sorted(names))}) for change, names in packages.items()
    )
    return tuple(sorted(lines, key=lambda line: (line.packages, line.from_, line.to)))


def _without_package(change: Update | Change) -> SharedChange:
    wanted = {"from_", "to", "kind", "cves", "changelog", "reboot"}
    return SharedChange(packages=(), places=(), **change.model_dump(include=wanted))


def moment_of(text: str) -> datetime:
    """Return the moment a view's time stands for."""
    return datetime.fromisoformat(text)
