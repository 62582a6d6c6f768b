"""Takes decisions at the open gate of a run, whether or not a process works on it.

What may be decided by whom is ``gates``' alone; here the official signs, and what was signed is recorded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from runner import errors, gates, signing
from runner.canonical import canonical_json, sha256_hex
from runner.clock import Clock
from runner.files import make_private_dir, write_once
from runner.gates import Choice
from runner.journal import Event, Journal
from runner.moves import Gate
from runner.officials import Holder
from runner.record import Record
from runner.state import RunState


class Decisions:
    """Takes decisions of one run; ``journal`` is that run's."""

    def __init__(self, now: Record, journal: Journal, clock: Clock) -> None:
        self._folder = now.folder
        self._sop = now.sop
        self._roster = now.roster
        self._journal = journal
        self._clock = clock

    def decide(self, choice: Choice, key: Path) -> Event:
        """Sign and record a decision at the gate that is open now.

        Raises:
            DecisionRefusedError: the decision does not count; the gate is as open as before.
        """
        with self._locked() as state:
            gate = _open_gate_or_refuse(state)
            at = self._clock.now().at
            holder = self._holder(state, gate, choice, at)
        said = gates.statement(self._sop, self._folder.name, gate, holder, choice=choice, at=at)
        statement, signature = self._sign(said, key)
        # The run was unlocked while the passphrase was asked for: look at the gate again.
        with self._locked() as state:
            if _open_gate_or_refuse(state) != gate:
                raise errors.DecisionRefusedError("the gate has changed meanwhile; look at it again")
            now = self._clock.now().at
            self._holder(state, gate, choice, now)
            _refuse(gates.misfit(said, self._folder.name, gate, now))
            official = holder.official
            if not signing.is_signed_by(statement, signature, official.id, self._roster.allowed_signers()):
                raise errors.DecisionRefusedError(
                    f"the key {key} is not the key of {official.name} in the roster",
                    hint="the gate is still open; sign with the awaited official's own key",
                )
            return self._record(gate, holder, choice, statement, signature)

    def _holder(self, state: RunState, gate: Gate, choice: Choice, at: datetime) -> Holder:
        """Return as what the official decides at that moment.

        Raises:
            DecisionRefusedError: he may not, or not so.
        """
        _refuse(gates.refusal(self._sop, gate, self._roster, state.operator, choice, at))
        official = self._roster.official(choice.official)
        holder = gates.seat(gate, self._roster, official, at) if official else None
        if holder is None:
            raise errors.DecisionRefusedError(f"{choice.official!r} may not decide here")
        return holder

    @contextmanager
    def _locked(self) -> Iterator[RunState]:
        with self._journal.lock():
            yield RunState(self._sop, self._journal.events)

    def _sign(self, said: dict[str, Any], key: Path) -> tuple[bytes, bytes]:
        with tempfile.TemporaryDirectory(prefix="sign-", dir=make_private_dir(self._folder.work)) as folder:
            path = write_once(Path(folder, "statement.json"), canonical_json(said))
            signature = signing.sign(path, key)
            return path.read_bytes(), signature.read_bytes()

    def _record(
        self, gate: Gate, holder: Holder, choice: Choice, statement: bytes, signature: bytes
    ) -> Event:
        path = write_once(self._folder.statement(gate.step, gate.attempt, gate.statements + 1), statement)
        signed = write_once(path.with_name(path.name + ".sig"), signature)
        settled = gates.settles(self._sop, gate, choice.outcome)
        return self._journal.append(
            "decision_made" if settled else "vote_made",
            step=gate.step,
            attempt=gate.attempt,
            outcome=choice.outcome,
            reason=choice.reason.strip(),
            person=holder.person,
            subject=gate.subject,
            nonce=gate.nonce,
            statement={"path": self._folder.relative(path), "sha256": sha256_hex(statement)},
            signature={"path": self._folder.relative(signed), "sha256": sha256_hex(signature)},
        )


def _open_gate_or_refuse(state: RunState) -> Gate:
    if state.gate is not None:
        return state.gate
    made = state.decisions[-1] if state.decisions else None
    if made is None:
        raise errors.DecisionRefusedError("the run waits at no gate")
    raise errors.DecisionRefusedError(
        f"the run waits at no gate; row {made['step']} was decided by {made['person']['name']} "
        f"({made['outcome']}) at {made.instant.at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise errors.DecisionRefusedError(reason, hint="the gate is still open")
