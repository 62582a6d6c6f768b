"""Takes decisions at the open gate of a run, whether or not a process works on it.

Who may sign what is for ``gates`` and ``statements`` to say; here it is signed, judged again, and recorded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from runner import conffiles, errors, gates, signing
from runner.canonical import sha256_hex
from runner.clock import Clock, Instant
from runner.files import make_private_dir
from runner.gates import Choice
from runner.journal import Event, Journal
from runner.moves import Gate
from runner.record import Record
from runner.scans import read_scan
from runner.state import RunState
from runner.statements import Signed, Statements

# Others who decide at the same moment hold the run for an instant each; they are waited for.
_PATIENCE_SECONDS = 20.0


Make = Callable[[Statements, Gate, datetime], Signed]
"""Makes the statement for that gate at that moment, or refuses it."""


@dataclass(frozen=True)
class Paper:
    """A decision in wet ink: its scan, who enters it, and the date on it (today without one)."""

    scan: Path
    entered_by: str
    dated: date | None = None


class Decisions:
    """Takes decisions of one run; ``journal`` is that run's."""

    def __init__(self, now: Record, journal: Journal, clock: Clock) -> None:
        self._now = now
        self._folder = now.folder
        self._sop = now.sop
        self._journal = journal
        self._clock = clock

    def decide(self, choice: Choice, key: Path, seen: str | None = None) -> Event:
        """Sign and record a decision at the gate that is open now.

        Args:
            choice: what is decided, by whom.
            key: the decider's own key.
            seen: the code of the gate that was shown to the decider; at no other does it count.

        Raises:
            DecisionRefusedError: the decision does not count; the gate is as open as before.
        """
        return self._take(lambda due, gate, at: due.decision(gate, choice, at), key, seen=seen)

    def enter(self, choice: Choice, paper: Paper, key: Path, seen: str | None = None) -> Event:
        """Record what an official decided on paper; it counts once a second person has confirmed it.

        Raises:
            DecisionRefusedError: the paper may not be entered so.
            InputError: when the scan cannot be used.
        """
        scan, extension = read_scan(paper.scan)
        dated = paper.dated or self._now.roster.day(self._clock.now().at)

        def make(due: Statements, gate: Gate, at: datetime) -> Signed:
            return due.entry(gate, choice, dated, sha256_hex(scan), paper.entered_by, at)

        return self._take(make, key, seen=seen, scan=(extension, scan))

    def confirm(self, official: str, key: Path, seen: str | None = None) -> Event:
        """Confirm the decision on paper that was entered at the open gate, as a second person.

        Raises:
            DecisionRefusedError: this person may not confirm it, or there is nothing to confirm.
        """
        return self._take(lambda due, gate, at: due.confirmation(gate, official, at), key, seen=seen)

    def withdraw(self, official: str, reason: str, key: Path, seen: str | None = None) -> Event:
        """Take back the decision on paper that was entered at the open gate and not confirmed.

        Raises:
            DecisionRefusedError: this person may not, or there is nothing to withdraw.
        """
        return self._take(lambda due, gate, at: due.withdrawal(gate, official, reason, at), key, seen=seen)

    def _take(
        self,
        make: Make,
        key: Path,
        *,
        seen: str | None = None,
        scan: tuple[str, bytes] | None = None,
    ) -> Event:
        with self._open_gate() as (due, gate, now):
            if seen not in {None, gates.code(self._folder.name, gate)}:
                raise errors.DecisionRefusedError("this is another gate than was shown; look at it again")
            signed = make(due, gate, now.at)
            self._require_planned(signed.said["conffiles"])
        made = signing.made(signed.said, key, make_private_dir(self._folder.work))
        # The run was unlocked while the passphrase was asked for: look at the gate again.
        with self._open_gate() as (due, now_open, now):
            if now_open != gate:
                raise errors.DecisionRefusedError("the gate has changed meanwhile; look at it again")
            make(due, gate, now.at)
            expired = gates.misfit(signed.said, self._folder.name, gate, now.at)
            if expired:
                raise errors.DecisionRefusedError(expired, hint="the gate is still open")
            signing.require_key_of(signed.signer, due.roster, made, key)
            return self._record(gate, signed, made, scan, now)

    @contextmanager
    def _open_gate(self) -> Iterator[tuple[Statements, Gate, Instant]]:
        """Hold the run at its open gate, what is decided on being as the journal names it."""
        with self._journal.lock(patience=_PATIENCE_SECONDS):
            state = RunState(self._sop, self._journal.events)
            gate = open_gate(state)
            self._require_untouched(state)
            now = self._clock.now()
            if gates.has_closed(gate, self._journal.events, now):
                raise errors.DecisionRefusedError(
                    f"the gate closed at its deadline, {gates.deadline(gate):%Y-%m-%d %H:%M:%S} UTC",
                    hint="'rawat resume' ends the run; nothing was approved",
                )
            # Another roster may hold by now than when this was begun.
            roster = self._now.told_by(self._journal.events).roster
            yield Statements(self._sop, roster, self._folder.name, state.operator), gate, now

    def _require_planned(self, chosen: conffiles.Chosen) -> None:
        """Require that only files are chosen which the plan has."""
        state = RunState(self._sop, self._journal.events)
        plan = json.loads(self._folder.read(state.plan.named)) if state.plan else None
        if refused := conffiles.refusal(plan, chosen):
            raise errors.DecisionRefusedError(refused, hint="the gate is still open")

    def _require_untouched(self, state: RunState) -> None:
        """Require that plan, evidence and documents are those whose digests are about to be signed."""
        for entry in [*([state.plan.named] if state.plan else []), *state.evidence]:
            self._folder.read(entry)

    def _record(
        self,
        gate: Gate,
        signed: Signed,
        made: signing.Made,
        scan: tuple[str, bytes] | None,
        now: Instant,
    ) -> Event:
        place = self._folder.path / gate.next_statement
        files = {
            "statement": (place, made.statement),
            "signature": (place.with_name(f"{place.name}.sig"), made.signature),
        }
        if scan is not None:
            files["scan"] = (place.with_suffix(scan[0]), scan[1])
        named: dict[str, Any] = {name: self._folder.write(path, data) for name, (path, data) in files.items()}
        return self._journal.append(
            signed.event,
            instant=now,
            step=gate.step,
            attempt=gate.attempt,
            subject=gate.subject,
            nonce=gate.nonce,
            **signed.fields,
            **named,
        )


def open_gate(state: RunState) -> Gate:
    """Return the gate that is open.

    Raises:
        DecisionRefusedError: when none is, telling who decided the last one.
    """
    if state.gate is not None:
        return state.gate
    made = state.decisions[-1] if state.decisions else None
    if made is None:
        raise errors.DecisionRefusedError("the run waits at no gate")
    raise errors.DecisionRefusedError(
        f"the run waits at no gate; row {made['step']} was decided by {made['person']['name']} "
        f"({made['outcome']}) at {made.instant.at:%Y-%m-%d %H:%M:%S} UTC"
    )
