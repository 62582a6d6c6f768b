"""How the roster of an open run is changed: what differs, who may sign that, and what he signs. Pure rules.

1. Everything is judged by the roster that held at that moment; what was decided before a change stays.
2. A change counts when an official of the roster before it signs it, with the key that stood there, over the
   journal's last record: it fits one moment only.
3. Nobody signs a change that is about himself: not his own entry, key, days or deputy letter, nor those of
   a second account of his, nor of somebody for whose key he has vouched. Whoever operates the run signs none.
4. Nobody forgets: who stood in the roster before is kept in it (``former``), so that an operator, or somebody
   who has decided already, stays known by every id, staff number and key that he ever had in the run.
5. Who vouches for a new key counts as one with its holder (``vouched_by``) where two persons are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from runner.canonical import sha256_hex, short_code
from runner.gates import is_person, refusal_of_length
from runner.journal import Event
from runner.officials import Deputy, Official, Roster, Validity
from runner.state import RunState

CHANGED = "roster_changed"
Field = Literal["official", "name", "positions", "key", "valid", "deputy"]
Value = str | list[str] | dict[str, Any] | None
"""A name or a key's fingerprint, positions, days {from, until}, or a whole official or deputy's letter."""


@dataclass(frozen=True)
class Change:
    """One thing that differs: of whom, in what, how it was and is; None where it was not or is no more."""

    official: str
    name: str
    field: Field
    before: Value
    after: Value


@dataclass(frozen=True)
class Proposal:
    """A change of the roster of one run at one moment, from ``old`` to ``new`` as a signer vouches for it."""

    state: RunState
    old: Roster
    new: Roster
    head: str
    """Digest of the journal's last record."""

    @property
    def changes(self) -> list[dict[str, Any]]:
        """Return what differs, as statement and record tell it."""
        return [asdict(change) for change in changes(self.old, self.new)]

    @property
    def code(self) -> str:
        """Return a short code of what is shown: this change of this roster of this run."""
        office_says = successor(self.old, self.new, None).snapshot()
        return short_code([self.state.run, sha256_hex(self.old.snapshot()), sha256_hex(office_says)])


def changes(old: Roster, new: Roster) -> list[Change]:
    """Return what differs between two rosters: who came, who went, what is another, then the deputies."""
    found: list[Change] = []
    for official in new.officials:
        before = old.official(official.id)
        if before is None:
            found.append(Change(official.id, official.name, "official", None, _described(official)))
        else:
            found += _differences(before, official)
    for official in old.officials:
        if new.official(official.id) is None:
            found.append(Change(official.id, official.name, "official", _described(official), None))
    for deputy in old.deputies:
        if deputy not in new.deputies:
            found.append(_of_deputy(old, deputy, _letter(deputy), None))
    for deputy in new.deputies:
        if deputy not in old.deputies:
            found.append(_of_deputy(new, deputy, None, _letter(deputy)))
    return found


def _differences(before: Official, after: Official) -> Iterator[Change]:
    was, now = _described(before), _described(after)
    told: list[tuple[Field, Value, Value]] = [
        ("name", before.name, after.name),
        ("positions", was["positions"], now["positions"]),
        ("key", was["key"], now["key"]),
        ("valid", was["valid"], now["valid"]),
    ]
    for field, old, new in told:
        if old != new:
            yield Change(after.id, before.name, field, old, new)


def _described(official: Official) -> dict[str, Any]:
    return {
        "nip": official.nip,
        "positions": official.positions,
        "valid": _days(official.valid),
        "key": official.fingerprint,
    }


def _letter(deputy: Deputy) -> dict[str, Any]:
    return {
        "kind": deputy.kind,
        "position": deputy.position,
        "valid": _days(deputy),
        "letter": deputy.letter,
    }


def _days(span: Validity) -> dict[str, str | None]:
    ends = {"from": span.from_, "until": span.until}
    return {name: day.isoformat() if day else None for name, day in ends.items()}


def _of_deputy(roster: Roster, deputy: Deputy, before: Value, after: Value) -> Change:
    return Change(deputy.official, roster.named(deputy.official).name, "deputy", before, after)


def successor(old: Roster, said: Roster, vouched_by: str | None) -> Roster:
    """Return the roster that holds after a change.

    Args:
        old: the roster that holds until then.
        said: what the office says now.
        vouched_by: the id of who signs the change, and so vouches for every new key; None for nobody yet.
    """
    known = {(official.nip, official.key): official.vouched_by for official in old.officials}
    officials = [
        official.model_copy(update={"vouched_by": known.get((official.nip, official.key), vouched_by)})
        for official in said.officials
    ]
    gone = [official for official in old.officials if official not in officials]
    former = [*old.former, *(official for official in gone if official not in old.former)]
    return said.model_copy(update={"officials": officials, "former": former})


def refusal(proposal: Proposal, official_id: str, reason: str, at: datetime) -> str | None:
    """Return why this person may not sign this change of the roster at that moment, or None when he may."""
    state, old = proposal.state, proposal.old
    if state.finished is not None or state.stopped is not None:
        return f"run {state.run} is over; its roster stays as it is"
    signer = old.official(official_id)
    if signer is None:
        return f"{official_id!r} is not in the roster that holds until now"
    if not signer.valid.includes(old.day(at)):
        return f"{signer.name} is an official {signer.valid.days()}, not on {old.day(at)}"
    if not reason.strip():
        return "changing the roster of a run needs a reason"
    return (
        refusal_of_length(reason)
        or refusal_of_roster(old, proposal.new)
        or _refusal_of_signer(proposal, signer)
    )


def refusal_of_roster(old: Roster, new: Roster) -> str | None:
    """Return why one roster cannot follow the other, whoever signs it, or None when it can."""
    if (new.office, new.timezone) != (old.office, old.timezone):
        return f"that is the roster of {new.office} ({new.timezone}), not of {old.office} ({old.timezone})"
    for official in new.officials:
        for known in (*old.officials, *old.former):
            if known.id == official.id and known.nip != official.nip:
                return f"the id {official.id!r} was that of {known.name} (NIP {known.nip}); it stays his"
            if known.key == official.key and known.nip != official.nip:
                return f"the key of {official.id!r} was that of {known.name} (NIP {known.nip})"
    if not changes(old, new):
        return "nothing differs from the roster that holds"
    return None


def _refusal_of_signer(proposal: Proposal, signer: Official) -> str | None:
    # Everybody of both rosters, with what was vouched for before: the signer's own word does not count yet.
    everybody = successor(proposal.old, proposal.new, None)
    everybody = everybody.model_copy(update={"former": [*everybody.former, *proposal.old.officials]})
    if is_person(everybody, proposal.state.operator, signer):
        return f"{signer.name} operates this run and may not sign a change of its roster"
    concerned = {change.official for change in changes(proposal.old, proposal.new)}
    for entry in (*everybody.officials, *everybody.former):
        if entry.id in concerned and everybody.is_one_hand(signer, entry):
            who = "himself" if entry.nip == signer.nip else f"{entry.name}, with whom he counts as one person"
            return f"{signer.name} may not sign a change that is about {who}; another official signs it"
    return None


def statement(
    proposal: Proposal, signer: Official, *, sop_sha256: str, reason: str, at: str
) -> dict[str, Any]:
    """Return what the official signs."""
    return {
        "format": 1,
        "act": "change-roster",
        "signer": signer.id,
        "run": proposal.state.run,
        "sop": sop_sha256,
        "head": proposal.head,
        "before": sha256_hex(proposal.old.snapshot()),
        "after": sha256_hex(proposal.new.snapshot()),
        "changes": proposal.changes,
        "person": signer.person(),
        "reason": reason.strip(),
        "decided": at,
    }


def judged(
    first: Roster, events: Iterable[Event], read: Callable[[str], bytes]
) -> Iterator[tuple[Event, Roster]]:
    """Yield every record with the roster by which it is judged: a change of it by the one before.

    ``read`` gives the content of a file of the run.
    """
    holds = first
    for event in events:
        yield event, holds
        if event.name == CHANGED:
            path = event["roster"]["path"]
            holds = Roster.from_snapshot(read(path), path)
