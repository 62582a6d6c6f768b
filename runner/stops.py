"""Says at the terminal why a run has stopped and how it goes on."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from rich.text import Text

from runner import gates
from runner.clock import SystemClock, parse_utc
from runner.console import console
from runner.display import display
from runner.engine import Closed, Restarting, Shut, Unfilled, Waiting
from runner.moves import DueSignature, Gate
from runner.record import Record
from runner.screens import (
    deadline_lines,
    gate_view,
    one_line,
)
from runner.times import wall_text
from runner.workspace import RunFolder


def print_waiting(folder: RunFolder, stop: Waiting) -> None:
    """Say at which gate a run waits, and how to decide."""
    gate = stop.gate
    console.print(Text(f"row {gate.step} waits for {gate.awaited}", style="bold magenta"))
    names = " | ".join(gate.outcomes)
    console.print(Text(f"decide:  rawat decide {folder.name} --outcome '{names}' --official ID"))
    console.print(Text(f"go on:   rawat resume {folder.name}"))


def print_unfilled(folder: RunFolder, stop: Unfilled) -> None:
    """Say for which form a run waits, and how to fill it in."""
    awaited = stop.awaited
    told = f"row {awaited['step']} waits for the form {awaited['form']!r} of {awaited['position']}"
    console.print(Text(told, style="bold magenta"))
    for line in (
        f"an empty one:  rawat fill {folder.name} > form.yml",
        f"fill it in:    rawat fill {folder.name} --from form.yml --by ID",
        f"go on:         rawat resume {folder.name}",
    ):
        console.print(Text(line), soft_wrap=True)


def print_unsigned(folder: RunFolder, due: DueSignature, shown: str) -> None:
    """Say which signature on a document a run awaits, and how it is made; ``shown`` is its code."""
    document = folder.path / due.base["path"]
    told = f"row {due.step} waits for {due.person['name']} to sign {document} electronically"
    console.print(Text(told, style="bold magenta"), soft_wrap=True)
    console.print(Text(f"SHA-256 of the document: {due.base['sha256']}", style="magenta"), soft_wrap=True)
    for line in (
        f"sign it:   rawat sign {folder.name} --official {due.person['id']} --document {shown}",
        f"leave out: rawat sign {folder.name} --official ID --leave-out --reason TEXT",
        f"go on:     rawat resume {folder.name}",
    ):
        console.print(Text(line), soft_wrap=True)


def print_shut(now: Record, stop: Shut) -> None:
    """Say for which maintenance window a run waits, and which decision will not last till then."""
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


def print_restarting(now: Record, stop: Restarting) -> None:
    """Say that this machine restarts, and how to go on."""
    if stop.since is not None:
        told = f"this machine has not restarted since that was announced at {_local(now, stop.since)}"
        console.print(Text(f"{told}: it was told to again", style="yellow"))
    names = display(", ".join(stop.hosts))
    told = f"this machine ({names}) restarts now; then go on with:  rawat resume {now.folder.name}"
    console.print(Text(told, style="bold magenta"), soft_wrap=True)


def _local(now: Record, at: datetime | None) -> str:
    """Return a moment in the office's time."""
    return "in years" if at is None else f"{at.astimezone(now.state.zone):%A %Y-%m-%d %H:%M %Z}"


def print_closed(stop: Closed) -> None:
    """Say how a run ended, and where its archive is."""
    if stop.outcome == "ended":
        console.print(
            Text(f"the run ended before its last row: {one_line(stop.reason, 500)}", style="bold yellow")
        )
    else:
        console.print(Text("the run is complete", style="bold green"))
    if stop.archive:
        console.print(Text(f"archive: {stop.archive}"))
        console.print(Text(f"check it with: rawat verify {stop.archive}"))


def print_gate(now: Record, gate: Gate) -> None:
    """Print all that is decided on at a gate, who is awaited, and how to decide."""
    console.print(gate_view(gate, now))
    since = wall_text(gate.opened.instant.at, ZoneInfo(now.roster.timezone))
    console.print(Text(f"awaited: {gate.awaited}, since {since}", style="magenta"))
    console.print(Text(f"outcomes: {', '.join(gate.outcomes)}", style="magenta"))
    overdue = gates.is_overdue(gate, now.events, SystemClock().now())
    for told_of in deadline_lines(gate, overdue=overdue):
        console.print(Text(told_of, style="bold yellow"))
