"""Seals runs and lets checkpoints leave this machine, as the office's archive.yml says."""

from __future__ import annotations

from pathlib import Path

from runner import archive, checkpoints, record
from runner.archive_settings import ArchiveSettings, parse_archive_settings
from runner.office import office_text
from runner.workspace import RunFolder, Workspace


def settings_of(workspace: Workspace) -> ArchiveSettings:
    """Return what the office says of its archive.

    Raises:
        InputError: naming what is wrong in archive.yml.
    """
    file = workspace.archive_settings
    return parse_archive_settings(office_text(file), str(file)) if file.exists() else ArchiveSettings()


def seal(workspace: Workspace, folder: RunFolder) -> Path:
    """Seal a closed run; then a checkpoint of the register leaves this machine."""
    sealed = archive.seal(folder, workspace.archive, workspace.archive_key)
    leave_checkpoint(workspace)
    return sealed


def leave_checkpoint(workspace: Workspace, waiting: RunFolder | None = None) -> None:
    """Let a checkpoint of the register, and of the run that waits at a gate, leave this machine.

    Raises:
        CannotRecordError: naming the place that did not take it.
    """
    places = settings_of(workspace).checkpoints
    if places:
        events = record.load(waiting).events if waiting else ()
        checkpoints.deliver(*checkpoints.made(workspace.archive, workspace.archive_key, events), places)
