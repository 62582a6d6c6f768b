"""When hosts may be changed: an office's maintenance windows and its freezes. Pure rules.

1. A change of hosts begins only within a window and outside every freeze, by the wall time of the office's
   zone. No clock but the one that is asked decides: a clock that was wrong does not open a window early.
2. A window over midnight belongs to the day on which it begins. It is open from its first moment up to, but
   not including, its last. Windows that touch are one.
3. A freeze lasts from the beginning of its first day to the end of its last.
4. With ``min_minutes``, a change begins only while so much of the window is left.
5. No file, or no ``windows`` in it, means that hosts may be changed at any time outside the freezes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from runner import source
from runner.models import judged

_DAY_NAMES = (
    ("senin", "mon", "monday"),
    ("selasa", "tue", "tuesday"),
    ("rabu", "wed", "wednesday"),
    ("kamis", "thu", "thursday"),
    ("jumat", "fri", "friday"),
    ("sabtu", "sat", "saturday"),
    ("minggu", "sun", "sunday"),
)
_DAYS = {name: number for number, names in enumerate(_DAY_NAMES) for name in names}
_TIME = re.compile(r"^([01][0-9]|2[0-3])[:.]([0-5][0-9])$")
_MIDNIGHT = ("24:00", "24.00")
_LONGEST_SEARCH = 800
"""Days; a freeze of two years is passed over."""


def _day(value: str) -> str:
    if value.lower() not in _DAYS:
        raise ValueError("expected a day such as sabtu or sat")
    return value.lower()


def _time_of_day(value: str) -> str:
    if _TIME.match(value) is None and value not in _MIDNIGHT:
        raise ValueError("expected a time such as 20:00")
    return value.replace(".", ":")


def _date(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise ValueError("expected a date such as 2026-12-20") from error


Day = Annotated[str, AfterValidator(_day)]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]
Date = Annotated[str, AfterValidator(_date)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Window(_Model):
    """A span of the week in which hosts may be changed."""

    days: Annotated[list[Day], Field(min_length=1)] = [names[0] for names in _DAY_NAMES]
    from_: TimeOfDay = Field(alias="from")
    until: TimeOfDay

    @model_validator(mode="after")
    def _lasts(self) -> Window:
        if self.from_ in _MIDNIGHT:
            raise ValueError("from: expected 00:00 of the next day")
        if self.from_ == self.until:
            raise ValueError("begins and ends at the same time; a whole day is from 00:00 until 24:00")
        return self

    @property
    def day_numbers(self) -> tuple[int, ...]:
        """Return the days of the week on which the window begins, from 0 for Monday."""
        return tuple(sorted({_DAYS[day] for day in self.days}))

    def __str__(self) -> str:
        """Return the window in one line."""
        return f"{', '.join(self.days)} {self.from_}-{self.until}"


class Freeze(_Model):
    """Days on which nothing is changed, the first and the last included."""

    from_: Date = Field(alias="from")
    until: Date
    reason: Annotated[str, Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _in_order(self) -> Freeze:
        if self.from_ > self.until:
            raise ValueError(f"ends on {self.until}, before it begins on {self.from_}")
        return self

    def __str__(self) -> str:
        """Return the freeze in one line."""
        return f"{self.from_} to {self.until}: {self.reason}"


class Windows(_Model):
    """``windows.yml`` beside an inventory."""

    windows: Annotated[list[Window], Field(min_length=1)] | None = None
    freeze: list[Freeze] = []
    min_minutes: Annotated[int, Field(ge=0, le=24 * 60)] = 0

    def recorded(self) -> dict[str, Any]:
        """Return what a run keeps of them."""
        return self.model_dump(by_alias=True)


@dataclass(frozen=True)
class WindowClosed:
    """Hosts may not be changed now."""

    opens: datetime | None
    """When they may be, UTC; None when that is too far off to say."""
    reason: str


def parse_windows(text: str, name: str) -> Windows:
    """Parse and judge a ``windows.yml``.

    Raises:
        SourceError: naming every problem with its line.
    """
    return judged(Windows, source.read(text, name))


def closed(windows: Windows | None, zone: ZoneInfo, at: datetime) -> WindowClosed | None:
    """Return why hosts may not be changed at ``at`` and when they may; None when they may."""
    if windows is None:
        return None
    opens = _opening(windows, zone, at)
    return None if opens == at else WindowClosed(opens, _reason(windows, zone, at))


def _opening(windows: Windows, zone: ZoneInfo, at: datetime) -> datetime | None:
    """Return the first moment from ``at`` on at which enough of a window is left."""
    enough = timedelta(minutes=windows.min_minutes)
    begin = end = None
    for start, stop in _spans(windows, zone, at):
        if stop <= at:
            continue
        if begin is None or end is None or start > end:
            begin, end = max(start, at), stop
        end = max(end, stop)
        if end - begin >= enough:
            return begin
    return None


def _reason(windows: Windows, zone: ZoneInfo, at: datetime) -> str:
    today = at.astimezone(zone).date().isoformat()
    for freeze in windows.freeze:
        if freeze.from_ <= today <= freeze.until:
            return f"frozen from {freeze}"
    if any(start <= at < stop for start, stop in _spans(windows, zone, at, days=3)):
        return f"less than {windows.min_minutes} minutes of the window are left"
    return "outside the maintenance windows"


def _spans(
    windows: Windows, zone: ZoneInfo, at: datetime, days: int = _LONGEST_SEARCH
) -> Iterator[tuple[datetime, datetime]]:
    """Yield when a change may begin, from the day before ``at`` on, in order of the beginnings, UTC."""
    whole_day = Window.model_validate({"from": "00:00", "until": "24:00"})
    freezes = [
        (
            _moment(date.fromisoformat(f.from_), "00:00", zone),
            _moment(date.fromisoformat(f.until), "24:00", zone),
        )
        for f in windows.freeze
    ]
    # Yesterday's window may reach over midnight.
    first = at.astimezone(zone).date() - timedelta(days=1)
    for number in range(days):
        day = first + timedelta(days=number)
        today = [
            w for w in windows.windows or [whole_day] if day.weekday() in {_DAYS[name] for name in w.days}
        ]
        for window in sorted(today, key=lambda window: window.from_):
            start = _moment(day, window.from_, zone)
            over_midnight = window.until < window.from_
            stop = _moment(day + timedelta(days=1) if over_midnight else day, window.until, zone)
            yield from _without(start, stop, sorted(freezes))


def _moment(day: date, text: str, zone: ZoneInfo) -> datetime:
    if text in _MIDNIGHT:
        day, text = day + timedelta(days=1), "00:00"
    return datetime.combine(day, time.fromisoformat(text), zone).astimezone(UTC)


def _without(
    start: datetime, stop: datetime, freezes: list[tuple[datetime, datetime]]
) -> Iterator[tuple[datetime, datetime]]:
    for begin, end in freezes:
        if begin >= stop or end <= start:
            continue
        if start < begin:
            yield start, begin
        start = end
    if start < stop:
        yield start, stop
