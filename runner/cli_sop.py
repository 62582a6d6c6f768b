"""The commands about SOP files: a new one, is one good, what may stand in it, and its paper."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from runner import errors, sop, sop_check, sop_document, sop_draft, template_check, typed
from runner.clock import SystemClock
from runner.consent import at_terminal
from runner.console import console, error_console
from runner.display import display
from runner.inventory import require_inventory
from runner.language import INDONESIAN
from runner.office import look_of, read_text, roster_file, staff_of
from runner.officials import load_roster
from runner.sop_questions import SopQuestions
from runner.translations import language_of
from runner.workspace import find_workspace

app = typer.Typer(help="Starts, checks and prints SOP files.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...")] = None,
    inventory: Annotated[
        Path | None,
        typer.Option("-i", "--inventory", help="Judge also whether its officials.yml has the people"),
    ] = None,
    operator: Annotated[
        str | None, typer.Option(callback=typed.name, help="Who would operate, and so may not decide")
    ] = None,
) -> None:
    """Name every problem of SOP files as file:line, errors and warnings; all of sops/ by default.

    The templates of their documents are read, too.
    """
    workspace = find_workspace()
    available = workspace.available()
    staff = None if inventory is None else staff_of(inventory, operator, SystemClock().now())
    bad = 0
    for file in files or sorted(workspace.sops.glob("*.yml")):
        judged = sop_check.judge(read_text(file), str(file), available, staff)
        templates = template_check.problems(workspace, judged.sop) if judged.sop else []
        _print_judgement(file, judged, templates)
        bad += bool(judged.errors or templates)
    if bad:
        raise typer.Exit(errors.EXIT_INPUT)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Such as sops/dinas-contoh-backup.yml")],
) -> None:
    """Start a SOP file by questions at the terminal; nothing that exists is written over."""
    if file.exists():
        raise errors.InputError(f"{file} exists already", hint="give another name, or edit the file")
    if not file.parent.is_dir():
        raise errors.InputError(f"there is no folder {file.parent}")
    if not at_terminal():
        raise errors.InputError(
            "a SOP is started by questions at a terminal",
            hint="docs/writing-a-sop.md tells how to write the file",
        )
    available = find_workspace().available()
    try:
        data = SopQuestions(console, available).ask(file.stem)
    except (EOFError, KeyboardInterrupt):
        console.print()
        raise errors.InputError("the questions were broken off; nothing was written") from None
    text = sop_draft.text_of(data)
    text = sop_draft.with_open_points(text, sop_check.judge(text, str(file), available))
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise errors.InputError(f"{file}: cannot be written: {error.strerror}") from error
    console.print(Text(f"written: {file}"), soft_wrap=True)
    _print_judgement(file, sop_check.judge(text, str(file), available))


@app.command()
def schema() -> None:
    """Print the JSON Schema of SOP files, for editors."""
    sys.stdout.write(json.dumps(sop.json_schema(), indent=2, ensure_ascii=False) + "\n")


@app.command()
def render(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="SOP file, such as sops/surakarta-system-update.yml")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to: OUT.pdf or OUT.html")],
    inventory: Annotated[
        Path | None,
        typer.Option("-i", "--inventory", help="On the letterhead and paper of its office.yml"),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(
            "--lang", callback=typed.name, help="A copy to read, with headings in this language: en"
        ),
    ] = None,
) -> None:
    """Make the official SOP document of a SOP file: identity block and flowchart.

    The same files give the same bytes; the PDF carries the file it was made from. With --lang only headings,
    labels and legend are in that language, and it is marked as a translation; what the SOP says stays.
    """
    language = INDONESIAN if lang is None else language_of(lang)
    sop_document.require_kind(out)
    look = None
    if inventory is not None:
        require_inventory(inventory)
        roster = roster_file(inventory)
        look = look_of(load_roster(roster), roster)
    printed = sop_document.write_sop(read_text(file), str(file), out, look, language)
    rows = len(printed.steps)
    console.print(Text(f"{out}: {display(printed.identity.nama_sop)}, {rows} rows"), soft_wrap=True)


def _print_judgement(file: Path, judged: sop_check.Judgement, templates: Sequence[str] = ()) -> None:
    for kind, style, problems in (
        ("error", "bold red", judged.errors),
        ("warning", "yellow", judged.warnings),
    ):
        for problem in problems:
            line = display(f"{file}:{problem.line}: {problem.message}")
            error_console.print(Text.assemble((f"{kind}: ", style), line), soft_wrap=True)
    for told in templates:
        error_console.print(Text.assemble(("error: ", "bold red"), display(told)), soft_wrap=True)
    if judged.sop and not judged.errors and not templates:
        rows, assumed = len(judged.sop.steps), len(judged.sop.assumptions)
        console.print(Text(f"{file}: good, {rows} rows, {assumed} assumptions"), soft_wrap=True)
