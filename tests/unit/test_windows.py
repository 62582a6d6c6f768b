"""Maintenance windows and freezes: what a file may say, and when hosts may be changed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runner.source import SourceError
from runner.windows import Windows, closed, parse_windows

JAKARTA = ZoneInfo("Asia/Jakarta")
WEEKEND = """\
windows:
  - {days: [sabtu, minggu], from: "20:00", until: "05:00"}
freeze:
  - {from: 2026-12-20, until: 2027-01-02, reason: Tutup tahun anggaran}
"""


def at(text: str, zone: ZoneInfo = JAKARTA) -> datetime:
    """Return a moment given in the office's time; 2026-11-21 is a Saturday."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=zone).astimezone(UTC)


def opens(windows: Windows, moment: datetime, zone: ZoneInfo = JAKARTA) -> datetime | None:
    found = closed(windows, zone, moment)
    return moment if found is None else found.opens


def test_without_windows_hosts_may_be_changed_at_any_time() -> None:
    assert closed(None, JAKARTA, at("2026-11-23 10:00")) is None


@pytest.mark.parametrize(
    ("now", "opening"),
    [
        ("2026-11-21 19:59", "2026-11-21 20:00"),
        ("2026-11-21 20:00", "2026-11-21 20:00"),
        ("2026-11-21 23:59", "2026-11-21 23:59"),
        ("2026-11-22 00:00", "2026-11-22 00:00"),
        ("2026-11-22 04:59", "2026-11-22 04:59"),
        ("2026-11-22 05:00", "2026-11-22 20:00"),
        ("2026-11-23 04:59", "2026-11-23 04:59"),
        ("2026-11-23 05:00", "2026-11-28 20:00"),
        ("2026-12-19 23:00", "2026-12-19 23:00"),
        ("2026-12-20 00:00", "2027-01-03 20:00"),
        ("2026-12-26 21:00", "2027-01-03 20:00"),
        ("2027-01-03 00:00", "2027-01-03 00:00"),
    ],
)
def test_a_change_begins_in_a_window_and_in_no_freeze(now: str, opening: str) -> None:
    """2027-01-02 is a Saturday: its window was frozen until midnight and is open after it."""
    expected = "2027-01-03 00:00" if opening == "2027-01-03 20:00" else opening
    assert opens(parse_windows(WEEKEND, "windows.yml"), at(now)) == at(expected)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ("2026-11-23 10:00", "outside the maintenance windows"),
        ("2026-12-26 21:00", "frozen from 2026-12-20 to 2027-01-02: Tutup tahun anggaran"),
        ("2027-01-02 12:00", "frozen from 2026-12-20 to 2027-01-02: Tutup tahun anggaran"),
        ("2026-11-22 04:31", "less than 30 minutes of the window are left"),
    ],
)
def test_it_says_why_it_is_closed(now: str, reason: str) -> None:
    found = closed(parse_windows(WEEKEND + "min_minutes: 30\n", "windows.yml"), JAKARTA, at(now))
    assert found is not None
    assert found.reason == reason


@pytest.mark.parametrize(
    ("now", "opening"),
    [
        ("2026-11-22 04:30", "2026-11-22 04:30"),
        ("2026-11-22 04:31", "2026-11-22 20:00"),
        ("2026-11-21 23:45", "2026-11-21 23:45"),
    ],
)
def test_so_much_of_the_window_must_be_left(now: str, opening: str) -> None:
    windows = parse_windows(WEEKEND + "min_minutes: 30\n", "windows.yml")
    assert opens(windows, at(now)) == at(opening)


def test_windows_that_touch_are_one() -> None:
    text = (
        'windows:\n- {from: "20:00", until: "24:00"}\n- {from: "00:00", until: "02:00"}\nmin_minutes: 120\n'
    )
    windows = parse_windows(text, "windows.yml")
    assert opens(windows, at("2026-11-21 23:30")) == at("2026-11-21 23:30")
    assert opens(windows, at("2026-11-22 00:30")) == at("2026-11-22 20:00")


def test_a_window_that_leaves_too_little_never_opens() -> None:
    text = 'windows: [{from: "20:00", until: "21:00"}]\nmin_minutes: 61\n'
    found = closed(parse_windows(text, "windows.yml"), JAKARTA, at("2026-11-21 20:00"))
    assert found is not None
    assert found.opens is None


def test_freezes_alone_leave_all_other_days_open() -> None:
    windows = parse_windows("freeze: [{from: 2026-12-20, until: 2026-12-20, reason: Libur}]", "windows.yml")
    assert opens(windows, at("2026-12-19 23:59")) == at("2026-12-19 23:59")
    assert opens(windows, at("2026-12-20 00:00")) == at("2026-12-21 00:00")


def test_the_same_moment_is_within_the_window_of_one_zone_only() -> None:
    windows = parse_windows('windows: [{from: "20.00", until: "21.00"}]', "windows.yml")
    moment = at("2026-11-21 20:30")
    assert closed(windows, JAKARTA, moment) is None
    assert closed(windows, ZoneInfo("Asia/Makassar"), moment) is not None
    assert closed(windows, ZoneInfo("Asia/Jayapura"), moment - timedelta(hours=2)) is None


@pytest.mark.parametrize("moment", ["2026-03-29 01:30", "2026-03-29 03:30", "2026-10-25 02:30"])
def test_a_day_on_which_clocks_are_turned_has_its_window_too(moment: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    windows = parse_windows('windows: [{from: "01:00", until: "04:00"}]', "windows.yml")
    assert closed(windows, berlin, at(moment, berlin)) is None


def minute_by_minute(windows: Windows, moment: datetime, zone: ZoneInfo) -> bool:
    """Tell whether ``moment`` is open, as slowly and plainly as one can say it (min_minutes is 0)."""
    days = ["senin", "selasa", "rabu", "kamis", "jumat", "sabtu", "minggu"]
    local = moment.astimezone(zone)
    clock, today = f"{local:%H:%M}", days[local.weekday()]
    yesterday = days[local.weekday() - 1]
    if any(f.from_ <= f"{local:%Y-%m-%d}" <= f.until for f in windows.freeze):
        return False
    return windows.windows is None or any(
        (today in w.days and w.from_ <= clock and (clock < w.until or w.until < w.from_))
        or (yesterday in w.days and w.until < w.from_ and clock < w.until)
        for w in windows.windows
    )


def test_over_many_files_every_moment_is_judged_as_the_plain_rule_says() -> None:
    rng = random.Random(3)  # noqa: S311 - no secret is made of it
    days = ["senin", "selasa", "rabu", "kamis", "jumat", "sabtu", "minggu"]
    times = [f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in (0, 30)]
    judged = {True: 0, False: 0}
    for _ in range(150):
        chosen = [rng.sample(times, 2) for _ in range(rng.randint(1, 3))]
        freeze = [f"2026-11-{day:02d}" for day in sorted(rng.sample(range(10, 30), 2))]
        windows = Windows.model_validate(
            {
                "windows": [
                    {
                        "days": rng.sample(days, rng.randint(1, 4)),
                        "from": start,
                        "until": rng.choice([end, "24:00"]),
                    }
                    for start, end in chosen
                ],
                "freeze": rng.choice([[], [{"from": freeze[0], "until": freeze[1], "reason": "Libur"}]]),
            }
        )
        for _ in range(20):
            moment = at("2026-11-12 00:00") + timedelta(minutes=rng.randint(0, 12 * 24 * 60))
            expected = minute_by_minute(windows, moment, JAKARTA)
            found = closed(windows, JAKARTA, moment)
            judged[expected] += 1
            assert (found is None) == expected, (windows, moment)
            if found is not None:
                assert found.opens is not None
                assert found.opens > moment
                assert minute_by_minute(windows, found.opens, JAKARTA), (windows, moment)
                assert not minute_by_minute(windows, found.opens - timedelta(minutes=1), JAKARTA)
    assert min(judged.values()) > 300


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            'windows:\n- {days: [sabtu], from: "25:00", until: "05:00"}',
            "2: windows[0].from: expected a time such as",
        ),
        (
            'windows:\n- {days: [besok], from: "20:00", until: "05:00"}',
            "2: windows[0].days[0]: expected a day such",
        ),
        ('windows:\n- {from: "20:00", until: "20:00"}', "2: windows[0]: begins and ends at the same time"),
        ('windows:\n- {from: "24:00", until: "05:00"}', "2: windows[0]: from: expected 00:00"),
        ('windows:\n- {from: "20:00"}', "2: windows[0].until: is missing"),
        ("windows:\n- {from: 20, until: 21}", "2: windows[0].from: expected text, got 20"),
        ("windows: []", "1: windows: expected at least 1 of them, got []"),
        (
            "freeze:\n\n- {from: 2026-02-30, until: 2026-03-01, reason: x}",
            "3: freeze[0].from: expected a date",
        ),
        (
            "freeze:\n- {from: 2026-03-02, until: 2026-03-01, reason: x}",
            "2: freeze[0]: ends on 2026-03-01, before",
        ),
        ("freeze:\n- {from: 2026-03-01, until: 2026-03-02}", "2: freeze[0].reason: is missing"),
        ("window: []", "1: window: is not a known key"),
        ("min_minutes: -1", "1: min_minutes: expected 0 or more, got -1"),
        ("- nothing", "1: the file: expected keys with values, got ['nothing']"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(SourceError) as refused:
        parse_windows(text, "inventory/x/windows.yml")
    assert f"inventory/x/windows.yml:{problem}" in str(refused.value)


def test_what_a_run_keeps_of_them_reads_back_the_same() -> None:
    windows = parse_windows(WEEKEND, "windows.yml")
    assert Windows.model_validate(windows.recorded()) == windows
