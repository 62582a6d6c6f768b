"""Takes the filled-in form of a run, whether or not a process works on it; the rules are in ``filled``."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import errors, filled, gates, moves, scans
from runner.canonical import canonical_json
from runner.clock import Clock
from runner.display import display
from runner.files import RESERVE, free_bytes, require_reserve
from runner.forms import Answers, Form
from runner.journal import Event, Journal
from runner.next_move import next_move
from runner.record import Record
from runner.sop import Step

_PATIENCE_SECONDS = 20.0
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Filled:
    """What somebody filled in: who, his judged answers, and the files that he attaches."""

    official: str
    answers: Answers
    attachments: Sequence[Path] = field(default_factory=tuple)


@dataclass(frozen=True)
class Due:
    """The form that can be filled in now, and the row whose form it is."""

    step: Step
    form: Form
    at: dict[str, Any]


def due_form(now: Record) -> Due:
    """Return the form that can be filled in now.

    Raises:
        InputError: when the run waits for none.
    """
    at = filled.due(now.state, next_move(now.state))
    if at is None:
        raise errors.InputError(
            f"{now.folder.name} waits for no form", hint="'rawat status' says what it waits for"
        )
    return Due(now.sop.step(at["step"]), now.sop.forms[at["form"]], at)


def fill(now: Record, journal: Journal, clock: Clock, given: Filled) -> Event:
    """Record a filled-in form; at a row that officials decide, open the gate at which it is signed.

    Raises:
        InputError: the run waits for no form, this person may not fill it in, or an attachment is no paper.
        CannotRecordError: the disk did not take it.
    """
    due_form(now)
    papers = [(path.name, *scans.read_scan(path, "attachment")) for path in given.attachments]
    with journal.lock(patience=_PATIENCE_SECONDS):
        # Another may have filled it in, or another roster may hold, since this was begun.
        told = now.told_by(journal.events)
        event = _record(told, journal, clock, given, papers)
        _open_gate(now.told_by(journal.events), journal)
    return event


def _record(
    now: Record, journal: Journal, clock: Clock, given: Filled, papers: list[tuple[str, bytes, str]]
) -> Event:
    due, instant = due_form(now), clock.now()
    fillers = filled.Fillers(now.sop, now.roster, now.state.operator, now.roster.day(instant.at))
    refused = fillers.refusal(due.step, given.official)
    refused = refused or filled.refusal_of_attachments(due.form, len(papers))
    if refused:
        raise errors.InputError(f"the form of row {due.step.no} was not filled in: {refused}")
    folder = now.folder
    require_reserve(folder.path, free_bytes(folder.path), RESERVE + sum(len(data) for _, data, _ in papers))
    person = fillers.person(due.step, given.official)
    stem = filled.folder_name(now.state, due.step.no, due.at["attempt"])
    for left in filled.possible_paths(stem):
        # Who was cut off while he filled it in may have left a part of it; nothing of that is recorded.
        (folder.path / left).unlink(missing_ok=True)
    attached = []
    for number, (name, data, extension) in enumerate(papers, start=1):
        path = folder.path / filled.attachment_name(stem, number, extension)
        shown = display(name, longest=_LONGEST_NAME)
        attached.append({**folder.write(path, data), "name": shown, "bytes": len(data)})
    said = filled.content(due.form, {**due.at, "person": person}, given.answers, attached)
    form_file = folder.write(folder.path / f"{stem}.json", canonical_json(said))
    files = [form_file, *({key: each[key] for key in ("path", "sha256")} for each in attached)]
    return journal.append("form_filled", instant=instant, **due.at, person=person, files=files)


def _open_gate(now: Record, journal: Journal) -> None:
    """Open the gate that comes next, if one does, so that what was filled in can be decided on at once."""
    if isinstance(next_move(now.state), moves.OpenGate):
        opening = gates.opening(now.sop, now.state, now.sop_sha256)
        journal.append("gate_opened", **opening, nonce=secrets.token_hex(16))
