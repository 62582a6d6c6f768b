"""The commands about archives whose time is over: due, decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from runner import catalogue, dispositions, errors, retention, typed
from runner.bag import Fate
from runner.catalogue import Sealed
from runner.clock import SystemClock
from runner.consent import Shown
from runner.console import console
from runner.dispositions import Decision
from runner.minutes import minutes
from runner.office import look_of
from runner.officials import load_roster
from runner.retention import Due, Parties
from runner.sealing import leave_checkpoint, settings_of
from runner.workspace import Workspace, find_workspace


def due(
    *,
    on: Annotated[str, typer.Option(callback=typed.name, help="As of this day; today without it")] = "",
) -> None:
    """Tell which archives' time is over by the office's own retention schedule; nothing is done."""
    dues = _dues(catalogue.catalogue(find_workspace().archive), typed.day(on))
    if not dues:
        console.print("nothing is due; an archive without a retention schedule never is")
    for item in dues:
        fates = " or ".join(item.fates)
        told = f"{item.run}: since {item.since} {fates} can be decided ({item.basis})"
        console.print(Text(told), soft_wrap=True)


def decide(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Archives; all for which it is due without them")
    ] = None,
    *,
    fate: Annotated[
        str,
        typer.Option(
            callback=typed.name, help="inaktif, musnah (destroy), serah (hand over) or simpan (keep)"
        ),
    ],
    official: Annotated[str, typer.Option(callback=typed.name, help="Id of who decides")],
    witness: Annotated[str, typer.Option(callback=typed.name, help="Id of who signs as a witness")],
    reason: Annotated[str, typer.Option(callback=typed.words, help="Why; it stands in the Berita Acara")],
    key: Annotated[Path, typer.Option(help="The deciding official's own key")],
    witness_key: Annotated[Path, typer.Option(help="The witness's own key")],
    code: Annotated[
        str | None,
        typer.Option(metavar="CODE", callback=typed.name, help="Code of the proposal you have looked at"),
    ] = None,
) -> None:
    """Decide what becomes of archives whose time is over; two officials sign, and a Berita Acara is written.

    What is decided on is shown first, and asked; without a terminal, give its code and keys that
    ask for no passphrase (ssh-add). Only with 'musnah' is
    anything removed: the content, while manifests, signature and register stay.
    """
    workspace = find_workspace()
    settings = settings_of(workspace).retention
    if settings is None:
        raise errors.InputError(
            "nobody may decide about archives here",
            hint=f"say who in {workspace.archive_settings}, as docs/archive.md shows",
        )
    roster_file = workspace.root / settings.officials
    roster = load_roster(roster_file)
    look = look_of(roster, roster_file)
    parties = Parties(roster.named(official), roster.named(witness), (settings.decides, settings.witness))
    known = next((known for known in retention.FATES if known == fate), None)
    if known is None:
        raise errors.InputError(f"--fate {fate!r} is not known", hint=f"one of {', '.join(retention.FATES)}")
    now = SystemClock().now().at
    archives = catalogue.catalogue(workspace.archive)
    dues = [item for item in _dues(archives, None) if (item.run in runs if runs else known in item.fates)]
    strangers = sorted(set(runs or ()) - {item.run for item in dues})
    if strangers:
        raise errors.InputError(
            f"for {', '.join(strangers)} nothing is due", hint="'rawat archive due' tells what is"
        )
    refused = retention.refusal(known, dues, roster, parties, reason, roster.day(now))
    if refused:
        raise errors.DecisionRefusedError(refused, hint="nothing was decided")
    shown = Shown(lambda: _print_proposal(known, dues), retention.code(known, dues), "--code")
    shown.require_seen(code, f"Sign as {parties.decides.name} and {parties.witness.name}: {known}?")
    _finish(workspace)
    described = {found.entry.run: found.said for found in archives}

    def minutes_of(said: Mapping[str, Any]) -> Mapping[str, bytes]:
        of_runs = [described[kept["run"]] or {} for kept in said["runs"]]
        return minutes(said, of_runs, roster.office, roster.timezone, look)

    decision = Decision(known, dues, parties, (key, witness_key), reason)
    line = dispositions.decide(workspace.archive, workspace.archive_key, decision, now, minutes_of)
    console.print(Text(f"decided: {known} of {len(dues)} archives, record {line.no} of the register"))
    console.print(
        Text(f"Berita Acara: {workspace.archive / dispositions.FOLDER / str(line.no)}"), soft_wrap=True
    )
    _finish(workspace)
    leave_checkpoint(workspace)


def _dues(archives: Sequence[Sealed], day: date | None) -> list[Due]:
    """Return what is due on a day; without one on this day, as the office of each archive has it."""
    now, found = SystemClock().now().at, []
    for each in archives:
        if each.said is not None:
            today = now.astimezone(ZoneInfo(each.said["timezone"])).date()
            of = each.entry
            found.append(retention.due(of.run, of.tagmanifest_sha256, each.said, each.state, day or today))
    return [item for item in found if item is not None]


def _print_proposal(fate: Fate, dues: Sequence[Due]) -> None:
    console.print(Text(f"To be decided: {fate}", style="bold"))
    for item in dues:
        told = f"  {item.run}, due since {item.since}, {item.basis or 'no basis'}"
        console.print(Text(told), soft_wrap=True)
    if fate == "musnah":
        told = "the content of these archives will be removed for good; manifests and register stay"
        console.print(Text(told, style="bold red"))
    console.print(Text(f"code of this proposal: {retention.code(fate, dues)}", style="bold"))


def _finish(workspace: Workspace) -> None:
    """Remove what was decided to be removed, and say so, each by its name."""
    removed = dispositions.finish(workspace.archive, workspace.archive_key, SystemClock().now().at)
    for run in removed:
        console.print(Text(f"removed: the content of {run}, as was decided; its manifests stay"))
        if (workspace.runs / run).exists():
            console.print(Text(f"  runs/{run} still holds the same record: it is the office's own to remove"))
