"""Who may pass a gate, and what a decision says. Pure rules; every doubt closes the gate.

A decision is a signed statement over run, gate, SOP digest, plan digest, evidence digest, person,
position, outcome, reason, nonce and expiry. It is checked when it is made and again before the act.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runner.clock import format_utc, parse_utc
from runner.moves import Gate
from runner.officials import Holder, Official, Roster
from runner.sop import Sop, duration_seconds

MAX_REASON = 4096


@dataclass(frozen=True)
class Choice:
    """What a person wants to decide."""

    official: str
    outcome: str
    reason: str = ""


def refusal(  # noqa: PLR0917 - all that a decision hangs on
    sop: Sop, gate: Gate, roster: Roster, operator: dict[str, Any], choice: Choice, at: datetime
) -> str | None:
    """Return why ``choice`` is not accepted at ``gate`` at the moment ``at``, or None when it is."""
    official = roster.official(choice.official)
    if official is None:
        return f"{choice.official!r} is not in the roster of officials"
    refused = refusal_of_person(gate, roster, operator, official, at)
    if refused:
        return refused
    return _refusal_of_outcome(sop, gate, choice)


def _refusal_of_outcome(sop: Sop, gate: Gate, choice: Choice) -> str | None:
    step = sop.step(gate.step)
    if step.decision is None or choice.outcome not in gate.outcomes:
        expected = " or ".join(gate.outcomes)
        return f"{choice.outcome!r} is not an outcome of row {gate.step}; expected {expected}"
    if sop.needs_reason(step, step.decision.outcome(choice.outcome)) and not choice.reason.strip():
        return f"{choice.outcome!r} needs a reason"
    if len(choice.reason) > MAX_REASON:
        return f"the reason is longer than {MAX_REASON} characters"
    return None


def refusal_of_person(
    gate: Gate, roster: Roster, operator: dict[str, Any], official: Official, at: datetime
) -> str | None:
    """Return why this official may not decide at ``gate`` at that moment, or None when he may."""
    if _operates(roster, operator, official):
        return f"{official.name} operates this run and may not decide its gates"
    day = roster.day(at)
    if roster.holder(official, gate.position, day) is not None:
        return None
    if not official.valid.includes(day):
        return f"{official.name} is an official {official.valid.days()}, not on {day}"
    named = [d for d in roster.deputies if (d.official, d.position) == (official.id, gate.position)]
    if named:
        days = " and ".join(deputy.days() for deputy in named)
        return f"{official.name} stands in for {gate.position} {days}, not on {day}"
    return f"{official.name} does not hold the awaited position, {gate.position}"


def _operates(roster: Roster, operator: dict[str, Any], official: Official) -> bool:
    """Tell whether this is the operator, under whatever id and in whatever position."""
    if official.id == operator["id"] or official.nip == operator["nip"]:
        return True
    himself = roster.official(operator["id"])
    return himself is not None and official.is_same_person(himself)


def statement(
    sop: Sop, run: str, gate: Gate, holder: Holder, *, choice: Choice, at: datetime
) -> dict[str, Any]:
    """Return the statement that the holder of the awaited position signs."""
    step = sop.step(gate.step)
    valid_for = duration_seconds(step.decision.valid_for) if step.decision else 0
    return {
        "format": 1,
        "run": run,
        "gate": {"step": gate.step, "attempt": gate.attempt, "kegiatan": step.kegiatan},
        "subject": gate.subject,
        "person": holder.person,
        "outcome": choice.outcome,
        "reason": choice.reason.strip(),
        "nonce": gate.nonce,
        "decided": format_utc(at),
        "expires": format_utc(at + timedelta(seconds=valid_for)),
    }


def misfit(said: dict[str, Any], run: str, gate: Gate, now: datetime) -> str | None:
    """Return in what a signed statement differs from the gate it is for, or None when it fits."""
    expected = {
        "run": run,
        "subject": gate.subject,
        "nonce": gate.nonce,
    }
    for field, value in expected.items():
        if said.get(field) != value:
            return f"the decision is about another {field}"
    if (said["gate"]["step"], said["gate"]["attempt"]) != (gate.step, gate.attempt):
        return "the decision is about another gate"
    if said["person"]["position"] != gate.position:
        return "the decision is of another position"
    if parse_utc(said["expires"]) <= now:
        return f"the decision expired at {said['expires']}"
    return None
