"""Dates, spans and numbers as an Indonesian office writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from runner import wording
from runner.language import reading
from runner.translations import language_of

NOON = datetime(2026, 11, 21, 5, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Asia/Jakarta", "21 November 2026, 12.05 WIB"),
        ("Asia/Makassar", "21 November 2026, 13.05 WITA"),
        ("Asia/Jayapura", "21 November 2026, 14.05 WIT"),
    ],
)
def test_moment_names_the_zone(zone: str, shown: str) -> None:
    assert wording.moment(NOON, ZoneInfo(zone)) == shown


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("Asia/Jakarta", "WIB"),
        ("Asia/Pontianak", "WIB"),
        ("Asia/Makassar", "WITA"),
        ("Asia/Jayapura", "WIT"),
        ("Asia/Tokyo", "UTC+09:00"),
        ("Asia/Kolkata", "UTC+05:30"),
        ("America/New_York", "UTC-05:00"),
        ("UTC", "UTC+00:00"),
    ],
)
def test_a_zone_outside_of_indonesia_is_named_by_its_distance_from_utc(zone: str, name: str) -> None:
    assert wording.zone_name(NOON, ZoneInfo(zone)) == name
    assert wording.clock(NOON, ZoneInfo(zone)).endswith(f" {name}")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "tepat"), (300, "lebih 5 menit"), (-7080, "kurang 1 jam 58 menit"), (0.5, "lebih 0,5 detik")],
)
def test_a_deviation_is_said_in_words(seconds: float, shown: str) -> None:
    assert wording.deviation(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(3780, "maju 1 jam 3 menit"), (-5, "mundur 5 detik")])
def test_a_clock_that_was_set_is_told_with_its_direction(seconds: float, shown: str) -> None:
    assert wording.shift(seconds) == shown


def test_date_is_the_one_of_the_zone_not_of_utc() -> None:
    late = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)

    assert wording.weekday_date(late, ZoneInfo("Asia/Jakarta")) == "Minggu, 22 November 2026"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 detik"),
        (3.44, "3,4 detik"),
        (9.97, "10 detik"),
        (59.6, "1 menit"),
        (135 * 60, "2 jam 15 menit"),
        (3599.7, "1 jam"),
        (90061, "1 hari 1 jam"),
        (-1, "0 detik"),
    ],
)
def test_duration_keeps_its_two_largest_units(seconds: float, shown: str) -> None:
    assert wording.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(3, "3 byte"), (12345, "12,3 kB"), (12_345_678, "12,3 MB"), (3e9, "3 GB")]
)
def test_size(count: float, shown: str) -> None:
    assert wording.size(count) == shown


@pytest.mark.parametrize(
    ("day", "later"),
    [((2026, 11, 21), (2026, 12, 21)), ((2026, 12, 31), (2027, 1, 31)), ((2026, 1, 31), (2026, 2, 28))],
)
def test_month_later_stays_within_the_month(day: tuple[int, int, int], later: tuple[int, int, int]) -> None:
    assert wording.month_later(datetime(*day, tzinfo=UTC)) == datetime(*later, tzinfo=UTC)


def test_some_of_a_long_list_says_how_many_more() -> None:
    assert wording.some(["a", "b", "c"], most=3) == "a, b, dan c"
    assert wording.some(["a", "b", "c", "d"], most=2) == "a, b, dan 2 lainnya"


def test_listing_and_number() -> None:
    assert wording.listing(["db1", "file1", "web1"]) == "db1, file1, dan web1"
    assert wording.number(12345.6) == "12.345,6"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "nol"),
        (1, "satu"),
        (10, "sepuluh"),
        (11, "sebelas"),
        (12, "dua belas"),
        (20, "dua puluh"),
        (21, "dua puluh satu"),
        (31, "tiga puluh satu"),
        (100, "seratus"),
        (111, "seratus sebelas"),
        (1000, "seribu"),
        (1999, "seribu sembilan ratus sembilan puluh sembilan"),
        (2000, "dua ribu"),
        (2026, "dua ribu dua puluh enam"),
        (2100, "dua ribu seratus"),
    ],
)
def test_a_number_in_words(number: int, words: str) -> None:
    assert wording.in_words(number) == words


def test_a_berita_acara_opens_with_the_day_in_words() -> None:
    late = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)
    assert wording.date_in_words(late, ZoneInfo("Asia/Jakarta")) == (
        "Sabtu, tanggal dua puluh satu bulan November tahun dua ribu dua puluh enam"
    )
    with reading(language_of("en")):
        assert wording.date_in_words(late, ZoneInfo("Asia/Jakarta")) == "Saturday, 21 November 2026"
