"""Frees the hosts of an open run on the word of an official, who signs it. Never by age.

Who may is ``breaks``' alone. A living process keeps its run: the lock on the journal tells, and names it.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runner import breaks, errors, signing
from runner.canonical import canonical_json
from runner.clock import Clock, format_utc
from runner.executors.base import ActionRequest, Executor, HostResult
from runner.files import make_private_dir, write_once
from runner.inventory import Inventory
from runner.journal import Event, Journal
from runner.officials import Roster
from runner.record import Record

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class Word:
    """What an official says to free hosts: who, why, and the key to sign it with."""

    official: str
    reason: str
    key: Path


def break_lock(now: Record, clock: Clock, official_id: str, reason: str, key: Path) -> Event:
    """Sign and record that the run's hosts are free.

    Raises:
        DecisionRefusedError: the break does not count; the run holds its hosts as before.
        InputError: a living process works on the run, which is named.
    """
    journal = Journal(now.folder.journal, clock)
    with journal.lock():
        at = clock.now().at
        now = now.told_by(journal.events)
        state = now.state
        _refuse(breaks.refusal(state, now.roster, official_id, reason, at))
        head = journal.events[-1].digest
    official = now.roster.named(official_id)
    said = breaks.statement(
        state, official, sop_sha256=now.sop_sha256, head=head, reason=reason, at=format_utc(at)
    )
    made = signing.made(said, key, make_private_dir(now.folder.work))
    signing.require_key_of(official, now.roster, made, key)
    # The run was unlocked while the passphrase was asked for: it may have gone on.
    with journal.lock():
        if journal.events[-1].digest != head:
            raise errors.DecisionRefusedError(f"run {state.run} has gone on meanwhile; look at it again")
        path = now.folder.break_statement(len(state.breaks) + 1)
        return journal.append(
            "lock_broken",
            person=official.person(),
            reason=reason.strip(),
            statement=now.folder.write(path, made.statement),
            signature=now.folder.write(path.with_name(path.name + ".sig"), made.signature),
        )


def release_hosts(
    run: str,
    inventory: Inventory,
    roster: Roster,
    word: Word,
    *,
    at: datetime,
    playbook: Path,
    executor: Executor,
) -> tuple[HostResult, ...]:
    """Remove the lock of another controller's run from hosts; the signed word stays on each of them.

    Raises:
        DecisionRefusedError: the word does not count; nothing was done.
        InputError: when this is no run's id.
    """
    if not _RUN.fullmatch(run):
        raise errors.InputError(
            f"{run[:100]!a} is no run's id", hint="the refused run was told which one it is"
        )
    _refuse(breaks.refusal_of_person(roster, word.official, word.reason, at))
    official = roster.named(word.official)
    said = breaks.word(run, inventory.hosts, official, word.reason, format_utc(at))
    with tempfile.TemporaryDirectory(prefix="rawat-release-") as scratch:
        work = Path(scratch)
        made = signing.made(said, word.key, work)
        signing.require_key_of(official, roster, made, word.key)
        told = {"statement": made.statement.decode(), "signature": made.signature.decode()}
        request = ActionRequest(
            run=run,
            step=0,
            attempt=0,
            part="release",
            hosts=inventory.hosts,
            inventory=inventory.path,
            work=work,
            host_state=work,
            playbook=playbook,
            changes=True,
            word=write_once(work / "word.json", canonical_json(told)),
        )
        return executor.execute(request, lambda _event: None)


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise errors.DecisionRefusedError(reason)
