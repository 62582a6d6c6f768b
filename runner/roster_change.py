"""Takes a change of the roster of an open run: shows what it would be, has it signed, and records it.

Who may sign it is ``rosters``' alone. The office's file is read once; what was shown is what is signed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from runner import errors, rosters, signing
from runner.clock import Clock, Instant, format_utc
from runner.files import make_private_dir
from runner.freeing import Word
from runner.journal import Event, Journal
from runner.officials import Roster
from runner.record import Record
from runner.rosters import Proposal

# Others who decide at the same moment hold the run for an instant each; they are waited for.
_PATIENCE_SECONDS = 20.0


class RosterChange:
    """A change of one run's roster to what the office says now."""

    def __init__(self, now: Record, clock: Clock, said: Roster) -> None:
        self._now = now
        self._clock = clock
        self._said = said
        self._journal = Journal(now.folder.journal, clock)

    def proposed(self) -> Proposal:
        """Return what would be changed, whoever signs it.

        Raises:
            DecisionRefusedError: when this roster cannot follow the one that holds.
        """
        _refuse(rosters.refusal_of_roster(self._now.roster, self._said))
        return self._proposal(None)

    def sign(self, word: Word, seen: str | None = None) -> Event:
        """Sign and record the change.

        Args:
            word: who signs it, why, and with which key.
            seen: the code of the change that was shown to the signer; no other is signed.

        Raises:
            DecisionRefusedError: the change does not count; the roster is as it was.
            InputError: a living process works on the run, which is named.
        """
        with self._held(word) as (proposal, now):
            if seen not in {None, proposal.code}:
                raise errors.DecisionRefusedError("this is another change than was shown; look at it again")
            signer = proposal.old.named(word.official)
            said = rosters.statement(
                proposal,
                signer,
                sop_sha256=self._now.sop_sha256,
                reason=word.reason,
                at=format_utc(now.at),
            )
        made = signing.made(said, word.key, make_private_dir(self._now.folder.work))
        # The run was unlocked while the passphrase was asked for: it may have gone on.
        with self._held(word) as (again, now):
            if again.head != proposal.head:
                _refuse(f"run {proposal.state.run} has gone on meanwhile; look at it again")
            signing.require_key_of(signer, proposal.old, made, word.key)
            return self._record(proposal, word, made, now)

    @contextmanager
    def _held(self, word: Word) -> Iterator[tuple[Proposal, Instant]]:
        with self._journal.lock(patience=_PATIENCE_SECONDS):
            self._now = self._now.told_by(self._journal.events)
            now, proposal = self._clock.now(), self._proposal(word.official)
            _refuse(rosters.refusal(proposal, word.official, word.reason, now.at))
            yield proposal, now

    def _proposal(self, signer: str | None) -> Proposal:
        old = self._now.roster
        new = rosters.successor(old, self._said, signer)
        return Proposal(self._now.state, old, new, self._now.events[-1].digest)

    def _record(self, proposal: Proposal, word: Word, made: signing.Made, now: Instant) -> Event:
        folder, number = self._now.folder, len(proposal.state.roster_changes) + 1
        statement = folder.roster_statement(number)
        files = {
            "roster": (folder.changed_roster(number), proposal.new.snapshot()),
            "signers": (folder.changed_signers(number), proposal.new.allowed_signers()),
            "statement": (statement, made.statement),
            "signature": (statement.with_name(f"{statement.name}.sig"), made.signature),
        }
        named = {name: folder.write(path, data) for name, (path, data) in files.items()}
        return self._journal.append(
            rosters.CHANGED,
            instant=now,
            person=proposal.old.named(word.official).person(),
            reason=word.reason.strip(),
            changes=proposal.changes,
            nonce=secrets.token_hex(16) if proposal.state.gate else None,
            **named,
        )


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise errors.DecisionRefusedError(reason, hint="the roster of the run is as it was")
