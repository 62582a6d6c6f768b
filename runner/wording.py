"""Numbers, dates and spans of time in the words of an Indonesian office, or of the language being read.

Pure functions. Babel knows the names of days and months and the three zones (WIB, WITA, WIT); zones elsewhere
are named by their distance from UTC. Babel's spans round away minutes ("2 jam" for 135 minutes), so spans are
our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from babel.dates import format_date, format_datetime, format_time, get_day_names
from babel.lists import format_list
from babel.numbers import format_decimal

from runner.language import INDONESIAN, _, counted, is_original, language

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_DAY, _HOUR, _MINUTE, _SECOND = 86400, 3600, 60, 1
_ZONES = frozenset({"WIB", "WITA", "WIT"})
_SIZES = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_WORDS = (
    "nol",
    "satu",
    "dua",
    "tiga",
    "empat",
    "lima",
    "enam",
    "tujuh",
    "delapan",
    "sembilan",
    "sepuluh",
    "sebelas",
)
_ELEVEN = 11
_TWENTY = 20
_POWERS = ((1000, "ribu"), (100, "ratus"), (10, "puluh"))
_TENTHS_BELOW = 10  # seconds; a faster step is told to a tenth


@dataclass(frozen=True)
class Sentence:
    """How one code of a check is worded; the tables are in ``runner.sentences``.

    In both texts ``{subject}`` stands for what is looked at; in ``told`` also ``{measured}`` and
    ``{threshold}``. What stands in ``[...]`` is left out where there is no threshold.
    """

    what: str
    """What was looked at, as the beginning of a sentence."""
    told: str
    """How it is."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Measured words in Indonesian; others are shown as they are."""
    good: str = ""
    """How it is when it is good, where ``told`` would say the contrary."""

    def read(self) -> Sentence:
        """Return the sentence in the language of now."""
        words = {measured: _(word) for measured, word in self.words.items()}
        return Sentence(_(self.what), _(self.told), words, good=_(self.good) if self.good else "")


def long_date(at: datetime, zone: ZoneInfo) -> str:
    """Return a date as ``21 November 2026``."""
    return format_date(at.astimezone(zone), "d MMMM yyyy", locale=_locale())


def calendar_day(day: str) -> str:
    """Return a day of the office, such as ``2026-11-21``, as ``21 November 2026``."""
    return format_date(date.fromisoformat(day), "d MMMM yyyy", locale=_locale())


def weekday(number: int) -> str:
    """Return the name of a day of the week, from 0 for Monday: ``Senin``."""
    return str(get_day_names("wide", locale=_locale())[number])


def month(at: datetime, zone: ZoneInfo) -> str:
    """Return a month as ``November 2026``."""
    return format_date(at.astimezone(zone), "MMMM yyyy", locale=_locale())


def hour(text: str) -> str:
    """Return a time of day such as ``21:00`` as ``21.00``, or as it is in English."""
    return text.replace(":", ".") if language() is INDONESIAN else text


def weekday_date(at: datetime, zone: ZoneInfo) -> str:
    """Return a date as ``Sabtu, 21 November 2026``."""
    return format_date(at.astimezone(zone), "EEEE, d MMMM yyyy", locale=_locale())


def date_in_words(at: datetime, zone: ZoneInfo) -> str:
    """Return a date as a Berita Acara opens with it, and in English as ``weekday_date`` does.

    ``Sabtu, tanggal dua puluh satu bulan November tahun dua ribu dua puluh enam``.
    """
    if not is_original():
        return weekday_date(at, zone)
    day = at.astimezone(zone)
    named = weekday(day.weekday()), in_words(day.day), format_date(day, "MMMM", locale=_locale())
    return "{}, tanggal {} bulan {} tahun {}".format(*named, in_words(day.year))


def in_words(number: int) -> str:
    """Return a number from 0 to 9999 in Indonesian words."""
    if number <= _ELEVEN:
        return _WORDS[number]
    if number < _TWENTY:
        return f"{_WORDS[number - 10]} belas"
    size, name = next((size, name) for size, name in _POWERS if number >= size)
    count, rest = divmod(number, size)
    head = f"se{name}" if count == 1 else f"{in_words(count)} {name}"
    return f"{head} {in_words(rest)}" if rest else head


def clock(at: datetime, zone: ZoneInfo) -> str:
    """Return a time of day as ``16.05 WIB``, or ``16:05 WIB`` in English."""
    return f"{_time(at, 'HH.mm', zone)} {zone_name(at, zone)}"


def clock_seconds(at: datetime, zone: ZoneInfo) -> str:
    """Return a time of day as ``16.05.09``, for tables whose head names the zone."""
    return _time(at, "HH.mm.ss", zone)


def zone_name(at: datetime, zone: ZoneInfo) -> str:
    """Return the zone's name at that time: ``WIB``, ``WITA``, ``WIT``; ``UTC+09:00`` outside of Indonesia."""
    # Other languages know the zones by their distance only; WIB, WITA and WIT are what stands on the clock.
    name = format_time(at, "z", tzinfo=zone, locale=INDONESIAN.locale)
    return name if name in _ZONES else f"UTC{at.astimezone(zone).isoformat()[-6:]}"


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Return date and time as ``21 November 2026, 16.05 WIB``."""
    return f"{long_date(at, zone)}, {clock(at, zone)}"


def short_moment(at: datetime, zone: ZoneInfo) -> str:
    """Return date and time as ``21 Nov 2026 16.05``, for tables whose head names the zone."""
    return f"{format_datetime(at, 'd MMM yyyy', tzinfo=zone, locale=_locale())} {_time(at, 'HH.mm', zone)}"


def day_month(at: datetime, zone: ZoneInfo) -> str:
    """Return a date as ``21/11``, where a year of runs stands side by side."""
    return format_datetime(at, "dd/MM", tzinfo=zone, locale=_locale())


def number(value: float) -> str:
    """Return a number as ``12.345,6``, or ``12,345.6`` in English."""
    return format_decimal(value, locale=_locale())


def duration(seconds: float) -> str:
    """Return a span of time in its two largest units: ``2 jam 15 menit``, ``3,4 detik``."""
    if seconds < _TENTHS_BELOW:
        tenths = round(max(seconds, 0.0), 1)
        told = number(int(tenths) if tenths == int(tenths) else tenths)
        return counted("{count} detik", tenths).format(count=told)
    rest = round(seconds)
    days, rest = divmod(rest, _DAY)
    hours, rest = divmod(rest, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    parts = [
        counted("{count} hari", days).format(count=days) if days else "",
        counted("{count} jam", hours).format(count=hours) if hours else "",
        counted("{count} menit", minutes).format(count=minutes) if minutes else "",
        counted("{count} detik", rest).format(count=rest) if rest else "",
    ]
    return " ".join([part for part in parts if part][:2])


def deviation(seconds: float) -> str:
    """Return a deviation from a standard time: ``lebih 5 menit``, ``kurang 1 jam 58 menit``, ``tepat``."""
    if not seconds:
        return _("tepat")
    return (_("lebih {span}") if seconds > 0 else _("kurang {span}")).format(span=duration(abs(seconds)))


def shift(seconds: float) -> str:
    """Return by how much a wall clock was set: ``maju 1 jam 3 menit``, ``mundur 5 detik``."""
    return (_("maju {span}") if seconds > 0 else _("mundur {span}")).format(span=duration(abs(seconds)))


def size(count: float) -> str:
    """Return a number of bytes as ``12,3 MB``."""
    for unit, length in _SIZES:
        if count >= length:
            return f"{format_decimal(count / length, '#,##0.#', locale=_locale())} {unit}"
    return counted("{count} byte", int(count)).format(count=number(int(count)))


def listing(items: Sequence[str]) -> str:
    """Return words joined as ``a, b, dan c``."""
    return format_list(list(items), locale=_locale())


def some(items: Sequence[str], most: int = 8) -> str:
    """Return words joined as ``listing`` does; of many only the first, and how many more there are."""
    if len(items) <= most:
        return listing(items)
    first, rest = ", ".join(items[:most]), number(len(items) - most)
    return _("{first}, dan {count} lainnya").format(first=first, count=rest)


def month_later(at: datetime) -> datetime:
    """Return the same day one month on, or that month's last day if it is shorter."""
    first = (at.replace(day=1) + timedelta(days=32)).replace(day=1)
    last_day = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(at.day, last_day.day))


def _locale() -> str:
    return language().locale


def _time(at: datetime, pattern: str, zone: ZoneInfo) -> str:
    """Return a time of day by a pattern with points, which is how Indonesian writes it."""
    written = pattern if language() is INDONESIAN else pattern.replace(".", ":")
    return format_time(at, written, tzinfo=zone, locale=_locale())
