"""Until when does a decision hold? Pure rules over the clock readings of the journal.

A wall clock can be set, and a decision must neither come back to life nor lapse early by that. So:
1. Within the boot in which the decision was recorded, the monotonic clock alone measures its time.
2. After a reboot that clock has begun anew and only the wall clock tells how long it took. What it says at a
   record of the journal can only bring the expiry nearer: setting the clock back gains nothing.
3. What was measured before a reboot stays passed, whatever the wall clock says after it.
4. A statement never holds longer than it said itself, from ``decided`` to ``expires``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from runner.clock import Instant, parse_utc
from runner.journal import Event


def has_expired(made: Event, said: dict[str, Any], events: Iterable[Event], now: Instant) -> bool:
    """Tell whether a decision no longer holds.

    Args:
        made: the record of the decision.
        said: its signed statement.
        events: the journal up to now.
        now: the moment of which it is asked.
    """
    expires = parse_utc(said["expires"])
    until = min(expires, made.instant.at + (expires - parse_utc(said["decided"])))
    readings = [event.instant for event in events if event.seq >= made.seq]
    return is_past(until, readings, now)


def is_past(until: datetime, readings: list[Instant], now: Instant) -> bool:
    """Tell whether a moment has come, as rules 1 to 3 measure it.

    Args:
        until: the moment, in the wall time of the first reading.
        readings: what the clocks said at every record since the limit was set; the first is that moment.
        now: the moment of which it is asked; not earlier than the last reading.
    """
    first, latest = readings[0], readings[0].at
    for earlier, later in pairwise([*readings, now]):
        if earlier.boot == later.boot:
            latest += _span(later.mono - earlier.mono)
        if later.boot != first.boot and (later is not now or earlier.boot != now.boot):
            latest = max(latest, later.at)
    return latest >= until


def _span(nanoseconds: int) -> timedelta:
    """Return a measured span, rounded up to microseconds: no doubt holds a decision up."""
    return timedelta(microseconds=max(0, -(-nanoseconds // 1000)))
