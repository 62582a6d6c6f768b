"""Work time and waiting time of every row against its standard time. Pure: a fold over the journal.

Waiting time is the time in which the row could not go on: a gate open without a decision, or the run
stopped (interrupted, crashed, or left at a gate) until it was resumed. Work time is the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runner.clock import Instant
from runner.journal import Event
from runner.sop import Sop


@dataclass(frozen=True)
class StepTime:
    """The times of one attempt of a row, in seconds."""

    step: int
    attempt: int
    started: Instant
    finished: Instant | None
    """None while the row is under way."""
    total: float
    waiting: float
    standard: int | None

    @property
    def work(self) -> float:
        """Return the seconds in which the row went on."""
        return max(0.0, self.total - self.waiting)

    @property
    def over(self) -> float:
        """Return the seconds of work beyond the standard time, 0 when within it."""
        return max(0.0, self.work - self.standard) if self.standard is not None else 0.0


class _Open:
    def __init__(self, event: Event) -> None:
        self.started = event.instant
        self.total = 0.0
        self.waiting = 0.0


_DECIDED = {"decision_made", "decision_lapsed", "gate_closed"}
_STOPS = {"run_interrupted", "step_failed", "window_awaited", "lock_broken"}
# The first record after a standstill: nobody was at work since the one before it.
_AFTER_STANDSTILL = {"run_resumed", "torn_line_dropped", "lock_broken"}


def step_times(sop: Sop, events: Iterable[Event], now: Instant | None = None) -> list[StepTime]:
    """Return the times of every attempt, in the order in which they began.

    ``now`` is counted in for rows under way; without it they end at the last event.
    """
    times: dict[tuple[int, int], StepTime] = {}
    running: dict[tuple[int, int], _Open] = {}
    previous: Instant | None = None
    current = (0, 0)
    gate_open = stopped = False
    for event in events:
        waited = gate_open or stopped or event.name in _AFTER_STANDSTILL
        _pass_time(running, previous, event.instant, waiting=waited)
        previous = event.instant
        gate_open = event.name == "gate_opened" or (gate_open and event.name not in _DECIDED)
        stopped = event.name in _STOPS or (stopped and event.name == "torn_line_dropped")
        if event.name == "step_started":
            current = event["step"], event["attempt"]
            running[current] = _Open(event)
        times |= {key: _time(sop, key, open_, None) for key, open_ in running.items()}
        for key in [key for key in running if _closes(event, key, current)]:
            times[key] = _time(sop, key, running.pop(key), event.instant)
    if now is not None:
        _pass_time(running, previous, now, waiting=gate_open or stopped)
        times |= {key: _time(sop, key, open_, None) for key, open_ in running.items()}
    return list(times.values())


def _closes(event: Event, key: tuple[int, int], current: tuple[int, int]) -> bool:
    if event.name == "decision_lapsed":
        return key == current  # the row that could not act on it; the gate gets a new attempt
    return (
        event.name in {"step_finished", "step_failed", "window_awaited", "gate_closed"}
        and key[0] == event["step"]
    )


def _pass_time(
    running: dict[tuple[int, int], _Open], since: Instant | None, now: Instant, *, waiting: bool
) -> None:
    for open_ in running.values():
        seconds = now.seconds_since(since) if since else 0.0
        open_.total += seconds
        open_.waiting += seconds if waiting else 0.0


def _time(sop: Sop, key: tuple[int, int], open_: _Open, finished: Instant | None) -> StepTime:
    standard = sop.step(key[0]).standard_seconds
    return StepTime(key[0], key[1], open_.started, finished, open_.total, open_.waiting, standard)
