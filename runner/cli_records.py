"""The commands that read a run: status, documents."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.text import Text

from runner import dispositions, document_signing, errors, record, report, typed
from runner.bag import BAGIT, PAYLOAD
from runner.canonical import sha256_hex
from runner.checkpoint import Chain
from runner.clock import SystemClock
from runner.console import RunArgument, console
from runner.engine import Shut, Unfilled
from runner.files import write_once
from runner.journal import Event
from runner.reading_copy import write_copies, write_minutes_copy
from runner.record import Record
from runner.rows import rows_view
from runner.screens import (
    one_line,
    owed_lines,
    roster_changed_line,
)
from runner.status import now_if_open, status_of, times_of
from runner.stops import print_gate, print_shut, print_unfilled, print_unsigned
from runner.times import times_view
from runner.translations import language_of
from runner.workspace import RunFolder, Workspace, find_workspace


def status(
    run: RunArgument = None, *, as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False
) -> None:
    """Tell where a run stands and who is awaited.

    Also what is to be decided, the rows with the one it is at, and work and waiting time against the
    standard time of each row.
    """
    folder = find_workspace().run_folder(run)
    now = record.load(folder)
    if as_json:
        # For programs; but it may end on a terminal, and a reason for failing may quote a host.
        sys.stdout.write(json.dumps(status_of(now), indent=2) + "\n")
        return
    told = status_of(now)
    console.print(Text(f"run {told['run']}: {told['state']}", style="bold"))
    if told["torn_bytes"]:
        torn = f"the journal's last line is torn: a crash cut it off after {told['torn_bytes']} bytes"
        console.print(Text(f"{torn}; 'rawat resume' drops it and says so in the journal", style="yellow"))
    if told["row"] is not None:
        console.print(Text(f"row {told['row']}: {now.sop.step(told['row']).kegiatan}"))
    if now.state.freed:
        console.print(Text(f"{_freed(now.state.freed)}; 'rawat resume' takes them again", style="yellow"))
    for changed in now.state.roster_changes:
        console.print(roster_changed_line(changed), soft_wrap=True)
    _print_what_is_awaited(now)
    for line in owed_lines(told["owed"]):
        console.print(line)
    moment = now_if_open(now)
    times = times_of(now, moment)
    console.print(rows_view(now.sop, times))
    console.print(times_view(now, times, moment))


def _print_what_is_awaited(now: Record) -> None:
    state = now.state
    if state.gate:
        print_gate(now, state.gate)
    if state.forms.awaited:
        print_unfilled(now.folder, Unfilled(state.forms.awaited))
    if state.signing.awaited:
        due = document_signing.due_signature(now)
        print_unsigned(now.folder, due, document_signing.code(now, due))
    if state.window_awaited:
        print_shut(now, Shut(state.window_awaited))
    if state.restarting:
        _print_restart_due(state.restarting)


def _print_restart_due(announced: Event) -> None:
    here = announced.instant.boot == SystemClock().now().boot
    told = "this machine was to restart and has not yet" if here else "this machine has restarted"
    console.print(Text(f"{told}; 'rawat resume' goes on", style="magenta"))


def _freed(event: Event) -> str:
    person, at = event["person"]["name"], event.instant.at
    return f"its hosts were freed by {person} at {at:%Y-%m-%d %H:%M} UTC: {one_line(event['reason'], 500)}"


def documents(
    run: RunArgument = None,
    *,
    lang: Annotated[
        str | None,
        typer.Option("--lang", callback=typed.name, help="Copies to read in this language instead: en"),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="With --lang: a new or empty folder for the copies")
    ] = None,
) -> None:
    """Build a run's documents again and compare.

    Each comes out the same, byte for byte, or is named (exit code 5). With --lang and --to, write a copy of
    each in another language for readers, marked as a translation; the documents stay as they are. RUN may
    then also be the folder of an archive, or of a decision about archives (archive/retention/3).
    """
    workspace = find_workspace()
    if lang is not None or to is not None:
        _write_copies(workspace, run, lang, to)
        return
    folder = workspace.run_folder(run)
    now = record.load(folder)
    if now.started["versions"].get("templates") != workspace.templates_digest():
        raise errors.InputError(
            "the templates are not those of this run, so its documents would not come out the same",
            hint=f"use the checkout of that day: Rawat {now.started['versions']['rawat']}",
        )
    for event in now.events:
        if event.name != "document_written":
            continue
        with tempfile.TemporaryDirectory(prefix="rawat-documents-") as scratch:
            made = report.build_document(
                now.at(event["as_of"]),
                event["document"],
                event["version"],
                event["step"],
                event["attempt"],
                event["as_of"],
                Path(scratch),
                Chain.model_validate(event["archive"]),
            )
            for path, entry in zip(made, event["files"], strict=True):
                if sha256_hex(path.read_bytes()) != entry["sha256"]:
                    raise errors.VerificationError(entry["path"], "is not what is built from the record now")
                if not (folder.path / entry["path"]).exists():
                    write_once(folder.path / entry["path"], path.read_bytes())
        console.print(Text(f"the same  {event['files'][-1]['path']}"))


def _write_copies(workspace: Workspace, run: str | None, lang: str | None, to: Path | None) -> None:
    if lang is None or to is None:
        missing, given = ("--lang", "--to") if lang is None else ("--to", "--lang")
        raise errors.InputError(
            f"{given} needs {missing}: copies in another language, and a folder for them",
            hint="for example: rawat documents --lang en --to copies",
        )
    language = language_of(lang)
    decision = _decision(run)
    kept = decision.root if decision else _run_or_archive(workspace, run).path
    _require_place_for_copies((workspace.runs, workspace.archive, kept), to.resolve())
    if decision:
        papers = dispositions.papers_of(decision.root, decision.number)
        copies = write_minutes_copy(papers, language, to.resolve())
    else:
        copies = write_copies(record.load(RunFolder(kept)), language, to.resolve())
    for path in copies:
        console.print(Text(f"written  {path}"), soft_wrap=True)
    of = "decision" if decision else "run"
    console.print(Text(f"for reading only: the documents of the {of} are the ones signed"))


class _Decision(NamedTuple):
    """A decision about archives: the archive's folder, and the number of its record in the register."""

    root: Path
    number: int


def _decision(path: str | None) -> _Decision | None:
    """Return the decision about archives whose papers are in a folder, None when it is another."""
    folder = Path(path or "").resolve()
    if folder.parent.name != dispositions.FOLDER or not folder.name.isdigit() or not folder.is_dir():
        return None
    return _Decision(folder.parent.parent, int(folder.name))


def _run_or_archive(workspace: Workspace, run: str | None) -> RunFolder:
    """Return the folder of a run, or the payload of the archive that it was sealed in."""
    sealed = Path(run or "") / PAYLOAD
    return RunFolder(sealed.resolve()) if sealed.with_name(BAGIT).is_file() else workspace.run_folder(run)


def _require_place_for_copies(places: Iterable[Path], to: Path) -> None:
    for kept in places:
        if to.is_relative_to(kept.resolve()):
            raise errors.InputError(
                f"--to {to} is inside of {kept}, where documents and archives are kept",
                hint="name a folder elsewhere: copies are no part of the record",
            )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise errors.InputError(
            f"--to {to} is not a new or an empty folder", hint="name another: nothing is written over"
        )
