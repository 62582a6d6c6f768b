"""``rawat sign``, what is asked at the terminal, and what an office.yml may say about signatures."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import PASSPHRASE, Authority, authority, stamp
from click.testing import Result
from esign_service import CREDENTIALS, NIK, SECRET, EsignService, served
from fakes import START
from rich.console import Console
from typer.testing import CliRunner

from runner import (
    assembly,
    cli,
    document_signing,
    engine,
    errors,
    gates,
    office,
    pades,
    record,
    signature_prompt,
    stamps,
)
from runner.engine import Unsigned, Waiting
from runner.office_settings import OfficeLook, OfficeSettings
from runner.signature_prompt import SignaturePrompt
from runner.signers.bsre import BsreSigner
from runner.signers.pkcs12 import Pkcs12Signer
from runner.source import SourceError
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.office import Office, events_of
from scenarios.post_office import post_office, settings_text
from scenarios.test_consent import put_roster
from scenarios.test_document_signing import APPROVED, FIRST, build, signing_office

Rawat = Callable[..., Result]


@pytest.fixture(scope="module")
def issuer() -> Authority:
    return authority()


@pytest.fixture
def rawat() -> Rawat:
    return lambda *arguments, **how: CliRunner().invoke(cli.app, arguments, **how)


@pytest.fixture
def at(quick_dir: Path, make_office: MakeOffice, issuer: Authority) -> Office:
    """Return an office with keys and certificates beside its inventory."""
    made = signing_office(quick_dir, make_office, issuer, {"by": "pkcs12"})
    put_roster(made, made.roster)
    shutil.copytree(made.keys, made.root / "inventory" / "keys")
    issuer.issue("Nama Pranata", made.root / "inventory" / "keys" / "pranata.p12")
    return made


@pytest.fixture
def awaiting(at: Office, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Return a run that waits for the verifier's signature, where the commands look for it."""
    folder = at.start()
    assert isinstance(at.go_on(folder, APPROVED), Unsigned)
    monkeypatch.setenv("RAWAT_RUNS", str(folder.path.parent))
    monkeypatch.setenv("RAWAT_ROOT", str(at.root))
    monkeypatch.setattr(stamps, "draw", lambda *_: stamp())
    return folder


@pytest.fixture
def deciding(at: Office, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Return a run that waits at the verifier's gate, where the commands look for it."""
    folder = at.start()
    assert isinstance(at.go_on(folder, {}), Waiting)
    monkeypatch.setenv("RAWAT_RUNS", str(folder.path.parent))
    monkeypatch.setenv("RAWAT_ROOT", str(at.root))
    monkeypatch.setattr(stamps, "draw", lambda *_: stamp())
    monkeypatch.setattr(assembly, "_build_document", build)
    return folder


@pytest.fixture
def passphrase() -> Iterator[Callable[[str], str]]:
    """Return what hands lines over by a descriptor of their own."""
    opened: list[int] = []

    def hand_over(lines: str) -> str:
        reading, writing = os.pipe()
        os.write(writing, lines.encode())
        os.close(writing)
        opened.append(reading)
        return str(reading)

    yield hand_over
    for descriptor in opened:
        os.close(descriptor)


def code_of(folder: RunFolder) -> str:
    now = record.load(folder)
    return document_signing.code(now, document_signing.due_signature(now))


def test_without_an_official_the_document_is_shown(rawat: Rawat, awaiting: RunFolder) -> None:
    for shown in (rawat("sign"), rawat("status")):
        told = " ".join(shown.stdout.split())
        assert shown.exit_code == 0
        assert "row 2 waits for Nama Pranata to sign" in told
        assert f"rawat sign {awaiting.name} --official pranata --document {code_of(awaiting)}" in told
    said = json.loads(rawat("status", "--json").stdout)
    assert (said["state"], said["signature"]["official"], said["signature"]["code"]) == (
        "signature",
        "pranata",
        code_of(awaiting),
    )
    assert said["signature"]["document"] == "documents/02-1-laporan-verified.pdf"


def test_it_is_signed_with_the_passphrase_from_a_descriptor(
    rawat: Rawat, awaiting: RunFolder, passphrase: Callable[[str], str]
) -> None:
    given = ("sign", "--official", "pranata", "--document", code_of(awaiting))
    wrong = rawat(*given, "--passphrase-fd", passphrase("salah\n"))
    assert "the passphrase is wrong" in str(wrong.exception)
    assert "salah" not in wrong.output
    done = rawat(*given, "--passphrase-fd", passphrase(f"{PASSPHRASE}\n"))
    assert (done.exit_code, FIRST in done.stdout.replace("\n", "")) == (0, True)
    assert PASSPHRASE not in done.output
    assert len(events_of(awaiting, "document_signed")) == 1
    none = rawat(*given, "--passphrase-fd", passphrase("x\n"))
    assert "awaits no signature" in str(none.exception)


def test_without_a_terminal_nothing_is_signed_unseen(
    rawat: Rawat, awaiting: RunFolder, passphrase: Callable[[str], str]
) -> None:
    given = ("sign", "--official", "pranata", "--passphrase-fd", passphrase(f"{PASSPHRASE}\n"))
    assert "without a terminal nobody can be asked" in str(rawat(*given).exception)
    assert "is not the code of what is open" in str(rawat(*given, "--document", "0000-0000").exception)
    no_fd = rawat("sign", "--official", "pranata", "--document", code_of(awaiting))
    assert "--passphrase-fd N" in str(no_fd.exception)
    empty = rawat(*given[:3], "--document", code_of(awaiting), "--passphrase-fd", passphrase(""))
    assert "holds no line for" in str(empty.exception)
    closed = rawat(*given[:3], "--document", code_of(awaiting), "--passphrase-fd", "987")
    assert "--passphrase-fd 987 cannot be read" in str(closed.exception)
    assert events_of(awaiting, "document_signed") == []


def test_decide_says_who_signs_next_and_sign_says_to_resume(
    rawat: Rawat, at: Office, deciding: RunFolder, passphrase: Callable[[str], str]
) -> None:
    """From the decision to the next gate: decide, sign, resume; nobody resumes a run to make a document."""
    gate = record.load(deciding).state.gate
    assert gate is not None
    code = gates.code(deciding.name, gate)
    told = rawat("decide", "--outcome", "sesuai", "--official", "pranata", "--gate", code)
    assert told.exit_code == 0, told.output
    said = " ".join(told.stdout.split())
    assert "row 2: sesuai, decided by Nama Pranata" in said
    command = f"rawat sign {deciding.name} --official pranata --document {code_of(deciding)}"
    assert f"sign it: {command}" in said
    assert [event.name for event in record.load(deciding).events[-3:]] == [
        "decision_made",
        "document_written",
        "signature_awaited",
    ]
    signed = rawat(*command.split()[1:], "--passphrase-fd", passphrase(f"{PASSPHRASE}\n"))
    assert signed.exit_code == 0, signed.output
    assert f"go on with: rawat resume {deciding.name}" in " ".join(signed.stdout.split())
    assert isinstance(at.go_on(deciding, {}, resumed=True), Waiting)


def test_a_decision_stands_though_another_process_works_on_the_run(
    rawat: Rawat, deciding: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise errors.InputError("another process is working on run X: process 1")

    monkeypatch.setattr(engine.Engine, "sign_documents", busy)
    gate = record.load(deciding).state.gate
    assert gate is not None
    code = gates.code(deciding.name, gate)
    told = rawat("decide", "--outcome", "sesuai", "--official", "pranata", "--gate", code)
    assert (told.exit_code, "it goes on from here" in " ".join(told.stdout.split())) == (0, True)
    assert len(events_of(deciding, "decision_made")) == 1


def test_whose_signature_is_awaited_is_told_by_mail(rawat: Rawat, at: Office, deciding: RunFolder) -> None:
    with post_office(at.root / "post") as post:
        beside = at.root / "inventory"
        for name in ("password", "ca.pem"):
            shutil.copy(post.folder / name, beside)
        text = settings_text(post).replace("addresses: {", "addresses: {pranata: pranata@dinas.example, ")
        (beside / "notify.yml").write_text(text, encoding="utf-8")
        gate = record.load(deciding).state.gate
        assert gate is not None
        code = gates.code(deciding.name, gate)
        rawat("decide", "--outcome", "sesuai", "--official", "pranata", "--gate", code)
        assert rawat("remind").exit_code == 0
    (mail,) = post.mails
    assert post.recipients == [["pranata@dinas.example"]]
    assert (
        mail["Subject"].strip() == "[Rawat] Menunggu tanda tangan elektronik Anda: langkah 2, Laporan Contoh"
    )
    body = mail.get_content()
    for words in (
        "sebuah langkah SOP menunggu tanda tangan elektronik Anda.",
        "Ditunggu ....... JF Pranata Komputer Ahli Muda",
        "Dokumen ........ Laporan: documents/02-1-laporan-verified.pdf",
        f"rawat sign {deciding.name} --official pranata",
    ):
        assert words in body
    assert "rawat decide" not in body
    assert code_of(deciding) not in body


def test_it_is_left_out_with_a_reason(rawat: Rawat, awaiting: RunFolder) -> None:
    without = rawat("sign", "--official", "pranata", "--reason", "x")
    assert "--reason goes with --leave-out" in str(without.exception)
    done = rawat("sign", "--official", "pengelola", "--leave-out", "--reason", "Sertifikat kedaluwarsa")
    assert "is left out, on the word of Nama Pengelola" in done.stdout
    assert f"go on with: rawat resume {awaiting.name}" in " ".join(done.stdout.split())
    assert events_of(awaiting, "signature_left_out")[0]["reason"] == "Sertifikat kedaluwarsa"
    assert "awaits no signature" in str(rawat("sign", "--official", "pranata").exception)


# At the terminal -----------------------------------------------------------------------------------------


def asked(at: Office, folder: RunFolder) -> tuple[SignaturePrompt, io.StringIO]:
    shown = io.StringIO()
    return SignaturePrompt(Console(file=shown, width=200), at.workspace, folder), shown


def test_the_official_is_asked_for_his_certificate_and_passphrase(
    at: Office, awaiting: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt, shown = asked(at, awaiting)
    monkeypatch.setattr(signature_prompt, "read_line", lambda _: "")
    answers = iter(["salah", PASSPHRASE])
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    now = record.load(awaiting)
    hand = prompt(document_signing.due_signature(now), now)
    assert hand is not None
    assert (hand.official, isinstance(hand.signer, Pkcs12Signer)) == ("pranata", True)
    assert "Nama Pranata (pranata) signs electronically" in shown.getvalue()
    assert "passphrase is wrong" in shown.getvalue()
    assert PASSPHRASE not in shown.getvalue() + repr(hand)


def test_he_may_leave_it_for_later(at: Office, awaiting: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt, shown = asked(at, awaiting)

    def leaves(_: str) -> str:
        raise EOFError

    monkeypatch.setattr(signature_prompt, "read_line", leaves)
    now = record.load(awaiting)
    assert prompt(document_signing.due_signature(now), now) is None
    assert "left for later: rawat sign" in shown.getvalue()


def test_nik_and_passphrase_are_asked_for_and_not_shown(
    quick_dir: Path, make_office: MakeOffice, issuer: Authority, tmp_path: Path
) -> None:
    with served(EsignService(issuer.issue("Nama Pranata", tmp_path / "pranata.p12"))) as service:
        settings = {"by": "bsre", "service": service.address, "credentials": "esign.secret"}
        made = signing_office(quick_dir, make_office, issuer, settings)
        put_roster(made, made.roster)
        folder = made.start()
        made.go_on(folder, APPROVED)
        prompt, shown = asked(made, folder)
        now = record.load(folder)
        due = document_signing.due_signature(now)
        answers = {"NIK": NIK, "Passphrase": SECRET}
        questions: list[str] = []

        def answer(question: str) -> str:
            questions.append(question)
            return answers[question.split(maxsplit=1)[0]]

        secret = made.root / "inventory" / "esign.secret"
        for content, mode, said in (
            (None, 0, "cannot be read"),
            (CREDENTIALS, 0o644, "can be read by others"),
            ("no colon", 0o600, "holds no user:password"),
        ):
            if content is not None:
                secret.write_text(content, encoding="utf-8")
                secret.chmod(mode)
            with pytest.raises(errors.InputError, match=said):
                prompt.hand(due, now, None, answer)
        assert questions == []
        secret.write_text(f"{CREDENTIALS}\n", encoding="utf-8")
        hand = prompt.hand(due, now, None, answer)
        assert isinstance(hand.signer, BsreSigner)
        assert [question.split()[0] for question in questions] == ["NIK", "Passphrase"]
        told = shown.getvalue() + repr(hand)
        assert not any(word in told for word in (NIK, SECRET, "rahasia"))


def test_the_stamp_says_who_and_when_and_is_as_large_as_its_room(at: Office) -> None:
    folder = at.start()
    at.go_on(folder, APPROVED)
    now = record.load(folder)
    due = document_signing.due_signature(now)
    room = pades.places(folder.path.joinpath(due.base["path"]).read_bytes())[due.place]
    drawn = pades.opened(stamps.draw(due, now, START))
    box = [float(side) for side in drawn.root["/Pages"]["/Kids"][0]["/MediaBox"]]
    assert box[2] == pytest.approx(room.box[2] - room.box[0], abs=0.5)
    assert box[3] == pytest.approx(room.box[3] - room.box[1], abs=0.5)
    assert drawn.root["/Pages"]["/Count"] == 1


# office.yml ----------------------------------------------------------------------------------------------


def look_of(tmp_path: Path, at: Office, signatures: str) -> OfficeLook:
    file = tmp_path / "officials.yml"
    file.with_name("office.yml").write_text(f"signatures:\n{signatures}", encoding="utf-8")
    return office.look_of(at.roster, file)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("  by: pgp\n", "office.yml:2: "),
        ("  by: pkcs12\n", "authorities: name the file"),
        ("  by: pkcs12\n  authorities: ../ca.pem\n", "expected the name of a .pem or .crt file"),
        ("  by: pkcs12\n  authorities: ca.pem\n  versions: [verified]\n", "expected [ratified] or"),
        ("  by: bsre\n  authorities: ca.pem\n", "by: bsre needs service and credentials"),
        ("  service: http://esign.contoh.invalid\n", "expected an address that begins with https://"),
        ("  credentials: /etc/shadow\n", "expected secrets/FILE or FILE.secret, beside office.yml"),
        ("  credentials: esign\n", "expected secrets/FILE or FILE.secret, beside office.yml"),
        ("  passphrase: rahasia\n", "office.yml:2: "),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, at: Office, said: str, told: str) -> None:
    with pytest.raises(SourceError) as caught:
        look_of(tmp_path, at, said)
    assert told in str(caught.value)


def test_the_authorities_are_kept_by_the_run(tmp_path: Path, at: Office, issuer: Authority) -> None:
    (tmp_path / "ca.pem").write_bytes(issuer.pem)
    look = look_of(tmp_path, at, "  by: pkcs12\n  authorities: ca.pem\n")
    assert look.authorities.encode() == issuer.pem
    assert OfficeLook.from_snapshot(look.snapshot(), "office.json") == look
    (tmp_path / "ca.pem").write_text("no certificate", encoding="utf-8")
    with pytest.raises(errors.InputError, match="is no list of certificates in PEM"):
        look_of(tmp_path, at, "  by: pkcs12\n  authorities: ca.pem\n")
    with pytest.raises(errors.InputError, match=r"none\.pem: cannot be read"):
        look_of(tmp_path, at, "  by: pkcs12\n  authorities: none.pem\n")


def test_nothing_is_begun_where_the_library_is_missing(
    tmp_path: Path, at: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(errors.InputError, match=r"office\.yml: signatures: by: pkcs12 needs pyHanko"):
        look_of(tmp_path, at, "  by: pkcs12\n  authorities: ca.pem\n")
    assert look_of(tmp_path, at, "  by: none\n").settings == OfficeSettings()
