"""What a person at the terminal sees. Text from hosts goes through ``display`` and is never markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from runner import conffiles, drift, errors, filled, gates
from runner.checks import WORST_FIRST, CheckFinding
from runner.display import display
from runner.executors.base import HostResult, ProgressEvent
from runner.journal import Event
from runner.moves import Gate, Part
from runner.officials import title_of
from runner.pdf_signatures import SIGNED
from runner.plan import has_antivirus_update
from runner.record import Record
from runner.run_view import document_view
from runner.sop import END_REPORT, Output, Sop, Step

_STATUS_STYLE = {
    "ok": "green",
    "failed": "red",
    "unreachable": "red",
    "unknown": "yellow",
    "skipped": "yellow",
}
_PART_NAMES = {
    "form": "form",
    "playbook": "Ansible",
    "suite": "tests",
    "check": "tests between waves",
    "reprobe": "are the hosts still as approved?",
    "reboot": "restart of this machine, where needed",
    "recover": "roll back",
    "retest": "tests after the rollback",
    "archive": "check of the whole run",
    "propose": "known disturbances and their cures",
    "cure": "allowed cures",
}
# Heads of narrow columns: the row's number says the rest.
_SHORT_NAMES = {
    "playbook": "",
    "suite": "tests",
    "check": "check",
    "reboot": "restart",
    "recover": "undo",
    "retest": "retest",
    "propose": "propose",
    "cure": "cure",
}
_MESSAGE_SHOWN = 160
_FORM_LINE_SHOWN = 500
_WORST_SHOWN = 8
_SEVERITY_STYLE = {"critical": "bold red", "warning": "yellow", "unmeasured": "yellow", "notice": ""}


def one_line(text: object, longest: int = _MESSAGE_SHOWN) -> str:
    """Return text of strangers as one safe line of limited length."""
    return display(" ".join(str(text).split()), longest=longest)


class Screen:
    """Shows a run while it goes on (the engine's observer)."""

    def __init__(self, console: Console, sop: Sop) -> None:
        self._console = console
        self._sop = sop
        self._title = ""
        self._progress: Progress | None = None
        self._bar: Any = None

    def step_started(self, step: Step, attempt: int) -> None:
        """Print the row's heading."""
        self._console.print()
        head = Text(f" {step.no}/{self._sop.steps[-1].no} ", style="reverse bold")
        head.append(f" {step.kegiatan}", style="bold not reverse")
        self._console.print(head)
        about = [self._sop.actors[step.pelaksana]] if step.pelaksana else []
        if step.bersama:
            about.append(f"with {self._sop.actors[step.bersama]}")
        if step.waktu:
            about.append(f"standard time {step.waktu}")
        if attempt > 1:
            about.append(f"attempt {attempt}")
        if step.span:
            about.append(f"goes on until row {step.span} is done")
        if about:
            self._console.print(Text("     " + " · ".join(about), style="dim"))

    def part_started(self, step: Step, part: Part) -> None:
        """Begin a progress line."""
        wave = f", wave {part.name}" if part.kind == "playbook" and _in_waves(step) else ""
        hosts = f" on {len(part.hosts)} host{'s' if len(part.hosts) != 1 else ''}" if part.hosts else ""
        title = f"     {_PART_NAMES[part.kind]}{hosts}{wave}"
        self._title = title
        if not self._console.is_terminal:
            self._console.print(Text(title + (f": {display(', '.join(part.hosts))}" if part.hosts else "")))
            return
        self._progress = Progress(
            TextColumn("    "),
            SpinnerColumn(),
            TextColumn("{task.fields[title]}", markup=False),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._bar = self._progress.add_task("", total=len(part.hosts) or None, title=title.strip())
        self._progress.start()

    def progress(self, event: ProgressEvent) -> None:
        """Show which task is at work, on which host, and how many hosts are left for it."""
        if self._progress is None:
            return
        if event.kind == "task":
            self._progress.update(self._bar, completed=0, description=one_line(event.text, 40))
        else:
            left = max(0, event.total - event.done)
            text = one_line(f"{event.host} {event.status}, {left} left · {event.text}", 40)
            self._progress.update(self._bar, completed=event.done, total=event.total, description=text)

    def part_finished(self, _step: Step, part: Part, results: Sequence[HostResult]) -> None:
        """End the progress line and print how the hosts did."""
        if self._progress is not None:
            # The progress line is gone now; what the results below belong to stays.
            self._stop_progress()
            self._console.print(Text(self._title, style="dim"))
        if part.kind == "archive":
            self._console.print(Text("     every file of the run is what its journal says", style="green"))
        for result in results:
            line = Text("     ")
            line.append(f"{result.status:<12}", style=_STATUS_STYLE[result.status])
            line.append(f"{display(result.host)}  ")
            line.append(_about(result), style="dim")
            self._console.print(line, soft_wrap=False, overflow="ellipsis")

    def part_skipped(self, _step: Step, part: Part, reason: str) -> None:
        """Print what was left out and why."""
        what = ", ".join(display(host) for host in part.hosts) or _PART_NAMES[part.kind]
        self._console.print(Text(f"     not done   {what}: {one_line(reason)}", style="yellow"))

    def plan_drifted(self, hosts: Sequence[str]) -> None:
        """Print that the plan is not true any more, and for which hosts."""
        names = ", ".join(display(host) for host in hosts)
        said = f"     not as approved any more: {names}; the check is done again and decided on anew"
        self._console.print(Text(said, style="bold yellow"))

    def document_written(self, output: Output, files: Sequence[Path]) -> None:
        """Print where a document is."""
        shown = next((path for path in files if path.suffix == ".pdf"), files[-1])
        self._console.print(Text(f"     document   {output.name} ({output.version}): {shown}", style="cyan"))

    def step_finished(self, step: Step, outcome: str | None) -> None:
        """Print the outcome of a decision."""
        if outcome is not None:
            self._console.print(Text(f"     row {step.no}: {outcome}", style="bold"))

    def form_refused(self, refused: errors.InputError) -> None:
        """Print why a form was not taken."""
        print_error(self._console, refused)

    def signature_refused(self, refused: errors.InputError) -> None:
        """Print why a document was not signed."""
        print_error(self._console, refused)

    def decision_refused(self, refused: errors.DecisionRefusedError) -> None:
        """Print why a decision did not count."""
        print_error(self._console, refused)

    def _stop_progress(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    @contextmanager
    def closing(self) -> Iterator[None]:
        """End the progress line whatever happens."""
        try:
            yield
        finally:
            self._stop_progress()


def _in_waves(step: Step) -> bool:
    return bool(step.action and step.action.waves)


def _about(result: HostResult) -> str:
    if result.failure:
        return one_line(f"{result.failure.task.rstrip('.')}: {result.failure.message}")
    tests = result.results.get("verification")
    if isinstance(tests, dict):
        return one_line(f"{tests.get('passed')} passed, {tests.get('failed')} failed")
    told = [word for data in result.results.values() if isinstance(data, dict) for word in _told(data)]
    return one_line(", ".join(told))


def _told(data: dict[str, Any]) -> Iterator[str]:
    """Say in a few words what a role published; what it does not publish is not mentioned."""
    counted = {"updates": "updates pending", "changes": "packages changed", "repairs": "disturbances known"}
    for key, word in counted.items():
        if isinstance(data.get(key), list):
            yield f"{len(data[key])} {word}"
    if isinstance(data.get("findings"), list):
        told = [finding.get("severity") for finding in data["findings"] if isinstance(finding, dict)]
        yield f"{told.count('critical')} critical, {told.count('warning')} warning"
    if isinstance(data.get("cures"), list) and data["cures"]:
        told = [cure.get("outcome") for cure in data["cures"] if isinstance(cure, dict)]
        yield f"{told.count('done')} of {len(told)} cures done and proven"
    restored = data.get("restore_test")
    if isinstance(restored, dict):
        yield f"backup {str(data.get('snapshot'))[:8]}"
        yield f"{restored.get('matched')} of {restored.get('files')} sampled files restored alike"
    if data.get("rebooted") is True:
        yield "rebooted"


def print_error(console: Console, error: errors.RawatError) -> None:
    """Print an error of ours: what happened, and what to do next."""
    for line in str(error).splitlines():
        console.print(Text.assemble(("error: ", "bold red"), display(line)), soft_wrap=True)
    if error.hint:
        console.print(Text(f"       {display(error.hint)}", style="dim"), soft_wrap=True)


def start_panel(record: Record) -> Panel:
    """Return what is shown before a run starts: SOP, hosts, operator, and what the paper did not say."""
    started = record.started
    identity = record.sop.identity
    table = Table.grid(padding=(0, 2))
    table.add_row("SOP", Text(f"{identity.nama_sop} ({identity.unit})"))
    table.add_row("Number", Text(identity.nomor_sop or "not known"))
    table.add_row("Hosts", Text(", ".join(display(host) for host in started["inventory"]["hosts"])))
    table.add_row("May fail", Text(_budget_text(started["failure_budget"])))
    for name, line in windows_text(record):
        table.add_row(name, Text(display(line)))
    table.add_row("Operator", Text(f"{started['operator']['name']} ({started['operator']['position']})"))
    table.add_row("Run", Text(str(record.folder.path)))
    parts: list[Any] = [table, *owed_lines(record.started["owed"])]
    for run in record.started["owed_unread"]:
        told = f"{display(run)} cannot be read: whether it owes hosts is not known"
        parts.append(Text(told, style="yellow"))
    if record.sop.assumptions:
        parts += [Text(), Text("Assumed where the paper is lost or cut off:", style="yellow")]
        parts += [Text(f"  · {a.field}: {a.text}", style="yellow") for a in record.sop.assumptions]
    return Panel(Group(*parts), title="Rawat", title_align="left")


def unsettled_lines(record: Record) -> list[Text]:
    """Say of a stopped run what is dangerous about it: hosts of which nobody knows that all is well."""
    report = next(e for e in reversed(record.state.documents) if e["document"] == END_REPORT)
    view = document_view(record, END_REPORT, "final", report["step"], report["attempt"], report["as_of"])
    told = (
        ("their state is UNKNOWN, look at them now", view.hosts_in("unknown")),
        ("changed and NOT TESTED", view.hosts_in("untested")),
    )
    return [
        Text(f"{', '.join(display(host.host) for host in hosts)}: {what}", style="bold red")
        for what, hosts in told
        if hosts
    ]


def owed_lines(owed: Sequence[dict[str, str]]) -> list[Text]:
    """Return which hosts are owed, a line per run that first owed them and day since when."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in owed:
        told = f"{display(each['host'])} ({each['reason']})"
        groups.setdefault((each["run"], each["since"][:10]), []).append(told)
    return [
        Text(f"Owed from {display(run)} since {day}: {', '.join(hosts)}", style="bold yellow")
        for (run, day), hosts in groups.items()
    ]


def windows_text(record: Record) -> Iterator[tuple[str, str]]:
    """Yield what the office's windows say, as (head, line)."""
    windows = record.state.windows
    if windows is None:
        yield "Windows", "none: hosts may be changed at any time"
        return
    for number, window in enumerate(windows.windows or []):
        yield "" if number else "Windows", f"{window} {record.started['timezone']}"
    for number, freeze in enumerate(windows.freeze):
        yield "" if number else "Frozen", str(freeze)
    if windows.min_minutes:
        yield "", f"a change begins only while {windows.min_minutes} minutes of the window are left"


def _budget_text(given: str) -> str:
    share = f"{given} of the planned hosts" if given.endswith("%") else f"{given} host(s)"
    return f"{share}; when more have failed, no further wave begins"


def _as_decided(record: Record) -> dict[str, Any] | None:
    """Return the plan with what earlier decisions on it chose for configuration files."""
    chosen = gates.chosen_conffiles(record.sop, record.state)
    return conffiles.applied(record.plan, chosen) if record.plan else None


def gate_view(gate: Gate, record: Record) -> Group:
    """Return what is decided on at a gate, then the question."""
    step = record.sop.step(gate.step)
    shows = step.decision.shows if step.decision else "results"
    body: list[Any] = []
    body += [Text(f"  {line}", style="bold yellow") for line in gate_warnings(gate, record)]
    body += form_lines(record, record.state.forms.filled if shows == "forms" else _forms_of(gate, record))
    if shows == "plan":
        body += plan_view(_as_decided(record)) if record.decided_before is None else difference_view(record)
        body += health_lines(record)
        given, most = record.started["failure_budget"], record.state.failure_budget
        said = f"{given}, that is {most} of these hosts" if given.endswith("%") else f"{given} host(s)"
        body.append(Text(f"  failure budget: {said}"))
    if shows in {"results", "documents", "forms"} and record.finished_actions():
        body.append(_results_view(record))
    if shows == "documents":
        body.append(_documents_view(record))
    # As wide as a terminal of 80 columns at most: a digest that is cut off is compared with nothing.
    digest = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 1))
    code = gates.code(record.folder.name, gate)
    digest.add_row(Text("gate code", style="dim"), Text(code, style="bold"))
    for name in ("plan", "evidence", "sop"):
        digest.add_row(Text(f"{name} digest", style="dim"), Text(str(gate.subject[name] or "-"), style="dim"))
    return Group(*body, digest, *_vote_lines(gate), *_entry_lines(gate))


def gate_warnings(gate: Gate, record: Record) -> list[str]:
    """Return what whoever decides is to know of the order of the rows, which is the SOP's and stays so."""
    return [
        f"row {change.no} changes hosts before row {backup.no} backs them up: so the SOP orders it, and "
        "nothing is reordered"
        for change, backup in record.sop.changes_before_backup
        if change.no > gate.step
    ]


def _forms_of(gate: Gate, record: Record) -> list[Event]:
    return [e for e in record.state.forms.filled if (e["step"], e["attempt"]) == (gate.step, gate.attempt)]


def form_lines(record: Record, events: Sequence[Event]) -> list[Text]:
    """Return what was filled in, the newest form of each row, as (label, answer) lines."""
    newest = {event["step"]: event for event in events}
    return [line for event in newest.values() for line in _filled_lines(record, event)]


def _filled_lines(record: Record, event: Event) -> Iterator[Text]:
    said = record.form(event)
    form = record.sop.forms[event["form"]]
    who = _named(event["person"])
    yield Text(f"  row {event['step']}: {form.title}, filled in by {who}", style="bold")
    for told in filled.shown(form, said):
        lead = f"    {told.label}: "
        lines = told.lines or ("-",)
        for number, line in enumerate(lines):
            head = lead if number == 0 else " " * 6
            yield Text(head + display(line, longest=_FORM_LINE_SHOWN))
        yield from (Text(f"      {name}, SHA-256 {digest}", style="dim") for name, digest in told.files)


def health_lines(record: Record) -> list[Text]:
    """Return how many things are not good on the hosts, and the worst of them."""
    checks = record.checks()
    if not checks:
        return []
    found = [(host, finding) for host, check in checks.items() for finding in check.not_good]
    found.sort(key=lambda item: WORST_FIRST.index(item[1].severity))
    counts = [(sum(1 for _, f in found if f.severity == severity), severity) for severity in WORST_FIRST]
    said = ", ".join(f"{count} {severity}" for count, severity in counts if count) or "all good"
    lines = [Text(f"  health of {len(checks)} host(s): {said}", style="bold")]
    for host, finding in found[:_WORST_SHOWN]:
        told = one_line(f"{host}: {finding.severity}: {_finding_text(finding)}")
        lines.append(Text(f"    {told}", style=_SEVERITY_STYLE[finding.severity]))
    if len(found) > _WORST_SHOWN:
        more = f"    and {len(found) - _WORST_SHOWN} more; all of them stand in the document of the check"
        lines.append(Text(more, style="dim"))
    return lines


def _finding_text(finding: CheckFinding) -> str:
    """Say a finding in the words of its code: ``disk space /var 97 %, threshold 95 %``."""
    named = f"{finding.code.replace('_', ' ')} {finding.subject}".strip()
    if finding.severity == "unmeasured":
        return f"{named}: {finding.why.replace('_', ' ')}"
    values = [value for value in (finding.measured, finding.threshold) if value is not None]
    return f"{named} {', threshold '.join(f'{value} {finding.unit}'.strip() for value in values)}".strip()


def difference_view(record: Record) -> list[Any]:
    """Return only what is not as it was in the plan that officials decided on before."""
    if record.decided_before is None or record.plan is None:
        return plan_view(record.plan)
    old, made = record.decided_before
    who = one_line(made["person"]["name"])
    title = f"Changed since row {made['step']} was decided by {who} ({one_line(made['outcome'])})"
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("Host", "Package", "Decided on", "Now"):
        table.add_column(column, overflow="fold")
    differing = drift.of_plans(old, record.plan)
    for host, told in differing.items():
        for row in [("", "", told)] if isinstance(told, str) else _difference_rows(told):
            table.add_row(*(Text(one_line(cell)) for cell in (host, *row)), style="bold yellow")
    alike = sum(1 for host in record.plan["hosts"] if host not in differing)
    body: list[Any] = [table] if differing else [Text("     nothing differs from it any more", style="green")]
    whole = Text(f"  {alike} host{'s are' if alike != 1 else ' is'} as decided on before", style="dim")
    return [*body, whole, *_added_hosts(record.plan, differing)]


def _difference_rows(told: drift.Difference) -> Iterator[tuple[str, str, str]]:
    for update in told["appeared"]:
        yield update["package"], "-", _versions(update)
    for update in told["gone"]:
        yield update["package"], _versions(update), "-"
    for item in told["changed"]:
        approved, found = (_versions(item[key]) for key in ("approved", "found"))
        yield item["package"], approved, found
    if come := told["new_packages"]:
        yield "(new packages)", ", ".join(come["approved"]) or "-", ", ".join(come["found"]) or "-"
    if go := told["removals"]:
        approved, found = (", ".join(one[:8] for one in go[key]) or "-" for key in ("approved", "found"))
        yield "(to be removed)", approved, found
    if told["reboot"]:
        yield "(reboot)", "not needed", "needed"


def _versions(update: Mapping[str, str]) -> str:
    return f"{update['from'] or '(not installed)'} -> {update['to']}"


def _added_hosts(plan: dict[str, Any], differing: Mapping[str, drift.Difference | str]) -> list[Any]:
    """Return the whole plan of the hosts that the earlier one did not have."""
    added = {host: plan["hosts"][host] for host, told in differing.items() if told == "added"}
    return plan_view({"hosts": added, "not_planned": {}}) if added else []


def _entry_lines(gate: Gate) -> list[Text]:
    """Return what is told of a decision on paper that waits for its confirmation."""
    if gate.entry is None:
        return []
    entry = gate.entry
    said = f"on paper of {entry['date']}: {entry['outcome']}, signed in wet ink by {_named(entry['person'])}"
    entered = f"entered by {_named(entry['entered_by'])}, scan {entry['scan']['path']}"
    return [
        Text(f"     {one_line(said)}", style="bold yellow"),
        *_chosen_lines(entry),
        Text(f"     {one_line(entered)}", style="yellow"),
        Text(
            "     a second person looks at the scan and confirms: rawat decide --confirm --official ID",
            "yellow",
        ),
    ]


def _vote_lines(gate: Gate) -> list[Text]:
    told = []
    for vote in gate.votes:
        said = f"{vote['outcome']}, decided by {_named(vote['person'])}"
        told.append(Text(f"     {one_line(said)}; the other still decides", style="bold"))
        told += _chosen_lines(vote)
    return told


def _chosen_lines(made: Event) -> list[Text]:
    """Return what somebody chose for configuration files, otherwise than the plan proposes."""
    return [
        Text(f"     {one_line(line)}", style="bold yellow") for line in conffiles.lines(made["conffiles"])
    ]


def _named(person: dict[str, Any]) -> str:
    title = title_of(person["position"], (person["deputy"] or {}).get("kind", ""))
    return f"{person['name']} ({title})"


def decided_lines(made: Event, run: str) -> list[str]:
    """Return what is told once somebody has decided, entered, confirmed or withdrawn."""
    row = f"row {made['step']}"
    if made.name == "paper_withdrawn":
        return [f"{row}: the paper was withdrawn by {_named(made['withdrawn_by'])}; the gate is still open"]
    said = f"{row}: {made['outcome']}, decided by {_named(made['person'])}"
    said += "".join(f"; {one_line(line)}" for line in conffiles.lines(made["conffiles"]))
    if made.name == "paper_entered":
        confirm = f"it counts once a second person confirms it: rawat decide {run} --confirm --official ID"
        return [f"{said} on paper, entered by {_named(made['entered_by'])}", confirm]
    if made.name == "vote_made":
        return [said, "the gate is still open: the other official decides too"]
    return [said]


def roster_change_lines(changes: Sequence[Mapping[str, Any]]) -> list[Text]:
    """Return what differs between two rosters: who comes, who goes, which days, letters, keys are others."""
    return [_roster_change_line(change) for change in changes]


def _roster_change_line(change: Mapping[str, Any]) -> Text:
    who, field = f"{display(change['name'])} ({display(change['official'])})", change["field"]
    before, after = (_roster_words(field, change[key]) for key in ("before", "after"))
    if change["before"] is None:
        return Text(
            f"  + {who} {'comes' if field == 'official' else 'is named deputy'}: {after}", style="green"
        )
    if change["after"] is None:
        return Text(
            f"  - {who} {'goes' if field == 'official' else 'is no deputy more'}: {before}", style="red"
        )
    what = "official" if field == "valid" else field
    return Text(f"  * {who}, {what}: {before} -> {after}", style="yellow")


def _roster_words(field: str, value: Any) -> str:  # noqa: ANN401 - as the field has it
    match field, value:
        case _, None:
            return ""
        case "official", _:
            positions, days = display(", ".join(value["positions"])), _days_words(value["valid"])
            return f"NIP {value['nip']}; {positions}; {days}; key {value['key']}"
        case "deputy", _:
            title = display(title_of(value["position"], value["kind"]))
            return f"{title} {_days_words(value['valid'])}; {display(value['letter'])}"
        case "positions", _:
            return display(", ".join(value))
        case "valid", _:
            return _days_words(value)
        case _:
            return display(value)


def _days_words(days: Mapping[str, str | None]) -> str:
    told = [f"{end} {days[end]}" for end in ("from", "until") if days[end]]
    return " ".join(told) or "always"


def roster_changed_line(event: Event) -> Text:
    """Return who changed the roster of a run, when and why."""
    when = f"{event.instant.at:%Y-%m-%d %H:%M} UTC"
    said = f"roster changed by {event['person']['name']} at {when}: {event['reason']}"
    return Text(one_line(said, 500), style="yellow")


def deadline_lines(gate: Gate, *, overdue: bool) -> list[str]:
    """Return until when a gate waits and what comes then, if it has a deadline."""
    until = gates.deadline(gate)
    if until is None or gate.deadline is None:
        return []
    then = (
        "then the run ends, nothing approved" if gate.deadline.then == "close" else "it waits on after that"
    )
    when = f"{until:%Y-%m-%d %H:%M:%S} UTC"
    return [f"overdue since {when} (terlambat)" if overdue else f"deadline: {when}; {then}"]


def plan_view(plan: dict[str, Any] | None) -> list[Any]:
    """Return the plan as tables: every package from and to, its kind, its CVE ids, and what else to know."""
    if plan is None:
        return [Text("     no plan was made", style="yellow")]
    table = Table(title="Planned changes", title_justify="left", header_style="bold")
    for column in ("Host", "Package", "From", "To", "Kind", "CVE"):
        table.add_column(column, overflow="fold")
    notes: list[Text] = []
    for host, entry in plan["hosts"].items():
        for update in entry["updates"]:
            cves = ", ".join(update["cves"]) or "none named"
            before = update["from"] or "(not installed)"
            row = (host, update["package"], before, update["to"], update["kind"], cves)
            style = "red" if update["kind"] == "security" else ""
            table.add_row(*(Text(one_line(cell)) for cell in row), style=style)
        notes += _plan_notes(host, entry)
    for host, why in plan["not_planned"].items():
        notes.append(Text(f"  {one_line(host)}: not checked, {one_line(why)}", style="bold yellow"))
    removals = _removals_view(plan)
    return [*([table] if table.row_count or not removals else []), *removals, *notes]


def _removals_view(plan: dict[str, Any]) -> list[Any]:
    """Return what the plan removes for good, as a table; nothing where it removes nothing."""
    table = Table(title="Backups to be removed for good", title_justify="left", header_style="bold")
    for column in ("Host", "Backup", "Made", "Run"):
        table.add_column(column, overflow="fold")
    for host, entry in plan["hosts"].items():
        for one in entry.get("removals") or []:
            row = (host, one["id"][:16], one["time"], ", ".join(one["tags"]) or "-")
            table.add_row(*(Text(one_line(cell)) for cell in row), style="bold yellow")
    return [table] if table.row_count else []


def _plan_notes(host: str, entry: dict[str, Any]) -> Iterator[Text]:
    name = one_line(host)
    if entry["reboot"]["expected"]:
        because = one_line(", ".join(map(str, entry["reboot"]["because"])) or "it is required already")
        yield Text(f"  {name}: will be rebooted ({because})", style="bold yellow")
    if entry["updates"]:
        yield from _snapshot_notes(name, entry.get("snapshot") or {})
    if has_antivirus_update(entry):
        found = entry["antivirus"]
        old, new = one_line(found.get("database_on_disk")), one_line(found.get("database_offered"))
        yield Text(f"  {name}: {one_line(found.get('product'))} database {old} -> {new}")
    for item in entry.get("held") or []:
        yield Text(
            f"  {name}: {one_line(item.get('package'))} is held back by the administrator", style="dim"
        )
    for item in entry.get("kept_back") or []:
        why = one_line(item.get("reason"))
        yield Text(f"  {name}: {one_line(item.get('package'))} is not planned: {why}", style="dim")
    for item in entry.get("conffiles") or []:
        yield _conffile_note(name, item)
    for problem in entry.get("dpkg_audit") or []:
        yield Text(f"  {name}: packages are not sound already, {one_line(problem)}", style="bold yellow")
    if not entry["updates"] and not entry.get("removals") and not has_antivirus_update(entry):
        yield Text(f"  {name}: nothing to do", style="dim")


def _snapshot_notes(name: str, told: dict[str, Any]) -> Iterator[Text]:
    """Say what a snapshot of the root would take back; nothing of a host that has none by its nature."""
    if told.get("taken"):
        outside = one_line(", ".join(map(str, told.get("not_covered") or [])), 300)
        goes_back = (
            "a rollback restarts the host into it and takes back whatever was written to the root since"
            if told.get("returns")
            else "a rollback does not go back by it: it is there for a person"
        )
        said = f"a snapshot of its root is taken before; {goes_back}"
        said += f"; not part of it: {outside}" if outside else ""
        yield Text(f"  {name}: {said}", style="bold yellow" if told.get("returns") else "yellow")
    elif told.get("file_system") == "btrfs" or told.get("volume"):
        yield Text(
            f"  {name}: no snapshot of its root is taken: {one_line(told.get('why_not'))}", style="dim"
        )


def _conffile_note(name: str, item: dict[str, Any]) -> Text:
    package, path, state = (one_line(item.get(key)) for key in ("package", "path", "state"))
    if item.get("choice") == "new":
        told = f"{package} puts its new {path} in place of the one that was {state} on the host"
        return Text(f"  {name}: {told}", style="bold yellow")
    return Text(f"  {name}: {package} keeps {path} as it was {state} on the host", style="yellow")


def _documents_view(record: Record) -> Table:
    title = f"Documents to decide on, in {record.folder.documents}"
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("Row", "Document", "Version", "File"):
        table.add_column(column, overflow="fold")
    newest = {event["document"]: event for event in record.state.documents}
    signed = {made["document"]: made for made in record.state.signing.told if made.name == SIGNED}
    for event in newest.values():
        # Who ratifies puts his signature on what the verifier has signed, so that is what he reads.
        later = signed.get(event["document"])
        files = later["files"] if later and later.seq > event.seq else event["files"]
        pdf = next((f["path"] for f in reversed(files) if f["path"].endswith(".pdf")), "")
        table.add_row(str(event["step"]), event["name"], event["version"], Path(pdf).name)
    return table


def _results_view(record: Record) -> Table:
    """Return a row per host and a column per action, so that one look tells how each host has fared."""
    table = Table(title="Results so far, by row of the SOP", title_justify="left", header_style="bold")
    table.add_column("Host", no_wrap=True)
    columns: dict[tuple[int, str], dict[str, str]] = {}
    for event in record.finished_actions():
        if event["hosts"] and event["kind"] != "reprobe":
            columns.setdefault((event["step"], event["kind"]), {}).update(event["hosts"])
    for step, kind in columns:
        table.add_column(f"{step} {_SHORT_NAMES[kind]}".strip(), no_wrap=True)
    for host in record.state.hosts:
        statuses = [column.get(host, "-") for column in columns.values()]
        table.add_row(display(host), *(Text(s, style=_STATUS_STYLE.get(s, "dim")) for s in statuses))
    return table
