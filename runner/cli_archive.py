"""The commands around the archive: seal, check, list, find, export, and decide what becomes of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from runner import (
    archive,
    catalogue,
    checkpoints,
    dispositions,
    errors,
    record,
    retention,
    typed,
    verify,
)
from runner.archive_settings import ArchiveSettings, parse_archive_settings
from runner.catalogue import Sealed, Sought
from runner.clock import SystemClock
from runner.consent import Shown
from runner.console import RunArgument, console, error_console
from runner.dispositions import Decision
from runner.export import export as srikandi_export
from runner.minutes import minutes
from runner.office import read_text
from runner.officials import load_roster
from runner.retention import Due, Parties
from runner.screens import one_line
from runner.verify import Outside
from runner.workspace import RunFolder, Workspace, find_workspace

_SEAL = "seal"
JsonOption = Annotated[bool, typer.Option("--json", help="For programs")]


class _SealingGroup(TyperGroup):
    """``rawat archive RUN`` seals a run: what names none of the commands below is a run."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - click's own context
        if not args or (args[0] not in self.commands and not args[0].startswith("-")):
            args = [_SEAL, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_SealingGroup,
    help="Seals a closed run ('rawat archive [RUN]'); finds, lists and exports what was sealed.",
    rich_markup_mode=None,
)


@app.command(name=_SEAL)
def archive_command(run: RunArgument = None) -> None:
    """Seal a closed run; every closed run is sealed by itself, so this finishes what a crash left."""
    workspace = find_workspace()
    sealed = seal(workspace, workspace.run_folder(run))
    console.print(Text(f"sealed: {sealed}"))


def verify_command(
    path: Annotated[Path, typer.Argument(help="A run folder, an archive, or the folder of all archives")],
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="An earlier checkpoint, or a folder of them: nothing since was cut off or put back"
        ),
    ] = None,
    signers: Annotated[
        Path | None, typer.Option(help="The archive's public keys as you know them (arsip.signers)")
    ] = None,
    printed: Annotated[
        list[str] | None,
        typer.Option(
            help="What the footer of a document on paper says of the register, as 12:3fa9c2d81e07b544"
        ),
    ] = None,
) -> None:
    """Check an archive, a run, or the register with all archives.

    The first thing that is wrong is named (exit code 5).
    """
    if not path.exists():
        path = find_workspace().run_folder(str(path)).path
    found = verify.verify(path, Outside(tuple(checkpoint or ()), signers, tuple(printed or ())))
    console.print(Text(_told(found), style="green"), soft_wrap=True)
    if found.kind == "archive" and not found.registered:
        told = "no register stands above this archive: it was checked only against itself"
        console.print(Text(told, style="yellow"))
    if found.registered and not found.checkpoints:
        told = (
            "without an earlier checkpoint (--checkpoint), all of it put back to an earlier day does not show"
        )
        console.print(Text(told, style="yellow"), soft_wrap=True)


def _told(found: verify.Verified) -> str:
    held = f", held against {found.checkpoints} checkpoints" if found.checkpoints else ""
    if found.kind == "removed":
        return (
            f"verified: what is left of {found.run}, whose content was destroyed as the register says{held}"
        )
    what = f"register of {found.run} archives" if found.kind == "register" else f"{found.kind} {found.run}"
    return (
        f"verified: {what}, {found.records} records, {found.files} files, {found.decisions} decisions{held}"
    )


@app.command(name="list")
def list_command(*, as_json: JsonOption = False) -> None:
    """List what the archive holds, the oldest first."""
    _print_found(catalogue.catalogue(find_workspace().archive), as_json=as_json)


@app.command()
def search(
    *,
    since: Annotated[
        str, typer.Option("--from", callback=typed.name, help="Runs not over before this day")
    ] = "",
    until: Annotated[str, typer.Option("--to", callback=typed.name, help="Runs begun by this day")] = "",
    host: Annotated[str, typer.Option(callback=typed.name, help="Name of a host")] = "",
    cve: Annotated[str, typer.Option(callback=typed.name, help="Such as CVE-2026-1234")] = "",
    official: Annotated[
        str, typer.Option(callback=typed.words, help="Id, NIP, or part of a name or position")
    ] = "",
    document: Annotated[str, typer.Option(callback=typed.words, help="Part of a document's name")] = "",
    as_json: JsonOption = False,
) -> None:
    """Find archives by period, host, CVE, official and document; what is given must all fit."""
    sought = Sought(_day(since), _day(until), host, cve, official, document)
    archives = catalogue.catalogue(find_workspace().archive)
    unread = [found.entry.run for found in archives if found.said is None]
    if unread:
        told = f"cannot be read as they were sealed, so not searched: {', '.join(unread)}; see 'rawat verify'"
        error_console.print(Text(told, style="yellow"), soft_wrap=True)
    _print_found([found for found in archives if catalogue.matches(found, sought)], as_json=as_json)


@app.command()
def due(
    *,
    on: Annotated[str, typer.Option(callback=typed.name, help="As of this day; today without it")] = "",
) -> None:
    """Tell which archives' time is over by the office's own retention schedule; nothing is done."""
    dues = _dues(find_workspace(), _day(on))
    if not dues:
        console.print("nothing is due; an archive without a retention schedule never is")
    for item in dues:
        fates = " or ".join(item.fates)
        told = f"{item.run}: since {item.since} {fates} can be decided ({item.basis})"
        console.print(Text(told), soft_wrap=True)


@app.command()
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

    What is decided on is shown first, and asked; without a terminal, give its code. Only with 'musnah' is
    anything removed: the content, while manifests, signature and register stay.
    """
    workspace = find_workspace()
    settings = settings_of(workspace).retention
    if settings is None:
        raise errors.InputError(
            "nobody may decide about archives here",
            hint=f"say who in {workspace.archive_settings}, as docs/archive.md shows",
        )
    roster = load_roster(workspace.root / settings.officials)
    parties = Parties(roster.named(official), roster.named(witness), (settings.decides, settings.witness))
    known = next((known for known in retention.FATES if known == fate), None)
    if known is None:
        raise errors.InputError(f"--fate {fate!r} is not known", hint=f"one of {', '.join(retention.FATES)}")
    now = SystemClock().now().at
    dues = [item for item in _dues(workspace, None) if (item.run in runs if runs else known in item.fates)]
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
    said_by = {found.entry.run: found.said for found in catalogue.catalogue(workspace.archive)}

    def minutes_of(said: Mapping[str, Any]) -> Mapping[str, bytes]:
        archives = [said_by[kept["run"]] or {} for kept in said["runs"]]
        return minutes(said, archives, roster.office, roster.timezone)

    decision = Decision(known, dues, parties, (key, witness_key), reason)
    line = dispositions.decide(workspace.archive, workspace.archive_key, decision, now, minutes_of)
    console.print(Text(f"decided: {known} of {len(dues)} archives, record {line.no} of the register"))
    console.print(
        Text(f"Berita Acara: {workspace.archive / dispositions.FOLDER / str(line.no)}"), soft_wrap=True
    )
    _finish(workspace)
    _leave_checkpoint_of_register(workspace)


@app.command()
def export(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Archives; all that have content without them")
    ] = None,
    *,
    target: Annotated[Path, typer.Option("-o", "--output", help="A folder that is not there yet")],
) -> None:
    """Write documents and their lists to a folder, for SRIKANDI.

    Daftar berkas and daftar isi berkas are CSV, with the data elements that public sources name.
    """
    workspace = find_workspace()
    archives = catalogue.catalogue(workspace.archive)
    strangers = sorted(set(runs or ()) - {found.entry.run for found in archives})
    if strangers:
        raise errors.InputError(f"there is no archive of {', '.join(strangers)}", hint="'rawat archive list'")
    chosen = [f for f in archives if (f.entry.run in runs if runs else f.state != "musnah")]
    written = srikandi_export(workspace.archive, chosen, target)
    console.print(Text(f"exported: {len(chosen)} archives, {len(written)} files in {target}"), soft_wrap=True)


# The parts ---------------------------------------------------------------------------------------


def _dues(workspace: Workspace, on: date | None) -> list[Due]:
    day = on or SystemClock().now().at.date()
    found = [
        retention.due(f.entry.run, f.entry.tagmanifest_sha256, f.said, f.state, day)
        for f in catalogue.catalogue(workspace.archive)
        if f.said is not None
    ]
    return [item for item in found if item is not None]


def _print_proposal(fate: str, dues: Sequence[Due]) -> None:
    console.print(Text(f"To be decided: {fate}", style="bold"))
    for item in dues:
        told = f"  {item.run}, due since {item.since}, {item.basis or 'no basis'}"
        console.print(Text(told), soft_wrap=True)
    if fate == "musnah":
        told = "the content of these archives will be removed for good; manifests and register stay"
        console.print(Text(told, style="bold red"))
    console.print(Text(f"code of this proposal: {retention.code(fate, dues)}", style="bold"))  # type: ignore[arg-type]


def _finish(workspace: Workspace) -> None:
    """Remove what was decided to be removed, and say so, each by its name."""
    removed = dispositions.finish(workspace.archive, workspace.archive_key, SystemClock().now().at)
    for run in removed:
        console.print(Text(f"removed: the content of {run}, as was decided; its manifests stay"))
        if (workspace.runs / run).exists():
            console.print(Text(f"  runs/{run} still holds the same record: it is the office's own to remove"))


def _print_found(archives: Sequence[Sealed], *, as_json: bool) -> None:
    if as_json:
        told = [
            {
                "run": f.entry.run,
                "path": f.entry.path,
                "sealed_at": f.entry.sealed_at,
                "state": f.state,
                "said": f.said,
            }
            for f in archives
        ]
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    for found in archives:
        state = f" [{found.state}]" if found.state else ""
        if found.said is None:
            console.print(Text(f"{found.entry.path}: cannot be read as it was sealed; see 'rawat verify'"))
            continue
        said = found.said
        first, last = found.period
        line = (
            f"{found.entry.path}{state}: {first} to {last}, {said['sop']['name']}, "
            f"{len(said['hosts'])} hosts, {len(said['cves'])} CVEs, {said['outcome']}"
        )
        console.print(Text(one_line(line, 500)), soft_wrap=True)
    console.print(Text(f"{len(archives)} archives"))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise errors.InputError(f"{text!r} is no day", hint="expected one such as 2026-11-21") from error


def settings_of(workspace: Workspace) -> ArchiveSettings:
    """Return what the office says of its archive.

    Raises:
        InputError: naming what is wrong in archive.yml.
    """
    file = workspace.archive_settings
    return parse_archive_settings(read_text(file), str(file)) if file.exists() else ArchiveSettings()


def seal(workspace: Workspace, folder: RunFolder) -> Path:
    """Seal a closed run; then a checkpoint of the register leaves this machine."""
    sealed = archive.seal(folder, workspace.archive, workspace.archive_key)
    _leave_checkpoint_of_register(workspace)
    return sealed


def _leave_checkpoint_of_register(workspace: Workspace) -> None:
    places = settings_of(workspace).checkpoints
    if places:
        checkpoints.deliver(*checkpoints.made(workspace.archive, workspace.archive_key), places)


def leave_checkpoint(workspace: Workspace, folder: RunFolder) -> None:
    """Let a checkpoint of the register, and of the run at its gate, leave this machine."""
    places = settings_of(workspace).checkpoints
    if places:
        events = record.load(folder).events
        checkpoints.deliver(*checkpoints.made(workspace.archive, workspace.archive_key, events), places)
