"""The SOP as the official document: what stands where, as on paper, and that it is the same every time."""

from __future__ import annotations

import io
import os
import re
from html import unescape
from pathlib import Path

import hostile
import pikepdf
import pytest
from typer.testing import CliRunner

from runner import cli, errors, sop_document
from runner.flow import flow_of
from runner.language import reading
from runner.procedure import marks_of, procedure_of
from runner.sop import Sop, parse_sop
from runner.translations import language_of

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "sop-documents"
FILES = [
    ROOT / "sops" / "surakarta-system-update.yml",
    ROOT / "sops" / "palembang-information-system-maintenance.yml",
]
HOSTILE = "<script>alert(1)</script>{{7*7}}<img src=file:///etc/passwd>&lt;b&gt;\"'\u202e]]>"


def rendered(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return sop_document.render_sop(parse_sop(text, file.name), text)


def words(html: str) -> str:
    """Return what a reader sees, spaces made one."""
    body = re.sub(r"<(style|title)>.*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


def main_part(html: str) -> str:
    return html.split("<main>\n", 1)[1].split("</main>", 1)[0]


# As it was looked at --------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_document_is_the_one_that_was_looked_at(file: Path) -> None:
    """After a change of the looks RAWAT_GOLDEN=1 writes the files anew: look at every page before."""
    golden, made = GOLDEN / f"{file.stem}.html", main_part(rendered(file))
    if os.environ.get("RAWAT_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(made, encoding="utf-8")

    assert made == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_identity_block_stands_in_its_order(file: Path) -> None:
    shown = words(rendered(file))
    heads = ["tempat logo", "Nomor SOP", "Tgl. Pembuatan", "Tgl. Revisi", "Tgl. Efektif", "Disahkan oleh"]
    heads += ["Nama SOP", "Dasar Hukum", "Kualifikasi Pelaksana", "Keterkaitan", "Peralatan/Perlengkapan"]
    heads += ["Peringatan", "Pencatatan dan Pendataan", "Kegiatan"]
    places = [shown.index(f" {head} ") for head in heads]

    assert places == sorted(places)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_word_of_every_row_is_there(file: Path) -> None:
    sop = parse_sop(file.read_text(encoding="utf-8"), file.name)
    shown = words(re.sub(r"<sup.*?</sup>", "", rendered(file)))
    for step in sop.steps:
        told = [
            step.kegiatan,
            *step.kelengkapan,
            step.waktu or "",
            *(o.name for o in step.output),
            step.keterangan or "",
        ]
        assert not [text for text in told if " ".join(text.split()) not in shown]


def test_what_is_empty_in_the_file_is_visibly_empty_and_what_says_nothing_says_so() -> None:
    surakarta, palembang = (rendered(file) for file in FILES)
    number = re.compile(r'<th scope="row">Nomor SOP</th><td>\s*<span class="blank"')
    assert number.search(surakarta)
    assert not number.search(palembang)
    assert '<th scope="row">Tgl. Revisi</th><td>-</td>' in palembang


def test_every_assumption_is_marked_where_it_was_made_and_told_at_the_end() -> None:
    file = FILES[0]
    sop, html = parse_sop(file.read_text(encoding="utf-8"), file.name), rendered(file)
    body, notes = html.split("Catatan rekonstruksi")

    assert {int(n) for n in re.findall(r'<sup class="mark">(\d+)\)</sup>', body)} == set(
        range(1, len(sop.assumptions) + 1)
    )
    assert [a.text for a in sop.assumptions if (a.catatan or a.text) not in unescape(notes)] == []


def test_the_head_stands_on_every_sheet() -> None:
    html = rendered(FILES[0])
    assert (
        html.count('<table class="flow">')
        == html.count("Mutu Baku</th>")
        == html.count("Keterangan</th>")
        == 2
    )


# PDF ------------------------------------------------------------------------------------------------------


def test_the_pdf_has_a_page_for_each_sheet_and_carries_the_file(tmp_path: Path) -> None:
    file = FILES[0]
    text = file.read_text(encoding="utf-8")
    sop = sop_document.write_sop(text, str(file), tmp_path / "sop.pdf")
    made = (tmp_path / "sop.pdf").read_bytes()
    with pikepdf.open(io.BytesIO(made)) as document:
        # The identity block, the sheets, and the notes if they found no room under the last one.
        more = len(document.pages) - len(flow_of(procedure_of(sop), marks_of(sop)).pages)
        assert more in {1, 2}
        attached = document.Root.AF[0]
        assert (str(attached.UF), attached.EF.F.read_bytes()) == (file.name, text.encode())
        assert str(document.Root.Lang) == "id"
    sop_document.write_sop(text, str(file), tmp_path / "again.pdf")

    assert (tmp_path / "again.pdf").read_bytes() == made


# Any file -------------------------------------------------------------------------------------------------


def with_texts(text: str) -> Sop:
    sop = parse_sop(FILES[0].read_text(encoding="utf-8"), "sop.yml")
    identity = {field: [text] if isinstance(value, list) else text for field, value in sop.identity}
    steps = [
        step.model_dump() | {"kegiatan": text, "kelengkapan": [text, text], "keterangan": text}
        for step in sop.steps
    ]
    for step in steps:
        if step["decision"]:
            step["decision"]["outcomes"][0]["name"] = text
    data = sop.model_dump() | {
        "identity": identity,
        "steps": steps,
        "actors": dict.fromkeys(sop.actors, text),
    }
    data["assumptions"] = [{"field": "steps[1].kegiatan", "text": text}]
    return Sop.model_validate(data)


@pytest.mark.parametrize("payload", [HOSTILE, "\x1b[31m", *hostile.payloads()[::60]])
def test_hostile_text_is_text(payload: str) -> None:
    harmless = sop_document.render_sop(with_texts("x"), "")
    html = sop_document.render_sop(with_texts(payload or "x"), "")

    names = re.compile(r"<(/?\w+)")
    # As many elements of another kind than text and sheets as with a harmless word.
    assert set(names.findall(html)) <= {*names.findall(harmless), "ul", "/ul", "rect", "text", "/text"}
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "1236227" not in html


def test_hostile_text_makes_a_pdf_that_loads_nothing() -> None:
    # The worker ends with an error as soon as anything but data: is asked for.
    made = sop_document._pdf(sop_document.render_sop(with_texts(HOSTILE), ""), "../../x\n.yml", "format: 1")
    assert made.startswith(b"%PDF-1.7")


def test_an_empty_identity_block_can_be_printed() -> None:
    sop = parse_sop(FILES[0].read_text(encoding="utf-8"), "sop.yml")
    empty = sop.model_copy(
        update={"identity": type(sop.identity)(unit="Dinas", nama_sop="Contoh"), "assumptions": []}
    )
    html = sop_document.render_sop(empty, "")

    assert html.count('class="blank"') == 1 + 7 + 6
    assert "Catatan rekonstruksi" not in html


# The command ----------------------------------------------------------------------------------------------


def test_render_says_what_it_wrote_and_writes_over_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "sop.html"
    out.write_text("old", encoding="utf-8")
    done = CliRunner().invoke(cli.app, ["sop", "render", str(FILES[1]), "-o", str(out)])

    assert (done.exit_code, done.output) == (0, f"{out}: Pemeliharaan Sistem Informasi, 11 rows\n")
    assert out.read_text(encoding="utf-8") == rendered(FILES[1])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sop.docx", "ends in .pdf or .html"),
        ("nowhere/sop.pdf", "there is no folder"),
        ("dir.pdf", "is a folder"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_done(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "dir.pdf").mkdir()
    with pytest.raises(errors.InputError, match=told):
        sop_document.require_kind(tmp_path / name)


def test_a_broken_sop_is_not_printed(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError):
        sop_document.write_sop("format: 1\n", "x.yml", tmp_path / "sop.html")
    assert list(tmp_path.iterdir()) == []


# For readers of another language --------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_in_english_every_word_of_the_sop_stays_and_is_marked(file: Path) -> None:
    with reading(language_of("en")):
        html = rendered(file)
    marked = unescape(" | ".join(re.findall(r'<span lang="id">([^<]*)</span>', html)))
    sop = parse_sop(file.read_text(encoding="utf-8"), file.name)

    assert "<h1>Standard Operating Procedure" in html
    for heading in ("Legal Basis", "Ratified by", "Activity", "Actors", "Requirements", "Remarks"):
        assert heading in html
    assert words(html).count("TRANSLATION for reading; the Indonesian SOP is the one ratified") == 1
    said = [text for _, value in sop.identity for text in (value if isinstance(value, list) else [value])]
    said += [text for step in sop.steps for text in (step.kegiatan, *step.kelengkapan, step.waktu)]
    assert [text for text in said if text and text not in marked] == []


def test_notes_on_the_reconstruction_are_the_english_ones_of_the_file() -> None:
    with reading(language_of("en")):
        told = words(rendered(FILES[0]))

    assert 'The scan has "Nmor"; read as "Nomor".' in told
    assert "Step 3: Row 3 is read as a decision" in told
    assert "dibaca" not in told


def test_a_copy_to_read_is_asked_for_by_its_language(tmp_path: Path) -> None:
    out = tmp_path / "sop.html"
    command = ["sop", "render", str(FILES[1]), "-o", str(out), "--lang"]
    done = CliRunner().invoke(cli.app, [*command, "en"])

    assert done.exit_code == 0
    assert out.read_text(encoding="utf-8").startswith('<!doctype html>\n<html lang="en">')
    assert "cannot be read in 'de'" in str(CliRunner().invoke(cli.app, [*command, "de"]).exception)


# On the office's letterhead -----------------------------------------------------------------------------

OFFICE = """\
letterhead:
  lines: [Pemerintah Kota Contoh, "Dinas <Contoh>"]
  address: [Jalan Contoh Nomor 0]
  logos: [{file: lambang.png, name: Lambang Kota Contoh}]
paper: F4
font: Times New Roman
"""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


@pytest.fixture(name="inventory")
def _inventory(tmp_path: Path) -> Path:
    """Return an inventory with an office on F4, with a logo."""
    folder = tmp_path / "kantor"
    folder.mkdir()
    (folder / "officials.yml").write_text(
        "office: Dinas Contoh\nofficials:\n"
        f"  - {{id: satu, name: Nama, nip: '{1:018d}', positions: [Staf TI],\n"
        "     key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvcnRlc3Rz}\n"
    )
    (folder / "office.yml").write_text(OFFICE)
    (folder / "lambang.png").write_bytes(PNG)
    return folder


def test_the_printed_sop_is_on_the_office_s_letterhead_and_paper(tmp_path: Path, inventory: Path) -> None:
    asked = ["sop", "render", str(FILES[0]), "-i", str(inventory), "-o", str(tmp_path / "sop.pdf")]
    done = CliRunner().invoke(cli.app, asked)
    assert done.exit_code == 0, done.output

    with pikepdf.open(tmp_path / "sop.pdf") as document:
        boxes = {
            tuple(round(float(side) * 25.4 / 72) for side in page.mediabox[2:]) for page in document.pages
        }
    assert boxes == {(330, 215)}
    html_asked = [*asked[:-1], str(tmp_path / "sop.html")]
    assert CliRunner().invoke(cli.app, html_asked).exit_code == 0
    page = (tmp_path / "sop.html").read_text(encoding="utf-8")
    assert 'alt="Lambang Kota Contoh"' in page
    assert '<div class="letterhead">Dinas &lt;Contoh&gt;</div>' in page
    assert "tempat logo" not in page
    assert "table.flow { width: 294mm; }" in page


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_flowchart_fills_the_wider_paper(file: Path) -> None:
    sop = parse_sop(file.read_text(encoding="utf-8"), file.name)
    narrow, wide = (flow_of(procedure_of(sop), marks_of(sop), paper) for paper in ("A4", "F4"))
    assert sum(wide.columns.values()) + wide.lanes.total == pytest.approx(294, abs=0.05)
    assert len(wide.pages) <= len(narrow.pages)


def test_an_office_without_settings_changes_nothing(tmp_path: Path, inventory: Path) -> None:
    (inventory / "office.yml").unlink()
    asked = ["sop", "render", str(FILES[0]), "-o", str(tmp_path / "sop.html")]
    assert CliRunner().invoke(cli.app, asked).exit_code == 0
    plain = (tmp_path / "sop.html").read_bytes()
    assert CliRunner().invoke(cli.app, [*asked, "-i", str(inventory)]).exit_code == 0
    assert (tmp_path / "sop.html").read_bytes() == plain
