"""The command line: parses, builds the parts, prints. Its commands and exit codes are a contract (docs)."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.text import Text

import lab.cli
from runner import archive, errors, freeing, gates, journal, record, report, sop, typed, verify
from runner.canonical import sha256_hex
from runner.clock import Instant, SystemClock, format_utc, parse_utc, sleep_until
from runner.consent import Shown, at_terminal
from runner.decisions import Paper, open_gate
from runner.display import display
from runner.engine import Closed, Engine, Restarting, Shut, Tools, Waiting
from runner.executors.playbook import PlaybookExecutor
from runner.executors.reattach import Reattaching
from runner.executors.verification import VerificationExecutor
from runner.files import write_once
from runner.freeing import Word
from runner.gates import Choice
from runner.holder import is_held
from runner.inventory import Inventory, read_inventory
from runner.journal import Event
from runner.moves import Gate
from runner.notes import Notes
from runner.officials import Holder, Official, Roster, load_roster
from runner.owed import owed_hosts
from runner.prompt import Prompt
from runner.questions import Questions
from runner.reasons import condition_told, reasons_given
from runner.record import Record
from runner.roster_change import RosterChange
from runner.rosters import Proposal
from runner.screens import (
    Screen,
    deadline_lines,
    decided_lines,
    gate_view,
    one_line,
    owed_lines,
    print_error,
    roster_change_lines,
    roster_changed_line,
    start_panel,
    unsettled_lines,
)
from runner.sop import Output
from runner.start import Start, start_run, warnings
from runner.times import times_view, wall_text
from runner.timing import StepTime, elapsed, step_times
from runner.windows import Windows, parse_windows
from runner.workspace import RunFolder, Workspace, find_workspace

app = typer.Typer(
    name="rawat",
    help="Runs an office's written IT-maintenance SOP: rows, gates, documents and archive.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
sop_app = typer.Typer(help="Checks SOP files.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(sop_app, name="sop")
app.add_typer(lab.cli.app, name="lab", help="Disposable hosts to try Rawat on.")

console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False)

RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", callback=typed.name, help="Id of the run; the newest by default"),
]


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        app(standalone_mode=True)
    except errors.RawatError as error:
        print_error(error_console, error)
        sys.exit(error.exit_code)
    except OSError as error:
        # What the system refuses outside the record (scratch files, processes) ends the work just as clearly.
        where = f"{error.filename}: " if error.filename else ""
        refused = errors.CannotRecordError(
            f"the system refuses to go on: {where}{error.strerror or error}",
            hint="mend the cause (space, open files, memory, the disk), then 'rawat resume'",
        )
        print_error(error_console, refused)
        sys.exit(refused.exit_code)


@app.command()
def run(
    file: Annotated[
        Path, typer.Argument(metavar="SOP", help="SOP file, such as sops/surakarta-system-update.yml")
    ],
    inventory: Annotated[
        Path, typer.Option("-i", "--inventory", help="Inventory folder with officials.yml beside it")
    ],
    limit: Annotated[str | None, typer.Option(help="Only these hosts (Ansible's pattern)")] = None,
    operator: Annotated[
        str | None,
        typer.Option(callback=typed.name, help="Official who operates and so may not decide"),
    ] = None,
    failure_budget: Annotated[
        str,
        typer.Option(
            metavar="N|N%", help="Hosts that may fail, of all or in percent of the planned, before waves stop"
        ),
    ] = "0",
) -> None:
    """Start a run of SOP over the hosts of an inventory.

    At a terminal the awaited officials are asked at the gates; otherwise the run stops there (exit code 3).
    """
    workspace = find_workspace()
    workspace.require_safe_place()
    roster = load_roster(_roster_path(inventory))
    start = Start(
        sop_text=_read_text(file),
        sop_name=file.name,
        inventory=read_inventory(inventory, limit),
        roster=roster,
        operator=_operator(roster, operator),
        failure_budget=failure_budget,
        windows=_windows(inventory),
    )
    folder = start_run(workspace, SystemClock(), start)
    now = record.load(folder)
    console.print(start_panel(now))
    for line in warnings(now.sop, roster, start.operator, roster.day(now.started.instant.at)):
        console.print(Text(f"warning: {line}", style="yellow"), soft_wrap=True)
    _go_on(workspace, folder, resumed=False)


@app.command()
def resume(
    run: RunArgument = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Sleep until a maintenance window opens")] = False,
) -> None:
    """Go on after a gate, a crash, a stop or a reboot, or when a maintenance window has opened."""
    workspace = find_workspace()
    workspace.require_safe_place()
    _go_on(workspace, workspace.run_folder(run), resumed=True, wait=wait)


@app.command()
def stop(
    run: RunArgument = None,
    *,
    official: Annotated[
        str, typer.Option(callback=typed.name, help="Id of the operator or official who stops the run")
    ],
    reason: Annotated[str, typer.Option(callback=typed.words, help="Why; it stands in the report")],
) -> None:
    """End an open run early: nothing further is changed, and a report says what was done and what was not."""
    workspace = find_workspace()
    folder = workspace.run_folder(run)
    screen = Screen(console, record.load(folder).sop)
    with screen.closing():
        closed = _engine(workspace, folder, screen).stop(official, reason)
    for line in unsettled_lines(record.load(folder)):
        console.print(line)
    _print_closed(closed)


@app.command()
def decide(
    run: RunArgument = None,
    *,
    official: Annotated[
        str, typer.Option(callback=typed.name, help="Id of the official who decides, confirms or withdraws")
    ] = "",
    outcome: Annotated[
        str | None, typer.Option(callback=typed.name, help="One of the gate's outcomes")
    ] = None,
    reason: Annotated[
        str, typer.Option(callback=typed.words, help="Needed when sending back, refusing or withdrawing")
    ] = "",
    key: Annotated[Path | None, typer.Option(help="The own key of whoever signs")] = None,
    gate: Annotated[
        str | None,
        typer.Option(metavar="CODE", callback=typed.name, help="Code of the gate that you have looked at"),
    ] = None,
    wet_ink: Annotated[Path | None, typer.Option(help="Scan of the paper that the official signed")] = None,
    entered_by: Annotated[
        str | None, typer.Option(callback=typed.name, help="With --wet-ink: who enters it and signs that")
    ] = None,
    dated: Annotated[
        str | None,
        typer.Option(callback=typed.name, help="With --wet-ink: date on the paper, today without it"),
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Confirm the entered paper, as a second person")
    ] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the entered paper back")] = False,
) -> None:
    """Decide at a run's open gate, from any terminal; without an outcome the gate is only shown.

    What is decided on is shown first, and asked; who has looked at it already gives its code (--gate), as one
    must where there is no terminal. The decision is signed with the official's own key; 'rawat resume' then
    goes on. A paper in wet ink is entered with its scan (--wet-ink, --entered-by) and counts once a second
    person confirms it (--confirm).
    """
    workspace = find_workspace()
    folder = workspace.run_folder(run)
    now = record.load(folder)
    opened = open_gate(now.state)
    shown = Shown(lambda: _print_gate(now, opened), gates.code(folder.name, opened), "--gate")
    if outcome is None and not official and not confirm and not withdraw:
        shown.show()
        return
    _require_one_way(
        outcome, wet_ink, entered_by, dated, official=official, confirm=confirm, withdraw=withdraw
    )
    who = now.roster.named(entered_by or official)
    act = "confirm the paper" if confirm else "withdraw the paper" if withdraw else f"decide {outcome!r}"
    shown.require_seen(gate, f"Sign as {who.name} ({who.id}) to {act}?")
    decisions = _engine(workspace, folder, Screen(console, now.sop)).decisions
    own_key = key or _keys(workspace, folder) / who.id
    if confirm:
        made = decisions.confirm(official, own_key, shown.code)
    elif withdraw:
        made = decisions.withdraw(official, reason, own_key, shown.code)
    elif wet_ink and entered_by:
        paper = Paper(wet_ink, entered_by, _day(dated))
        made = decisions.enter(Choice(official, outcome or "", reason), paper, own_key, shown.code)
    else:
        made = decisions.decide(Choice(official, outcome or "", reason), own_key, shown.code)
    for line in decided_lines(made, folder.name):
        console.print(Text(line), soft_wrap=True)


def _require_one_way(
    outcome: str | None,
    wet_ink: Path | None,
    entered_by: str | None,
    dated: str | None,
    *,
    official: str,
    confirm: bool,
    withdraw: bool,
) -> None:
    if [outcome is not None, confirm, withdraw].count(True) != 1:
        raise errors.InputError("give one of --outcome, --confirm and --withdraw")
    if (wet_ink is None) != (entered_by is None):
        raise errors.InputError("--wet-ink and --entered-by go together")
    if wet_ink is None and dated is not None:
        raise errors.InputError("--dated goes with --wet-ink")
    if wet_ink is not None and outcome is None:
        raise errors.InputError("--wet-ink goes with --outcome")
    if not official:
        raise errors.InputError("who signs? give --official ID", hint="'rawat status' shows who is awaited")


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise errors.InputError(
            f"--dated {text!r} is no day", hint="expected one such as 2026-11-21"
        ) from error


@app.command(name="roster")
def change_roster(
    run: RunArgument = None,
    *,
    official: Annotated[
        str, typer.Option(callback=typed.name, help="Id of the official who signs the change")
    ] = "",
    reason: Annotated[str, typer.Option(callback=typed.words, help="Why the roster changes")] = "",
    key: Annotated[Path | None, typer.Option(help="The official's own key, as it stands in the run")] = None,
    said: Annotated[
        Path | None,
        typer.Option("--from", help="The new roster; officials.yml beside the run's inventory without it"),
    ] = None,
    change: Annotated[
        str | None,
        typer.Option(metavar="CODE", callback=typed.name, help="Code of the change that you have looked at"),
    ] = None,
) -> None:
    """Change who may decide in an open run to what the office's officials.yml says now.

    Shows who comes and goes and which days, letters and keys are others; with an official of the run's roster
    whom the change does not concern, it is signed. What was decided before stays as it is.
    """
    workspace = find_workspace()
    folder = workspace.run_folder(run)
    now = record.load(folder)
    proposed = RosterChange(now, SystemClock(), load_roster(said or _own_roster(workspace, folder)))
    proposal = proposed.proposed()
    shown = Shown(lambda: _print_proposal(now, proposal), proposal.code, "--change")
    if not official:
        shown.show()
        return
    signer = proposal.old.named(official)
    shown.require_seen(change, f"Sign this change as {signer.name} ({signer.id})?")
    word = Word(official, reason, key or _keys(workspace, folder) / official)
    made = proposed.sign(word, shown.code)
    console.print(Text(f"run {folder.name}: the new roster holds, on the word of {made['person']['name']}"))
    if now.state.gate is not None:
        console.print(Text("the open gate has a new code: look at it again before anybody decides"))


def _print_proposal(now: Record, proposal: Proposal) -> None:
    console.print(Text(f"The roster of run {now.folder.name} would change:", style="bold"))
    for line in roster_change_lines(proposal.changes):
        console.print(line, soft_wrap=True)
    operator = now.first_roster.named(now.started["operator"]["id"])
    today = proposal.new.day(SystemClock().now().at)
    for told in warnings(now.sop, proposal.new, operator, today):
        console.print(Text(f"warning: {told}", style="yellow"), soft_wrap=True)
    entered = now.state.gate and now.state.gate.entry
    if entered:
        told = "the paper that was entered and not confirmed has to be entered again"
        console.print(Text(f"warning: {told}", style="yellow"))
    console.print(Text(f"code of this change: {proposal.code}", style="bold"))


@app.command(name="break-lock")
def break_lock(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", callback=typed.name, help="Id of the run that holds the hosts"),
    ],
    *,
    official: Annotated[
        str, typer.Option(callback=typed.name, help="Id of the official who frees the hosts")
    ],
    reason: Annotated[str, typer.Option(callback=typed.words, help="Why nobody will finish that run now")],
    key: Annotated[Path | None, typer.Option(help="The official's own key")] = None,
    inventory: Annotated[
        Path | None,
        typer.Option("-i", "--inventory", help="The run is another controller's: free these hosts from it"),
    ] = None,
    limit: Annotated[str | None, typer.Option(help="Only these hosts (Ansible's pattern)")] = None,
) -> None:
    """Free the hosts of an open run that nobody works on, on an official's signed word.

    The run keeps its record; it may go on only after 'rawat resume' has taken its hosts again. With an
    inventory, the lock that another controller's run left on those hosts is removed, and the word kept there.
    """
    workspace = find_workspace()
    if inventory is not None:
        own_key = key or (inventory if inventory.is_dir() else inventory.parent) / "keys" / official
        _release(workspace, run, read_inventory(inventory, limit), Word(official, reason, own_key))
        return
    folder = workspace.run_folder(run)
    signed_with = key or _keys(workspace, folder) / official
    made = freeing.break_lock(record.load(folder), SystemClock(), official, reason, signed_with)
    console.print(f"run {folder.name} no longer holds its hosts: freed by {made['person']['name']}")


@app.command()
def note(
    run: RunArgument = None,
    *,
    row: Annotated[int | None, typer.Option(help="Row whose work took longer than its standard time")] = None,
    attempt: Annotated[int | None, typer.Option(help="Attempt of the row; the newest by default")] = None,
    condition: Annotated[
        str | None, typer.Option(callback=typed.name, help="'normal' or 'tidak normal', for the whole run")
    ] = None,
    reason: Annotated[str, typer.Option(callback=typed.words, help="Why; not needed for 'normal'")] = "",
    official: Annotated[
        str, typer.Option(callback=typed.name, help="Id of who says it; the operator by default")
    ] = "",
) -> None:
    """Note why a row took longer than its standard time, or whether the conditions were normal.

    Until the run is closed; a later note is shown in place of an earlier one, and both stay in the record.
    """
    if (row is None) == (condition is None) or (attempt is not None and row is None):
        raise errors.InputError("give either --row (and --attempt) or --condition")
    folder = find_workspace().run_folder(run)
    notes = Notes(record.load(folder), SystemClock())
    if row is not None:
        made = notes.reason(row, reason, attempt=attempt, official=official)
        about = f"row {made['step']}, attempt {made['attempt']}"
    else:
        made = notes.condition(condition or "", reason, official=official)
        about = f"conditions: {made['condition']}"
    console.print(Text(f"noted, {about}: {display(made['reason']) or '-'} ({made['person']['name']})"))


@app.command()
def status(
    run: RunArgument = None, *, as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False
) -> None:
    """Tell where a run stands and who is awaited.

    Also what is to be decided, and work and waiting time against the standard time of each row.
    """
    folder = find_workspace().run_folder(run)
    now = record.load(folder)
    if as_json:
        # For programs; but it may end on a terminal, and a reason for failing may quote a host.
        sys.stdout.write(json.dumps(_status(now), indent=2) + "\n")
        return
    told = _status(now)
    console.print(Text(f"run {told['run']}: {told['state']}", style="bold"))
    if told["torn_bytes"]:
        torn = f"the journal's last line is torn: a crash cut it off after {told['torn_bytes']} bytes"
        console.print(Text(f"{torn}; 'rawat resume' drops it and says so in the journal", style="yellow"))
    if told["row"] is not None:
        console.print(Text(f"row {told['row']}: {now.sop.step(told['row']).kegiatan}"))
    if now.state.freed:
        console.print(Text(f"{_freed(now.state.freed)}; 'rawat resume' takes them again", style="yellow"))
    for changed in now.state.roster_changes:
        console.print(roster_changed_line(changed), soft_wrap=True)
    if now.state.gate:
        _print_gate(now, now.state.gate)
    if now.state.window_awaited:
        _print_shut(now, Shut(now.state.window_awaited))
    if now.state.restarting:
        _print_restart_due(now.state.restarting)
    for line in owed_lines(told["owed"]):
        console.print(line)
    moment = _now_if_open(now)
    console.print(times_view(now, _times(now, moment), moment))


def _print_gate(now: Record, gate: Gate) -> None:
    """Print all that is decided on at a gate, who is awaited, and how to decide."""
    console.print(gate_view(gate, now))
    since = wall_text(gate.opened.instant.at, ZoneInfo(now.roster.timezone))
    console.print(Text(f"awaited: {gate.awaited}, since {since}", style="magenta"))
    console.print(Text(f"outcomes: {', '.join(gate.outcomes)}", style="magenta"))
    overdue = gates.is_overdue(gate, now.events, SystemClock().now())
    for told_of in deadline_lines(gate, overdue=overdue):
        console.print(Text(told_of, style="bold yellow"))


@app.command()
def documents(run: RunArgument = None) -> None:
    """Build a run's documents again and compare.

    Each comes out the same, byte for byte, or is named (exit code 5).
    """
    workspace = find_workspace()
    folder = workspace.run_folder(run)
    now = record.load(folder)
    if now.started["versions"].get("templates") != workspace.templates_digest():
        raise errors.InputError(
            "the templates are not those of this run, so its documents would not come out the same",
            hint=f"use the checkout of that day: Rawat {now.started['versions']['rawat']}",
        )
    for event in now.events:
        if event.name != "document_written":
            continue
        with tempfile.TemporaryDirectory(prefix="rawat-documents-") as scratch:
            made = report.build_document(
                now.at(event["as_of"]),
                event["document"],
                event["version"],
                event["step"],
                event["attempt"],
                event["as_of"],
                Path(scratch),
            )
            for path, entry in zip(made, event["files"], strict=True):
                if sha256_hex(path.read_bytes()) != entry["sha256"]:
                    raise errors.VerificationError(entry["path"], "is not what is built from the record now")
                if not (folder.path / entry["path"]).exists():
                    write_once(folder.path / entry["path"], path.read_bytes())
        console.print(Text(f"the same  {event['files'][-1]['path']}"))


@app.command(name="archive")
def archive_command(run: RunArgument = None) -> None:
    """Seal a closed run; a row that archives does it by itself."""
    workspace = find_workspace()
    sealed = archive.seal(workspace.run_folder(run), workspace.archive)
    console.print(Text(f"sealed: {sealed}"))


@app.command(name="verify")
def verify_command(path: Annotated[Path, typer.Argument(help="A run folder or an archive")]) -> None:
    """Check an archive or a run.

    The first thing that is wrong is named (exit code 5).
    """
    if not path.exists():
        path = find_workspace().run_folder(str(path)).path
    found = verify.verify(path)
    console.print(
        Text(
            f"verified: {found.kind} {found.run}, {found.records} records, {found.files} files, "
            f"{found.decisions} decisions",
            style="green",
        )
    )
    if found.kind == "archive" and not found.registered:
        told = "no register stands above this archive: it was checked only against itself"
        console.print(Text(told, style="yellow"))


@sop_app.command()
def check(files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...")] = None) -> None:
    """Name every problem of SOP files as file:line; all of sops/ by default."""
    workspace = find_workspace()
    available = workspace.available()
    bad = 0
    for file in files or sorted(workspace.sops.glob("*.yml")):
        try:
            checked = sop.parse_sop(_read_text(file), str(file), available)
        except errors.InputError as error:
            print_error(error_console, error)
            bad += 1
        else:
            console.print(
                Text(f"{file}: good, {len(checked.steps)} rows, {len(checked.assumptions)} assumptions")
            )
    if bad:
        raise typer.Exit(errors.EXIT_INPUT)


@sop_app.command()
def schema() -> None:
    """Print the JSON Schema of SOP files, for editors."""
    sys.stdout.write(json.dumps(sop.json_schema(), indent=2, ensure_ascii=False) + "\n")


# The parts ---------------------------------------------------------------------------------------


def _engine(workspace: Workspace, folder: RunFolder, screen: Screen) -> Engine:
    tools = Tools(
        clock=SystemClock(),
        playbooks=Reattaching(PlaybookExecutor(workspace.root)),
        suites=VerificationExecutor(),
        build_document=_build_document,
        check_run=verify.check_run,
        seal=lambda closed: archive.seal(closed, workspace.archive),
    )
    return Engine(workspace, folder, tools, screen)


def _build_document(now: Record, output: Output, step: int, attempt: int, as_of: int) -> tuple[Path, ...]:
    return report.build_document(
        now, output.document or "", output.version, step, attempt, as_of, now.folder.documents
    )


def _go_on(workspace: Workspace, folder: RunFolder, *, resumed: bool, wait: bool = False) -> None:
    screen = Screen(console, record.load(folder).sop)
    engine = _engine(workspace, folder, screen)
    attended = at_terminal()
    ask = Prompt(console, _keys(workspace, folder)) if attended else None
    operator = Questions(console) if attended else None
    try:
        with screen.closing():
            stop = engine.run(ask, operator, resumed=resumed)
            while wait and isinstance(stop, Shut) and stop.opens is not None:
                _print_shut(record.load(folder), stop)
                sleep_until(stop.opens, SystemClock())
                stop = engine.run(ask, operator, resumed=True)
    except KeyboardInterrupt:
        error_console.print(Text(f"\nstopped; go on with: rawat resume {folder.name}", style="bold"))
        raise typer.Exit(errors.EXIT_INTERRUPTED) from None
    now = record.load(folder)
    console.print()
    console.print(times_view(now, now.times))
    if isinstance(stop, Waiting):
        _print_waiting(folder, stop)
        raise typer.Exit(errors.EXIT_WAITING)
    if isinstance(stop, Shut):
        _print_shut(now, stop)
        console.print(Text(f"go on then:  rawat resume {folder.name} --wait"))
        raise typer.Exit(errors.EXIT_WAITING)
    if isinstance(stop, Restarting):
        _print_restarting(now, stop)
        raise typer.Exit(errors.EXIT_WAITING)
    _print_closed(stop)


def _print_waiting(folder: RunFolder, stop: Waiting) -> None:
    gate = stop.gate
    console.print(Text(f"row {gate.step} waits for {gate.awaited}", style="bold magenta"))
    names = " | ".join(gate.outcomes)
    console.print(Text(f"decide:  rawat decide {folder.name} --outcome '{names}' --official ID"))
    console.print(Text(f"go on:   rawat resume {folder.name}"))


def _print_shut(now: Record, stop: Shut) -> None:
    awaited = stop.awaited
    opens = _local(now, stop.opens)
    told = f"row {awaited['step']} waits for a maintenance window ({awaited['reason']}); it opens {opens}"
    console.print(Text(told, style="bold magenta"))
    standing = now.state.plan
    for made in now.state.decisions if standing and stop.opens else []:
        expires = parse_utc(now.statement(made)["expires"])
        if standing and made["subject"]["plan"] == standing.sha256 and stop.opens and expires <= stop.opens:
            told = f"the decision of row {made['step']} holds only until {_local(now, expires)}"
            console.print(Text(f"{told}; it will be asked for again", style="yellow"))


def _print_restarting(now: Record, stop: Restarting) -> None:
    if stop.since is not None:
        told = f"this machine has not restarted since that was announced at {_local(now, stop.since)}"
        console.print(Text(f"{told}: it was told to again", style="yellow"))
    names = display(", ".join(stop.hosts))
    told = f"this machine ({names}) restarts now; then go on with:  rawat resume {now.folder.name}"
    console.print(Text(told, style="bold magenta"), soft_wrap=True)


def _local(now: Record, at: datetime | None) -> str:
    """Return a moment in the office's time."""
    return "in years" if at is None else f"{at.astimezone(now.state.zone):%A %Y-%m-%d %H:%M %Z}"


def _print_closed(stop: Closed) -> None:
    if stop.outcome == "ended":
        console.print(
            Text(f"the run ended before its last row: {one_line(stop.reason, 500)}", style="bold yellow")
        )
    else:
        console.print(Text("the run is complete", style="bold green"))
    if stop.archive:
        console.print(Text(f"archive: {stop.archive}"))
        console.print(Text(f"check it with: rawat verify {stop.archive}"))


def _status(now: Record) -> dict[str, Any]:
    """Return what ``status --json`` prints; documented in docs/run-record.md."""
    state = now.state
    gate = state.gate
    moment = _now_if_open(now)
    reasons = reasons_given(now.events)
    return {
        "run": now.folder.name,
        "sop": now.sop.id,
        "state": _state_word(now),
        "row": state.current if isinstance(state.current, int) and not state.finished else None,
        "attempt": state.attempt,
        "awaited": None
        if gate is None
        else {
            "position": gate.awaited,
            "officials": [holder.official.id for holder in _awaited(now, gate)],
            "outcomes": list(gate.outcomes),
            "since": format_utc(gate.opened.instant.at),
            "code": gates.code(now.folder.name, gate),
            **_deadline(now, gate),
            "paper": _entered(gate),
            "subject": gate.subject,
        },
        "window": None
        if state.window_awaited is None
        else {key: state.window_awaited[key] for key in ("opens", "reason")},
        "owed": [asdict(owed) for owed in owed_hosts(now.events)],
        "failed": state.failed,
        "freed": None
        if state.freed is None
        else {
            "by": state.freed["person"]["id"],
            "reason": state.freed["reason"],
            "since": format_utc(state.freed.instant.at),
        },
        "roster_changes": [
            {"by": made["person"]["id"], "reason": made["reason"], "since": format_utc(made.instant.at)}
            | {"changes": made["changes"]}
            for made in state.roster_changes
        ],
        "torn_bytes": journal.torn_bytes(now.folder.journal),
        "outcome": state.finished["outcome"] if state.finished else None,
        "timezone": now.roster.timezone,
        "elapsed_seconds": elapsed(now.events, moment),
        "condition": _note(condition_told(now.events), "condition"),
        "rows": [
            {
                "row": time.step,
                "attempt": time.attempt,
                "started": format_utc(time.started.at),
                "ended": format_utc(time.finished.at) if time.finished else None,
                "total_seconds": time.total,
                "work_seconds": time.work,
                "waiting_seconds": time.waiting,
                "waits": [{"on": w.on, "position": w.position, "seconds": w.seconds} for w in time.waits],
                "standard_seconds": time.standard,
                "deviation_seconds": time.deviation,
                "reason": _note(reasons.get((time.step, time.attempt))),
                "clock_set_seconds": list(time.shifts),
                "reboots": time.reboots,
                "finished": time.finished is not None,
            }
            for time in _times(now, moment)
        ],
    }


def _deadline(now: Record, gate: Gate) -> dict[str, Any]:
    until = gates.deadline(gate)
    return {
        "deadline": format_utc(until) if until else None,
        "at_deadline": gate.deadline.then if gate.deadline else None,
        "overdue": gates.is_overdue(gate, now.events, SystemClock().now()),
    }


def _entered(gate: Gate) -> dict[str, str] | None:
    if gate.entry is None:
        return None
    entry = gate.entry
    return {
        "outcome": entry["outcome"],
        "official": entry["person"]["id"],
        "entered_by": entry["entered_by"]["id"],
        "scan": entry["scan"]["path"],
    }


def _awaited(now: Record, gate: Gate) -> list[Holder]:
    today = now.roster.day(SystemClock().now().at)
    return [holder for position in gate.open_seats for holder in now.roster.holders(position, today)]


def _note(told: Event | None, *more: str) -> dict[str, Any] | None:
    fields = (*more, "reason", "person")
    return None if told is None else {field: told[field] for field in fields}


def _times(now: Record, moment: Instant | None) -> list[StepTime]:
    return step_times(now.sop, now.events, moment, at_work=is_held(now.folder.journal))


def _print_restart_due(announced: Event) -> None:
    here = announced.instant.boot == SystemClock().now().boot
    told = "this machine was to restart and has not yet" if here else "this machine has restarted"
    console.print(Text(f"{told}; 'rawat resume' goes on", style="magenta"))


def _release(workspace: Workspace, run: str, inventory: Inventory, word: Word) -> None:
    results = freeing.release_hosts(
        run,
        inventory,
        load_roster(_roster_path(inventory.path)),
        word,
        at=SystemClock().now().at,
        playbook=workspace.playbooks / "release-hosts.yml",
        executor=PlaybookExecutor(workspace.root),
    )
    for result in results:
        why = f": {one_line(result.failure.message)}" if result.failure else ""
        outcome = result.results.get("release_host", {}).get("outcome", result.status)
        console.print(Text(f"{display(result.host)}: {one_line(outcome)}{why}"))
    kept = [display(result.host) for result in results if result.status != "ok"]
    if kept:
        raise errors.StepFailedError(
            f"not freed: {', '.join(kept)}", hint="look at these hosts, then try again"
        )


def _freed(event: Event) -> str:
    person, at = event["person"]["name"], event.instant.at
    return f"its hosts were freed by {person} at {at:%Y-%m-%d %H:%M} UTC: {one_line(event['reason'], 500)}"


def _state_word(now: Record) -> str:
    if now.state.finished:
        return "closed"
    if now.state.failed is not None:
        return "failed"
    if now.state.window_awaited is not None:
        return "window"
    return "waiting" if now.state.gate else "open"


def _now_if_open(now: Record) -> Instant | None:
    return None if now.state.finished else SystemClock().now()


def _roster_path(inventory: Path) -> Path:
    return (inventory if inventory.is_dir() else inventory.parent) / "officials.yml"


def _windows(inventory: Path) -> Windows | None:
    """Return the office's maintenance windows; without the file hosts may be changed at any time."""
    file = _roster_path(inventory).with_name("windows.yml")
    return parse_windows(_read_text(file), str(file)) if file.exists() else None


def _own_roster(workspace: Workspace, folder: RunFolder) -> Path:
    """Return where the office's roster stands now, beside the inventory that the run was started with."""
    return _roster_path(Path(workspace.root, record.load(folder).started["inventory"]["path"]))


def _keys(workspace: Workspace, folder: RunFolder) -> Path:
    path = Path(workspace.root, record.load(folder).started["inventory"]["path"])
    return (path if path.is_dir() else path.parent) / "keys"


def _operator(roster: Roster, official_id: str | None) -> Official:
    wanted = official_id or roster.operator
    if wanted is None:
        raise errors.InputError(
            "nobody operates this run", hint="give --operator ID, an official of the roster"
        )
    return roster.named(wanted)


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.InputError(f"{file}: is not UTF-8 text") from error
    except OSError as error:
        raise errors.InputError(f"{file}: cannot be read: {error.strerror}") from error
