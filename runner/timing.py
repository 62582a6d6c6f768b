"""Work time and waiting time of every row against its standard time. Pure: a fold over the journal.

Waiting time is the time in which the row could not go on, told apart by on whom it waited:
- ``official``: a gate was open, or an electronic signature awaited; the position is told with it, or both
  where two decide together.
- ``window``: the maintenance window was not open yet, up to the moment for which it was announced.
- ``operator``: the run was stopped (interrupted, failed, crashed, or left after a decision) until somebody
  resumed it, or the operator was asked something at the terminal.
Work time is the rest, so that work and the parts of waiting make up the total to the millisecond. Rows that
run beside each other are counted each for itself: their sum is not the time that went by (``elapsed``).

What a person notes about a run (``runner.reasons``) is no moment at which work begins or ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Literal

from runner.clock import Instant, parse_utc
from runner.journal import Event
from runner.sop import Sop

Cause = tuple[Literal["official", "operator", "window"], str]
"""On whom a row waits, and for an official the awaited position."""

NOTES = frozenset({"reason_given", "condition_told"})
_OPERATOR: Cause = ("operator", "")
_WINDOW: Cause = ("window", "")
_FOREVER = 10**9 * 10**9
_DECIDED = {"decision_made", "decision_lapsed", "gate_closed", "document_signed", "signature_left_out"}
_LEAVES = {"step_started", "run_stopped", "run_finished"}
_STOPS = {"run_interrupted", "step_failed", "lock_broken", "roster_changed", "question_asked"}
# The first record after a standstill: nobody was at work since the one before it.
_AFTER_STANDSTILL = {"run_resumed", "torn_line_dropped", "lock_broken", "roster_changed"}
# A wall clock that is only slewed keeps in step with the monotonic one; a step by less than this is a leap
# second or the rounding of a hardware clock and changes no time that is shown in minutes.
_SHIFT_NOTICED = 2.0
_MS = 10**6


@dataclass(frozen=True)
class Wait:
    """A part of a row's waiting time."""

    on: Literal["official", "operator", "window"]
    position: str
    """The awaited official's position, empty for the others."""
    seconds: float


@dataclass(frozen=True)
class StepTime:
    """The times of one attempt of a row, in seconds, whole milliseconds each."""

    step: int
    attempt: int
    started: Instant
    finished: Instant | None
    """None while the row is under way."""
    total: float
    waits: tuple[Wait, ...]
    """In the order in which they first came about, one per cause."""
    standard: int | None
    shifts: tuple[float, ...] = ()
    """By how much the wall clock was set meanwhile, each time, forward or (below zero) back."""
    reboots: int = 0
    """How often the measuring machine was started anew meanwhile; then the wall clock was used."""

    @property
    def waiting(self) -> float:
        """Return the seconds in which the row could not go on."""
        return _sum(wait.seconds for wait in self.waits)

    @property
    def work(self) -> float:
        """Return the seconds in which the row went on."""
        return _sum((self.total, -self.waiting))

    @property
    def over(self) -> float:
        """Return the seconds of work beyond the standard time, 0 when within it."""
        return max(0.0, self.deviation or 0.0)

    @property
    def deviation(self) -> float | None:
        """Return work less standard time, below zero when quicker; None without a standard time."""
        return None if self.standard is None else _sum((self.work, -self.standard))


def _sum(seconds: Iterable[float]) -> float:
    """Add whole milliseconds without the errors of binary fractions."""
    return sum(round(part * 1000) for part in seconds) / 1000


@dataclass
class _Attempt:
    """An attempt while it is under way; spans of time in nanoseconds."""

    started: Instant
    total: int = 0
    waits: dict[Cause, int] = field(default_factory=dict)
    shifts: list[float] = field(default_factory=list)
    reboots: int = 0

    def pass_time(self, since: Instant, now: Instant, waits: Iterable[tuple[Cause, int]]) -> None:
        self.total += now.nanoseconds_since(since)
        for cause, span in waits:
            self.waits[cause] = self.waits.get(cause, 0) + span
        if now.boot != since.boot:
            self.reboots += 1
        elif abs(shift := now.shift_since(since)) >= _SHIFT_NOTICED:
            self.shifts.append(round(shift, 3))

    def time(self, sop: Sop, key: tuple[int, int], finished: Instant | None) -> StepTime:
        waits = tuple(Wait(on, who, span // _MS / 1000) for (on, who), span in self.waits.items())
        return StepTime(
            *key,
            started=self.started,
            finished=finished,
            total=self.total // _MS / 1000,
            waits=waits,
            standard=sop.step(key[0]).standard_seconds,
            shifts=tuple(self.shifts),
            reboots=self.reboots,
        )


class _Waiting:
    """Knows on whom the run waits after each event."""

    def __init__(self) -> None:
        self._positions: list[str] = []
        self._window: int | None = None
        """Nanoseconds until the awaited maintenance window opens, None when none is awaited."""
        self._stopped = False
        self._filling = False

    def parts(self, span: int, ended_by: str) -> list[tuple[Cause, int]]:
        """Return on whom ``span`` nanoseconds until an event were waited; nothing when they were work."""
        if not span or self._filling:
            return []
        if self._positions:
            return [(("official", ", ".join(self._positions)), span)]
        # After a crash nobody knows when work ended: what lies before the resumption was not work for sure.
        if self._window is None:
            return [(_OPERATOR, span)] if self._stopped or ended_by in _AFTER_STANDSTILL else []
        shut = min(span, self._window)
        self._window -= shut
        return [(cause, part) for cause, part in ((_WINDOW, shut), (_OPERATOR, span - shut)) if part]

    def take(self, event: Event) -> None:
        if event.name in {"form_awaited", "form_filled"}:
            # Who fills in a form of his own is at work; for another's signature the row waits.
            self._filling = event.name == "form_awaited" and not event["signed"]
            self._positions = [event["position"]] if event.name == "form_awaited" and event["signed"] else []
        elif event.name in _LEAVES:
            self._filling = False
        if event.name == "gate_opened":
            self._positions = [event["position"], *([event["second"]] if event["second"] else [])]
        elif event.name == "vote_made" and event["person"]["position"] in self._positions:
            self._positions.remove(event["person"]["position"])
        elif event.name == "signature_awaited":
            self._positions = [event["person"]["position"]]
        elif event.name in _DECIDED:
            self._positions = []
        if event.name == "window_awaited":
            self._window = _until(event)
        elif event.name not in {"run_interrupted", "torn_line_dropped", "lock_broken", "roster_changed"}:
            self._window = None
        self._stopped = event.name in _STOPS or (self._stopped and event.name == "torn_line_dropped")


def _until(awaited: Event) -> int:
    """Return the nanoseconds from the record until the window opens; one that is years away never does."""
    if awaited["opens"] is None:
        return _FOREVER
    return max(0, (parse_utc(awaited["opens"]) - awaited.instant.at) // timedelta(microseconds=1) * 1000)


def step_times(
    sop: Sop, events: Iterable[Event], now: Instant | None = None, *, at_work: bool = True
) -> list[StepTime]:
    """Return the times of every attempt, in the order in which they began.

    ``now`` is counted in for rows under way, as waiting for the operator unless a process is ``at_work``
    on the run; without ``now`` they end at the last event.
    """
    times: dict[tuple[int, int], StepTime] = {}
    running: dict[tuple[int, int], _Attempt] = {}
    waiting = _Waiting()
    previous: Instant | None = None
    current = (0, 0)
    for event in events:
        if event.name in NOTES:
            continue
        _pass_time(running, previous, event.instant, waiting, event.name)
        previous = event.instant
        waiting.take(event)
        if event.name == "step_started":
            current = event["step"], event["attempt"]
            running[current] = _Attempt(event.instant)
        times |= {key: attempt.time(sop, key, None) for key, attempt in running.items()}
        for key in [key for key in running if _closes(event, key, current)]:
            times[key] = running.pop(key).time(sop, key, event.instant)
    if now is not None:
        _pass_time(running, previous, now, waiting, "" if at_work else "run_resumed")
        times |= {key: attempt.time(sop, key, None) for key, attempt in running.items()}
    return list(times.values())


def elapsed(events: Sequence[Event], now: Instant | None = None) -> float:
    """Return the seconds from the first event to ``now``, or to the last event without it."""
    instants = [event.instant for event in events] + ([now] if now else [])
    return sum(later.nanoseconds_since(earlier) for earlier, later in pairwise(instants)) // _MS / 1000


def _closes(event: Event, key: tuple[int, int], current: tuple[int, int]) -> bool:
    if event.name in {"decision_lapsed", "plan_drifted"}:
        return key == current  # the row that could not act; the gate gets a new attempt
    return event.name in {"step_finished", "step_failed", "gate_closed"} and key[0] == event["step"]


def _pass_time(
    running: dict[tuple[int, int], _Attempt],
    since: Instant | None,
    now: Instant,
    waiting: _Waiting,
    ended_by: str,
) -> None:
    if since is None:
        return
    parts = waiting.parts(now.nanoseconds_since(since), ended_by)
    for attempt in running.values():
        attempt.pass_time(since, now, parts)
