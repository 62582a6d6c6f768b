"""A run's documents: record -> view -> HTML, PDF and JSON.

The view (``runner.view``) holds the data, the templates in ``report_templates/`` hold the words, and
this module brings them together. Rules:

- What a template prints is text: it is escaped for HTML, and characters that steer or cannot be seen are
  written out (``runner.display``). Only pictures drawn here are markup. Nothing (``None``) and truth values
  are refused, so that a hole in a document is an error and not the word "None".
- The same record and journal event give the same bytes, wherever and whenever the document is built.
"""

from __future__ import annotations

import io
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from html import unescape
from statistics import median
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import jinja2
import segno
from markupsafe import Markup

from runner import errors, language, repair_sentences, wording
from runner.annex import Annex, annex_name, annexes
from runner.canonical import canonical_json, sha256_hex
from runner.checkpoint import EMPTY, Chain
from runner.data_tables import tables
from runner.display import display
from runner.files import write_once
from runner.flow import flow_of
from runner.language import _
from runner.pdf import Limits, render_pdf, write_pdf
from runner.run_view import document_view
from runner.sentences import SEVERITIES, sentence
from runner.sop import duration_seconds
from runner.view import DocumentView, moment_of
from runner.workspace import find_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from runner.record import Record

__all__ = [
    "annex_html",
    "annex_pdf",
    "annexes_of",
    "build_document",
    "document_view",
    "environment",
    "fill",
    "known_documents",
    "render_html",
    "view_json",
]

TEMPLATES = "report_templates"
GIVEN = ("view", "short_digest", "qr", "original", "annexed")
"""What the template of a document is filled in with."""
_SHOWN_OF_DIGEST = 16
_ANNEX, _ANNEX_BLOCK = "_lampiran.html.j2", "annex"
# What one annex may cost; docs/performance.md tells what one takes.
_ANNEX_LIMITS = Limits(memory=1024**3, cpu_seconds=120)


def known_documents() -> frozenset[str]:
    """Return the names of the documents there are templates for."""
    return find_workspace().available().documents


def build_document(  # noqa: PLR0917 - the engine's contract, one argument per fact of the file's name
    record: Record,
    document: str,
    version: str,
    step: int,
    attempt: int,
    as_of: int,
    folder: Path,
    head: Chain = EMPTY,
) -> tuple[Path, ...]:
    """Write one version of one document into ``folder`` and return its files: JSON, HTML, annexes, PDF.

    ``head`` is how far the archive's register had come, which the footer prints.

    Raises:
        InputError: when there is no such document, or the run's record does not fit it.
        StepFailedError: when the PDF could not be made.
    """
    view = document_view(record, document, version, step, attempt, as_of, head)
    annexed = {name: annex_pdf(view, annex) for name, annex in annexes_of(view)}
    html, data = render_html(view, annexed=[sha256_hex(pdf) for pdf in annexed.values()]), view_json(view)
    name = f"{step:02d}-{attempt}-{document}-{version}"
    files = tuple(folder / f"{name}.{kind}" for kind in ("json", "html", "pdf"))
    write_once(files[0], data)
    write_once(files[1], html.encode())
    for annex, pdf in annexed.items():
        write_once(folder / annex, pdf)
    made_at = moment_of(view.made_at)
    write_pdf(html, title_of(html), made_at, (files[0].name, data), files[2], tables=tables(view))
    return (*files[:2], *(folder / annex for annex in annexed), files[2])


def view_json(view: DocumentView) -> bytes:
    """Return the document's data as canonical JSON."""
    return canonical_json(view.model_dump(mode="json", by_alias=True))


@dataclass(frozen=True)
class Original:
    """What a reading copy was translated from: the file's name and digest, and the digest of its data."""

    name: str
    sha256: str
    data_sha256: str
    signed: tuple[str, str] | None = None
    """Of a document that was signed electronically: name and digest of the file with all signatures."""


def annexes_of(view: DocumentView) -> list[tuple[str, Annex]]:
    """Return the name and content of each annex; only documents with a place to name them have some."""
    with _telling_mistakes():
        template = environment().get_template(f"{view.document}.html.j2")
    found = annexes(view) if _ANNEX_BLOCK in template.blocks else ()
    return [(annex_name(view, annex.number), annex) for annex in found]


def annex_html(view: DocumentView, annex: Annex, original: Original | None = None) -> str:
    """Return an annex as one HTML file; ``original`` as ``render_html`` has it."""
    digest = original.data_sha256 if original else sha256_hex(view_json(view))
    return fill(
        _ANNEX,
        view=view,
        annex=annex,
        document_title=_title(view),
        short_digest=digest[:_SHOWN_OF_DIGEST],
        qr=qr_code(archive_code(view, digest)),
        original=original,
    )


def annex_pdf(view: DocumentView, annex: Annex, original: Original | None = None) -> bytes:
    """Return an annex as PDF, with the tables of its hosts in it; ``original`` as ``render_html`` has it.

    Raises:
        StepFailedError: when the PDF could not be made.
    """
    html = annex_html(view, annex, original)
    listed = view.model_copy(update={"hosts": tuple(row.host for row in annex.rows)})
    attached, *more = tables(listed)
    made_at = moment_of(view.made_at)
    return render_pdf(
        html,
        title_of(html),
        made_at,
        attached,
        description=_("Tabel untuk lembar kerja (CSV)"),
        tables=more,
        limits=_ANNEX_LIMITS,
    )


def _title(view: DocumentView) -> str:
    with _telling_mistakes():
        template = environment().get_template(f"{view.document}.html.j2")
        return unescape("".join(template.blocks["title"](template.new_context({"view": view}))))


def render_html(view: DocumentView, original: Original | None = None, annexed: Sequence[str] = ()) -> str:
    """Return the document as one HTML file that needs nothing else.

    Args:
        view: what it says.
        original: of a copy in another language: what it was translated from.
        annexed: the digests of its annexes' files, in order.

    Raises:
        InputError: when there is no template for the document, or a mistake in it.
    """
    if view.document not in known_documents():
        known = ", ".join(sorted(known_documents())) or "none"
        raise errors.InputError(f"there is no document {view.document!r}; there are {known}")
    digest = original.data_sha256 if original else sha256_hex(view_json(view))
    code = archive_code(view, digest)
    template, shown = f"{view.document}.html.j2", digest[:_SHOWN_OF_DIGEST]
    named = zip(annexes_of(view), annexed, strict=True) if annexed else ()
    told = [(name, annex, sha256) for (name, annex), sha256 in named]
    return fill(template, view=view, short_digest=shown, qr=qr_code(code), original=original, annexed=told)


def fill(template: str, **values: object) -> str:
    """Return a template filled in.

    Raises:
        InputError: naming file and line of a mistake in it, or in what it rests on.
    """
    with _telling_mistakes():
        return environment().get_template(template).render(**values)


@contextmanager
def _telling_mistakes() -> Iterator[None]:
    """Turn what a template cannot do into one error: an office may have written it."""
    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        raise _mistake(f"{error.filename or error.name}:{error.lineno}", error.message or "") from error
    except (
        jinja2.TemplateError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(".j2")]
        if not lines and not isinstance(error, jinja2.TemplateError):
            raise  # no template asked for it: the mistake is ours
        where = f"{lines[-1].filename}:{lines[-1].lineno}" if lines else TEMPLATES
        raise _mistake(where, str(error) or type(error).__name__) from error


def _mistake(where: str, what: str) -> errors.InputError:
    return errors.InputError(
        f"{where}: the document cannot be made with this template: {display(what)}",
        hint="mend the template, try it with 'rawat sop check', then go on ('rawat resume' in a run)",
    )


def archive_code(view: DocumentView, digest: str) -> str:
    """Return what the QR code says: the office's address of the archive entry, or else the entry's name."""
    if view.look.archive.link is None:
        return f"rawat:{view.run}:{view.document}:{view.version}:{digest}"
    to = view.look.archive.link.format(run=view.run, document=view.document, version=view.version)
    return f"{to}#{digest[:_SHOWN_OF_DIGEST]}"


def title_of(html: str) -> str:
    """Return the title that a rendered document gives itself."""
    return unescape(html.split("<title>", 1)[1].split("</title>", 1)[0])


def qr_code(code: str) -> Markup:
    """Return a QR code as a drawing; ``code`` is ours."""
    drawn = io.BytesIO()
    segno.make(code, error="m", micro=False).save(
        drawn,
        kind="svg",
        xmldecl=False,
        nl=False,
        omitsize=True,
        border=0,
        title=f"{_('Kode QR')}: {code}",
    )
    # Drawn by segno from ASCII that we put together: run id, names and a digest.
    return Markup(drawn.getvalue().decode())  # noqa: S704


@cache
def environment() -> jinja2.Environment:
    """Return what all templates are rendered with."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(find_workspace().root / TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    environment.globals |= {
        "_": _filling(language._),
        "in_sense": _filling(language.in_sense),
        "counted": _filling(language.counted),
        "language": lambda: language.language().code,
        "is_original": language.is_original,
        "in_indonesian": _in_indonesian,
    }
    environment.filters |= {
        "date": _in_zone(wording.long_date),
        "day": wording.calendar_day,
        "weekday": wording.weekday,
        "hour": wording.hour,
        "month": _in_zone(wording.month),
        "weekday_date": _in_zone(wording.weekday_date),
        "date_in_words": _in_zone(wording.date_in_words),
        "clock": _in_zone(wording.clock),
        "clock_seconds": _in_zone(wording.clock_seconds),
        "zone_name": _in_zone(wording.zone_name),
        "moment": _in_zone(wording.moment),
        "short_moment": _in_zone(wording.short_moment),
        "day_month": _in_zone(wording.day_month),
        "host_moment": _host_moment,
        "median": median,
        "duration": wording.duration,
        "deviation": wording.deviation,
        "shift": wording.shift,
        "number": wording.number,
        "size": wording.size,
        "standard_time": _standard_time,
        "listing": wording.listing,
        "some": wording.some,
        "sentence": lambda found: sentence(found.kind, found.finding),
        "severity": lambda severity: language.in_sense("severity", SEVERITIES[severity]),
        "disturbance": repair_sentences.disturbance,
        "cure_proposal": repair_sentences.proposal,
        "cured": repair_sentences.cured,
        "proof": repair_sentences.proof,
        "indonesian": _indonesian,
        "lines": lambda text: Markup.escape(display(text, multiline=True)),
        "flow": flow_of,
        "short": lambda digest: digest[:_SHOWN_OF_DIGEST],
    }
    return environment


def _filling(message_of: Callable[..., str]) -> Callable[..., Markup]:
    """Return a function of templates: a message, which stands in the template, with its places filled in.

    What fills a place is printed as any other expression of a template is: written out, escaped, or refused.
    """

    def filled(*message: Any, **values: object) -> Markup:  # noqa: ANN401 - message, and sense or count
        text = Markup(message_of(*message))  # noqa: S704 - words of templates and of the catalogue
        places = ({"num": message[1]} if message_of is language.counted else {}) | values
        return text % {name: _printed(value) for name, value in places.items()} if places else text

    return filled


def _in_indonesian() -> Markup:
    """Return the attribute of an element whose text stays Indonesian."""
    return Markup("") if language.is_original() else Markup(' lang="id"')


def _standard_time(text: str) -> str:
    """Return a standard time in the words of the SOP, or as a span of time in another language."""
    return text if language.is_original() or not text else wording.duration(duration_seconds(text))


def _indonesian(text: str) -> str:
    """Return what stays Indonesian in every language, such as a SOP's wording; marked where it is not all."""
    if language.is_original() or not text:
        return text
    return Markup('<span lang="id">{}</span>').format(_printed(text))


def _printed(value: object) -> object:
    """Return what an expression of a template prints, or refuse it."""
    if isinstance(value, Markup | jinja2.Undefined):
        return value
    if isinstance(value, str):
        return display(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise TypeError(f"a document must not print {value!r}")


@jinja2.pass_context
def _host_moment(context: jinja2.runtime.Context, text: str) -> str:
    """Return a time that a host told, in the office's zone; what tells no moment stays as it is."""
    try:
        at = moment_of(text)
        return wording.moment(at, ZoneInfo(context["view"].timezone)) if at.tzinfo else text
    except (ValueError, OverflowError):
        return text


def _in_zone(form: Callable[[datetime, ZoneInfo], str]) -> Any:  # noqa: ANN401 - Jinja marks the function
    @jinja2.pass_context
    def in_zone(context: jinja2.runtime.Context, text: str) -> str:
        return form(moment_of(text), ZoneInfo(context["view"].timezone))

    return in_zone
