"""What it takes to free the hosts of an open run by hand, and what the break says. Pure rules.

A break is a signed statement over run, SOP digest, the journal's last record, hosts, person and reason. It is
never given by age, and it cannot be used a second time: the journal has gone on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from runner.gates import refusal_of_length
from runner.officials import Official, Roster
from runner.state import RunState


def refusal(state: RunState, roster: Roster, official_id: str, reason: str, at: datetime) -> str | None:
    """Return why this person may not break the lock of this run now, or None when it may be done."""
    if state.finished is not None:
        return f"run {state.run} is closed and holds no hosts"
    if state.freed is not None:
        person = state.freed["person"]["name"]
        return f"the hosts of run {state.run} were freed already, by {person}"
    return refusal_of_person(roster, official_id, reason, at)


def refusal_of_person(roster: Roster, official_id: str, reason: str, at: datetime) -> str | None:
    """Return why this person may not free hosts, or None when he may."""
    official = roster.official(official_id)
    if official is None:
        return f"{official_id!r} is not in the roster of officials"
    return _refusal_of_words(reason) or _refusal_of_day(official, roster, at)


def _refusal_of_day(official: Official, roster: Roster, at: datetime) -> str | None:
    if not official.valid.includes(roster.day(at)):
        return f"{official.name} is an official only {official.valid.days()}"
    return None


def _refusal_of_words(reason: str) -> str | None:
    if not reason.strip():
        return "freeing the hosts of an open run needs a reason"
    return refusal_of_length(reason)


def statement(
    state: RunState, official: Official, *, sop_sha256: str, head: str, reason: str, at: str
) -> dict[str, Any]:
    """Return the statement that the official signs; ``head`` is the digest of the journal's last record."""
    return {
        "format": 1,
        "act": "break-lock",
        "signer": official.id,
        "run": state.run,
        "sop": sop_sha256,
        "head": head,
        "hosts": list(state.hosts),
        "person": official.person(),
        "reason": reason.strip(),
        "decided": at,
    }


def word(run: str, hosts: Iterable[str], official: Official, reason: str, at: str) -> dict[str, Any]:
    """Return the statement that frees hosts from the lock of a run that is not of this controller."""
    return {
        "format": 1,
        "act": "release-hosts",
        "signer": official.id,
        "run": run,
        "hosts": list(hosts),
        "person": official.person(),
        "reason": reason.strip(),
        "decided": at,
    }
