"""Documents that officials sign as PDF: who, in which order, on what; and nothing that was altered passes."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from certificates import PASSPHRASE, Authority, authority, document, stamp
from rich.console import Console

from runner import archive, document_signing, engine, errors, record, verify
from runner.canonical import canonical_json
from runner.catalogue import catalogue
from runner.checkpoint import Chain
from runner.document_signing import DocumentSigning, Hand
from runner.engine import Closed, Unsigned, Waiting
from runner.export import ITEMS, export
from runner.files import write_once
from runner.journal import Event, Journal
from runner.office_settings import OfficeLook, OfficeSettings
from runner.reasons import Question
from runner.record import Record
from runner.run_check import checked_run
from runner.screens import gate_view
from runner.signers.base import Task
from runner.signers.pkcs12 import Pkcs12Signer
from runner.sop import Output
from runner.timing import step_times
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.forgery import Record as Line
from scenarios.forgery import find, forge, read_journal, rebag, sha256
from scenarios.office import Office, events_of

SOP = """\
format: 1
id: contoh-laporan
identity: {unit: Dinas Contoh, nama_sop: Laporan Contoh}
actors:
  petugas: Pengelola Sistem dan Jaringan
  pranata: JF Pranata Komputer Ahli Muda
  kabid: Kepala Bidang Teknologi dan Informatika
steps:
  - no: 1
    kegiatan: Menyusun laporan
    pelaksana: petugas
    waktu: 1 Jam
    output: [{name: Draf laporan, document: laporan, version: draft}]
    action: {document: true}
    next: 2
  - no: 2
    kegiatan: Memverifikasi laporan
    pelaksana: pranata
    waktu: 1 Jam
    output: [{name: Laporan, document: laporan, version: verified}]
    decision:
      shows: documents
      outcomes: [{name: sesuai, next: 3}, {name: perlu perbaikan, next: 1}]
  - no: 3
    kegiatan: Menetapkan laporan
    pelaksana: kabid
    waktu: 1 Jam
    output: [{name: Laporan, document: laporan, version: ratified}]
    decision:
      shows: documents
      outcomes: [{name: ditetapkan, next: 4}, {name: dikembalikan, next: 1}]
  - no: 4
    kegiatan: Mengarsipkan
    pelaksana: petugas
    waktu: 1 Jam
    action: {archive: true}
    next: end
"""
APPROVED = {2: ["sesuai", "sesuai"], 3: ["ditetapkan"]}
FIRST, SECOND = "documents/02-1-laporan-verified-signed.pdf", "documents/03-1-laporan-ratified-signed.pdf"


@pytest.fixture(scope="module")
def issuer() -> Authority:
    return authority()


@pytest.fixture(scope="module")
def certificates(issuer: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for official in ("pranata", "kabid", "analis"):
        issuer.issue(f"Nama {official.title()}", folder / f"{official}.p12", elliptic=official != "pranata")
    return folder


def build(  # noqa: PLR0917 - the engine's contract
    now: Record, output: Output, step: int, attempt: int, as_of: int, head: Chain
) -> Sequence[Path]:
    """Write a document with rooms for signatures; each version is a file of its own."""
    stem = now.folder.documents / f"{step:02d}-{attempt}-{output.document}-{output.version}"
    said = canonical_json(
        {"document": output.document, "version": output.version, "as_of": as_of, "archive": head.model_dump()}
    )
    data = write_once(stem.with_name(f"{stem.name}.json"), said)
    # What stands behind the end of a PDF is no part of it.
    made = document() + f"% {sha256(said)}\n".encode()
    return [data, write_once(stem.with_name(f"{stem.name}.pdf"), made)]


@pytest.fixture
def office(quick_dir: Path, make_office: MakeOffice, issuer: Authority) -> Office:
    """Return an office that signs with certificates."""
    return signing_office(quick_dir, make_office, issuer, {"by": "pkcs12"})


def signing_office(
    folder: Path, make_office: MakeOffice, issuer: Authority, signatures: dict[str, Any]
) -> Office:
    tree = Path(tempfile.mkdtemp(dir=folder)) / "laporan"
    office = make_office(tree, Path("contoh-laporan.yml"), SOP)
    settings = OfficeSettings.model_validate({"signatures": {"authorities": "ca.pem", **signatures}})
    look = OfficeLook(settings=settings, authorities=issuer.pem.decode())
    return dataclasses.replace(office, look=look, builds=build)


def hand(certificates: Path, official: str, as_whom: str = "") -> Hand:
    signer = Pkcs12Signer.opened(certificates / f"{official}.p12", PASSPHRASE)
    return Hand(as_whom or official, signer, lambda *_: stamp())


def sign(office: Office, folder: RunFolder, certificates: Path, official: str, as_whom: str = "") -> Event:
    """Sign the awaited document from a process of its own, as ``rawat sign`` does."""
    return taker(office, folder).sign(hand(certificates, official, as_whom))


def taker(office: Office, folder: RunFolder) -> DocumentSigning:
    return DocumentSigning(record.load(folder), Journal(folder.journal, office.clock), office.clock)


def signed_run(office: Office, certificates: Path) -> RunFolder:
    """Return a run that was done to its end, both signatures made."""
    folder = office.start()
    for official in ("pranata", "kabid"):
        stopped = office.go_on(folder, APPROVED)
        assert isinstance(stopped, Unsigned)
        sign(office, folder, certificates, official)
    assert isinstance(office.go_on(folder, APPROVED), Closed)
    return folder


def test_verifier_and_ratifier_sign_the_same_document(office: Office, certificates: Path) -> None:
    folder = office.start()
    stopped = office.go_on(folder, APPROVED)
    assert isinstance(stopped, Unsigned)
    assert (stopped.due.person["id"], stopped.due.version, stopped.due.place) == (
        "pranata",
        "verified",
        "ttd-2-1",
    )
    sign(office, folder, certificates, "pranata")
    stopped = office.go_on(folder, APPROVED)
    assert isinstance(stopped, Unsigned)
    assert (stopped.due.person["id"], stopped.due.base["path"]) == ("kabid", FIRST)
    made = sign(office, folder, certificates, "kabid")
    assert made["files"][0]["path"] == SECOND
    assert isinstance(office.go_on(folder, APPROVED), Closed)

    unsigned, first, second = (
        (folder.path / path).read_bytes() for path in (_unsigned(folder), FIRST, SECOND)
    )
    assert second.startswith(first)
    assert first.startswith(unsigned)
    verify.check_run(folder)
    assert [event["person"]["id"] for event in events_of(folder, "document_signed")] == ["pranata", "kabid"]


def _unsigned(folder: RunFolder) -> str:
    (verified,) = [e for e in events_of(folder, "document_written") if e["version"] == "verified"]
    return str(verified["files"][-1]["path"])


def test_who_ratifies_decides_on_the_signed_document(office: Office, certificates: Path) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    sign(office, folder, certificates, "pranata")
    assert isinstance(office.go_on(folder, {2: APPROVED[2]}), Waiting)
    state = record.load(folder).state
    assert FIRST in [entry["path"] for entry in state.evidence]
    shown = io.StringIO()
    assert state.gate is not None
    Console(file=shown, width=200).print(gate_view(state.gate, record.load(folder)))
    assert Path(FIRST).name in shown.getvalue()
    assert Path(_unsigned(folder)).name not in shown.getvalue()


def test_the_time_until_it_is_signed_is_the_officials(office: Office, certificates: Path) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    office.clock.advance(3600)
    sign(office, folder, certificates, "pranata")
    office.go_on(folder, {2: APPROVED[2]})
    now = record.load(folder)
    row = next(time for time in step_times(now.sop, now.events) if time.step == 2)
    assert [(wait.on, wait.position) for wait in row.waits] == [("official", "JF Pranata Komputer Ahli Muda")]
    assert row.waiting > 3600
    assert row.work < 60


def test_sent_back_after_a_signature_it_begins_anew(office: Office, certificates: Path) -> None:
    sent_back = {2: ["sesuai", "sesuai"], 3: ["dikembalikan", "ditetapkan"]}
    folder = office.start()
    office.go_on(folder, sent_back)
    sign(office, folder, certificates, "pranata")
    stopped = office.go_on(folder, sent_back)
    assert isinstance(stopped, Unsigned)
    assert (stopped.due.attempt, stopped.due.person["id"]) == (2, "pranata")
    assert stopped.due.base["path"] == "documents/02-2-laporan-verified.pdf"


def test_what_only_is_ratified_is_signed_alone(
    quick_dir: Path, make_office: MakeOffice, issuer: Authority, certificates: Path
) -> None:
    office = signing_office(quick_dir, make_office, issuer, {"by": "pkcs12", "versions": ["ratified"]})
    folder = office.start()
    stopped = office.go_on(folder, APPROVED)
    assert isinstance(stopped, Unsigned)
    assert stopped.due.base["path"] == "documents/03-1-laporan-ratified.pdf"
    sign(office, folder, certificates, "kabid")
    assert isinstance(office.go_on(folder, APPROVED), Closed)
    verify.check_run(folder)


def test_without_settings_nobody_is_asked(
    quick_dir: Path, make_office: MakeOffice, issuer: Authority
) -> None:
    office = signing_office(quick_dir, make_office, issuer, {"by": "none"})
    folder = office.start()
    assert isinstance(office.go_on(folder, APPROVED), Closed)
    assert events_of(folder, "signature_awaited") == []


def test_a_decision_in_ink_is_not_signed_as_pdf(office: Office, tmp_path: Path) -> None:
    from runner.decisions import Paper  # noqa: PLC0415 - of this test only
    from runner.gates import Choice  # noqa: PLC0415

    folder = office.start()
    office.go_on(folder, {})
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(document())
    decisions = office.engine(folder).decisions
    decisions.enter(Choice("pranata", "sesuai"), Paper(scan, "analis"), office.key("analis"))
    office.engine(folder).decisions.confirm("kabid", office.key("kabid"))
    stopped = office.go_on(folder, APPROVED)
    assert isinstance(stopped, Unsigned)
    # The second signature is then on the document as it was ratified.
    assert (stopped.due.person["id"], stopped.due.version) == ("kabid", "ratified")
    assert stopped.due.base["path"] == "documents/03-1-laporan-ratified.pdf"


# Without a process that works on the run ------------------------------------------------------------------


def test_a_decision_from_elsewhere_makes_the_document_that_awaits_its_official_and_nothing_more(
    office: Office, certificates: Path
) -> None:
    folder = office.start()
    office.go_on(folder, {})
    office.decide(folder, "sesuai", "pranata")
    before = len(record.load(folder).events)
    stopped = office.engine(folder).sign_documents()
    assert isinstance(stopped, Unsigned)
    assert (stopped.due.person["id"], stopped.due.version) == ("pranata", "verified")
    made = [event.name for event in record.load(folder).events[before:]]
    assert made == ["document_written", "signature_awaited"]
    # Asked again, it is only told.
    assert office.engine(folder).sign_documents() == stopped
    assert len(record.load(folder).events) == before + 2
    office.clock.advance(3600)
    sign(office, folder, certificates, "pranata")
    assert office.engine(folder).sign_documents() is None
    assert isinstance(office.go_on(folder, {}, resumed=True), Waiting)
    verify.check_run(folder)
    now = record.load(folder)
    row = next(time for time in step_times(now.sop, now.events) if time.step == 2)
    assert [wait.on for wait in row.waits if wait.seconds > 60] == ["official"]


def test_at_the_terminal_the_decider_signs_at_once(office: Office, certificates: Path) -> None:
    folder = office.start()
    office.go_on(folder, {})
    office.decide(folder, "sesuai", "pranata")
    asked = iter([hand(certificates, "kabid", as_whom="pranata"), hand(certificates, "pranata")])
    assert office.engine(folder).sign_documents(lambda *_: next(asked)) is None
    assert "refused: the signature would not hold" in " ".join(office.observer.seen)
    assert len(events_of(folder, "document_signed")) == 1


@pytest.mark.parametrize(("outcome", "row"), [("perlu perbaikan", 2), ("sesuai", 2)])
def test_where_nothing_is_signed_a_decision_makes_nothing(
    quick_dir: Path, make_office: MakeOffice, issuer: Authority, outcome: str, row: int
) -> None:
    settings = {"by": "pkcs12"} if outcome == "perlu perbaikan" else {"by": "none"}
    office = signing_office(quick_dir, make_office, issuer, settings)
    folder = office.start()
    office.go_on(folder, {})
    office.decide(folder, outcome, "pranata")
    assert office.engine(folder).sign_documents() is None
    assert (record.load(folder).events[-1].name, record.load(folder).state.current) == ("decision_made", row)


def test_what_the_operator_is_asked_first_is_left_to_who_resumes(
    quick_dir: Path, make_office: MakeOffice, issuer: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = signing_office(quick_dir, make_office, issuer, {"by": "pkcs12"})
    folder = office.start()
    office.go_on(folder, {})
    office.decide(folder, "sesuai", "pranata")
    monkeypatch.setattr(engine, "question_due", lambda *_: Question("condition"))
    assert office.engine(folder).sign_documents() is None
    assert events_of(folder, "document_written")[-1]["version"] == "draft"


# Who may, and what is not taken ------------------------------------------------------------------------


def test_nobody_signs_for_another(office: Office, certificates: Path) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    with pytest.raises(errors.DecisionRefusedError, match="decided, so he or she signs"):
        sign(office, folder, certificates, "kabid")
    # Nor with another's certificate: it says his name.
    with pytest.raises(errors.DecisionRefusedError, match="signed by 'Nama Kabid', and 'Nama Pranata'"):
        sign(office, folder, certificates, "kabid", as_whom="pranata")
    assert events_of(folder, "document_signed") == []
    assert not (folder.path / FIRST).exists()


def test_a_certificate_may_name_him_otherwise_where_the_office_says_so(
    quick_dir: Path, make_office: MakeOffice, issuer: Authority, certificates: Path
) -> None:
    names = {"pranata": "NAMA ANALIS"}
    office = signing_office(quick_dir, make_office, issuer, {"by": "pkcs12", "names": names})
    folder = office.start()
    office.go_on(folder, APPROVED)
    sign(office, folder, certificates, "analis", as_whom="pranata")
    verify.check_run(folder)


def test_what_was_looked_at_is_signed(office: Office, certificates: Path) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    now = record.load(folder)
    due = document_signing.due_signature(now)
    with pytest.raises(errors.DecisionRefusedError, match="another signature is awaited"):
        taker(office, folder).sign(hand(certificates, "pranata"), "0000-0000")
    taker(office, folder).sign(hand(certificates, "pranata"), document_signing.code(now, due))
    with pytest.raises(errors.InputError, match="awaits no signature"):
        sign(office, folder, certificates, "pranata")


def test_at_the_terminal_a_refused_signature_is_asked_for_again(office: Office, certificates: Path) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    offered = iter([hand(certificates, "kabid", as_whom="pranata"), hand(certificates, "pranata"), None])
    stopped = office.engine(folder).run(signature=lambda _due, _now: next(offered))
    assert isinstance(stopped, Waiting)
    assert "refused: the signature would not hold" in " ".join(office.observer.seen)


class Changing:
    """A service that gives back another document than it was sent."""

    def __init__(self, real: Pkcs12Signer, change: Callable[[bytes], bytes]) -> None:
        self._real, self._change = real, change

    def sign(self, task: Task) -> bytes:
        return self._change(self._real.sign(task))


@pytest.mark.parametrize(
    "change", [lambda _: b"", lambda pdf: pdf[:-40], lambda pdf: b"%" + pdf, lambda pdf: pdf + b"\n"]
)
def test_what_does_not_hold_is_not_recorded(
    office: Office, certificates: Path, change: Callable[[bytes], bytes]
) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    real = Pkcs12Signer.opened(certificates / "pranata.p12", PASSPHRASE)
    with pytest.raises(errors.DecisionRefusedError, match="would not hold"):
        taker(office, folder).sign(Hand("pranata", Changing(real, change), lambda *_: stamp()))
    assert isinstance(office.go_on(folder, APPROVED), Unsigned)


def test_a_signature_can_be_left_out_and_that_is_told(office: Office, certificates: Path) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    for official, reason, said in (
        ("pengelola", " ", "needs a reason"),
        ("kabid", "Sakit", "only Nama Pranata"),
    ):
        with pytest.raises(errors.DecisionRefusedError, match=said):
            taker(office, folder).leave_out(official, reason)
    taker(office, folder).leave_out("pengelola", "Sertifikat kedaluwarsa")
    stopped = office.go_on(folder, APPROVED)
    assert isinstance(stopped, Unsigned)
    # Who ratifies signs the document as it was ratified: the one verified bears no signature.
    assert stopped.due.base["path"] == "documents/03-1-laporan-ratified.pdf"
    sign(office, folder, certificates, "kabid")
    assert isinstance(office.go_on(folder, APPROVED), Closed)
    verify.check_run(folder)


def test_a_run_that_is_stopped_awaits_no_signature(office: Office) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    assert office.engine(folder).stop("kabid", "Dibatalkan").outcome == "ended"
    verify.check_run(folder)


def test_a_crash_between_file_and_record_leaves_a_run_that_goes_on(
    office: Office, certificates: Path
) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    write_once(folder.path / FIRST, b"half a document")
    verify.check_run(folder)
    sign(office, folder, certificates, "pranata")
    verify.check_run(folder)


def test_a_file_that_a_crash_left_is_no_stranger_once_the_signature_was_left_out(office: Office) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    write_once(folder.path / FIRST, b"half a document")
    taker(office, folder).leave_out("pengelola", "Sertifikat kedaluwarsa")
    verify.check_run(folder)


# Tampering -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(quick_dir: Path, make_office: MakeOffice, issuer: Authority, certificates: Path) -> RunFolder:
    return signed_run(signing_office(quick_dir, make_office, issuer, {"by": "pkcs12"}), certificates)


@pytest.fixture
def run(whole: RunFolder, tmp_path: Path) -> Path:
    """Return a copy of a signed run that a test may change."""
    return Path(shutil.copytree(whole.path, tmp_path / whole.name))


def wrong(run: Path) -> str:
    with pytest.raises(errors.VerificationError) as caught:
        verify.verify(run)
    return str(caught.value)


def test_the_run_holds(run: Path) -> None:
    assert verify.verify(run).decisions == 2


def test_the_passphrase_is_nowhere(whole: RunFolder) -> None:
    for path in whole.path.rglob("*"):
        assert not path.is_file() or PASSPHRASE.encode() not in path.read_bytes()
    assert oct((whole.path / SECOND).stat().st_mode & 0o777) == "0o600"


def test_a_changed_byte_is_found_by_its_digest(run: Path) -> None:
    for path in (FIRST, SECOND):
        data = (run / path).read_bytes()
        (run / path).write_bytes(data[:-20] + b"0" + data[-19:])
        assert wrong(run).startswith(path)
        (run / path).write_bytes(data)


@pytest.mark.parametrize("place", [-20, -400, -4000])
def test_a_changed_byte_is_found_though_every_digest_was_made_to_fit(run: Path, place: int) -> None:
    data = bytearray((run / SECOND).read_bytes())
    data[place] ^= 1
    (run / SECOND).write_bytes(data)
    forge(run, lambda _: None)
    assert wrong(run).startswith(f"{SECOND}: ")


def test_an_exchanged_document(run: Path, certificates: Path) -> None:
    """Somebody signs another document as the officials, and puts it in its place."""
    other = Pkcs12Signer.opened(certificates / "kabid.p12", PASSPHRASE)
    task = Task(document() + b"% other\n", "ttd-3-1", "Nama Kabid", "", "", stamp(), "rawat")
    (run / SECOND).write_bytes(other.sign(task))
    forge(run, lambda _: None)
    assert wrong(run) == f"{SECOND}: does not begin with the document that was to be signed"


def test_the_first_signature_in_the_place_of_both(run: Path) -> None:
    shutil.copy(run / FIRST, run / SECOND)
    forge(run, lambda _: None)
    assert wrong(run) == f"{SECOND}: holds 1 signatures, and 2 were to be there"


def test_a_signature_that_does_not_cover_the_end(run: Path) -> None:
    (run / SECOND).write_bytes((run / SECOND).read_bytes() + b"\n% more\n")
    forge(run, lambda _: None)
    assert wrong(run) == f"{SECOND}: its last signature covers only a part of the file"


def test_both_signed_by_strangers(run: Path, tmp_path: Path) -> None:
    """The whole chain made anew under their names, and every digest made to fit."""
    strange = authority()
    base = (run / "documents/02-1-laporan-verified.pdf").read_bytes()
    for path, name, place in ((FIRST, "Nama Pranata", "ttd-2-1"), (SECOND, "Nama Kabid", "ttd-3-1")):
        signer = Pkcs12Signer.opened(strange.issue(name, tmp_path / "strange.p12"), PASSPHRASE)
        base = signer.sign(Task(base, place, name, "", "", stamp(), "rawat"))
        (run / path).write_bytes(base)

    def fit(lines: list[Line]) -> None:
        digest = sha256((run / FIRST).read_bytes())
        old = find(lines, "document_signed", version="verified")["files"][0]["sha256"]
        for line in lines:
            if line.get("base") == old:
                line["base"] = digest

    forge(run, fit)
    # The ratifier's own statement names the document that he was shown, by its digest.
    assert "subject" in wrong(run)


def _left_out(lines: list[Line]) -> None:
    made = find(lines, "document_signed", version="ratified")
    lines[lines.index(made)] = {
        **{key: value for key, value in made.items() if key not in {"by", "certificate", "files"}},
        "event": "signature_left_out",
        "told_by": made["person"],
        "reason": "lupa",
    }


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda lines: find(lines, "document_signed", version="ratified").update(certificate="0" * 64),
            SECOND,
        ),
        (lambda lines: find(lines, "document_signed", version="ratified").update(by="bsre"), "journal"),
        (lambda lines: find(lines, "document_signed", version="verified").update(place="ttd-3-1"), "journal"),
        (lambda lines: find(lines, "document_signed", version="ratified").update(base="0" * 64), "journal"),
        (lambda lines: lines.remove(find(lines, "document_signed", version="ratified")), "journal"),
        (lambda lines: lines.remove(find(lines, "signature_awaited", version="verified")), "journal"),
        (lambda lines: find(lines, "run_started").update(signing=None), "journal"),
        (_left_out, SECOND),
    ],
    ids=["certificate", "by", "place", "base", "unsigned", "unasked", "settings", "left out"],
)
def test_a_record_that_says_otherwise(run: Path, change: Callable[[list[Line]], None], named: str) -> None:
    forge(run, change)
    assert wrong(run).startswith(named)


def test_who_left_it_out_was_allowed_to(office: Office, tmp_path: Path) -> None:
    folder = office.start()
    office.go_on(folder, APPROVED)
    taker(office, folder).leave_out("pengelola", "Sertifikat kedaluwarsa")
    copy = Path(shutil.copytree(folder.path, tmp_path / folder.name, ignore=shutil.ignore_patterns(".work")))
    verify.verify(copy)
    other = find(read_journal(copy), "signature_awaited")["person"]
    forge(copy, lambda lines: find(lines, "signature_left_out")["told_by"].update(other, id="kabid"))
    assert "told_by" in wrong(copy)


def test_other_authorities_in_the_settings(run: Path) -> None:
    """Whoever exchanges the authorities changes what every statement was signed on: the first record."""
    look = json.loads((run / "office.json").read_bytes())
    look["authorities"] = authority().pem.decode()
    (run / "office.json").write_bytes(canonical_json(look))

    def fit(lines: list[Line]) -> None:
        lines[0]["office_sha256"] = sha256((run / "office.json").read_bytes())

    forge(run, fit)
    assert wrong(run) == (
        f"{FIRST}: the certificate of the signature is not from an authority that the office names"
    )


@pytest.fixture(scope="module")
def sealed(whole: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    return archive.seal(whole, folder / "archive", folder / "arsip.key")


@pytest.fixture
def bag(sealed: Path, tmp_path: Path) -> Path:
    """Return a copy of the archive of a signed run, away from its register."""
    return Path(shutil.copytree(sealed, tmp_path / "stick" / "arsip" / sealed.name))


def test_an_archive_holds_the_signed_document_and_its_script_agrees(whole: RunFolder, bag: Path) -> None:
    assert (bag / "data" / SECOND).read_bytes() == (whole.path / SECOND).read_bytes()
    verify.verify(bag)
    assert script(bag).returncode == 0, script(bag).stdout
    data = (bag / "data" / SECOND).read_bytes()
    (bag / "data" / SECOND).write_bytes(data[:-20] + b"0" + data[-19:])
    assert "is not the file" in wrong(bag)
    done = script(bag)
    assert (done.returncode, SECOND in done.stdout) == (5, True)


def test_what_is_exported_is_what_was_signed(sealed: Path, tmp_path: Path) -> None:
    root = sealed.parents[1]
    export(root, catalogue(root), tmp_path / "out")
    items = list(csv.DictReader((tmp_path / "out" / ITEMS).read_text("utf-8-sig").splitlines()))

    told = [(Path(item["Nama File"]).name, item["Tingkat Perkembangan"]) for item in items]
    assert told == [
        ("01-1-laporan-draft.pdf", "Konsep"),
        (Path(FIRST).name, "Konsep"),
        (Path(SECOND).name, "Asli elektronik"),
    ]
    for item, path in zip(items[1:], (FIRST, SECOND), strict=True):
        content = (tmp_path / "out" / item["Nama File"]).read_bytes()
        assert content == (sealed / "data" / path).read_bytes()
        assert item["SHA-256"] == sha256(content)


def _flipped(pdf: bytes) -> bytes:
    place = pdf.index(b"/Dua") if b"/Dua" in pdf else 300
    return pdf[:place] + bytes([pdf[place] ^ 1]) + pdf[place + 1 :]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_flipped, "does not fit what it covers"),
        (lambda pdf: pdf + b"% more\n", "its last signature covers only a part of the file"),
        (lambda pdf: pdf.replace(b"/ByteRange", b"/ByteRangX"), "holds no signature"),
    ],
    ids=["changed", "added", "none"],
)
def test_the_script_judges_signatures_with_openssl_alone(
    bag: Path, change: Callable[[bytes], bytes], said: str
) -> None:
    """Every digest in the bag was made to fit, by somebody who has no certificate and no archive's key."""
    signed = bag / "data" / SECOND
    signed.write_bytes(change(signed.read_bytes()))
    forge(bag / "data", lambda _: None)
    rebag(bag)
    done = script(bag)
    assert done.returncode == 5
    assert f"data/{SECOND}: " in done.stdout
    assert said in done.stdout
    assert SECOND in wrong(bag)


def test_the_script_knows_the_authorities_of_the_office(bag: Path) -> None:
    look = json.loads((bag / "data/office.json").read_bytes())
    look["authorities"] = authority().pem.decode()
    (bag / "data/office.json").write_bytes(canonical_json(look))
    digest = sha256((bag / "data/office.json").read_bytes())
    forge(bag / "data", lambda lines: lines[0].update(office_sha256=digest))
    rebag(bag)
    done = script(bag)
    assert (done.returncode, "nobody whom the office's authorities know" in done.stdout) == (5, True), (
        done.stdout
    )


def script(bag: Path) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(bag / "verifikasi.sh")]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=bag)


def test_checked_runs_are_judged_by_the_library(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is missing, nothing is told to hold that was not judged."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(errors.InputError, match="needs pyHanko, which is not installed"):
        checked_run(RunFolder(run))
