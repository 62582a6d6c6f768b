"""The process that turns one HTML document into one PDF/A-3a file: ``python -m runner.pdf_worker``.

It reads one JSON request on standard input and writes the PDF to standard output; ``runner.pdf`` starts it.
It is a process of its own because layout takes memory that only comes back when the process ends, and because
text from managed hosts went into what is laid out. Rules it keeps:

- it limits its own memory and processor time before it reads anything;
- it loads nothing: every address but ``data:`` ends the work with an error;
- the clock, the zone, the folder and the user's settings do not reach the file: same request, same bytes;
- what is for the leader stays one page: where it runs over, it is laid out closer.
"""

from __future__ import annotations

import base64
import json
import logging
import resource
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn, cast

EXIT_REFUSED = 10
EXIT_MEMORY = 11
EXIT_FONT = 12
EXIT_FAULTS = 13
FONT = "Liberation Sans"
# The faces that stand for Arial and Times New Roman, letter by letter as wide.
FONTS = frozenset({FONT, "Liberation Serif"})
VARIANT = "pdf/a-3a"
PLACE = "ttd-"
"""How the id of an element begins that keeps room for a signature; the file says where that came to lie."""
PIECE = "Rawat"
"""Whose private data that is, in /PieceInfo: id -> page (from 0), left, bottom, right, top in points."""
AFTER_LEADER = "bagian-a"
"""The id of the element that follows the leader's page, where there is one: it begins page 2."""
DENSITIES = ("padat", "rapat", "terpisah")
"""Classes of a body that lay the leader's page out ever closer; the last gives its table its own page."""
_POINTS = 0.75
"""Of a CSS pixel."""


def main() -> None:
    """Answer the one request on standard input."""
    memory, seconds = (int(argument) for argument in sys.argv[1:3])
    _limit(memory, seconds)
    try:
        pdf = _render(json.load(sys.stdin))
    except MemoryError:
        _give_up(EXIT_MEMORY, "out of memory")
    sys.stdout.buffer.write(pdf)
    sys.stdout.buffer.flush()


def _limit(memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # The soft limit's signal ends the process; the hard one is for a library that ignores it.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The file goes out through the pipe: nothing is to be written to disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _render(request: dict[str, Any]) -> bytes:
    # Imported here so that the limits hold for the library, too.
    from weasyprint.urls import FatalURLFetchingError  # noqa: PLC0415

    faults = _collect_faults()
    refused: list[str] = []
    try:
        pdf = _lay_out(request, refused)
    except FatalURLFetchingError:
        pdf = b""
    # Asked of our own list: the library draws on without a picture when one in a drawing is refused.
    if refused:
        _give_up(EXIT_REFUSED, f"it wants to load {refused[0][:200]!a}; only data: may be loaded")
    if faults:
        _give_up(EXIT_FAULTS, "; ".join(faults))
    return pdf


def _collect_faults() -> list[str]:
    """Return a list that takes what the library reports as errors and would otherwise only log."""
    faults: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            faults.append(record.getMessage())

    logging.getLogger("weasyprint").addHandler(Collector(logging.ERROR))
    return faults


def _lay_out(request: dict[str, Any], refused: list[str]) -> bytes:
    import weasyprint  # noqa: PLC0415

    created = datetime.fromisoformat(request["created"])
    # Both calls must know the variant: the first one chooses the colour profile, the second one the rest.
    document = _fitted(
        request["html"],
        lambda html: weasyprint.HTML(string=html, url_fetcher=_data_only_fetcher(refused)).render(
            pdf_variant=VARIANT
        ),
    )
    document.metadata.title = request["title"]
    document.metadata.created = document.metadata.modified = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    attachments = [
        weasyprint.Attachment(
            string=base64.b64decode(attached["content"]),
            name=attached["name"],
            description=attached["description"],
            created=created,
            modified=created,
            relationship="Data",
        )
        for attached in request["attachments"]
    ]
    pdf = document.write_pdf(pdf_variant=VARIANT, attachments=attachments, finisher=_finish)
    _require_font(document)
    return cast("bytes", pdf)


def _fitted(html: str, laid_out: Callable[[str], Any]) -> Any:  # noqa: ANN401 - WeasyPrint has no types
    """Return the document laid out no closer than its leader's page needs."""
    document = laid_out(html)
    if not _runs_over(document):
        return document
    # Only what comes before is tried: the rest begins a page in any case.
    leader = html.partition(f'id="{AFTER_LEADER}"')[0] + f'id="{AFTER_LEADER}">-'
    *closer, last = DENSITIES
    density = next((one for one in closer if not _runs_over(laid_out(_closer(leader, one)))), last)
    return laid_out(_closer(html, density))


def _closer(html: str, density: str) -> str:
    return html.replace("<body>", f'<body class="{density}">', 1)


def _runs_over(document: Any) -> bool:  # noqa: ANN401 - WeasyPrint has no types
    return any(AFTER_LEADER in page.anchors for page in document.pages[2:])


def _data_only_fetcher(refused: list[str]) -> object:
    from weasyprint.urls import FatalURLFetchingError, URLFetcher  # noqa: PLC0415

    class DataOnlyFetcher(URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: dict[str, str] | None = None) -> object:
            if not url.startswith("data:"):
                # An address in a document is a fault of a template or an attack: no file is the safe answer.
                refused.append(url)
                raise FatalURLFetchingError(url)
            return super().fetch(url, headers)

    return DataOnlyFetcher(allowed_protocols=["data"], allow_redirects=False)


def _finish(document: Any, pdf: Any) -> None:  # noqa: ANN401 - WeasyPrint and pydyf have no types
    """Tell the places; mend two things in tag tree and catalog that screen readers and checkers look at."""
    _tell_places(document, pdf)
    associated = pdf.catalog.get("AF")
    if associated:
        associated[:] = list(dict.fromkeys(associated))
    elements: dict[bytes, Any] = {item.reference: item for item in _dictionaries(pdf.objects)}
    for element in elements.values():
        if element.get("S") == "/TH" and "A" in element:
            row = elements[element["P"]]
            beside_data = any(elements[kid]["S"] == "/TD" for kid in row["K"])
            element["A"]["Scope"] = "/Row" if beside_data else "/Column"


def _tell_places(document: Any, pdf: Any) -> None:  # noqa: ANN401 - WeasyPrint and pydyf have no types
    """Write down where the layout keeps room for signatures, so that nobody has to guess it later."""
    import pydyf  # noqa: PLC0415

    places = {}
    for number, page in enumerate(document.pages):
        for name, (left, top, right, bottom) in page.anchors.items():
            if name.startswith(PLACE):
                box = (left, page.height - bottom, right, page.height - top)
                places[name] = pydyf.Array([number, *(round(side * _POINTS, 2) for side in box)])
    if places:
        when = document.metadata.modified.translate(str.maketrans("", "", "-:T"))
        own = {"LastModified": pydyf.String(f"D:{when}"), "Private": pydyf.Dictionary(places)}
        pdf.catalog["PieceInfo"] = pydyf.Dictionary({PIECE: pydyf.Dictionary(own)})


def _dictionaries(objects: list[Any]) -> list[Any]:
    return [item for item in objects if isinstance(item, dict)]


def _require_font(document: Any) -> None:  # noqa: ANN401 - WeasyPrint has no types
    families = {font.family for font in document.fonts.values()}
    if families and FONTS.isdisjoint(families):
        _give_up(EXIT_FONT, f"used {', '.join(sorted(families))} in its place")


def _give_up(code: int, reason: str) -> NoReturn:
    print(reason, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
