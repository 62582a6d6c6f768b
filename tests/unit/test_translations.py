"""The English catalogue: it holds every message of the documents, and each is translated whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import messages
import pytest
from babel.messages.catalog import Message
from messages import of_catalogue, of_documents

from runner import errors, forms, language, wording
from runner.checks import CheckFinding
from runner.repair_sentences import cured
from runner.repairs import Cure
from runner.sentences import sentence
from runner.translations import language_of

PLACE = re.compile(r"%\(\w+\)s|\{\w+\}|</?\w+[^>]*>|\\\d|[\[\]]")
NOON = datetime(2026, 11, 21, 5, 5, 9, tzinfo=UTC)


@pytest.fixture(name="_english")
def _in_english() -> Iterator[None]:
    with language.reading(language_of("en")):
        yield


def translations() -> list[Message]:
    return [message for message in of_catalogue() if message.id]


def source_of(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def told(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def test_the_catalogue_holds_the_messages_of_the_documents_and_no_others() -> None:
    kept = {
        messages.Message(source_of(message), not isinstance(message.id, str), message.context)
        for message in translations()
    }

    assert kept == set(of_documents())


def test_every_message_is_translated_and_sure() -> None:
    missing = [source_of(m) for m in translations() if m.fuzzy or not all(told(m))]

    assert missing == []


def test_places_and_markup_are_the_same_on_both_sides() -> None:
    wrong = [
        (source_of(message), text)
        for message in translations()
        for text in told(message)
        if sorted(PLACE.findall(text)) != sorted(PLACE.findall(source_of(message)))
    ]

    assert wrong == []


def test_what_counts_things_has_one_and_many() -> None:
    assert {len(told(m)) for m in translations() if not isinstance(m.id, str)} == {2}


def test_the_file_is_as_make_messages_writes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = messages.CATALOGUE.read_bytes()
    copy = tmp_path / "rawat.po"
    copy.write_bytes(written)
    monkeypatch.setattr(messages, "CATALOGUE", copy)

    assert messages.update() == (0, 0)
    assert copy.read_bytes() == written


def test_language_without_a_catalogue_is_refused() -> None:
    with pytest.raises(errors.InputError, match="cannot be read in 'de'; there is en"):
        language_of("de")


@pytest.mark.usefixtures("_english")
@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Asia/Jakarta", "21 November 2026, 12:05 WIB"),
        ("Asia/Makassar", "21 November 2026, 13:05 WITA"),
        ("Asia/Jayapura", "21 November 2026, 14:05 WIT"),
        ("Asia/Tokyo", "21 November 2026, 14:05 UTC+09:00"),
    ],
)
def test_moments_in_english(zone: str, shown: str) -> None:
    assert wording.moment(NOON, ZoneInfo(zone)) == shown


@pytest.mark.usefixtures("_english")
def test_dates_and_times_in_english() -> None:
    jakarta = ZoneInfo("Asia/Jakarta")

    assert wording.weekday_date(NOON, jakarta) == "Saturday, 21 November 2026"
    assert wording.calendar_day("2026-08-17") == "17 August 2026"
    assert wording.clock_seconds(NOON, jakarta) == "12:05:09"
    assert wording.short_moment(NOON, jakarta) == "21 Nov 2026 12:05"


@pytest.mark.usefixtures("_english")
@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (8100, "2 hours 15 minutes"),
        (3660, "1 hour 1 minute"),
        (90000, "1 day 1 hour"),
        (172800, "2 days"),
        (1, "1 second"),
        (3.4, "3.4 seconds"),
        (0, "0 seconds"),
    ],
)
def test_spans_in_english(seconds: float, shown: str) -> None:
    assert wording.duration(seconds) == shown


@pytest.mark.usefixtures("_english")
def test_numbers_amounts_and_lists_in_english() -> None:
    assert wording.number(1234.5) == "1,234.5"
    assert wording.size(12_345_678) == "12.3 MB"
    assert wording.size(1) == "1 byte"
    assert forms.rupiah_text(1_250_000) == "Rp1,250,000"
    assert wording.listing(["a", "b", "c"]) == "a, b and c"
    assert wording.some(["a", "b", "c", "d"], most=2) == "a, b, and 2 more"
    assert wording.deviation(-7080) == "1 hour 58 minutes under"
    assert wording.shift(5) == "forward by 5 seconds"


@pytest.mark.usefixtures("_english")
def test_findings_in_english_with_a_hosts_own_words_as_they_are() -> None:
    disk = CheckFinding(
        code="disk_space", subject="/{measured}", severity="critical", measured=93.5, unit="%", threshold=90
    )
    login = CheckFinding(code="unit_dead", subject="x", severity="critical", measured="kaput")
    unmeasured = CheckFinding(code="memory", severity="unmeasured", why="mpstat ended with 3")
    newer = CheckFinding(code="of_tomorrow", subject="berkas", severity="warning", measured=2)

    assert sentence("computer", disk) == "Space on disk /{measured}: 93.5% used; limit 90%."
    assert sentence("computer", login) == "Service x: kaput, although it should run."
    assert sentence("computer", unmeasured) == "Memory: could not be measured (mpstat ended with error 3)."
    assert sentence("computer", newer) == "of_tomorrow berkas: 2."


@pytest.mark.usefixtures("_english")
def test_cures_in_english() -> None:
    done = Cure.model_validate(
        {
            "id": "a" * 12,
            "code": "unit_dead",
            "subject": "cron.service",
            "cure": "start_unit",
            "outcome": "done",
        }
    )

    assert cured(done) == "Start the service, cron.service: cured and proven."
