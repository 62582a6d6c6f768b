"""The PDF worker: what it makes, what it refuses, and that it is held to its limits."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pikepdf
import pytest

from runner import pdf
from runner.errors import StepFailedError

CREATED = datetime(2026, 11, 21, 2, 12, 30, tzinfo=UTC)
DATA = ("data.json", b'{"run":"r1"}\n')
PAGE = """<!doctype html><html lang="id"><head><title>Laporan</title><style>
@page { size: A4 } html { font-family: "Liberation Sans" } .next { break-before: page }
</style></head><body><h1>Laporan</h1>
<table><thead><tr><th scope="col">Host</th><th scope="col">Hasil</th></tr></thead>
<tbody><tr><th scope="row">web1</th><td>Diperbarui</td></tr></tbody></table>
%s<p class="next">Halaman dua</p></body></html>"""


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pdf") / "laporan.pdf"
    pdf.write_pdf(PAGE % "", "Laporan \u2013 r1", CREATED, DATA, target)
    return target


def test_pdf_claims_pdf_a_3a_with_title_language_and_time(made: Path) -> None:
    with pikepdf.open(made) as document:
        with document.open_metadata() as metadata:
            assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("3", "A")
            assert metadata["dc:title"] == "Laporan \u2013 r1"
            assert metadata["xmp:CreateDate"] == "2026-11-21T02:12:30Z"
        assert str(document.Root.Lang) == "id"
        assert document.Root.MarkInfo.Marked
        assert "/OutputIntents" in document.Root


def test_pdf_embeds_its_fonts_and_has_its_pages(made: Path) -> None:
    with pikepdf.open(made) as document:
        assert len(document.pages) == 2
        fonts = [
            font.DescendantFonts[0].FontDescriptor
            for page in document.pages
            for font in page.Resources.Font.values()
        ]
        assert fonts
        assert all({"/FontFile", "/FontFile2", "/FontFile3"} & set(font.keys()) for font in fonts)
        assert {"Liberation-Sans" in str(font.FontName) for font in fonts} == {True}


def test_pdf_carries_its_data_once(made: Path) -> None:
    with pikepdf.open(made) as document:
        associated = document.Root.AF
        assert len(associated) == 1
        assert (str(associated[0].UF), str(associated[0].AFRelationship)) == ("data.json", "/Data")
        assert associated[0].EF.F.read_bytes() == DATA[1]


def test_table_headers_say_what_they_head(made: Path) -> None:
    with pikepdf.open(made) as document:
        headers = [
            str(item.A.Scope)
            for item in document.objects
            if isinstance(item, pikepdf.Dictionary) and item.get("/S") == "/TH" and "/A" in item
        ]

    assert sorted(headers) == ["/Column", "/Column", "/Row"]


def test_same_document_has_the_same_bytes(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")

    assert pdf.render_pdf(PAGE % "", "Laporan \u2013 r1", CREATED, DATA) == made.read_bytes()


def test_pdf_is_private_and_nothing_else_is_left(made: Path) -> None:
    assert made.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in made.parent.iterdir()] == [made.name]


@pytest.mark.parametrize(
    "element",
    [
        '<img alt="" src="file:///etc/passwd">',
        '<img alt="" src="FILE:/etc/passwd">',
        '<img alt="" src="http://127.0.0.1:9/x.png">',
        '<link rel="attachment" href="file:///etc/passwd">',
        '<link rel="stylesheet" href="https://127.0.0.1:9/x.css">',
        '<p style="background: url(ftp://127.0.0.1:9/x.png)">x</p>',
        '<svg width="9" height="9"><image href="file:///etc/passwd" width="9" height="9"/></svg>',
    ],
)
def test_document_that_wants_to_load_something_is_refused(element: str, tmp_path: Path) -> None:
    with pytest.raises(StepFailedError, match="was refused: it wants to load"):
        pdf.write_pdf(PAGE % element, "x", CREATED, DATA, tmp_path / "x.pdf")

    assert not list(tmp_path.iterdir())


def test_document_with_a_broken_picture_is_not_made() -> None:
    picture = '<img alt="rusak" src="data:image/png;base64,AAAA">'

    with pytest.raises(StepFailedError, match="could not be made: Failed to load image"):
        pdf.render_pdf(PAGE % picture, "x", CREATED, DATA)


def test_data_addresses_are_shown() -> None:
    dot = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

    assert pdf.render_pdf(PAGE % f'<img alt="titik" src="{dot}">', "x", CREATED, DATA).startswith(b"%PDF-1.7")


def test_memory_limit_ends_the_worker_with_a_clear_error() -> None:
    limits = pdf.Limits(memory=260 * 1024**2)

    with pytest.raises(StepFailedError, match="260 MiB of memory"):
        pdf.render_pdf(PAGE % f"<!-- {'x' * 40_000_000} -->", "panjang", CREATED, DATA, limits=limits)


def test_processor_limit_ends_the_worker_with_a_clear_error() -> None:
    limits = pdf.Limits(cpu_seconds=1)

    with pytest.raises(StepFailedError, match="more than 1 seconds of processor time"):
        pdf.render_pdf(PAGE % ("<p>baris</p>" * 30_000), "panjang", CREATED, DATA, limits=limits)


def test_wall_limit_ends_the_worker_with_a_clear_error() -> None:
    limits = pdf.Limits(wall_seconds=0.2)

    with pytest.raises(StepFailedError, match=r"not finished within 0\.2 seconds") as caught:
        pdf.render_pdf(PAGE % "", "lambat", CREATED, DATA, limits=limits)
    assert isinstance(caught.value.__cause__, subprocess.TimeoutExpired)


@pytest.mark.parametrize("crashes", [1, 2])
def test_a_worker_that_crashed_is_asked_once_more(crashes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = subprocess.run, []

    def run(argv: list[str], **settings: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(argv)
        crash = [sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"]
        return real(crash if len(asked) <= crashes else argv, **settings)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", run)
    if crashes == 1:
        assert pdf.render_pdf(PAGE % "", "sekali", CREATED, DATA).startswith(b"%PDF-1.7")
    else:
        with pytest.raises(StepFailedError, match="ended by SIGSEGV"):
            pdf.render_pdf(PAGE % "", "dua kali", CREATED, DATA)
    assert len(asked) == 2
