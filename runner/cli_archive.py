"""The commands around the archive: seal a run, check what was sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from runner import archive, checkpoints, record, verify
from runner.archive_settings import ArchiveSettings, parse_archive_settings
from runner.console import RunArgument, console
from runner.office import read_text
from runner.verify import Outside
from runner.workspace import RunFolder, Workspace, find_workspace

_SEAL = "seal"


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
) -> None:
    """Check an archive, a run, or the register with all archives.

    The first thing that is wrong is named (exit code 5).
    """
    if not path.exists():
        path = find_workspace().run_folder(str(path)).path
    found = verify.verify(path, Outside(tuple(checkpoint or ()), signers))
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


# The parts ---------------------------------------------------------------------------------------


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
    places = settings_of(workspace).checkpoints
    if places:
        checkpoints.deliver(*checkpoints.made(workspace.archive, workspace.archive_key), places)
    return sealed


def leave_checkpoint(workspace: Workspace, folder: RunFolder) -> None:
    """Let a checkpoint of the register, and of the run at its gate, leave this machine."""
    places = settings_of(workspace).checkpoints
    if places:
        events = record.load(folder).events
        checkpoints.deliver(*checkpoints.made(workspace.archive, workspace.archive_key, events), places)
