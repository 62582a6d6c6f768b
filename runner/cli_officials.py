"""The commands of officials: decide, change the roster, free hosts, note."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from runner import conffiles, errors, freeing, gates, record, typed
from runner.cli_signatures import go_on
from runner.clock import SystemClock
from runner.consent import Shown
from runner.console import RunArgument, console
from runner.decisions import Decisions, Paper, open_gate
from runner.display import display
from runner.executors.playbook import PlaybookExecutor
from runner.freeing import Word
from runner.gates import Choice
from runner.inventory import Inventory, read_inventory
from runner.journal import Journal
from runner.notes import Notes
from runner.office import keys_of, roster_file, roster_file_of
from runner.officials import load_roster
from runner.record import Record
from runner.roster_change import RosterChange
from runner.rosters import Proposal
from runner.screens import (
    decided_lines,
    one_line,
    roster_change_lines,
)
from runner.start import warnings
from runner.stops import print_gate
from runner.workspace import Workspace, find_workspace


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
    conffile: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PATH=keep|new",
            help="For a configuration file that was changed there; as often as needed, else as planned",
        ),
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
    must where there is no terminal. The decision is signed with the official's own key, whose passphrase
    nobody can be asked for without a terminal: there an agent holds it (ssh-add). Where the office
    signs documents, too, the one that awaits his signature is made; 'rawat resume' then goes on. A paper in
    wet ink is entered with its scan (--wet-ink, --entered-by) and counts once a second person confirms it
    (--confirm).
    """
    workspace = find_workspace()
    folder = workspace.run_folder(run)
    now = record.load(folder)
    opened = open_gate(now.state)
    shown = Shown(lambda: print_gate(now, opened), gates.code(folder.name, opened), "--gate")
    if outcome is None and not official and not confirm and not withdraw:
        shown.show()
        return
    _require_one_way(
        outcome, wet_ink, entered_by, dated, official=official, confirm=confirm, withdraw=withdraw
    )
    who = now.roster.named(entered_by or official)
    files = conffiles.parse(conffile or [])
    if files and outcome is None:
        raise errors.InputError("--conffile goes with --outcome")
    act = "confirm the paper" if confirm else "withdraw the paper" if withdraw else f"decide {outcome!r}"
    shown.require_seen(gate, f"Sign as {who.name} ({who.id}) to {act}{_with(files)}?")
    clock = SystemClock()
    decisions = Decisions(now, Journal(folder.journal, clock), clock)
    own_key = key or keys_of(workspace, folder) / who.id
    if confirm:
        made = decisions.confirm(official, own_key, shown.code)
    elif withdraw:
        made = decisions.withdraw(official, reason, own_key, shown.code)
    elif wet_ink and entered_by:
        paper = Paper(wet_ink, entered_by, typed.day(dated, "--dated"))
        made = decisions.enter(Choice(official, outcome or "", reason, files), paper, own_key, shown.code)
    else:
        made = decisions.decide(Choice(official, outcome or "", reason, files), own_key, shown.code)
    for line in decided_lines(made, folder.name):
        console.print(Text(line), soft_wrap=True)
    if made.name == "decision_made":
        go_on(workspace, folder, who.id)


def _with(files: conffiles.Chosen) -> str:
    told = "; ".join(conffiles.lines(files))
    return f" with {told}" if told else ""


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
    proposed = RosterChange(now, SystemClock(), load_roster(said or roster_file_of(workspace, folder)))
    proposal = proposed.proposed()
    shown = Shown(lambda: _print_proposal(now, proposal), proposal.code, "--change")
    if not official:
        shown.show()
        return
    signer = proposal.old.named(official)
    shown.require_seen(change, f"Sign this change as {signer.name} ({signer.id})?")
    word = Word(official, reason, key or keys_of(workspace, folder) / official)
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
    signed_with = key or keys_of(workspace, folder) / official
    made = freeing.break_lock(record.load(folder), SystemClock(), official, reason, signed_with)
    console.print(f"run {folder.name} no longer holds its hosts: freed by {made['person']['name']}")


def _release(workspace: Workspace, run: str, inventory: Inventory, word: Word) -> None:
    results = freeing.release_hosts(
        run,
        inventory,
        load_roster(roster_file(inventory.path)),
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
