"""Signing through BSrE's e-sign service: what is sent, what is taken; nothing else gets in or out."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority, authority, document, stamp
from esign_service import CREDENTIALS, NIK, SECRET, Answer, Asked, EsignService, served

from runner import archive, errors, pades, record, verify
from runner.document_signing import DocumentSigning, Hand
from runner.engine import Closed, Unsigned
from runner.journal import Journal
from runner.signers.base import Task
from runner.signers.bsre import BsreSigner, Service
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.office import Office, events_of
from scenarios.test_document_signing import APPROVED, SECOND, signing_office


@pytest.fixture(scope="module")
def issuer() -> Authority:
    return authority("Otoritas BSrE Contoh")


@pytest.fixture
def service(issuer: Authority, tmp_path: Path) -> Iterator[EsignService]:
    certificate = issuer.issue("Nama Pranata", tmp_path / "pranata.p12")
    with served(EsignService(certificate)) as running:
        yield running


def task(base: bytes | None = None) -> Task:
    return Task(
        base or document(), "ttd-2-1", "Nama Pranata", "Memverifikasi", "Kota Contoh", stamp(), "rawat:r1"
    )


def signer(
    service: EsignService, *, nik: str = NIK, passphrase: str = SECRET, seconds: float = 30
) -> BsreSigner:
    return BsreSigner(Service(service.address, CREDENTIALS, seconds=seconds), nik, passphrase)


def refused(signer: BsreSigner) -> str:
    with pytest.raises(errors.DecisionRefusedError) as caught:
        signer.sign(task())
    told = f"{caught.value} {caught.value.hint}"
    assert not any(secret in told for secret in (NIK, SECRET, "rahasia"))
    return told


def test_what_is_sent(service: EsignService) -> None:
    signed = signer(service).sign(task())

    (asked,) = service.asked
    assert asked.path == "/api/v2/sign/pdf"
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(CREDENTIALS.encode()).decode()
    assert sorted(asked.said) == ["file", "nik", "passphrase", "signatureProperties"]
    assert [base64.b64decode(file) for file in asked.said["file"]] == [document()]
    (look,) = asked.said["signatureProperties"]
    assert base64.b64decode(look.pop("imageBase64")).startswith(b"\x89PNG")
    room = pades.places(document())["ttd-2-1"]
    assert look == {
        "tampilan": "VISIBLE",
        "reason": "Memverifikasi",
        "location": "Kota Contoh",
        "contactInfo": "",
        "page": 1,
        "originX": int(room.box[0]) + 1,
        "originY": int(room.box[1]) + 1,
        "width": 45,
        "height": 45,
    }
    assert signed.startswith(document())


def test_a_service_that_counts_from_the_top(service: EsignService) -> None:
    top = Service(service.address, CREDENTIALS, origin="top")
    BsreSigner(top, NIK, SECRET).sign(task())
    look = service.asked[0].said["signatureProperties"][0]
    room = pades.places(document())["ttd-2-1"]
    assert 841 - room.box[3] <= look["originY"] <= 842 - room.box[1] - look["height"]


def test_a_proxy_of_the_environment_gets_nothing(
    service: EsignService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert signer(service).sign(task())


# What goes wrong -----------------------------------------------------------------------------------------


def test_a_wrong_passphrase(service: EsignService) -> None:
    assert "refuses the passphrase" in refused(signer(service, passphrase="salah"))


def test_an_unknown_nik(service: EsignService) -> None:
    assert "knows nobody with this NIK" in refused(signer(service, nik="9876543210123457"))


@pytest.mark.parametrize("nik", ["", "330", "9876543210123456x", "98765432101234567"])
def test_what_is_no_nik_is_not_sent(service: EsignService, nik: str) -> None:
    with pytest.raises(errors.DecisionRefusedError, match="16 digits"):
        signer(service, nik=nik).sign(task())
    assert service.asked == []


def test_an_office_that_the_service_does_not_know(service: EsignService) -> None:
    unknown = BsreSigner(Service(service.address, "esign:lain"), NIK, SECRET)
    assert "does not know this office (401): Unauthorized" in refused(unknown)


def test_a_certificate_that_is_over(service: EsignService) -> None:
    over = {"error": "Sertifikat pengguna telah kedaluwarsa", "status_code": 2021}
    service.answer = lambda _: (400, json.dumps(over).encode())
    assert "refuses (400): Sertifikat pengguna telah kedaluwarsa" in refused(signer(service))


def test_what_the_service_says_cannot_steer_a_terminal(service: EsignService) -> None:
    service.answer = lambda _: (400, json.dumps({"error": "\x1b[2J\u202eoops" + "x" * 9999}).encode())
    told = refused(signer(service))
    assert told.isprintable()
    assert len(told) < 600


def test_a_service_that_is_down(service: EsignService) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        service.address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert "cannot be reached" in refused(signer(service))


def test_a_service_that_never_answers(service: EsignService) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        service.address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "did not answer within 0.3 seconds" in refused(signer(service, seconds=0.3))


def test_a_service_that_drips_its_answer(service: EsignService) -> None:
    service.slowly = 0.05
    service.answer = lambda _: (200, b" " * 1000)
    assert "did not answer within 0.4 seconds" in refused(signer(service, seconds=0.4))


def test_a_service_that_never_ends(service: EsignService) -> None:
    service.answer = lambda _: (200, b'{"file": ["' + b"A" * 8_000_000)
    assert "answered with more than" in refused(signer(service))


def _files(*contents: bytes) -> Callable[[Asked], Answer]:
    files = [base64.b64encode(content).decode() for content in contents]
    return lambda _: (200, json.dumps({"file": files}).encode())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: (200, b"<html>Masuk</html>"), "answered 200 with what is no JSON"),
        (lambda _: (502, b"Bad Gateway"), "answered 502 with what is no JSON"),
        (lambda _: (200, b""), "answered 200 with what is no JSON"),
        (lambda _: (200, b"[" * 100_000), "answered 200 with what is no JSON"),
        (lambda _: (302, b"{}"), "refuses (302): it gave no reason"),
        (lambda _: (200, b"[]"), "refuses (200): it gave no reason"),
        (lambda _: (200, b'{"message": "antre"}'), "refuses (200): antre"),
        (lambda _: (200, b'{"file": []}'), "something else than one document"),
        (lambda _: (200, b'{"file": [1]}'), "something else than one document"),
        (lambda _: (200, b'{"file": ["not base64!"]}'), "something else than one document"),
        (_files(b"%PDF-1", b"%PDF-2"), "something else than one document"),
        (_files(b"GIF89a"), "answered with no PDF"),
    ],
)
def test_an_answer_that_is_no_signed_document(
    service: EsignService, answer: Callable[[Asked], Answer], said: str
) -> None:
    service.answer = answer
    assert said in refused(signer(service))


# In a run ------------------------------------------------------------------------------------------------


@pytest.fixture
def office(quick_dir: Path, make_office: MakeOffice, issuer: Authority) -> Office:
    """Return an office that signs through a service; its address is given to each signer."""
    settings = {"by": "bsre", "service": "https://esign.contoh.invalid", "credentials": "esign.secret"}
    return signing_office(quick_dir, make_office, issuer, settings)


def sign(office: Office, folder: RunFolder, service: EsignService, official: str) -> None:
    hand = Hand(official, signer(service), lambda *_: stamp())
    DocumentSigning(record.load(folder), Journal(folder.journal, office.clock), office.clock).sign(hand)


def test_two_officials_sign_one_after_the_other(
    office: Office, service: EsignService, issuer: Authority, tmp_path: Path
) -> None:
    folder = office.start()
    for official in ("pranata", "kabid"):
        assert isinstance(office.go_on(folder, APPROVED), Unsigned)
        issuer.issue(f"Nama {official.title()}", service.certificate)
        sign(office, folder, service, official)
    assert isinstance(office.go_on(folder, APPROVED), Closed)
    assert [event["by"] for event in events_of(folder, "document_signed")] == ["bsre", "bsre"]
    verify.check_run(folder)
    bag = archive.seal(folder, tmp_path / "archive", tmp_path / "arsip.key")
    verify.verify(bag)
    kept = [path.read_bytes() for path in (*folder.path.rglob("*"), *bag.rglob("*")) if path.is_file()]
    for secret in (NIK, SECRET, CREDENTIALS, base64.b64encode(CREDENTIALS.encode()).decode()):
        assert not any(secret.encode() in content for content in kept)
        assert secret not in " ".join(os.environ.values())


def test_a_service_that_answers_with_another_document(office: Office, service: EsignService) -> None:
    other = service.signed

    def exchanged(asked: Asked) -> Answer:
        said = {**asked.said, "file": [base64.b64encode(document() + b"% other\n").decode()]}
        return 200, json.dumps({"file": [other(said)]}).encode()

    service.answer = exchanged
    _is_refused(office, service, "does not begin with the document")


def test_a_service_that_signs_elsewhere_on_the_page(office: Office, service: EsignService) -> None:
    other = service.signed

    def moved(asked: Asked) -> Answer:
        asked.said["signatureProperties"][0]["originY"] += 300
        return 200, json.dumps({"file": [other(asked.said)]}).encode()

    service.answer = moved
    _is_refused(office, service, "not in the room that is kept for it")


def test_a_service_that_signs_as_somebody_else(
    office: Office, service: EsignService, issuer: Authority
) -> None:
    issuer.issue("Nama Lain", service.certificate)
    _is_refused(office, service, "is signed by 'Nama Lain'")


def test_a_service_that_signs_nothing(office: Office, service: EsignService) -> None:
    service.answer = lambda asked: (200, json.dumps({"file": asked.said["file"]}).encode())
    _is_refused(office, service, "holds 0 signatures, and 1")


def _is_refused(office: Office, service: EsignService, said: str) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    with pytest.raises(errors.DecisionRefusedError, match=said):
        sign(office, folder, service, "pranata")
    assert events_of(folder, "document_signed") == []
    assert not (folder.path / SECOND).exists()
    assert isinstance(office.go_on(folder, APPROVED), Unsigned)
