"""The documents of an archive as an archivist registers them: what was signed, with annexes and scans.

Pure rules over the run's record. One item is one record (naskah): a version of a document as it came to be
last, so the signed PDF where there is one. Annexes follow their document, scans of paper stand at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from runner.journal import Event

_WRITTEN, _SIGNED, _ENTERED = "document_written", "document_signed", "paper_entered"
_DECIDED = {"decision_made", "vote_made"}
_DRAFT = "draft"
_VERSIONS = {_DRAFT: "Draf", "verified": "Diverifikasi", "ratified": "Ditetapkan", "final": "Final"}
_KINDS = (
    "laporan",
    "disposisi",
    "notulensi",
    "catatan",
    "daftar",
    "usulan",
    "keputusan",
    "jadwal",
    "berita-acara",
)
# Tingkat perkembangan, as Peraturan Kepala ANRI 21/2011 tells them apart.
_ORIGINAL, _CONCEPT, _COPY = "Asli elektronik", "Konsep", "Salinan (pindaian)"


@dataclass(frozen=True)
class Item:
    """One record of an archive; ``path`` is its file in the run's record."""

    kind: str
    number: str
    title: str
    date: str
    signed_by: str
    development: str
    path: str
    sha256: str


def items_of(events: Sequence[Event], read: Callable[[str], bytes]) -> list[Item]:
    """Return the records of a closed run, in the order in which they were made.

    Args:
        events: the whole journal, as checked.
        read: returns a file of the run's record.
    """
    zone = ZoneInfo(events[0]["timezone"])
    newest = {_made(event): event for event in events if event.name == _WRITTEN}
    last = {event["document"]: event["version"] for event in events if event.name == _WRITTEN}
    found: list[Item] = []
    for event in newest.values():
        is_last = event["version"] == last[event["document"]] != _DRAFT
        found += _document(event, _signed(events, event), read, zone, _ORIGINAL if is_last else _CONCEPT)
    return [*found, *_scans(events)]


def _made(event: Event) -> tuple[int, str, str]:
    """Return what a document is one of, whichever attempt of its row made it."""
    return event["step"], event["document"], event["version"]


def _signed(events: Sequence[Event], written: Event) -> Event | None:
    """Return the last signature on what was written, None when there is none."""
    found = [
        event
        for event in events
        if event.name == _SIGNED and event.seq > written.seq and _made(event) == _made(written)
    ]
    return found[-1] if found else None


def _document(
    written: Event,
    signed: Event | None,
    read: Callable[[str], bytes],
    zone: ZoneInfo,
    development: str,
) -> Iterator[Item]:
    files = written["files"]
    said = _data(read(files[0]["path"]))
    kind = next((kind for kind in _KINDS if written["document"].startswith(kind)), "naskah")
    title = f"{written['name']} ({_VERSIONS.get(written['version'], written['version'])})"
    number, date = str(said.get("number") or ""), _day(written, zone)
    by = _signers(said, written["version"])

    def item(title: str, file: dict[str, str]) -> Item:
        return Item(kind, number, title, date, by, development, file["path"], file["sha256"])

    yield item(title, (signed or written)["files"][-1])
    annexes = [file for file in files[:-1] if file["path"].endswith(".pdf")]
    for place, file in enumerate(annexes, start=1):
        yield item(f"Lampiran {place}: {title}", file)


def _data(content: bytes) -> dict[str, Any]:
    """Return what a document says as data; its form is not that of this version of Rawat for ever."""
    try:
        said = json.loads(content)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _signers(said: dict[str, Any], version: str) -> str:
    """Return who approved this version, as the document itself names them."""
    approvals = [one for one in said.get("approvals") or () if one["version"] == version and one["decision"]]
    people = [
        f"{person['name']} ({person['position']})"
        for one in approvals
        for person in (one["decision"]["person"], *one["decision"]["together_with"])
    ]
    return "; ".join(dict.fromkeys(people))


def _scans(events: Sequence[Event]) -> Iterator[Item]:
    """Return the scans of decisions on paper that were confirmed."""
    entered = {event["scan"]["sha256"]: event["scan"] for event in events if event.name == _ENTERED}
    for event in events:
        paper = event.fields.get("paper") if event.name in _DECIDED else None
        if paper:
            person, scan = event["person"], entered[paper["scan"]]
            title = f"Keputusan di atas kertas, baris {event['step']}: {event['outcome']}"
            by = f"{person['name']} ({person['position']})"
            yield Item("keputusan", "", title, paper["date"], by, _COPY, scan["path"], scan["sha256"])


def _day(event: Event, zone: ZoneInfo) -> str:
    return f"{event.instant.at.astimezone(zone):%Y-%m-%d}"
