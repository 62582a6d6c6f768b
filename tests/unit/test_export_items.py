"""What an archivist registers of an archive: which file of a document, as what, signed by whom."""

from __future__ import annotations

import json
from typing import Any

from fakes import START

from runner.clock import Instant
from runner.export_items import Item, items_of
from runner.journal import Event

KABID = {"name": "Nama Kabid", "position": "Kepala Bidang"}
PRANATA = {"name": "Nama Pranata", "position": "Pranata Komputer"}


def told(event: str, seq: int, **fields: Any) -> Event:  # noqa: ANN401 - any field
    return Event(seq, event, Instant(START, 0, "boot-1"), fields, "0" * 64)


def written(seq: int, step: int, document: str, version: str, *, attempt: int = 1, annexes: int = 0) -> Event:
    stem = f"documents/{step:02d}-{attempt}-{document}-{version}"
    names = ["json", "html", *(f"lampiran-{number + 1}.pdf" for number in range(annexes)), "pdf"]
    files = [{"path": f"{stem}.{name}", "sha256": "0" * 64} for name in names]
    at = {"step": step, "attempt": attempt, "document": document, "version": version}
    return told("document_written", seq, **at, name=document.title(), files=files)


def items(*events: Event, said: dict[str, Any] | None = None) -> list[Item]:
    first = told("run_started", 1, timezone="Asia/Jakarta")
    return items_of([first, *events], lambda _path: json.dumps(said or {}).encode())


def test_what_was_superseded_is_a_concept_and_the_last_version_the_original() -> None:
    found = items(
        written(2, 4, "laporan", "draft"),
        written(3, 5, "laporan", "verified"),
        written(4, 4, "laporan", "draft", attempt=2),
        written(5, 5, "laporan", "verified", attempt=2),
        written(6, 6, "laporan", "ratified"),
    )
    assert [(item.path, item.development) for item in found] == [
        ("documents/04-2-laporan-draft.pdf", "Konsep"),
        ("documents/05-2-laporan-verified.pdf", "Konsep"),
        ("documents/06-1-laporan-ratified.pdf", "Asli elektronik"),
    ]
    assert [item.title for item in found] == [
        "Laporan (Draf)",
        "Laporan (Diverifikasi)",
        "Laporan (Ditetapkan)",
    ]


def test_a_document_that_never_was_more_than_a_draft_is_a_concept() -> None:
    assert [item.development for item in items(written(2, 4, "laporan", "draft"))] == ["Konsep"]


def test_the_same_form_of_two_rows_is_two_originals() -> None:
    found = items(written(2, 6, "keputusan-usulan", "final"), written(3, 7, "keputusan-usulan", "final"))
    assert [(item.path[:12], item.development, item.kind) for item in found] == [
        ("documents/06", "Asli elektronik", "keputusan"),
        ("documents/07", "Asli elektronik", "keputusan"),
    ]


def test_the_annexes_of_a_document_stand_behind_it() -> None:
    found = items(written(2, 11, "laporan", "final", annexes=2))
    assert [item.title for item in found] == [
        "Laporan (Final)",
        "Lampiran 1: Laporan (Final)",
        "Lampiran 2: Laporan (Final)",
    ]
    assert [item.path.partition(".")[2] for item in found] == ["pdf", "lampiran-1.pdf", "lampiran-2.pdf"]


def test_number_and_signers_are_those_that_the_document_names() -> None:
    def approval(version: str, person: dict[str, str]) -> dict[str, Any]:
        return {"version": version, "decision": {"person": person, "together_with": []}}

    approvals = [
        approval("verified", PRANATA),
        approval("ratified", KABID),
        {**approval("ratified", KABID), "decision": None},
    ]
    said = {"number": "007/TI/2026", "approvals": approvals}
    (item,) = items(written(2, 6, "laporan", "ratified"), said=said)
    assert (item.number, item.signed_by) == ("007/TI/2026", "Nama Kabid (Kepala Bidang)")
