"""Signatures in PDFs: what is made holds, and everything else that a file could be is refused, by name."""

from __future__ import annotations

import io
import re
import subprocess
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pikepdf
import pytest
from certificates import PASSPHRASE, ROOMS, Authority, authority, document, stamp
from fakes import START
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from runner import errors, pades, pdf_worker
from runner.pades import Expected, Trust, UnsoundError
from runner.signers.base import Task
from runner.signers.pkcs12 import Pkcs12Signer

VERIFIES, RATIFIES = "Nama Pranata", "NAMA  KABID"
NAMES = dict(zip(ROOMS, (VERIFIES, "Nama Kabid"), strict=True))


@pytest.fixture(scope="module")
def office() -> Authority:
    return authority()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def first(office: Authority, folder: Path) -> Pkcs12Signer:
    return Pkcs12Signer.opened(office.issue(VERIFIES, folder / "pranata.p12", elliptic=False), PASSPHRASE)


@pytest.fixture(scope="module")
def second(office: Authority, folder: Path) -> Pkcs12Signer:
    return Pkcs12Signer.opened(office.issue(RATIFIES, folder / "kabid.p12"), PASSPHRASE)


def task(base: bytes, place: str) -> Task:
    return Task(base, place, NAMES[place], "Memverifikasi laporan", "Kota Contoh", stamp(), "rawat:contoh")


@pytest.fixture(scope="module")
def once(first: Pkcs12Signer) -> bytes:
    return first.sign(task(document(), ROOMS[0]))


@pytest.fixture(scope="module")
def twice(once: bytes, second: Pkcs12Signer) -> bytes:
    return second.sign(task(once, ROOMS[1]))


def judge(
    base: bytes, signed: bytes, place: str, office: Authority, moment: datetime = START
) -> pades.Judged:
    return pades.judge(base, signed, Expected(place, NAMES[place], moment), Trust(office.pem))


def refused(base: bytes, signed: bytes, place: str, office: Authority) -> str:
    with pytest.raises(UnsoundError) as caught:
        judge(base, signed, place, office)
    return str(caught.value)


def test_the_layout_says_where_signatures_go() -> None:
    assert pades.PIECE == pdf_worker.PIECE
    rooms = pades.places(document())
    assert list(rooms) == list(ROOMS)
    assert {room.page for room in rooms.values()} == {0}
    left, bottom, right, top = rooms[ROOMS[0]].box
    assert (right - left, top - bottom) == (pytest.approx(155.9, abs=2), pytest.approx(45.35, abs=2))
    assert pades.places(stamp()) == {}


def test_two_sign_one_after_the_other(once: bytes, twice: bytes, office: Authority) -> None:
    assert twice.startswith(once)
    assert once.startswith(document())
    made = [judge(document(), once, ROOMS[0], office), judge(once, twice, ROOMS[1], office)]
    assert made[0].certificate != made[1].certificate


def test_a_signed_document_claims_what_it_claimed_before(twice: bytes) -> None:
    with pikepdf.open(io.BytesIO(document())) as plain, pikepdf.open(io.BytesIO(twice)) as signed:
        assert plain.Root.Metadata.read_bytes() == signed.Root.Metadata.read_bytes()
        assert dict(plain.docinfo.items()) == dict(signed.docinfo.items())
        with signed.open_metadata() as metadata:
            assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("3", "A")
        assert {"/OutputIntents", "/MarkInfo", "/AF"} <= set(signed.Root.keys())
        assert "/Version" not in signed.Root
        assert "/NeedAppearances" not in signed.Root.AcroForm
        widgets = list(signed.pages[0].Annots)
        assert len(widgets) == 2
        for widget in widgets:
            assert (int(widget.F) & 4, "/N" in widget.AP) == (4, True)
        fonts = [found for found in signed.objects if _is_font(found)]
        assert all(_embedded(font) for font in fonts)
        stamped = sum("Liberation" in str(font.BaseFont) for font in fonts)
        assert stamped > sum("Liberation" in str(font.BaseFont) for font in plain.objects if _is_font(font))


def _is_font(found: object) -> bool:
    return (
        isinstance(found, pikepdf.Dictionary) and found.get("/Type") == "/Font" and "/FontDescriptor" in found
    )


def _embedded(font: pikepdf.Object) -> bool:
    return bool({"/FontFile", "/FontFile2", "/FontFile3"} & set(font.FontDescriptor.keys()))


def test_another_program_finds_both_good(twice: bytes, tmp_path: Path, office: Authority) -> None:
    """The parts of each signature, checked with openssl: what a person without Rawat does."""
    (tmp_path / "ca.pem").write_bytes(office.pem)
    ranges = re.findall(rb"/ByteRange ?\[ ?(\d+) (\d+) (\d+) (\d+) *\]", twice)
    assert len(ranges) == 2
    for number, (start, length, after, rest) in enumerate((map(int, one) for one in ranges), start=1):
        covered = twice[start : start + length] + twice[after : after + rest]
        contents = bytes.fromhex(twice[start + length + 1 : after - 1].decode())
        data, cms = tmp_path / f"data{number}", tmp_path / f"cms{number}"
        data.write_bytes(covered)
        cms.write_bytes(contents[: 4 + int.from_bytes(contents[2:4])])
        command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", str(cms), "-content", str(data)]
        command += ["-binary", "-CAfile", str(tmp_path / "ca.pem"), "-purpose", "any", "-out", "/dev/null"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert after + rest == len(twice)


# What is refused ------------------------------------------------------------------------------------


def test_a_changed_byte_after_signing(once: bytes, twice: bytes, office: Authority) -> None:
    added = range(len(document()), len(once))
    contents = once.index(b"/Contents <") + 20
    for place in (added[0] + 40, added[len(added) // 2], contents, added[-1] - 30):
        changed = bytearray(once)
        changed[place] ^= 1
        assert refused(document(), bytes(changed), ROOMS[0], office)
    changed = bytearray(twice)
    changed[len(document()) // 2] ^= 1
    assert "does not begin with" in refused(once, bytes(changed), ROOMS[1], office)


def test_a_changed_signature(once: bytes, office: Authority) -> None:
    start = once.index(b"/Contents <") + len(b"/Contents <")
    signature = bytes.fromhex(once[start : once.index(b">", start)].decode())
    length = 4 + int.from_bytes(signature[2:4])
    # The value of the signature itself stands at its end; what was signed, with its digest, before that.
    for place in (start + 2 * length - 10, start + 2 * length - 2 * 256 - 60):
        other = b"0" if once[place : place + 1] != b"0" else b"1"
        assert refused(document(), once[:place] + other + once[place + 1 :], ROOMS[0], office)


def test_something_added_after_the_last_signature(twice: bytes, once: bytes, office: Authority) -> None:
    for more in (b"\n", b"% a comment\n", _edited(twice, _new_language)[len(twice) :]):
        said = refused(once, twice + more, ROOMS[1], office)
        assert re.search("only a part|another document|changed", said), said


def test_a_signature_over_a_part_only(
    once: bytes, first: Pkcs12Signer, second: Pkcs12Signer, office: Authority
) -> None:
    # The first signature alone does not cover what somebody added before the second one was made.
    sneaked = second.sign(task(_edited(once, _new_text), ROOMS[1]))
    assert "was changed" in refused(once, sneaked, ROOMS[1], office)
    # Nor does one that was made on a document into which something was sneaked before.
    altered = first.sign(task(_edited(document(), _new_text), ROOMS[0]))
    assert "was changed" in refused(document(), altered, ROOMS[0], office)


def test_a_signed_file_without_the_second_signature(once: bytes, office: Authority) -> None:
    assert "holds 1 signatures, and 2" in refused(once, once + b"\n", ROOMS[1], office)
    assert "holds 0 signatures, and 1" in refused(document(), document() + b"\n", ROOMS[0], office)


def test_two_signatures_where_one_was_due(twice: bytes, office: Authority) -> None:
    assert "holds 2 signatures, and 1" in refused(document(), twice, ROOMS[1], office)


def test_another_document(first: Pkcs12Signer, office: Authority) -> None:
    other = first.sign(task(_edited(document(), _new_language), ROOMS[0]))
    assert "was changed (/Lang)" in refused(document(), other, ROOMS[0], office)
    exchanged = document().replace(b"%PDF-1.7", b"%PDF-1.6")
    assert "does not begin with" in refused(exchanged, other, ROOMS[0], office)


def test_somebody_else(second: Pkcs12Signer, office: Authority) -> None:
    other = second.sign(task(document(), ROOMS[0]))
    assert refused(document(), other, ROOMS[0], office) == (
        "is signed by 'NAMA  KABID', and 'Nama Pranata' was to sign"
    )


def test_a_stranger_who_calls_himself_so(tmp_path: Path, office: Authority) -> None:
    stranger = authority("Otoritas Contoh")
    signer = Pkcs12Signer.opened(stranger.issue(VERIFIES, tmp_path / "stranger.p12"), PASSPHRASE)
    said = refused(document(), signer.sign(task(document(), ROOMS[0])), ROOMS[0], office)
    assert said == "the certificate of the signature is not from an authority that the office names"


def test_a_certificate_that_is_not_for_signing(tmp_path: Path, office: Authority) -> None:
    signer = Pkcs12Signer.opened(office.issue(VERIFIES, tmp_path / "other.p12", signs=False), PASSPHRASE)
    with pytest.raises((errors.DecisionRefusedError, UnsoundError)):
        judge(document(), signer.sign(task(document(), ROOMS[0])), ROOMS[0], office)


def test_a_certificate_out_of_its_time(once: bytes, office: Authority) -> None:
    with pytest.raises(UnsoundError, match="good from 2020-01-01 to 2040-01-01, not on 2041-05-01"):
        judge(document(), once, ROOMS[0], office, datetime(2041, 5, 1, tzinfo=UTC))


def test_a_stamp_beside_its_room(
    first: Pkcs12Signer, office: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = {name: pades.Place(0, (60, 600, 300, 700)) for name in ROOMS}
    monkeypatch.setattr(pades, "places", lambda _: moved)
    signed = first.sign(task(document(), ROOMS[0]))
    monkeypatch.undo()
    assert "not in the room" in refused(document(), signed, ROOMS[0], office)


def test_what_is_no_pdf(office: Authority) -> None:
    for added in (b"", b"\0" * 100, b"%%EOF\n" * 3, b"trailer << /Root 1 0 R >>\nstartxref\n0\n%%EOF\n"):
        assert refused(document(), document() + added, ROOMS[0], office)
    assert "no PDF" in refused(b"plain", b"plain text", ROOMS[0], office).replace("not a PDF", "no PDF")
    assert "bytes more" in refused(document(), document() + b" " * (pades.MOST_ADDED + 1), ROOMS[0], office)


def _edited(pdf: bytes, edit: Callable[[IncrementalPdfFileWriter], None]) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    edit(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _new_language(writer: IncrementalPdfFileWriter) -> None:
    writer.root["/Lang"] = generic.TextStringObject("en")
    writer.update_root()


def _new_text(writer: IncrementalPdfFileWriter) -> None:
    page, _ = writer.find_page_for_modification(0)
    content = page.get_object()["/Contents"]
    drawn = generic.StreamObject(stream_data=b"q 1 0 0 rg 60 600 300 60 re f Q " + content.data)
    page.get_object()["/Contents"] = writer.add_object(drawn)
    writer.update_container(page.get_object())


# The file with the certificate --------------------------------------------------------------------------


def test_a_wrong_passphrase_is_told_and_not_repeated(office: Authority, tmp_path: Path) -> None:
    file = office.issue(VERIFIES, tmp_path / "pranata.p12")
    with pytest.raises(errors.DecisionRefusedError, match="passphrase is wrong") as caught:
        Pkcs12Signer.opened(file, "salah-sekali")
    assert "salah-sekali" not in str(caught.value) + caught.value.hint


def test_a_certificate_that_is_over_makes_no_signature(office: Authority, tmp_path: Path) -> None:
    over = datetime(2021, 1, 1, tzinfo=UTC)
    signer = Pkcs12Signer.opened(office.issue(VERIFIES, tmp_path / "old.p12", ends=over), PASSPHRASE)
    with pytest.raises(errors.DecisionRefusedError, match="good from 2020-01-01 to 2021-01-01, not now"):
        signer.sign(task(document(), ROOMS[0]))


@pytest.mark.parametrize("content", [b"", b"not a certificate", None])
def test_a_file_that_is_no_certificate(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "empty.p12"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.DecisionRefusedError):
        Pkcs12Signer.opened(file, PASSPHRASE)


def test_a_key_is_shown_nowhere(first: Pkcs12Signer) -> None:
    assert "key" not in repr(first)


@pytest.mark.parametrize(
    "pem", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_authorities_are_certificates(pem: bytes, office: Authority) -> None:
    pades.require_authorities(office.pem, "ca.pem")
    with pytest.raises(errors.InputError, match=r"ca\.pem: is no list of certificates"):
        pades.require_authorities(pem, "ca.pem")


def test_without_the_library_it_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(errors.InputError, match=r"office\.yml needs pyHanko") as caught:
        pades.require_installed("office.yml")
    assert "pip install --editable '.[pades]'" in caught.value.hint
    described = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert described["project"]["optional-dependencies"]["pades"] == ["pyhanko>=0.38"]
