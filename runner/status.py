"""How a run stands, as ``rawat status`` tells it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from runner import document_signing, gates, journal
from runner.clock import Instant, SystemClock, format_utc
from runner.holder import is_held
from runner.journal import Event
from runner.moves import Gate
from runner.officials import Holder
from runner.owed import owed_hosts
from runner.reasons import condition_told, reasons_given
from runner.record import Record
from runner.timing import StepTime, elapsed, step_times


def status_of(now: Record) -> dict[str, Any]:
    """Return what ``status --json`` prints; documented in docs/run-record.md."""
    state = now.state
    gate = state.gate
    moment = now_if_open(now)
    reasons = reasons_given(now.events)
    return {
        "run": now.folder.name,
        "sop": now.sop.id,
        "state": _state_word(now),
        "row": state.current if isinstance(state.current, int) and not state.finished else None,
        "attempt": state.attempt,
        "awaited": None
        if gate is None
        else {
            "position": gate.awaited,
            "officials": [holder.official.id for holder in _awaited(now, gate)],
            "outcomes": list(gate.outcomes),
            "since": format_utc(gate.opened.instant.at),
            "code": gates.code(now.folder.name, gate),
            **_deadline(now, gate),
            "paper": _entered(gate),
            "subject": gate.subject,
        },
        "form": _form(now),
        "signature": _signature(now),
        "window": None
        if state.window_awaited is None
        else {key: state.window_awaited[key] for key in ("opens", "reason")},
        "owed": [asdict(owed) for owed in owed_hosts(now.events)],
        "failed": state.failed,
        "freed": None
        if state.freed is None
        else {
            "by": state.freed["person"]["id"],
            "reason": state.freed["reason"],
            "since": format_utc(state.freed.instant.at),
        },
        "roster_changes": [
            {"by": made["person"]["id"], "reason": made["reason"], "since": format_utc(made.instant.at)}
            | {"changes": made["changes"]}
            for made in state.roster_changes
        ],
        "torn_bytes": journal.torn_bytes(now.folder.journal),
        "outcome": state.finished["outcome"] if state.finished else None,
        "timezone": now.roster.timezone,
        "elapsed_seconds": elapsed(now.events, moment),
        "condition": _note(condition_told(now.events), "condition"),
        "rows": [
            {
                "row": time.step,
                "attempt": time.attempt,
                "started": format_utc(time.started.at),
                "ended": format_utc(time.finished.at) if time.finished else None,
                "total_seconds": time.total,
                "work_seconds": time.work,
                "waiting_seconds": time.waiting,
                "waits": [{"on": w.on, "position": w.position, "seconds": w.seconds} for w in time.waits],
                "standard_seconds": time.standard,
                "deviation_seconds": time.deviation,
                "reason": _note(reasons.get((time.step, time.attempt))),
                "clock_set_seconds": list(time.shifts),
                "reboots": time.reboots,
                "finished": time.finished is not None,
            }
            for time in times_of(now, moment)
        ],
    }


def _form(now: Record) -> dict[str, Any] | None:
    awaited = now.state.forms.awaited
    if awaited is None:
        return None
    told = {key: awaited[key] for key in ("form", "position", "signed")}
    return {**told, "since": format_utc(awaited.instant.at)}


def _signature(now: Record) -> dict[str, Any] | None:
    awaited = now.state.signing.awaited
    if awaited is None:
        return None
    due = document_signing.due_signature(now)
    return {
        "official": due.person["id"],
        "document": due.base["path"],
        "sha256": due.base["sha256"],
        "since": format_utc(awaited.instant.at),
        "code": document_signing.code(now, due),
    }


def _deadline(now: Record, gate: Gate) -> dict[str, Any]:
    until = gates.deadline(gate)
    return {
        "deadline": format_utc(until) if until else None,
        "at_deadline": gate.deadline.then if gate.deadline else None,
        "overdue": gates.is_overdue(gate, now.events, SystemClock().now()),
    }


def _entered(gate: Gate) -> dict[str, str] | None:
    if gate.entry is None:
        return None
    entry = gate.entry
    return {
        "outcome": entry["outcome"],
        "official": entry["person"]["id"],
        "entered_by": entry["entered_by"]["id"],
        "scan": entry["scan"]["path"],
    }


def _awaited(now: Record, gate: Gate) -> list[Holder]:
    today = now.roster.day(SystemClock().now().at)
    return [holder for position in gate.open_seats for holder in now.roster.holders(position, today)]


def _note(told: Event | None, *more: str) -> dict[str, Any] | None:
    fields = (*more, "reason", "person")
    return None if told is None else {field: told[field] for field in fields}


def times_of(now: Record, moment: Instant | None) -> list[StepTime]:
    """Return work and waiting time of every attempt; what is under way is measured up to ``moment``."""
    return step_times(now.sop, now.events, moment, at_work=is_held(now.folder.journal))


def _state_word(now: Record) -> str:
    if now.state.finished:
        return "closed"
    if now.state.failed is not None:
        return "failed"
    if now.state.window_awaited is not None:
        return "window"
    if now.state.forms.awaited is not None:
        return "form"
    if now.state.signing.awaited is not None:
        return "signature"
    return "waiting" if now.state.gate else "open"


def now_if_open(now: Record) -> Instant | None:
    """Return the moment up to which an open run is measured; None of a closed one, which is over."""
    return None if now.state.finished else SystemClock().now()
