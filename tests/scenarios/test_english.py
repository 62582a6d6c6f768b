"""Every paper that Rawat makes, in English: no Indonesian word is left but a SOP's, a name or other data.

Whoever adds a kind of paper adds it here, with its English or with the sentence of docs/documents.md why not.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from unit.sample_run import whole_run

from runner import minutes, report, retention, sop_document
from runner.canonical import canonical_json
from runner.language import INDONESIAN, reading
from runner.officials import Roster
from runner.report import Original
from runner.run_view import document_view
from runner.sop import parse_sop
from runner.translations import language_of
from runner.view import DocumentView
from scenarios import test_golden
from scenarios.conftest import MakeOffice

Facts = list[tuple[Any, ...]]
Pages = list[tuple[DocumentView, str]]

ORIGINAL = Original("dokumen.pdf", "0" * 64, "1" * 64)
STORIES = (
    test_golden.surakarta,
    test_golden.stopped,
    test_golden.palembang,
    test_golden.refused,
    test_golden.examples,
)
# The most frequent words of Indonesian, and those of these documents; none of them is an English word.
WORDS = frozenset(
    """ada adalah akan alasan antara apakah asli atas atau backupnya bagi bagian baik baku baru bawah
    beberapa bekerja belum berada berakhir berhasil berikut berikutnya berjalan berkas berlaku bersama berubah
    bila bukan bukti cadangan catatan dan dapat dari daftar dasar dengan di diberikan dibuat dicek didahulukan
    diisi dikerjakan dikembalikan dikonfirmasi dilaksanakan dilewati dinyatakan diperbarui diperiksa
    diperlukan diputuskan direncanakan disahkan disebut disetujui disimpan disusun ditahan ditandatangani
    diterima ditetapkan ditolak diubah diuji diverifikasi draf gagal gangguan gelombang hari harus hasil
    hasilnya hanya ini itu jabatan jadwal jam jenis jika juga jumlah kantor karena ke keadaan kegagalan
    kegiatan kembali kepada kerentanan keputusan kerja keterangan komponen komputer kritis kunci kurang
    lainnya lama lampiran langkah laporan layanan lebih lembar lulus masa masih melampaui membutuhkan
    memerlukan menit menjadi menunggu menurut mesin milik mulai naskah nomor nota notulen notulis oleh pada
    paket pejabat pelaksana pelaksanaan pemeriksaan pemutakhiran pengecekan pengembalian pengujian penutup
    perangkat peringatan perlu perbaikan perubahan pimpinan ringkasan saat salinan sama sampai sangat sebab
    sebagai sebelum sedang segera sejak selain selesai selisih semua semula seperti sertifikat sesuai sesudah
    setelah setiap sidik sifat simpulan siapa sistem sudah sumber tabel tanda tanggal tangan tanpa telah
    temuan tempat terakhir terbaru tercatat terhadap terjangkau terkait terlampir terpakai terpasang tersedia
    tersebut tersimpan tertutup terutang tetapi tidak tindak tindakan tingkat uji ukuran umum untuk usulan
    versinya waktu ya yaitu yang""".split()  # noqa: SIM905 - two hundred quoted words are no list to read
)


class Words(HTMLParser):
    """Collects what is read in a document, but for what is marked as Indonesian and the drawn flowchart."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.indonesian: list[str] = []
        self._open: list[bool] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"meta", "col", "br", "img", "link", "input"}:
            return
        said = dict(attrs)
        data = tag != "html" and said.get("lang") == "id"
        self._open.append(data or tag == "style" or said.get("class") in {"lanes", "mono", "name"})

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"meta", "col", "br", "img", "link", "input"}:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        (self.indonesian if any(self._open) else self.found).append(data)


def strings(value: Any) -> set[str]:  # noqa: ANN401 - any JSON
    """Return every text in a document's data."""
    if isinstance(value, dict):
        return set().union(*(strings(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(strings(each) for each in value))
    return {value} if isinstance(value, str) else set()


def left_over(html: str, view: DocumentView) -> list[str]:
    """Return the Indonesian words that nothing but our own sentences can have said."""
    return left_of(html, data_of(view))


def data_of(view: DocumentView) -> set[str]:
    """Return what hosts say; of the rest what is no plain word, for an outcome may be one that we say too."""
    said = view.model_dump(mode="json")
    return strings(said["hosts"]) | {one for one in strings(said) if re.search(r"[^a-z]", one.strip())}


def left_of(html: str, data: set[str]) -> list[str]:
    """Return the Indonesian words of a page that do not stand in its data."""
    text = re.sub(r"\s+", " ", " | ".join(Words(html).found))
    for one in sorted(data, key=len, reverse=True):
        text = text.replace(one, " ") if one else text
    return sorted({word for word in re.findall(r"[A-Za-z]+", text) if word.lower() in WORDS})


@pytest.fixture(scope="module", name="place")
def _place(quick_dir: Path, root: Path, make_office: MakeOffice, roster: Roster) -> test_golden.Place:
    return test_golden.Place(Path(tempfile.mkdtemp(dir=quick_dir)), root, make_office, roster)


@pytest.fixture(scope="module", name="facts")
def _facts(place: test_golden.Place) -> Facts:
    """Return what the documents of the golden copies are made of: a record, and the place in it."""
    seen: Facts = []

    def remembered(*facts: Any) -> DocumentView:  # noqa: ANN401 - what document_view takes
        seen.append(facts)
        return document_view(*facts)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(test_golden, "document_view", remembered)
        for story in STORIES:
            story(place)
    return seen


@pytest.fixture(scope="module", name="pages")
def _pages(facts: Facts) -> Pages:
    """Return every document in English, as copies for readers are made, and what it says."""
    with reading(language_of("en")):
        views = [document_view(*told) for told in facts]
        return [(view, report.render_html(view, ORIGINAL)) for view in views]


def test_every_document_can_be_read_in_english(pages: Pages) -> None:
    assert {view.document for view, _ in pages} == report.known_documents()


def test_no_indonesian_word_is_left_but_data(pages: Pages) -> None:
    wrong = {f"{v.document}-{v.version}": left for v, html in pages if (left := left_over(html, v))}

    assert wrong == {}


def test_a_word_that_nobody_translated_is_found(pages: Pages) -> None:
    view, html = pages[0]

    assert left_over(html.replace("<h2>", "<h2>Hasil ", 1), view) == ["Hasil"]


def test_wording_of_the_sop_is_there_to_the_letter_and_marked(pages: Pages) -> None:
    for view, html in pages:
        marked = "".join(Words(html).indonesian)

        assert view.sop.name in marked or view.document in {"disposisi", "catatan-tindak-lanjut"}
        if view.document == "laporan-hasil-update":
            assert all(row.activity in marked for row in view.rows)


def test_the_page_says_its_language_and_that_it_is_a_translation(pages: Pages) -> None:
    for _, html in pages:
        assert html.startswith('<!doctype html>\n<html lang="en">')
        assert "TRANSLATION for reading; the Indonesian document is the one signed" in html
        assert "<b>TRANSLATION</b> of dokumen.pdf, SHA-256" in html
        pages_told = re.findall(r"\.footer \.page::after \{ content: ([^;]*);", html)
        assert pages_told[-1] == '"Page " counter(page) " of " counter(pages)'


def test_indonesian_documents_carry_no_mark_of_a_language(facts: Facts) -> None:
    for told in facts:
        html = report.render_html(document_view(*told))

        assert '<html lang="id">' in html
        assert html.count("lang=") == 1


def test_amounts_of_forms_are_worded_in_english(pages: Pages) -> None:
    proposal = next(html for view, html in pages if view.document == "usulan-anggaran")

    assert "Rp2,850,000" in proposal
    assert "Rp1,250,000" in proposal
    assert "Rp1.250.000" not in proposal


def test_no_date_or_time_stands_as_machines_write_it(facts: Facts, pages: Pages) -> None:
    """Days as 2026-11-21 stand in the names of runs only; an Indonesian time of day has a point."""
    indonesian = [report.render_html(document_view(*told)) for told in facts]
    for html in (*indonesian, *(html for _, html in pages)):
        text = " | ".join((*Words(html).found, *Words(html).indonesian))

        assert re.findall(r"\d{4}-\d\d-\d\d(?!-[a-z])|\dT\d\d:", text) == []
    colons = [re.findall(r"\b\d{1,2}:\d\d\b", " | ".join(Words(html).found)) for html in indonesian]
    assert [found for found in colons if found] == []


def test_titles_and_texts_of_pictures_hold_no_markup(pages: Pages) -> None:
    """A screen reader reads out what stands in a title: a tag in it would be words."""
    for _, html in pages:
        for title in re.findall(r"<(?:title|desc)>(.*?)</(?:title|desc)>", html, re.DOTALL):
            assert "<" not in title


# Every kind of paper ------------------------------------------------------------------------------------


def annex_pages(place: test_golden.Place, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, set[str]]]:
    for module in ("view", "annex"):
        patch.setattr(f"runner.{module}.MOST_TOLD", 3)  # six hosts are many here
    run = whole_run(place.new("annexed"))
    for (document, version), mark in run.marks.items():
        view = document_view(run.record(), document, version, *mark)
        for _, annex in report.annexes_of(view):
            yield report.annex_html(view, annex, ORIGINAL), data_of(view)


def minutes_pages(_place: test_golden.Place, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, set[str]]]:
    patch.setattr("runner.pdf.render_pdf", lambda *_: b"")
    for fate in retention.FATES:
        with reading(INDONESIAN):
            said, papers = test_golden.destroyed(fate)
        files = {**papers, "statement.json": canonical_json(said)}
        html = minutes.copy_of(files, language_of("en"))[f"{minutes.NAME}.html"].decode()
        yield html, {person["name"] for person in said["persons"]}


def sop_pages(place: test_golden.Place, _patch: pytest.MonkeyPatch) -> Iterator[tuple[str, set[str]]]:
    for file in sorted((place.root / "sops").glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        sop = parse_sop(text, file.name)
        # The notes on a reconstruction quote the paper; a drawing's title names outcomes, and marks nothing.
        quoted = {one for a in sop.assumptions for one in re.findall(r'"[^"]+"', a.text)}
        data = quoted | set(sop.actors.values()) | {sop.id, sop.identity.nama_sop, sop.identity.unit}
        data |= {o.name for step in sop.steps if step.decision for o in step.decision.outcomes}
        yield sop_document.render_sop(sop, text), data


OTHER_PAGES = {
    "_lampiran.html.j2": annex_pages,
    "_berita-acara-penyusutan.html.j2": minutes_pages,
    "sop.html.j2": sop_pages,
}
"""Template of a paper that is no document of a row -> its pages in English, each with the data in it."""
NOT_TRANSLATED = {
    "_stamp.html.j2": "What is seen of an electronic signature has no English copy: "
    "it is a part of the signed file."
}
"""Template of a paper -> the sentence of docs/documents.md that says why it has no English copy."""
MAKERS = {"report", "reading_copy", "minutes", "sop_document", "stamps"}
"""Modules that make PDFs, whose papers are all among those above."""


def test_every_page_has_its_english_or_a_reason_why_not(root: Path) -> None:
    pages = {
        path.name
        for path in (root / report.TEMPLATES).glob("*.j2")
        if re.search(r"<!doctype html>|{% extends", path.read_text(encoding="utf-8"))
    }
    documents = {f"{name}.html.j2" for name in report.known_documents()}
    told = " ".join((root / "docs" / "documents.md").read_text(encoding="utf-8").split())

    assert pages - {"base.html.j2"} == documents | set(OTHER_PAGES) | set(NOT_TRANSLATED)
    assert [sentence for sentence in NOT_TRANSLATED.values() if sentence not in told] == []


def test_nothing_else_makes_papers(root: Path) -> None:
    sources = {path.stem: path.read_text(encoding="utf-8") for path in (root / "runner").rglob("*.py")}
    made = {name for name, text in sources.items() if re.search(r"(render|write)_pdf\(|get_template\(", text)}

    assert made - {"pdf", "pdf_worker"} == MAKERS


@pytest.mark.parametrize("template", OTHER_PAGES)
def test_pages_that_are_no_documents_of_rows_can_be_read_in_english(
    place: test_golden.Place, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    with reading(language_of("en")):
        made = list(OTHER_PAGES[template](place, monkeypatch))

    assert made
    for html, data in made:
        assert html.startswith('<!doctype html>\n<html lang="en">')
        assert "TRANSLATION for reading; the Indonesian" in html
        assert left_of(html, data) == []
