"""The command line: starts, resumes and stops runs. Commands and exit codes are a contract."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import lab.cli
from runner import (
    __version__,
    cli_archive,
    cli_calendar,
    cli_forms,
    cli_officials,
    cli_records,
    cli_signatures,
    cli_sop,
    document_signing,
    errors,
    record,
    typed,
)
from runner.assembly import engine_of, start_of
from runner.clock import SystemClock, sleep_until
from runner.consent import at_terminal
from runner.console import RunArgument, console, error_console
from runner.engine import Restarting, Shut, Unfilled, Unsigned, Waiting
from runner.files import AGAIN
from runner.form_prompt import FormPrompt
from runner.office import keys_of
from runner.prompt import Prompt
from runner.questions import Questions
from runner.screens import (
    Screen,
    print_error,
    start_panel,
    unsettled_lines,
)
from runner.signature_prompt import SignaturePrompt
from runner.start import empty_groups, start_run, warnings
from runner.stops import (
    print_closed,
    print_restarting,
    print_shut,
    print_unfilled,
    print_unsigned,
    print_waiting,
)
from runner.times import times_view
from runner.workspace import RunFolder, Workspace, find_workspace

app = typer.Typer(
    name="rawat",
    help="Runs an office's written IT-maintenance SOP: rows, gates, documents and archive.",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_sop.app, name="sop")
app.add_typer(lab.cli.app, name="lab", help="Disposable hosts to try Rawat on.")
app.add_typer(cli_archive.app, name="archive")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows no Unicode gets question marks, and the run goes on.
            stream.reconfigure(errors="replace")
    try:
        app(standalone_mode=True)
    except errors.RawatError as error:
        print_error(error_console, error)
        sys.exit(error.exit_code)
    except (OSError, MemoryError) as error:
        # What the system refuses outside the record (scratch files, processes) ends the work just as clearly.
        refused = errors.CannotRecordError(
            f"the system refuses to go on: {_refusal(error)}",
            hint=f"mend the cause (space, open files, memory, the disk), then {AGAIN}",
        )
        print_error(error_console, refused)
        sys.exit(refused.exit_code)


def _refusal(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "no memory is left"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


@app.callback()
def _all(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print which Rawat this is")] = False,
) -> None:
    if version:
        console.print(Text(f"rawat {__version__}"))
        raise typer.Exit


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
    start = start_of(workspace, file, inventory, operator, limit=limit, failure_budget=failure_budget)
    folder = start_run(workspace, SystemClock(), start)
    now = record.load(folder)
    console.print(start_panel(now))
    today = start.roster.day(now.started.instant.at)
    empty = empty_groups(now.sop, start.inventory)
    for line in [*warnings(now.sop, start.roster, start.operator, today), *empty]:
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
        closed = engine_of(workspace, folder, screen).stop(official, reason)
    for line in unsettled_lines(record.load(folder)):
        console.print(line)
    print_closed(closed)


for command in (
    cli_officials.decide,
    cli_forms.fill,
    cli_signatures.sign,
    cli_officials.note,
    cli_records.status,
    cli_records.documents,
):
    app.command()(command)
app.command(name="roster")(cli_officials.change_roster)
app.command(name="break-lock")(cli_officials.break_lock)
app.command()(cli_calendar.schedule)
app.command()(cli_calendar.remind)
app.command(name="verify")(cli_archive.verify_command)


# The parts ---------------------------------------------------------------------------------------


def _go_on(workspace: Workspace, folder: RunFolder, *, resumed: bool, wait: bool = False) -> None:
    screen = Screen(console, record.load(folder).sop)
    engine = engine_of(workspace, folder, screen)
    attended = at_terminal()
    ask = Prompt(console, keys_of(workspace, folder)) if attended else None
    operator = Questions(console) if attended else None
    form = FormPrompt(console) if attended else None
    signature = SignaturePrompt(console, workspace, folder) if attended else None
    try:
        with screen.closing():
            stop = engine.run(ask, operator, form, signature, resumed=resumed)
            while wait and isinstance(stop, Shut) and stop.opens is not None:
                print_shut(record.load(folder), stop)
                sleep_until(stop.opens, SystemClock())
                stop = engine.run(ask, operator, form, signature, resumed=True)
    except KeyboardInterrupt:
        error_console.print(Text(f"\nstopped; go on with: rawat resume {folder.name}", style="bold"))
        raise typer.Exit(errors.EXIT_INTERRUPTED) from None
    now = record.load(folder)
    console.print()
    console.print(times_view(now, now.times))
    if isinstance(stop, Waiting):
        print_waiting(folder, stop)
        cli_calendar.tell_awaited(workspace, folder, now)
        raise typer.Exit(errors.EXIT_WAITING)
    if isinstance(stop, Unfilled):
        print_unfilled(folder, stop)
        cli_calendar.tell_awaited(workspace, folder, now)
        raise typer.Exit(errors.EXIT_WAITING)
    if isinstance(stop, Unsigned):
        print_unsigned(folder, stop.due, document_signing.code(now, stop.due))
        cli_calendar.tell_awaited(workspace, folder, now)
        raise typer.Exit(errors.EXIT_WAITING)
    if isinstance(stop, Shut):
        print_shut(now, stop)
        console.print(Text(f"go on then:  rawat resume {folder.name} --wait"))
        raise typer.Exit(errors.EXIT_WAITING)
    if isinstance(stop, Restarting):
        print_restarting(now, stop)
        raise typer.Exit(errors.EXIT_WAITING)
    print_closed(stop)
