"""The commands that an office's calendar calls: start runs again and again, and remind of what waits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from runner import errors, holds, record, reminders, typed
from runner.ansible_settings import KEPT_OF_ANSIBLE
from runner.assembly import start_of
from runner.clock import SystemClock
from runner.console import console, error_console
from runner.display import display
from runner.office import notify_office, roster_file_of
from runner.record import Record
from runner.schedule import Schedule, units
from runner.start import empty_groups, require_startable
from runner.workspace import ENVIRONMENT, RunFolder, Workspace, find_workspace

_ANALYZE = "systemd-analyze"


def schedule(
    file: Annotated[Path, typer.Argument(metavar="SOP", help="SOP file that is started")],
    inventory: Annotated[
        Path, typer.Option("-i", "--inventory", help="Inventory folder with officials.yml beside it")
    ],
    every: Annotated[
        str,
        typer.Option(
            metavar="monthly|weekly|CALENDAR", callback=typed.name, help="CALENDAR as systemd.time(7) has it"
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where the units are written")
    ],
    operator: Annotated[
        str | None,
        typer.Option(callback=typed.name, help="Official who operates and so may not decide"),
    ] = None,
) -> None:
    """Write systemd units that start a run and leave it at its first gate, and that remind of what waits."""
    workspace = find_workspace()
    workspace.require_safe_place()
    start = start_of(workspace, file, inventory, operator)
    sop, start = require_startable(workspace, start, SystemClock().now())
    for line in empty_groups(sop, start.inventory):
        print_warning(line)
    own = Path(sys.executable).with_name("rawat")
    planned = Schedule(
        sop=str(file.resolve()),
        title=display(sop.identity.nama_sop),
        inventory=str(inventory.resolve()),
        operator=operator,
        every=every,
        timezone=start.roster.timezone,
        command=[str(own)] if own.exists() else [sys.executable, "-m", "runner"],
        root=str(workspace.root),
        environment=[
            # As seen from here: the units work in another folder.
            *((name, str(Path(os.environ[name]).absolute())) for name in ENVIRONMENT if name in os.environ),
            *(
                (name, str(Path(os.environ[name]).expanduser().absolute()))
                for name in KEPT_OF_ANSIBLE
                if name in os.environ
            ),
        ],
    )
    when = _analyze(["calendar", planned.calendar], f"--every {every}")
    written = _write(output, units(planned, sop.id))
    _analyze(["verify", *map(str, written)], str(output))
    for path in written:
        console.print(Text(f"written: {path}"), soft_wrap=True)
    console.print(Text("\n".join(line.strip() for line in when.splitlines() if "elapse" in line)))
    timers = " ".join(path.name for path in written if path.suffix == ".timer")
    console.print(
        Text(f"to use them: cp {output}/rawat-* /etc/systemd/system/ && systemctl enable --now {timers}"),
        soft_wrap=True,
    )


def remind(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", callback=typed.name, help="Id of the run; all open runs by default"),
    ] = None,
) -> None:
    """Tell the officials whom open runs await, once each: it waits, still waits, is over its time."""
    workspace = find_workspace()
    folders = (workspace.run_folder(run),) if run else holds.open_runs(workspace)
    failed = False
    for folder in folders:
        try:
            now = record.load(folder)
        except errors.RawatError as error:
            # One run that cannot be read keeps no other from being reminded of.
            print_warning(f"{folder.name}: {error}")
            failed = True
            continue
        tell_awaited(workspace, folder, now)
    if failed:
        raise typer.Exit(errors.EXIT_VERIFICATION)


def tell_awaited(workspace: Workspace, folder: RunFolder, now: Record) -> None:
    """Tell whom the run awaits, where the office has a notify.yml; say what could not be sent."""
    if reminders.waiting_of(now, SystemClock().now()) is None:
        return
    try:
        office = notify_office(roster_file_of(workspace, folder))
        if office is None:
            return
        told = reminders.tell(now, office, workspace.notices(folder), SystemClock().now())
    except errors.InputError as error:
        print_warning(f"nobody was told: {error}")
        return
    for letter in told.sent:
        console.print(
            Text(f"told: {letter.official}, {letter.way}: {letter.subject}", style="dim"), soft_wrap=True
        )
    for one in told.undelivered:
        print_warning(f"{one.letter.official} could not be told by {one.letter.way}: {one.why}")


def print_warning(text: str) -> None:
    """Print what was not as it should be, and stopped nothing."""
    error_console.print(Text(f"warning: {display(text)}", style="yellow"), soft_wrap=True)


def _write(folder: Path, files: dict[str, str]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / name: text for name, text in files.items()}
    for path, text in paths.items():
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise errors.InputError(
                f"{path} exists already and says something else", hint="remove it, or choose another folder"
            )
    for path, text in paths.items():
        path.write_text(text, encoding="utf-8")
    return list(paths)


def _analyze(arguments: list[str], what: str) -> str:
    """Return what systemd says of a calendar or of units.

    Raises:
        InputError: when it refuses them, or is not there to be asked.
    """
    if shutil.which(_ANALYZE) is None:
        raise errors.InputError(f"there is no {_ANALYZE} on this machine", hint="timers need systemd")
    done = subprocess.run(
        [_ANALYZE, *arguments], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode or (arguments[0] == "verify" and done.stderr.strip()):
        said = display((done.stderr or done.stdout).strip(), multiline=True, longest=500)
        raise errors.InputError(f"{what}: systemd does not take it: {said}", hint="see systemd.time(7)")
    return done.stdout
