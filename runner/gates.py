"""Who may pass a gate, and what a decision says. Pure rules; every doubt closes the gate.

A decision is a signed statement over run, gate, SOP digest, plan digest, evidence digest, person,
position, outcome, reason, nonce and expiry. It is checked when it is made and again before the act.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runner.canonical import digest_of
from runner.clock import format_utc, parse_utc
from runner.journal import Event
from runner.moves import Gate
from runner.officials import Holder, Official, Roster
from runner.sop import Sop, duration_seconds
from runner.state import RunState

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
    if choice.outcome not in gate.outcomes:
        expected = " or ".join(gate.outcomes)
        return f"{choice.outcome!r} is not an outcome of row {gate.step}; expected {expected}"
    if sop.needs_reason(step, choice.outcome) and not choice.reason.strip():
        return f"{choice.outcome!r} needs a reason"
    if len(choice.reason) > MAX_REASON:
        return f"the reason is longer than {MAX_REASON} characters"
    other = next((vote for vote in gate.votes if vote["outcome"] != choice.outcome), None)
    if other is not None and not sop.turns_down(step, choice.outcome):
        return f"{other['person']['name']} decided {other['outcome']!r}; both must decide the same"
    return None


def settles(sop: Sop, gate: Gate, outcome: str) -> bool:
    """Tell whether one more decision settles the gate: the last seat's, or one that turns the work down."""
    return len(gate.open_seats) == 1 or sop.turns_down(sop.step(gate.step), outcome)


def seat(gate: Gate, roster: Roster, official: Official, at: datetime) -> Holder | None:
    """Return as what this official may take a seat of the gate that is still open, or None."""
    day = roster.day(at)
    found = (roster.holder(official, position, day) for position in gate.open_seats)
    return next((holder for holder in found if holder is not None), None)


def refusal_of_person(
    gate: Gate, roster: Roster, operator: dict[str, Any], official: Official, at: datetime
) -> str | None:
    """Return why this official may not decide at ``gate`` at that moment, or None when he may."""
    if _is(roster, operator, official):
        return f"{official.name} operates this run and may not decide its gates"
    if any(_is(roster, vote["person"], official) for vote in gate.votes):
        return f"{official.name} has decided here already; {gate.awaited} decides too"
    day = roster.day(at)
    if seat(gate, roster, official, at) is not None:
        return None
    if not official.valid.includes(day):
        return f"{official.name} is an official {official.valid.days()}, not on {day}"
    named = [d for d in roster.deputies if d.official == official.id and d.position in gate.open_seats]
    if named:
        days = " and ".join(deputy.days() for deputy in named)
        return f"{official.name} stands in for {named[0].position} {days}, not on {day}"
    return f"{official.name} does not hold the awaited position, {gate.awaited}"


def standing(sop: Sop, state: RunState) -> dict[int, Event]:
    """Return the newest decision of officials at each row, where it is on the plan that stands.

    A witness tells what he saw of a result; nobody may act on that.
    """
    plan = state.plan
    latest = {made["step"]: made for made in state.decisions if _is_of_officials(sop, made)}
    return {no: made for no, made in latest.items() if plan and made["subject"]["plan"] == plan.sha256}


def _is_of_officials(sop: Sop, made: Event) -> bool:
    decision = sop.step(made["step"]).decision
    return decision is not None and decision.by == "official"


def signed_for(state: RunState, made: Event) -> list[Event]:
    """Return the records whose statements make up a decision: its own, and before it the other official's."""
    at = made["step"], made["attempt"]
    return [signed for signed in state.signed if (signed["step"], signed["attempt"]) == at]


def _is(roster: Roster, person: dict[str, Any], official: Official) -> bool:
    """Tell whether a person of the record is this official, under whatever id and in whatever position."""
    if official.id == person["id"] or official.nip == person["nip"]:
        return True
    himself = roster.official(person["id"])
    return himself is not None and official.is_same_person(himself)


def opening(sop: Sop, state: RunState, sop_sha256: str) -> dict[str, Any]:
    """Return what ``gate_opened`` says of the gate that the run has come to, but for its nonce."""
    step = state.step
    seats = [sop.actors[actor] for actor in sop.seats(step)]
    if not seats:
        raise ValueError(f"row {step.no} is no gate")
    return {
        "step": step.no,
        "attempt": state.attempt,
        "actor": sop.seats(step)[0],
        "position": seats[0],
        "second": seats[1] if len(seats) > 1 else None,
        "outcomes": list(sop.gate_outcomes(step)),
        "subject": {
            "sop": sop_sha256,
            "plan": state.plan.sha256 if state.plan else None,
            "evidence": digest_of(state.evidence),
        },
    }


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
    if said["person"]["position"] not in gate.open_seats:
        return "the decision is of another position"
    if parse_utc(said["expires"]) <= now:
        return f"the decision expired at {said['expires']}"
    return None
