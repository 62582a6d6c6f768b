"""The commands around the archive: seal, check, list, find, export; what is due is ``cli_retention``'s."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from runner import catalogue, cli_retention, errors, typed, verify
from runner.catalogue import Sealed, Sought
from runner.console import RunArgument, console, error_console
from runner.export import export as srikandi_export
from runner.outside import Outside
from runner.screens import one_line
from runner.sealing import seal
from runner.workspace import find_workspace

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
    officials: Annotated[
        Path | None,
        typer.Option(help="Public keys of the officials as you know them, as ssh-keygen reads them"),
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
    outside = Outside(tuple(checkpoint or ()), signers, officials, tuple(printed or ()))
    found = verify.verify(path, outside)
    console.print(Text(_told(found), style="green"), soft_wrap=True)
    if found.kind == "archive" and not found.registered:
        told = "no register stands above this archive: it was checked only against itself"
        console.print(Text(told, style="yellow"))
    for chain in found.held.unsealed:
        told = (
            f"a checkpoint knows {chain.records} records of run {chain.run}, which the register does not "
            "name: it is open, and its folder to be verified by itself, or it is gone"
        )
        console.print(Text(one_line(told, 500), style="yellow"), soft_wrap=True)
    if found.registered and not found.held.checkpoints and not found.held.unsealed:
        told = (
            "without an earlier checkpoint (--checkpoint), all of it put back to an earlier day does not show"
        )
        console.print(Text(told, style="yellow"), soft_wrap=True)


def _told(found: verify.Verified) -> str:
    held = f", held against {found.held.checkpoints} checkpoints" if found.held.checkpoints else ""
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
    sought = Sought(typed.day(since), typed.day(until), host, cve, official, document)
    archives = catalogue.catalogue(find_workspace().archive)
    unread = [found.entry.run for found in archives if found.said is None]
    if unread:
        told = f"cannot be read as they were sealed, so not searched: {', '.join(unread)}; see 'rawat verify'"
        error_console.print(Text(told, style="yellow"), soft_wrap=True)
    _print_found([found for found in archives if catalogue.matches(found, sought)], as_json=as_json)


app.command()(cli_retention.due)
app.command()(cli_retention.decide)


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
