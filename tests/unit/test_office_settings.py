"""office.yml: how documents look, are numbered and kept; what a run keeps of it."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFile
from sample_run import ROSTER, SampleRun, whole_run

from runner import errors, record
from runner.office import look_of
from runner.office_settings import OfficeLook, number_of, parse_office
from runner.report import document_view, render_html, view_json
from runner.source import SourceError

FILE = """\
letterhead:
  lines: [Pemerintah Kota Contoh, Dinas Contoh]
  address: [Jalan Contoh Nomor 0]
  logos: [{file: lambang.png, name: Lambang Kota Contoh}]
number:
  pattern: "{klasifikasi}/{nomor}.{dokumen}/{unit}/{bulan_romawi}/{tahun}"
  unit: DISCONTOH
  by: rawat
paper: F4
font: Times New Roman
place: Kota Contoh
timezone: Asia/Jakarta
archive:
  classification: "000.6.3"
  basis: JRA contoh
  active_years: 1
  inactive_years: 2
  final: musnah
  link: https://arsip.contoh.invalid/{run}/{document}
"""


def png(width: int = 4, height: int = 4) -> bytes:
    """Return a blue picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\x00" + b"\x1f\x3a\x5f" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def office(folder: Path, text: str = FILE, logo: bytes | None = None) -> OfficeLook:
    """Return what an office's folder says."""
    folder.joinpath("office.yml").write_text(text, encoding="utf-8")
    folder.joinpath("lambang.png").write_bytes(png() if logo is None else logo)
    return look_of(ROSTER, folder / "officials.yml")


def html_of(run: SampleRun, document: str = "laporan-hasil-update", version: str = "ratified") -> str:
    found = document_view(record.load(run.folder), document, version, *run.marks[document, version])
    return render_html(found)


def test_an_office_without_the_file_has_the_roster_s_name_as_its_head(tmp_path: Path) -> None:
    assert look_of(ROSTER, tmp_path / "officials.yml") == OfficeLook()
    html = html_of(whole_run(tmp_path))
    assert '<div class="office">Dinas Contoh (lab)</div>' in html
    assert "Tanpa nomor" in html


def test_documents_show_the_office_s_head_number_and_place(tmp_path: Path) -> None:
    html = html_of(whole_run(tmp_path / "run", look=office(tmp_path)))
    assert '<div class="above">Pemerintah Kota Contoh</div>' in html
    assert f'src="data:image/png;base64,{base64.b64encode(png()).decode()}" alt="Lambang Kota Contoh"' in html
    assert "Nomor: 000.6.3/001.06/DISCONTOH/XI/2026" in html
    assert "215mm 330mm" in html
    assert "Kota Contoh, 21 November 2026" in html
    assert (
        "Kode QR: https://arsip.contoh.invalid/2026-11-21-surakarta-system-update-1/laporan-hasil-update#"
        in html
    )


def test_a_draft_has_no_number_yet(tmp_path: Path) -> None:
    html = html_of(whole_run(tmp_path / "run", look=office(tmp_path)), version="draft")
    assert "diberikan setelah ditetapkan" in html
    assert "DISCONTOH" not in html


def test_a_later_change_of_the_file_does_not_change_a_document(tmp_path: Path) -> None:
    run = whole_run(tmp_path / "run", look=office(tmp_path))
    before = html_of(run)
    office(tmp_path, FILE.replace("Dinas Contoh", "Badan Lain"))
    assert html_of(run) == before


def test_settings_that_are_not_those_of_the_start_are_refused(tmp_path: Path) -> None:
    run = whole_run(tmp_path / "run", look=office(tmp_path))
    run.folder.office.write_bytes(OfficeLook().snapshot())
    with pytest.raises(errors.VerificationError, match=r"office\.json"):
        html_of(run)


def test_the_data_of_a_document_name_the_logo_by_its_digest_only(tmp_path: Path) -> None:
    run = whole_run(tmp_path / "run", look=office(tmp_path))
    mark = run.marks["disposisi", "final"]
    data = view_json(document_view(record.load(run.folder), "disposisi", "final", *mark))
    assert base64.b64encode(png()) not in data
    assert b'"name":"Lambang Kota Contoh","sha256":' in data


def test_what_a_run_keeps_is_read_back(tmp_path: Path) -> None:
    look = office(tmp_path)
    assert OfficeLook.from_snapshot(look.snapshot(), "office.json") == look
    with pytest.raises(errors.VerificationError, match="form in which Rawat writes it"):
        OfficeLook.from_snapshot(look.snapshot().replace(b'":', b'": ', 1), "office.json")


@pytest.mark.parametrize(
    ("wrong", "line", "told"),
    [
        (("paper: F4", "paper: Letter"), 9, "paper: expected 'A4' or 'F4', got 'Letter'"),
        (("place:", "places:"), 11, "places: is not a known key; did you mean 'place'?"),
        (("{tahun}", "{year}"), 6, "expected no words in braces but {nomor}"),
        (("{tahun}", "{tahun.__class__}"), 6, "expected no words in braces"),
        (("{tahun}", "{tahun"), 6, "braces do not fit together"),
        (("lambang.png, ", "../lambang.png, "), 4, "expected the name of a .png or .jpg file"),
        (("timezone: Asia/Jakarta", "timezone: Asia/Makassar"), 12, "but officials.yml says Asia/Jakarta"),
        (("timezone: Asia/Jakarta", "timezone: WIB"), 12, "expected a zone such as Asia/Jakarta"),
        (("  final: musnah\n", ""), 13, "active_years, inactive_years and final stand together"),
        (("  basis: JRA contoh\n", ""), 13, "basis: name the decree of the JRA"),
        (("https://", "http://"), 19, "expected an address that begins with https://"),
        (("{nomor}.{dokumen}", "{nomor}"), 6, "number.pattern: expected {dokumen}"),
        (("by: rawat", "by: tangan"), 8, "number.by: expected 'agenda' or 'rawat'"),
    ],
)
def test_a_mistake_is_told_with_its_line(wrong: tuple[str, str], line: int, told: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_office(FILE.replace(*wrong), "office.yml", "Asia/Jakarta")
    assert f"office.yml:{line}: " in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("logo", "told"),
    [(b"<svg/>", "is neither a PNG nor a JPEG"), (png() + b"x" * 500_000, "is larger than 500000 bytes")],
)
def test_a_logo_that_is_no_small_picture_is_refused(tmp_path: Path, logo: bytes, told: str) -> None:
    with pytest.raises(errors.InputError, match=told):
        office(tmp_path, logo=logo)


def jpeg() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 40), (31, 58, 95)).save(made, "JPEG")
    return made.getvalue()


@pytest.mark.parametrize(
    "torn", [png()[:45], png()[:8] + b"no picture", png().replace(b"IDAT", b"IDAX"), jpeg()[:400]]
)
@pytest.mark.parametrize("takes", [True, False])
def test_a_logo_that_cannot_be_drawn_is_refused_before_a_run_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bytes, *, takes: bool
) -> None:
    """Also where WeasyPrint was at work in this process, which has Pillow take torn pictures."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", takes)
    with pytest.raises(
        errors.InputError, match=r"lambang\.png: is a picture that cannot be opened: "
    ) as told:
        office(tmp_path, logo=torn)
    assert told.value.hint == "open it in a picture program and save it as PNG anew"


@pytest.mark.parametrize("whole", [png(), jpeg()])
def test_a_logo_that_can_be_drawn_is_taken(tmp_path: Path, whole: bytes) -> None:
    assert len(office(tmp_path, logo=whole).pictures) == 1


@pytest.mark.parametrize("side", [5_001, 20_000])
def test_a_logo_of_too_many_pixels_is_refused(tmp_path: Path, side: int) -> None:
    with pytest.raises(errors.InputError, match=r"lambang\.png: has .*pixels"):
        office(tmp_path, logo=png(side, 5_000) if side == 5_001 else png(1, 1).replace(*_sizes(side)))


def _sizes(side: int) -> tuple[bytes, bytes]:
    """Return the head of a picture of one pixel, and that of one that says it had many."""
    heads = [b"IHDR" + struct.pack(">IIBBBBB", n, n, 8, 2, 0, 0, 0) for n in (1, side)]
    one, many = (head + struct.pack(">I", zlib.crc32(head)) for head in heads)
    return one, many


def test_settings_that_everybody_may_write_are_refused(tmp_path: Path) -> None:
    office(tmp_path)
    tmp_path.joinpath("office.yml").chmod(0o646)
    with pytest.raises(errors.InputError, match=r"office\.yml can be written by everybody"):
        look_of(ROSTER, tmp_path / "officials.yml")


def test_a_logo_that_is_not_there_is_named(tmp_path: Path) -> None:
    tmp_path.joinpath("office.yml").write_text(FILE, encoding="utf-8")
    with pytest.raises(errors.InputError, match=r"lambang\.png: cannot be read"):
        look_of(ROSTER, tmp_path / "officials.yml")


@pytest.mark.parametrize(
    ("by", "said"), [("rawat", "017/03/UNIT/01/I/2027"), ("agenda", "…………/03/UNIT/01/I/2027")]
)
def test_a_number_is_that_of_the_office_s_day_and_leaves_room_for_its_own_book(by: str, said: str) -> None:
    pattern = "{nomor}/{dokumen}/{unit}/{bulan}/{bulan_romawi}/{tahun}"
    text = f'number: {{pattern: "{pattern}", unit: UNIT, by: {by}}}'
    settings: Any = parse_office(text, "office.yml", "Asia/Jakarta")
    # 18.30 UTC on the last day of the year is already the new year in Jakarta.
    assert number_of(settings, 17, 3, "2026-12-31T18:30:00+00:00", "Asia/Jakarta") == said
