"""Time as the journal needs it: wall time to show, monotonic time plus boot id to measure."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

_NAP = 20.0
"""Seconds."""


@dataclass(frozen=True)
class Instant:
    """A moment on both clocks."""

    at: datetime
    """Wall time, UTC."""
    mono: int
    """Nanoseconds of the monotonic clock; comparable only within one ``boot``."""
    boot: str
    """The kernel's boot id."""

    def nanoseconds_since(self, earlier: Instant) -> int:
        """Return the time from ``earlier`` to here, never negative.

        Within one boot the monotonic clock decides; across boots only wall time is left.
        """
        if self.boot == earlier.boot:
            return max(0, self.mono - earlier.mono)
        return max(0, (self.at - earlier.at) // timedelta(microseconds=1) * 1000)

    def shift_since(self, earlier: Instant) -> float:
        """Return by how many seconds the wall clock was set since ``earlier``, of the same boot."""
        return (self.at - earlier.at).total_seconds() - (self.mono - earlier.mono) / 1e9


class Clock(Protocol):
    """Tells the time; tests give a clock of their own."""

    def now(self) -> Instant:
        """Return this moment."""
        ...


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def now(self) -> Instant:
        """Return this moment; CLOCK_BOOTTIME goes on while the machine sleeps."""
        return Instant(datetime.now(UTC), time.clock_gettime_ns(time.CLOCK_BOOTTIME), self._boot)


def sleep_until(at: datetime, clock: Clock, sleep: Callable[[float], None] = time.sleep) -> None:
    """Sleep until the wall clock shows ``at``.

    Only in short pieces, so that a clock that is set meanwhile is noticed in good time.
    """
    while (left := (at - clock.now().at).total_seconds()) > 0:
        sleep(min(left, _NAP))


_UTC = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{1,6}Z", re.ASCII)


def format_utc(at: datetime) -> str:
    """Return ``at`` as the journal writes it: ``2026-11-21T14:00:00.123456Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_utc(text: str) -> datetime:
    """Return the moment that ``format_utc`` wrote."""
    # A pattern and fromisoformat: strptime took a third of the time that reading a journal took.
    if _UTC.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no moment such as 2026-11-21T14:00:00.123456Z")
    return datetime.fromisoformat(text)
