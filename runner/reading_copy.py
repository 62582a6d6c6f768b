"""Copies of a run's documents in another language, for readers: never signed, and no part of the record.

A copy says what the document says, from the same record and journal event; that is proven by making the
document's data again and comparing it with what the journal names. It is marked as a translation, and names
the document that counts. It is written where the user says, outside of runs and archives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from runner import errors, minutes, report
from runner.canonical import sha256_hex
from runner.checkpoint import Chain
from runner.data_tables import tables
from runner.files import write_once
from runner.journal import Event
from runner.language import Language, reading
from runner.pdf import write_pdf
from runner.pdf_signatures import RATIFIED, SIGNED
from runner.record import Record
from runner.report import Original
from runner.view import moment_of


def write_copies(run: Record, language: Language, folder: Path) -> Iterator[Path]:
    """Write a copy of every document of a run, as HTML and PDF, and of its annexes; yield each PDF written.

    Args:
        run: open or sealed.
        language: in which the copies are worded.
        folder: a new or an empty folder; readable by its owner only.

    Raises:
        VerificationError: when the record gives another document than the journal names.
        StepFailedError: when a PDF could not be made.
        CannotRecordError: when the disk did not take it.
    """
    for event in run.events:
        if event.name == "document_written":
            yield from _write_copy(run.at(event["as_of"]), event, language, folder, _signed(run, event))


def write_minutes_copy(papers: Mapping[str, bytes], language: Language, folder: Path) -> Iterator[Path]:
    """Write a copy of the Berita Acara among the papers of a decision about archives, as HTML and PDF.

    Args:
        papers: file name -> content, as ``dispositions.papers_of`` has checked them.
        language: in which the copy is worded.
        folder: as of ``write_copies``.

    Raises:
        StepFailedError: when the PDF could not be made.
        CannotRecordError: when the disk did not take it.
    """
    for name, made in minutes.copy_of(papers, language).items():
        target = _copy_of(name, language, folder).with_suffix(PurePath(name).suffix)
        write_once(target, made)
    yield target


def _signed(run: Record, written: Event) -> tuple[str, str] | None:
    """Return name and digest of the newest file of a document that was signed electronically.

    As ``pdf_signatures`` has it, a new draft, or what is verified anew, begins anew: it bears no signature
    of the one before. What was ratified is signed on the file that was verified, if that was signed at all.
    """
    made: list[Event] = []
    found = False
    for event in run.events:
        if event.name not in {"document_written", SIGNED} or event["document"] != written["document"]:
            continue
        if event.name == SIGNED:
            made.append(event)
        elif event["version"] != RATIFIED or not made:
            if found:
                break
            made = []
        found = found or event.seq == written.seq
    newest = made[-1]["files"][0] if made else None
    return (PurePath(newest["path"]).name, newest["sha256"]) if newest else None


def _write_copy(
    run: Record, event: Event, language: Language, folder: Path, signed: tuple[str, str] | None
) -> Iterator[Path]:
    head = Chain.model_validate(event["archive"])
    facts = event["document"], event["version"], event["step"], event["attempt"], event["as_of"], head
    data_file, annexed, pdf_file = event["files"][0], event["files"][2:-1], event["files"][-1]
    worded = report.document_view(run, *facts)
    data = report.view_json(worded)
    if sha256_hex(data) != data_file["sha256"]:
        raise errors.VerificationError(data_file["path"], "is not what is built from the record now")
    original = _original(pdf_file, data_file, signed)
    count = len(report.annexes_of(worded)) if annexed else 0
    if count != len(annexed):
        told = f"was made with {len(annexed)} annexes, and would have {count} now"
        raise errors.VerificationError(pdf_file["path"], told)
    with reading(language):
        # Words that people gave stay; but amounts and heads of tables in forms are worded anew.
        view = report.document_view(run, *facts)
        html = report.render_html(view, original, [file["sha256"] for file in annexed])
        target = _copy_of(original.name, language, folder)
        write_once(target.with_suffix(".html"), html.encode())
        attached = PurePath(data_file["path"]).name, data
        write_pdf(html, report.title_of(html), moment_of(view.made_at), attached, target, tables=tables(view))
    yield target
    for (_name, annex), file in zip(report.annexes_of(view) if annexed else (), annexed, strict=True):
        named = _original(file, data_file, signed)
        target = _copy_of(named.name, language, folder)
        with reading(language):
            write_once(target, report.annex_pdf(view, annex, named))
        yield target


def _original(
    file: Mapping[str, str], data_file: Mapping[str, str], signed: tuple[str, str] | None
) -> Original:
    return Original(PurePath(file["path"]).name, file["sha256"], data_file["sha256"], signed=signed)


def _copy_of(name: str, language: Language, folder: Path) -> Path:
    return folder / f"{PurePath(name).stem}.{language.code}.pdf"
