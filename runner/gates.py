"""Who may pass a gate, and what a decision says. Pure rules; every doubt closes the gate.

A decision is a signed statement over run, gate, SOP digest, plan digest, evidence digest, person,
position, outcome, reason, nonce and expiry. It is checked when it is made and again before the act.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from runner.canonical import digest_of, short_code
from runner.clock import Instant, parse_utc
from runner.conffiles import Chosen, merged
from runner.expiry import is_past
from runner.journal import Event
from runner.moves import Gate
from runner.officials import Holder, Official, Roster
from runner.sop import Sop, Step, duration_seconds
from runner.state import RunState

MAX_REASON = 4096


@dataclass(frozen=True)
class Choice:
    """What a person wants to decide."""

    official: str
    outcome: str
    reason: str = ""
    conffiles: Chosen = dataclasses.field(default_factory=dict)
    """What he chose for configuration files otherwise than the plan proposes."""


def refusal(  # noqa: PLR0917 - all that a decision hangs on
    sop: Sop, gate: Gate, roster: Roster, operator: dict[str, Any], choice: Choice, day: date
) -> str | None:
    """Return why ``choice`` is not accepted at ``gate`` on that day, or None when it is."""
    official = roster.official(choice.official)
    if official is None:
        return f"{choice.official!r} is not in the roster of officials"
    refused = refusal_of_person(gate, roster, operator, official, day)
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
    if too_long := refusal_of_length(choice.reason):
        return too_long
    other = next((vote for vote in gate.votes if vote["outcome"] != choice.outcome), None)
    if other is not None and not sop.turns_down(step, choice.outcome):
        return f"{other['person']['name']} decided {other['outcome']!r}; both must decide the same"
    return _refusal_of_files(sop, gate, choice)


def _refusal_of_files(sop: Sop, gate: Gate, choice: Choice) -> str | None:
    """Files are chosen where the plan is shown and approved; two who decide there choose the same."""
    step = sop.step(gate.step)
    shows_plan = step.decision is not None and step.decision.shows == "plan"
    if choice.conffiles and (not shows_plan or gate.subject["plan"] is None):
        return f"row {gate.step} shows no plan, so no configuration file is chosen there"
    if sop.turns_down(step, choice.outcome):
        return f"with {choice.outcome!r} no configuration file is chosen" if choice.conffiles else None
    other = next((vote for vote in gate.votes if vote["conffiles"] != choice.conffiles), None)
    if other is None:
        return None
    return f"{other['person']['name']} chose otherwise for configuration files; both must choose the same"


def settles(sop: Sop, gate: Gate, outcome: str) -> bool:
    """Tell whether one more decision settles the gate: the last seat's, or one that turns the work down."""
    return len(gate.open_seats) == 1 or sop.turns_down(sop.step(gate.step), outcome)


def seat(gate: Gate, roster: Roster, official: Official, day: date) -> Holder | None:
    """Return as what this official may take a seat of the gate that is still open, or None."""
    found = (roster.holder(official, position, day) for position in gate.open_seats)
    return next((holder for holder in found if holder is not None), None)


def refusal_of_person(
    gate: Gate, roster: Roster, operator: dict[str, Any], official: Official, day: date
) -> str | None:
    """Return why this official may not decide at ``gate`` on that day, or None when he may."""
    if is_person(roster, operator, official):
        return f"{official.name} operates this run and may not decide its gates"
    before = _took_part(gate, roster, official)
    if before is not None:
        return f"{_counted(roster, before, official)} has decided here already; {gate.awaited} decides too"
    if seat(gate, roster, official, day) is not None:
        return None
    if not official.valid.includes(day):
        return f"{official.name} is an official {official.valid.days()}, not on {day}"
    named = [d for d in roster.deputies if d.official == official.id and d.position in gate.open_seats]
    if named:
        days = " and ".join(deputy.days() for deputy in named)
        return f"{official.name} stands in for {named[0].position} {days}, not on {day}"
    return f"{official.name} does not hold the awaited position, {gate.awaited}"


def _deadline_of(step: Step) -> dict[str, Any] | None:
    if step.decision is None or step.decision.deadline is None:
        return None
    return {
        "seconds": duration_seconds(step.decision.deadline),
        "then": step.decision.at_deadline or "remind",
    }


def standing(sop: Sop, state: RunState) -> dict[int, Event]:
    """Return the newest decision of officials at each row, where it is on the plan that stands.

    A witness tells what he saw of a result; nobody may act on that.
    """
    plan = state.plan
    latest = {made["step"]: made for made in state.decisions if _is_of_officials(sop, made)}
    return {no: made for no, made in latest.items() if plan and made["subject"]["plan"] == plan.sha256}


def chosen_conffiles(sop: Sop, state: RunState) -> dict[str, dict[str, str]]:
    """Return what the decisions on the plan that stands chose for configuration files."""
    made = sorted(standing(sop, state).values(), key=lambda one: one.seq)
    return merged(one["conffiles"] for one in made)


def _is_of_officials(sop: Sop, made: Event) -> bool:
    decision = sop.step(made["step"]).decision
    return decision is not None and decision.by == "official"


def signed_for(state: RunState, made: Event) -> list[Event]:
    """Return the records whose statements make up a decision: its own, and before it the other official's."""
    at = made["step"], made["attempt"]
    made_so = {"vote_made", "decision_made"}
    return [one for one in state.signed if one.name in made_so and (one["step"], one["attempt"]) == at]


def _took_part(gate: Gate, roster: Roster, official: Official) -> dict[str, Any] | None:
    """Return as whom this hand decided at the gate, or confirmed the other's decision on paper, if it did."""
    persons = [vote["person"] for vote in gate.votes]
    persons += [vote["paper"]["confirmed_by"] for vote in gate.votes if vote["paper"]]
    return next((person for person in persons if is_hand(roster, person, official)), None)


def code(run: str, gate: Gate) -> str:
    """Return the short code of a gate as it stands: another one once anything that is shown of it changes."""
    signed = [vote["statement"]["sha256"] for vote in gate.votes]
    entry = gate.entry["statement"]["sha256"] if gate.entry else None
    return short_code([run, gate.step, gate.attempt, gate.nonce, gate.subject, signed, entry])


# Decisions on paper -----------------------------------------------------------------------------------


def refusal_of_entry(  # noqa: PLR0917 - all that an entry hangs on
    gate: Gate, roster: Roster, paper: date, enterer: str, decider: str, day: date
) -> str | None:
    """Return why a decision on paper may not be entered so, or None when it may.

    Args:
        gate: the open gate.
        roster: the officials of the run.
        paper: the date on the paper.
        enterer: the id of who enters it; may be the operator.
        decider: the id of whose decision it is.
        day: the day on which it is entered.
    """
    opened = roster.day(gate.opened.instant.at)
    if not opened <= paper <= day:
        return f"the paper is dated {paper}; the gate has been open from {opened}, and today is {day}"
    return _refusal_of_second(roster, enterer, decider, day)


def refusal_of_confirmation(
    gate: Gate, roster: Roster, operator: dict[str, Any], confirmer: str, day: date
) -> str | None:
    """Return why somebody may not confirm the entered decision on paper, or None when he may."""
    if gate.entry is None:
        return "no decision on paper was entered that could be confirmed"
    refused = _refusal_of_second(roster, confirmer, gate.entry["person"]["id"], day)
    official = roster.official(confirmer)
    if refused or official is None:
        return refused
    enterer = gate.entry["entered_by"]
    if is_hand(roster, enterer, official):
        name = _counted(roster, enterer, official)
        return f"{name} entered this decision; a second person has to confirm it"
    if is_person(roster, operator, official):
        return f"{official.name} operates this run and may not confirm a decision of it"
    before = _took_part(gate, roster, official)
    if before is not None:
        name = _counted(roster, before, official)
        return f"{name} has decided here already and may not confirm the other decision"
    return None


def refusal_of_withdrawal(gate: Gate, roster: Roster, official_id: str, reason: str, day: date) -> str | None:
    """Return why somebody may not withdraw the entered decision on paper, or None when he may."""
    if gate.entry is None:
        return "no decision on paper was entered that could be withdrawn"
    official = roster.official(official_id)
    if official is None:
        return f"{official_id!r} is not in the roster of officials"
    if not official.valid.includes(day):
        return f"{official.name} is an official {official.valid.days()}, not on {day}"
    if not reason.strip():
        return "to withdraw needs a reason"
    return refusal_of_length(reason)


def refusal_of_length(reason: str) -> str | None:
    """Return why a reason is too long to be recorded, or None when it is not."""
    return f"the reason is longer than {MAX_REASON} characters" if len(reason) > MAX_REASON else None


def _refusal_of_second(roster: Roster, official_id: str, decider: str, day: date) -> str | None:
    """Return why somebody may not vouch for a paper that another signed."""
    official = roster.official(official_id)
    if official is None:
        return f"{official_id!r} is not in the roster of officials"
    if not official.valid.includes(day):
        return f"{official.name} is an official {official.valid.days()}, not on {day}"
    other = roster.official(decider)
    if other is not None and roster.is_one_hand(official, other):
        name = _counted(roster, other.person(), official)
        return f"{name} signed the paper; others have to enter and confirm it"
    return None


# Deadlines --------------------------------------------------------------------------------------------


def deadline(gate: Gate) -> datetime | None:
    """Return until when a gate waits, in wall time, or None when it waits for ever."""
    return gate.opened.instant.at + timedelta(seconds=gate.deadline.seconds) if gate.deadline else None


def due_at_deadline(gate: Gate, events: Sequence[Event], now: Instant) -> str | None:
    """Return the record that a deadline calls for now: ``gate_reminded`` (once), ``gate_closed`` or None.

    A deadline never decides anything. Time is measured as ``expiry`` does.
    """
    if gate.deadline is None or not is_overdue(gate, events, now):
        return None
    if gate.deadline.then == "close":
        return "gate_closed"
    return None if gate.reminded else "gate_reminded"


def is_overdue(gate: Gate, events: Sequence[Event], now: Instant) -> bool:
    """Tell whether the deadline of a gate has passed."""
    return gate.deadline is not None and _is_past_deadline(gate, events, now)


def has_closed(gate: Gate, events: Sequence[Event], now: Instant) -> bool:
    """Tell whether a gate takes no decision any more."""
    return due_at_deadline(gate, events, now) == "gate_closed"


def _is_past_deadline(gate: Gate, events: Sequence[Event], now: Instant) -> bool:
    until = deadline(gate)
    readings = [event.instant for event in events if event.seq >= gate.opened.seq]
    return until is not None and is_past(until, readings, now)


# What is recorded -------------------------------------------------------------------------------------


def is_person(roster: Roster, person: dict[str, Any], official: Official) -> bool:
    """Tell whether a person of the record is this official, under whatever id and in whatever position."""
    if official.id == person["id"] or official.nip == person["nip"]:
        return True
    return any(roster.is_one_person(official, himself) for himself in _entries_of(roster, person))


def is_hand(roster: Roster, person: dict[str, Any], official: Official) -> bool:
    """Tell whether a person of the record and this official count as one where two persons are needed."""
    if is_person(roster, person, official):
        return True
    return any(roster.is_one_hand(official, himself) for himself in _entries_of(roster, person))


def _entries_of(roster: Roster, person: dict[str, Any]) -> list[Official]:
    return [entry for entry in (*roster.officials, *roster.former) if entry.id == person["id"]]


def _counted(roster: Roster, person: dict[str, Any], official: Official) -> str:
    """Return the name of an official, and why he counts as another person where he does."""
    if is_person(roster, person, official):
        return official.name
    return f"{official.name}, counted as one with {person['name']} since one vouched for the other's key,"


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
        "deadline": _deadline_of(step),
        "subject": {
            "sop": sop_sha256,
            "plan": state.plan.sha256 if state.plan else None,
            "evidence": digest_of(state.evidence),
        },
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
