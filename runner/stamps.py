"""Draws what is seen of an electronic signature, by the same means as documents: fonts in the file, PDF/A.

The library that signs can draw words itself, and spreads the letters of the fonts used here wide apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from runner import pades, report
from runner.clock import format_utc
from runner.moves import DueSignature
from runner.pdf import render_pdf
from runner.record import Record

_TITLE = "Tanda tangan elektronik"
_SHOWN_OF_DIGEST = 16


@dataclass(frozen=True)
class _Stamp:
    """What the template prints; lengths in points."""

    name: str
    nip: str
    at: str
    width: float
    height: float
    qr: float


@dataclass(frozen=True)
class _View:
    """What filters of templates ask for."""

    timezone: str


def draw(due: DueSignature, now: Record, at: datetime) -> bytes:
    """Return the stamp of a signature as a PDF of one page, as large as its room in the document.

    Raises:
        StepFailedError: when it could not be laid out.
    """
    room = pades.places(now.folder.read(due.base))[due.place]
    left, bottom, right, top = room.box
    width, height = round(right - left, 2), round(top - bottom, 2)
    code = f"rawat:{now.folder.name}:{due.document}:{due.version}:{due.base['sha256'][:_SHOWN_OF_DIGEST]}"
    stamp = _Stamp(
        due.person["name"], due.person["nip"], format_utc(at), width, height, round(min(width, height) - 2, 2)
    )
    html = report.fill(
        "_stamp.html.j2", stamp=stamp, qr=report.qr_code(code), view=_View(now.started["timezone"])
    )
    return render_pdf(html, _TITLE, at, None)
