"""Tells awaited officials of gates, forms and signatures: each at most once per occasion, remembered.

What was told is no part of a run's record: it decides nothing, and to lose it costs a second letter
(docs/adr/0029). Before a letter goes out it is noted as tried; a refusal is noted after it, and only then is
it tried again. So a crash in between can cost a letter, and never sends one twice.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from runner import errors, mail, notices
from runner.clock import Instant
from runner.document_signing import due_signature
from runner.journal import Event
from runner.mail import Office, Undelivered
from runner.notices import Letter, Occasion, Waiting
from runner.officials import Holder
from runner.record import Record

TRIED, FAILED = "tried", "failed"


@dataclass(frozen=True)
class Told:
    """What came of telling: letters that were handed over, and those that were not and are said now."""

    sent: tuple[Letter, ...] = ()
    undelivered: tuple[Undelivered, ...] = ()


class Memory:
    """What was told of one run, in a file of lines: who, of which gate and occasion, and what came of it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._last: dict[str, str] = {}
        self._said: set[str] = set()
        for line in self._lines():
            self._last[line["key"]] = line["state"]
            if line["state"] == FAILED:
                self._said.add(line["key"])  # said when it failed first

    def is_told(self, key: str) -> bool:
        """Tell whether a letter went out, or may have."""
        return self._last.get(key) == TRIED

    def is_said(self, key: str) -> bool:
        """Tell whether it was said before that this letter could not be sent."""
        return key in self._said

    def note(self, key: str, state: str) -> None:
        """Note what became of a letter; on disk before this returns."""
        self._last[key] = state
        line = json.dumps({"key": key, "state": state}) + "\n"
        os.write(self._descriptor, line.encode())
        os.fsync(self._descriptor)

    def _lines(self) -> Iterator[dict[str, str]]:
        with os.fdopen(os.dup(self._descriptor), "rb") as stream:
            stream.seek(0)
            for line in stream:
                try:
                    told = json.loads(line)
                    yield {"key": str(told["key"]), "state": str(told["state"])}
                except (ValueError, TypeError, KeyError):
                    continue  # torn by a crash: as if that letter had not been noted


@contextmanager
def memory(path: Path) -> Iterator[Memory]:
    """Open what was told of a run, for one process at a time.

    Raises:
        OSError: when it cannot be kept.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Memory(descriptor)
    finally:
        os.close(descriptor)


def tell(now: Record, office: Office, path: Path, at: Instant) -> Told:
    """Tell the officials whom the run awaits what they have not been told yet.

    Args:
        now: the run.
        office: the settings of its office.
        path: where it is remembered what was told.
        at: the moment.
    """
    waiting = waiting_of(now, at)
    if waiting is None:
        return Told()
    occasions = notices.due(waiting, office.settings, at)
    if not occasions:
        return Told()
    try:
        with memory(path) as told:
            return _tell(waiting, occasions, office, told, at)
    except OSError as error:
        raise errors.InputError(
            f"{path}: cannot be kept, so nobody was told: {error.strerror}",
            hint="free space or mend the disk; the run itself is not touched",
        ) from error


def waiting_of(now: Record, at: Instant) -> Waiting | None:
    """Return what a run waits for: a gate, a form, a signature, or a row that is under way; or None."""
    if now.state.finished or now.state.stopped:
        return None
    today, gate, form = now.roster.day(at.at), now.state.gate, now.state.forms.awaited
    if now.state.signing.awaited:
        return _signature(now, now.state.signing.awaited, today)
    if gate is not None:
        step, begun, title, awaited = gate.step, gate.opened, "", gate.awaited
        operator = now.started["operator"]["id"]  # who operates decides nothing
        seats = [h for seat in gate.open_seats for h in now.roster.holders(seat, today)]
        holders = {h.official.id: h for h in seats if h.official.id != operator}
    elif form is not None:
        step, begun, title, awaited = form["step"], form, now.sop.forms[form["form"]].title, form["position"]
        holders = {h.official.id: h for h in now.roster.holders(awaited, today)}
    else:
        return _row(now, today)
    zone, who = ZoneInfo(now.roster.timezone), tuple(holders.values())
    return Waiting(now.folder.name, now.sop, step, begun, awaited, gate, title, now.events, who, zone)


def _signature(now: Record, awaited: Event, today: date) -> Waiting | None:
    """Return the signature that is awaited, with whose it is; the row, when he is gone from the roster."""
    due = due_signature(now)
    official, position = now.roster.official(due.person["id"]), due.person["position"]
    if official is None:
        return _row(now, today)
    seats = [holder for holder in now.roster.holders(position, today) if holder.official == official]
    output = next(output for output in now.sop.step(due.step).documents if output.document == due.document)
    return Waiting(
        now.folder.name,
        now.sop,
        due.step,
        awaited,
        position,
        None,
        "",
        now.events,
        (seats[0] if seats else Holder(official, position),),
        ZoneInfo(now.roster.timezone),
        document=f"{output.name}: {due.base['path']}",
    )


def _operator(now: Record) -> tuple[Holder, ...]:
    told = now.started["operator"]
    operator = now.roster.official(told["id"])
    return (Holder(operator, told["position"]),) if operator else ()


def _row(now: Record, today: date) -> Waiting | None:
    """Return the row that is under way, with whose row it is; where its gate is decided, whoever operates."""
    state = now.state
    if not isinstance(state.current, int) or not state.started:
        return None
    begun = next(e for e in reversed(now.events) if e.name == "step_started" and e["step"] == state.current)
    actors = [now.sop.actors[actor] for actor in (state.step.pelaksana, state.step.bersama) if actor]
    holders = {h.official.id: h for seat in actors for h in now.roster.holders(seat, today)}
    decided = state.decision is not None and state.decision["attempt"] == state.attempt
    who = _operator(now) if decided or state.failed or not holders else tuple(holders.values())
    zone = ZoneInfo(now.roster.timezone)
    return Waiting(
        now.folder.name,
        now.sop,
        state.current,
        begun,
        " dan ".join(actors),
        None,
        "",
        now.events,
        who,
        zone,
        notices.standing_of(state),
    )


def _tell(waiting: Waiting, occasions: Sequence[Occasion], office: Office, told: Memory, at: Instant) -> Told:
    letters = notices.letters(waiting, office.settings, occasions)
    going = [letter for letter in letters if not told.is_told(letter.key)]
    for letter in going:
        # The occasions before it are told with it: nobody hears afterwards that the gate has opened.
        for occasion in occasions:
            told.note(notices.key_of(waiting, letter.official, letter.way, occasion), TRIED)
    lost = mail.send(office, going, at)
    new = tuple(one for one in lost if not told.is_said(one.letter.key))
    for one in lost:
        told.note(one.letter.key, FAILED)
    failed = {one.letter.key for one in lost}
    return Told(tuple(letter for letter in going if letter.key not in failed), new)
