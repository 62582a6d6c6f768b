"""Why a host failed, as an official reads it: what roles and runner say in English is told in Indonesian."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner import report
from runner.language import reading
from runner.translations import language_of

ROOT = Path(__file__).parents[2]
MACROS = ROOT / "report_templates" / "_macros.html.j2"


def told(message: str) -> str:
    page = '{% import "_macros.html.j2" as m with context %}{{ m.reason(message) }}'
    return report.environment().from_string(page).render(message=message).strip()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "Task failed: Module failed: the disk of the repository is full (restic backup ended with 1): a",
            "disk tempat penyimpanan backup penuh (restic backup berakhir dengan galat 1): a",
        ),
        (
            "the repository is damaged: the data in the repository was changed or is missing",
            "tempat penyimpanan backup rusak: data pada tempat penyimpanan backup berubah atau hilang",
        ),
        (
            "Task failed: Failed to connect to the host via ssh: ssh: connect to host web1: No route to host",
            "tidak dapat terhubung ke host melalui ssh: ssh: connect to host web1: host tidak terjangkau",
        ),
        ("Task failed: Timed out after 60 second(s).", "tidak selesai dalam 60 detik"),
        ("the tests were not done in time", "pengujian tidak selesai pada waktunya"),
        (
            "the mirror does not answer; the database on disk was kept",
            "server sumber database antivirus tidak menjawab; database yang ada dipertahankan",
        ),
        (
            (
                "r1 does not tell its version of RouterOS, so how to export is not known. Nothing was kept."
                " Look at `:put [/system resource get version]` there."
            ),
            (
                "r1 tidak memberitahukan versi RouterOS, sehingga cara mengekspornya tidak diketahui."
                " Tidak ada yang disimpan. Periksa `:put [/system resource get version]` pada router."
            ),
        ),
        ("phased: not yet offered to this host", "dirilis bertahap, belum ditawarkan kepada host ini"),
        ("E: something that apt says", "E: something that apt says"),
    ],
)
def test_what_ended_a_host_s_part_is_told_in_indonesian_where_it_is_ours(message: str, words: str) -> None:
    assert told(message) == words


def test_the_english_copy_says_it_as_it_was_said() -> None:
    with reading(language_of("en")):
        assert told("the disk of the repository is full") == "the disk of the repository is full"


def test_every_translated_reason_is_one_that_is_still_given() -> None:
    """A reason that was reworded in a role would fall back to English in silence."""
    table = MACROS.read_text(encoding="utf-8").partition("{% macro reason(text) %}")[2].partition("] %}")[0]
    reasons = re.findall(r'^  \("([^"]+)", "', table, re.MULTILINE)
    sources = [
        path.read_text(encoding="utf-8")
        for folder, kinds in (("roles", ("*.py", "*.yml")), ("runner", ("*.py",)))
        for kind in kinds
        for path in sorted((ROOT / folder).rglob(kind))
    ]
    # Sentences are broken over lines, between quotes or as folded YAML.
    given = re.sub(r'"?\s*\n\s*f?"?', " ", "\n".join(sources))
    given = re.sub(r"\s+", " ", given)
    lost = [reason for reason in reasons if reason.strip() not in given and reason not in OTHERS]
    assert len(reasons) > 80
    assert lost == []


OTHERS = frozenset(
    {
        # A state of systemd's or a word of the state of a file stands in these.
        " is inactive",
        " is activating",
        "is changed on the host",
        "is missing on the host",
        # Of ansible-core and OpenSSH.
        "Task failed: Module failed: ",
        "Task failed: Timed out after ",
        "Failed to connect to the host via ssh",
        "No route to host",
        "Connection refused",
        "Connection timed out",
    }
)
