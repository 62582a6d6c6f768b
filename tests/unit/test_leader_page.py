"""The leader's page is one page, in both languages, for short and for long content; laid out as needed."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pikepdf
import pytest
import weasyprint
from sample_run import SampleRun, whole_run

from runner import pdf, report
from runner.language import INDONESIAN, Language, reading
from runner.pdf_worker import AFTER_LEADER, DENSITIES, _fitted
from runner.report import Original
from runner.translations import language_of
from runner.view import DocumentView

REPORT = ("laporan-hasil-update", "draft")
ORIGINAL = Original("09-2-laporan-hasil-update-draft.pdf", "0" * 64, "1" * 64)
LANGUAGES = (INDONESIAN, language_of("en"))


@pytest.fixture(scope="module", name="sample")
def _sample(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    return whole_run(tmp_path_factory.mktemp("run"))


def view_of(sample: SampleRun) -> DocumentView:
    return report.document_view(sample.record(), *REPORT, *sample.marks[REPORT])


def longest(view: DocumentView) -> DocumentView:
    """Return the view of an office that has the most to say: of every list as many as a page may name."""
    data: dict[str, Any] = view.model_dump(mode="json", by_alias=True)
    data["look"]["lines"] = [f"Pemerintah Kabupaten Contoh Bagian Barat Baris {n}" for n in range(5)]
    data["look"]["address"] = ["Jalan Contoh Nomor 0, Kompleks Perkantoran, Kota Contoh 00000"] * 3
    data["electronic"] = "signed"
    data["sop"]["number"] = "000.8.3.3/0000/SOP.DINAS-CONTOH/2026"
    host = data["hosts"][0]
    names = (f"komputer-pelayanan-{n:02d}.dinas-contoh.lokal" for n in range(40))
    data["hosts"] = [host | {"host": name} for name, _ in zip(names, range(20), strict=False)]
    owed = data["owed"][0]
    data["owed"] = [owed | {"host": f"komputer-cabang-{n:02d}.dinas-contoh.lokal"} for n in range(12)]
    for row in data["rows"]:
        row["work"], row["waiting"] = 86400 * 2 + 3600 * 23, 86400 * 6 + 3600 * 11
        row["over"] = True
    return DocumentView.model_validate(data)


def leader_of(view: DocumentView, language: Language) -> str:
    """Return a report up to the first line after its leader's page, so that little is laid out."""
    with reading(language):
        html = report.render_html(view, None if language is INDONESIAN else ORIGINAL)
    head, found, _ = html.partition(f'id="{AFTER_LEADER}"')
    assert found
    return f"{head}{found}>A</h2></main></body></html>"


def pages(html: str) -> int:
    made = pdf.render_pdf(html, "x", datetime(2026, 11, 21, tzinfo=UTC), ("x.json", b"{}"))
    with pikepdf.open(io.BytesIO(made)) as document:
        return len(document.pages)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.code)
def test_the_leader_s_page_is_one_page_however_long_names_and_letterhead_are(
    sample: SampleRun, language: Language
) -> None:
    html = leader_of(longest(view_of(sample)), language)

    assert pages(html.replace(AFTER_LEADER, "x")) > 2  # laid out as usual, it would run over
    assert pages(html) == 2


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.code)
def test_a_usual_leader_s_page_is_one_page(sample: SampleRun, language: Language) -> None:
    assert pages(leader_of(view_of(sample), language)) == 2


def test_a_page_is_laid_out_no_closer_than_it_needs() -> None:
    """Each line is 30 mm, or 25 or 20 in the two densities; eight of 30 fill the page."""
    style = "@page { size: A4; margin: 20mm } div { height: 30mm } .next { break-before: page }"
    style += "".join(
        f".{name} div {{ height: {height}mm }}" for name, height in zip(DENSITIES, (25, 20, 30), strict=True)
    )

    def laid_out(count: int) -> tuple[int, list[str]]:
        seen = []

        def remembered(html: str) -> Any:  # noqa: ANN401 - WeasyPrint has no types
            seen.append(next((name for name in DENSITIES if f'<body class="{name}">' in html), ""))
            return weasyprint.HTML(string=html).render()

        page = f'<style>{style}</style><body>{"<div>x</div>" * count}<p class=next id="{AFTER_LEADER}">A</p>'
        return len(_fitted(page, remembered).pages), seen

    assert laid_out(8) == (2, [""])
    assert laid_out(10) == (2, ["", "padat", "padat"])
    assert laid_out(12) == (2, ["", "padat", "rapat", "rapat"])
    assert laid_out(20) == (4, ["", "padat", "rapat", "terpisah"])
