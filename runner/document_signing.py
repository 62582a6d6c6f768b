"""Takes the electronic signature that a run awaits on a document, whether or not a process works on it.

Whose it is, and on which file, is for ``pdf_signatures`` to say; here it is made, judged as every auditor
will judge it, and only then recorded. A signature can be left out, by whose it is or by the operator, with a
reason: the statement that the official signed at the gate stands in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from runner import errors, gates, pades, pdf_signatures
from runner.canonical import short_code
from runner.clock import Clock
from runner.display import display
from runner.files import RESERVE, free_bytes, remove_untold, require_reserve
from runner.journal import Event, Journal
from runner.moves import AwaitSignature, DueSignature
from runner.next_move import next_move
from runner.record import Record
from runner.signers.base import Signer, Task

_PATIENCE_SECONDS = 20.0

Stamp = Callable[[DueSignature, Record, datetime], bytes]
"""Draws what is seen of a signature: a PDF of one page, as large as its room."""


@dataclass(frozen=True)
class Hand:
    """An official about to sign: who, with what, and how his stamp is drawn."""

    official: str
    signer: Signer
    stamp: Stamp


def due_signature(now: Record) -> DueSignature:
    """Return the signature that the run awaits.

    Raises:
        InputError: when it awaits none.
    """
    move = next_move(now.state)
    if not isinstance(move, AwaitSignature):
        raise errors.InputError(
            f"{now.folder.name} awaits no signature on a document",
            hint="'rawat status' says what it waits for; 'rawat resume' makes what is to be signed",
        )
    return move.due


def code(now: Record, due: DueSignature) -> str:
    """Return the digits that stand for what is to be signed: the run, the document, the person."""
    return short_code({"run": now.folder.name, **due.fields})


class DocumentSigning:
    """Takes the signatures of one run; ``journal`` is that run's."""

    def __init__(self, now: Record, journal: Journal, clock: Clock) -> None:
        self._now = now
        self._journal = journal
        self._clock = clock

    def sign(self, hand: Hand, seen: str | None = None) -> Event:
        """Let an official sign the document that awaits him, and record it.

        Args:
            hand: who signs, and with what.
            seen: the code of what he was shown; nothing else is signed.

        Raises:
            DecisionRefusedError: no signature was made, or it is not sound; it is awaited as before.
        """
        with self._awaited(seen) as (now, due):
            self._require_own(due, hand.official)
            base = now.folder.read(due.base)
        at = self._clock.now().at
        settings = now.look.settings
        name = settings.signatures.name_of(due.person)
        step = now.sop.step(due.step)
        task = Task(
            base=base,
            place=due.place,
            name=name,
            reason=f"{step.kegiatan} ({now.folder.name})",
            location=settings.place,
            stamp=hand.stamp(due, now, at),
            code=f"rawat:{now.folder.name}:{due.document}:{due.version}:{due.base['sha256']}",
        )
        signed = hand.signer.sign(task)
        # The run was unlocked while it was signed: somebody may have left it out, or stopped the run.
        with self._awaited(None) as (now, still):
            if still != due:
                raise errors.DecisionRefusedError(
                    "another signature is awaited meanwhile; nothing was recorded"
                )
            instant = self._clock.now()
            judged = _judged(base, signed, pades.Expected(due.place, name, instant.at), now)
            require_reserve(now.folder.path, free_bytes(now.folder.path), RESERVE + len(signed))
            file = now.folder.write(now.folder.path / due.path, signed)
            by = settings.signatures.by
            return self._journal.append(
                pdf_signatures.SIGNED,
                instant=instant,
                **due.fields,
                by=by,
                certificate=judged.certificate,
                files=[file],
            )

    def leave_out(self, official: str, reason: str) -> Event:
        """Record that the awaited signature is left out.

        Raises:
            DecisionRefusedError: this person may not say so, or gives no reason.
        """
        if not reason.strip():
            raise errors.DecisionRefusedError("leaving a signature out needs a reason")
        if too_long := gates.refusal_of_length(reason):
            raise errors.DecisionRefusedError(too_long)
        with self._awaited(None) as (now, due):
            may = pdf_signatures.who_may_leave_out(due, now.roster, now.state.operator)
            person = next((person for person in may if person["id"] == official), None)
            if person is None:
                who = " or ".join(dict.fromkeys(f"{each['name']} ({each['id']})" for each in may))
                raise errors.DecisionRefusedError(f"only {who} may leave this signature out")
            # Beside "left out" a signed file would look as if somebody had altered the record.
            remove_untold(now.folder.path / due.path)
            return self._journal.append(
                pdf_signatures.LEFT_OUT, **due.fields, told_by=person, reason=reason.strip()
            )

    @contextmanager
    def _awaited(self, seen: str | None) -> Iterator[tuple[Record, DueSignature]]:
        with self._journal.lock(patience=_PATIENCE_SECONDS):
            now = self._now.told_by(self._journal.events)
            due = due_signature(now)
            if seen not in {None, code(now, due)}:
                raise errors.DecisionRefusedError("another signature is awaited than was shown; look again")
            yield now, due

    @staticmethod
    def _require_own(due: DueSignature, official: str) -> None:
        if official != due.person["id"]:
            raise errors.DecisionRefusedError(
                f"{due.person['name']} ({due.person['id']}) decided, so he or she signs the document",
                hint="nobody signs for another; it can be left out with a reason",
            )


def _judged(base: bytes, signed: bytes, expected: pades.Expected, now: Record) -> pades.Judged:
    try:
        return pades.judge(base, signed, expected, pades.Trust(now.look.authorities.encode()))
    except pades.UnsoundError as error:
        raise errors.DecisionRefusedError(
            f"the signature would not hold, so it was not recorded: {display(str(error))}",
            hint="compare 'signatures' in office.yml; it can be left out with a reason",
        ) from error
