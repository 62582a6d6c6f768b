"""The command of forms: fill."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from runner import errors, filling, forms, record, typed
from runner.clock import SystemClock
from runner.consent import at_terminal
from runner.console import RunArgument, console
from runner.filling import Filled
from runner.form_prompt import FormPrompt
from runner.journal import Journal
from runner.office import read_text
from runner.screens import form_lines
from runner.workspace import find_workspace


def fill(
    run: RunArgument = None,
    *,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="The filled-in form, as YAML")
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A paper to attach: PDF, JPEG, PNG")
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--by", "--official", callback=typed.name, help="Who fills it in; the operator without it"
        ),
    ] = "",
) -> None:
    """Fill in the form that a run waits for, from a file or at the prompt.

    Without a file and without a terminal, the empty form is printed, to be saved and filled in. Where an
    official decides at the row, he then signs what was filled in; 'rawat resume' goes on.
    """
    workspace = find_workspace()
    folder = workspace.run_folder(run)
    now = record.load(folder)
    due = filling.due_form(now)
    if source is None and attach:
        raise errors.InputError(
            "--attach goes with --from FILE", hint="at the prompt you are asked for files"
        )
    if source is None and not at_terminal():
        sys.stdout.write("\n".join(forms.skeleton(due.form)) + "\n")
        return
    given: Filled | None
    if source is None:
        given = FormPrompt(console)(due, now)
        if given is None:
            return
    else:
        who = by or str(now.started["operator"]["id"])
        answers = forms.read_form(due.form, read_text(source), str(source))
        given = Filled(who, answers, tuple(attach or ()))
    clock = SystemClock()
    made = filling.fill(now, Journal(folder.journal, clock), clock, given)
    after = record.load(folder)
    for line in form_lines(after, [made]):
        console.print(line, soft_wrap=True)
    gate = after.state.gate
    if gate is not None:
        names = " | ".join(gate.outcomes)
        told = f"{gate.awaited} signs it:  rawat decide {folder.name} --outcome '{names}' --official ID"
        console.print(Text(told), soft_wrap=True)
    console.print(Text(f"go on with:  rawat resume {folder.name}"))
