"""The SOP as the official document: identity block and flowchart, as HTML or PDF/A.

It is made of the SOP file and of nothing else: no clock, no machine. The same file gives the same bytes, and
the PDF carries the file it was made from. What is empty in the file stays visibly empty. For readers of
another language only headings, labels and legend are translated, and the paper says so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from runner import errors
from runner.files import write_once
from runner.flow import flow_of
from runner.language import INDONESIAN, Language, _, reading
from runner.office_settings import OfficeLook
from runner.pdf import render_pdf
from runner.procedure import marks_of, procedure_of
from runner.report import fill, title_of
from runner.sop import Sop, parse_sop, sop_digest

UNDATED = datetime.fromtimestamp(0, UTC)
"""What stands as the PDF's date: a SOP file does not tell when it was written."""
_KINDS = (".pdf", ".html")


def require_kind(out: Path) -> None:
    """Refuse to write what is neither PDF nor HTML, or where no file can be.

    Raises:
        InputError: saying what was expected.
    """
    if out.suffix not in _KINDS:
        raise errors.InputError(
            f"{out}: expected a name that ends in .pdf or .html", hint="for example: -o sop.pdf"
        )
    if not out.parent.is_dir():
        raise errors.InputError(f"{out}: there is no folder {out.parent}", hint=f"mkdir -p {out.parent}")
    if out.is_dir():
        raise errors.InputError(f"{out}: is a folder; expected the name of a file")


def write_sop(
    text: str, name: str, out: Path, look: OfficeLook | None = None, language: Language = INDONESIAN
) -> Sop:
    """Write the document of a SOP file in place of an older one, as ``out`` is named, and return the SOP.

    Args:
        text: of the SOP file.
        name: of the SOP file.
        out: where to.
        look: how the office's documents look: letterhead, paper and font.
        language: of headings and labels; what the SOP says is never translated.

    Raises:
        SourceError: naming every problem of the SOP file.
        InputError: when ``out`` is no place for it.
        StepFailedError: when the PDF could not be made.
        CannotRecordError: when the disk did not take it.
    """
    require_kind(out)
    sop = parse_sop(text, name)
    with reading(language):
        html = render_sop(sop, text, look)
        write_once(out, html.encode() if out.suffix == ".html" else _pdf(html, name, text))
    return sop


def render_sop(sop: Sop, text: str, look: OfficeLook | None = None) -> str:
    """Return the document as one HTML file that needs nothing else, its headings in the language of now."""
    look = look or OfficeLook()
    procedure, marks = procedure_of(sop), marks_of(sop)
    return fill(
        "sop.html.j2",
        sop=sop,
        procedure=procedure,
        flow=flow_of(procedure, marks, look.settings.paper),
        marks=marks,
        digest=sop_digest(text),
        look=look,
    )


def _pdf(html: str, name: str, text: str) -> bytes:
    attachment = (Path(name).name, text.encode())
    return render_pdf(
        html, title_of(html), UNDATED, attachment, description=_("Berkas SOP asal dokumen ini (YAML)")
    )
