"""Takes what a person notes about a run, whether or not its rows are at work: reasons and the condition.

What may be noted is ``reasons``' alone; here it is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runner import errors, reasons
from runner.clock import Clock
from runner.journal import Event, Journal
from runner.record import Record
from runner.state import RunState
from runner.timing import step_times


class Notes:
    """Takes notes about one run; ``journal`` is that run's."""

    def __init__(self, now: Record, clock: Clock, journal: Journal | None = None) -> None:
        self._sop = now.sop
        self._now = now
        self._journal = journal or Journal(now.folder.journal, clock)

    def reason(self, step: int, reason: str, *, attempt: int | None = None, official: str = "") -> Event:
        """Record why a row took longer than its standard time; its newest attempt if none is named.

        Raises:
            InputError: when there is nothing to give a reason for, or nobody of the roster gives it.
        """
        with self._open() as state:
            number = attempt or state.attempts.get(step, 1)
            times = step_times(self._sop, self._journal.events)
            _require(reasons.refusal_of_reason(times, step, number, reason))
            person = self._person(state, official)
            return self._journal.append(
                "reason_given", step=step, attempt=number, reason=reason.strip(), person=person
            )

    def condition(self, condition: str, reason: str, *, official: str = "") -> Event:
        """Record whether the conditions were normal.

        Raises:
            InputError: when that is no condition, lacks its reason, or nobody of the roster says it.
        """
        with self._open() as state:
            _require(reasons.refusal_of_condition(condition, reason))
            person = self._person(state, official)
            return self._journal.append(
                "condition_told", condition=condition, reason=reason.strip(), person=person
            )

    @contextmanager
    def _open(self) -> Iterator[RunState]:
        with self._journal.lock():
            state = RunState(self._sop, self._journal.events)
            _require("the run is closed; its record says no more" if state.finished else None)
            yield state

    def _person(self, state: RunState, official: str) -> dict[str, Any]:
        """Return who says it: the operator unless an official is named."""
        roster = self._now.told_by(self._journal.events).roster
        return roster.named(official).person() if official else state.operator


def _require(refusal: str | None) -> None:
    if refusal is not None:
        raise errors.InputError(refusal, hint="'rawat status' shows each row's times")
