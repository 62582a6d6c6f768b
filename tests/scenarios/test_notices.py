"""Officials are told that a gate waits for them: real mails, taken by a real SMTP server of this machine."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from runner import errors, mail, record, reminders
from runner.executors.base import ActionRequest, HostResult, HostStatus
from runner.mail import Office as Settled
from runner.notices import parse_settings
from runner.reminders import Told
from runner.source import SourceError
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.office import HOSTS, Office
from scenarios.palembang import ANSWERS
from scenarios.post_office import HEAD, PASSWORD, PostOffice, free_port, occasions, post_office, settings_text

HOUR, DAY = 3600.0, 24 * 3600.0


@pytest.fixture(name="post")
def _post(tmp_path: Path) -> Iterator[PostOffice]:
    with post_office(tmp_path / "office") as post:
        yield post


def settled(post: PostOffice, **more: str) -> Settled:
    return Settled(parse_settings(settings_text(post, **more), "notify.yml"), post.folder)


def tell(office: Office, folder: RunFolder, to: Settled) -> Told:
    """Tell whom the run awaits, as ``rawat run`` and ``rawat remind`` do at this moment of the office."""
    at = office.clock.now()
    return reminders.tell(record.load(folder), to, office.workspace.notices(folder), at)


@pytest.fixture(name="waiting")
def _waiting(contoh: Office) -> RunFolder:
    """Return a run that waits for the Kepala Contoh at row 2, whose standard time is an hour."""
    folder = contoh.start()
    contoh.go_on(folder, {})
    return folder


# What is told -----------------------------------------------------------------------------------------


def test_the_awaited_official_is_told_what_to_do(
    contoh: Office, waiting: RunFolder, post: PostOffice
) -> None:
    told = tell(contoh, waiting, settled(post))
    assert [letter.official for letter in told.sent] == ["kabid"]
    (mail_,) = post.mails
    assert post.recipients == [[HEAD]]
    assert post.logins == [(b"rawat", PASSWORD.encode())]
    assert mail_["From"] == "rawat@dinas.example"
    assert mail_["To"] == HEAD
    assert mail_["Subject"] == "[Rawat] Menunggu keputusan Anda: langkah 2, Pemeriksaan Server Contoh"
    assert mail_["Auto-Submitted"] == "auto-generated"
    body = mail_.get_content()
    for words in (
        "Yth. Nama Kabid",
        "Kepala Contoh",
        "Pemeriksaan Server Contoh (Dinas Contoh)",
        f"Pelaksanaan .... {waiting.name}",
        "2. Menyetujui perbaikan",
        "Sabtu, 21 November 2026, pukul 21.00 WIB",
        "1 Jam",
        "disetujui, periksa ulang, dibatalkan",
        f"rawat decide {waiting.name} --official kabid --outcome PILIHAN",
    ):
        assert words in body


def test_nothing_that_opens_a_gate_and_no_secret_is_in_a_mail(
    contoh: Office, waiting: RunFolder, post: PostOffice
) -> None:
    tell(contoh, waiting, settled(post))
    (mail_,) = post.mails
    gate = record.load(waiting).state.gate
    assert gate is not None
    text = mail_.as_string()
    assert PASSWORD not in text
    assert gate.nonce not in text
    assert str(gate.subject["plan"]) not in text


def test_whose_form_is_awaited_is_told_and_then_asked_to_sign(palembang: Office, post: PostOffice) -> None:
    folder = palembang.start()
    palembang.go_on(folder, {})
    for _ in range(2):
        tell(palembang, folder, settled(post))
    (first,) = post.mails
    assert "] Menunggu isian formulir Anda: langkah 1" in first["Subject"]
    body = first.get_content()
    assert f"rawat fill {folder.name} --from formulir.yml --by kabid" in body
    assert "rawat decide" not in body
    assert "Pilihan" not in body
    palembang.fill(folder, ANSWERS["penugasan"])
    tell(palembang, folder, settled(post))
    assert "] Menunggu keputusan Anda: langkah 1" in post.mails[1]["Subject"]


def test_who_operates_is_not_asked_to_decide(contoh: Office, post: PostOffice) -> None:
    folder = contoh.start(operator="pengelola")
    contoh.go_on(folder, {})
    tell(contoh, folder, settled(post))
    assert post.recipients == [[HEAD]]


def test_a_closed_run_awaits_nobody(contoh: Office, post: PostOffice) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {2: ["dibatalkan"]})
    assert tell(contoh, folder, settled(post)) == Told()
    assert post.mails == []


def test_hostile_names_make_no_header_and_no_other_letter(
    quick_dir: Path, data: Path, make_office: MakeOffice, tmp_path: Path, post: PostOffice
) -> None:
    text = (data / "contoh-pemeriksaan.yml").read_text(encoding="utf-8")
    quoted = '"Nama\\r\\nBcc: jahat@luar.example\\r\\n.\\r\\nMAIL FROM:<x@luar.example>\\u202e"'
    text = text.replace("nama_sop: Pemeriksaan Server Contoh", f"nama_sop: {quoted}")
    text = text.replace("kegiatan: Menyetujui perbaikan", f"kegiatan: {quoted}")
    office = make_office(quick_dir / tmp_path.name / "hostile", data / "contoh-pemeriksaan.yml", text)
    folder = office.start()
    office.go_on(folder, {})
    tell(office, folder, settled(post))
    (mail_,) = post.mails
    assert post.recipients == [[HEAD]]
    assert mail_["Bcc"] is None
    assert "\u2039U+000D\u203a" in mail_["Subject"]
    assert "\u2039U+202E\u203a" in mail_.get_content()
    assert not any(line.startswith(("Bcc:", "MAIL FROM", ".")) for line in mail_.get_content().splitlines())


# How often --------------------------------------------------------------------------------------------


def test_each_occasion_is_told_once(contoh: Office, waiting: RunFolder, post: PostOffice) -> None:
    to = settled(post, remind_after="30 Menit")
    for seconds in (0, 60, 30 * 60, 60, 30 * 60, 60, 30 * DAY):
        contoh.clock.advance(seconds)
        tell(contoh, waiting, to)
    assert occasions(post) == ["Menunggu", "Masih menunggu", "Waktu baku"]


def test_who_hears_late_is_told_the_most_pressing_alone(
    contoh: Office, waiting: RunFolder, post: PostOffice
) -> None:
    contoh.clock.advance(3 * DAY)
    for _ in range(2):
        tell(contoh, waiting, settled(post, remind_after="30 Menit"))
    assert occasions(post) == ["Waktu baku"]


def test_a_deadline_that_passed_is_told(
    quick_dir: Path, data: Path, make_office: MakeOffice, tmp_path: Path, post: PostOffice
) -> None:
    text = (data / "contoh-pemeriksaan.yml").read_text(encoding="utf-8")
    text = text.replace("valid_for: 2 Hari", "valid_for: 2 Hari\n      deadline: 3 Jam")
    office = make_office(quick_dir / tmp_path.name / "late", data / "contoh-pemeriksaan.yml", text)
    folder = office.start()
    office.go_on(folder, {})
    for seconds in (0, 2 * HOUR, 2 * HOUR, HOUR):
        office.clock.advance(seconds)
        tell(office, folder, settled(post))
    assert occasions(post) == ["Menunggu", "Waktu baku", "Batas waktu"]
    assert "Minggu, 22 November 2026, pukul 00.00 WIB" in post.mails[-1].get_content()


def test_a_row_that_works_over_its_standard_time_is_told_once_to_whose_row_it_is(
    contoh: Office, post: PostOffice
) -> None:
    settings = settled(post)
    folder = contoh.start()
    told: list[int] = []

    def hours_later(_request: ActionRequest) -> None:
        for hours in (0.0, 30.0, 30.0):
            contoh.clock.advance(hours * HOUR)
            told.append(len(tell(contoh, folder, settings).sent))

    contoh.playbooks.before = hours_later
    contoh.go_on(folder, {})
    assert told == [0, 1, 0]
    assert post.recipients == [["pengelola@dinas.example"]]
    (mail_,) = post.mails
    assert "] Waktu baku terlampaui: langkah 1," in mail_["Subject"]
    body = mail_.get_content()
    for words in (
        "belum selesai dan telah melampaui waktu bakunya",
        "Keadaan ........ dikerjakan, atau",
        "rawat status",
    ):
        assert words in body
    assert "rawat decide" not in body


def test_a_decision_that_nobody_goes_on_with_is_told_to_the_operator(
    contoh: Office, waiting: RunFolder, post: PostOffice
) -> None:
    contoh.decide(waiting, "disetujui", "kabid")
    contoh.clock.advance(2 * HOUR)
    assert [letter.official for letter in tell(contoh, waiting, settled(post)).sent] == ["pengelola"]
    assert "sudah diputuskan, tetapi belum dilanjutkan" in post.mails[0].get_content()


def test_a_row_that_failed_is_told_over_its_time_to_the_operator(contoh: Office, post: PostOffice) -> None:
    nobody: dict[str, HostStatus | HostResult] = dict.fromkeys(HOSTS, "unreachable")
    contoh.playbooks.answer(1, "1", nobody)
    folder = contoh.start()
    with pytest.raises(errors.StepFailedError):
        contoh.go_on(folder, {})
    settings = settled(post)
    assert tell(contoh, folder, settings).sent == ()
    contoh.clock.advance(30 * HOUR)
    assert [letter.official for letter in tell(contoh, folder, settings).sent] == ["pengelola"]
    assert "gagal dan berhenti" in post.mails[0].get_content()


def test_a_gate_that_opens_anew_is_told_anew(contoh: Office, waiting: RunFolder, post: PostOffice) -> None:
    to = settled(post)
    tell(contoh, waiting, to)
    contoh.go_on(waiting, {2: ["periksa ulang"]}, resumed=True)
    tell(contoh, waiting, to)
    tell(contoh, waiting, to)
    assert occasions(post) == ["Menunggu", "Menunggu"]


def test_telling_leaves_no_trace_in_the_record(contoh: Office, waiting: RunFolder, post: PostOffice) -> None:
    before = {path: path.read_bytes() for path in waiting.path.rglob("*") if path.is_file()}
    tell(contoh, waiting, settled(post))
    assert {path: path.read_bytes() for path in waiting.path.rglob("*") if path.is_file()} == before
    kept = contoh.workspace.notices(waiting)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert PASSWORD not in kept.read_text(encoding="utf-8")


# What cannot be sent ----------------------------------------------------------------------------------


def test_a_mail_that_cannot_be_sent_is_said_once_and_tried_again(
    contoh: Office, waiting: RunFolder, post: PostOffice
) -> None:
    to = settled(post)
    post.refusing = "451 try later"
    first = tell(contoh, waiting, to)
    assert [one.why for one in first.undelivered] == ["the mail server answers 451 try later"]
    assert tell(contoh, waiting, to) == Told()
    post.refusing = ""
    assert [letter.official for letter in tell(contoh, waiting, to).sent] == ["kabid"]
    assert tell(contoh, waiting, to) == Told()
    assert occasions(post) == ["Menunggu"]


def test_a_wrong_password_is_told_without_it(contoh: Office, waiting: RunFolder, post: PostOffice) -> None:
    (post.folder / "password").write_text("salah", encoding="utf-8")
    (lost,) = tell(contoh, waiting, settled(post)).undelivered
    assert lost.why == "the mail server refuses user and password (535)"


def test_a_password_that_others_may_read_is_not_sent(
    contoh: Office, waiting: RunFolder, post: PostOffice
) -> None:
    (post.folder / "password").chmod(0o640)
    (lost,) = tell(contoh, waiting, settled(post)).undelivered
    assert lost.why.endswith("password: others may read this secret")
    assert post.logins == []


def test_a_server_that_nobody_vouches_for_gets_no_password(
    contoh: Office, waiting: RunFolder, post: PostOffice
) -> None:
    text = settings_text(post).replace(", ca_file: ca.pem", "")
    (lost,) = tell(contoh, waiting, Settled(parse_settings(text, "notify.yml"), post.folder)).undelivered
    assert "CERTIFICATE_VERIFY_FAILED" in lost.why
    assert post.logins == []


def test_no_server_at_all_stops_nothing(contoh: Office, waiting: RunFolder, post: PostOffice) -> None:
    text = settings_text(post).replace(str(post.port), str(free_port()))
    (lost,) = tell(contoh, waiting, Settled(parse_settings(text, "notify.yml"), post.folder)).undelivered
    assert "refused" in lost.why
    contoh.decide(waiting, "disetujui", "kabid")


class _Receiver(BaseHTTPRequestHandler):
    """Takes what Apprise posts as JSON."""

    taken: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_said: object) -> None:
        """Say nothing: a test's output is its own."""


def by_apprise(post: PostOffice, url: str) -> Settled:
    file = post.folder / "kabid.apprise"
    file.write_text(f"{url}\n", encoding="utf-8")
    file.chmod(0o600)
    return settled(post, apprise="{kabid: kabid.apprise}")


# Apprise imports what Python 3.13 no longer has, where it still is.
of_apprise = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@of_apprise
def test_what_apprise_reaches_is_told_too(contoh: Office, waiting: RunFolder, post: PostOffice) -> None:
    _Receiver.taken.clear()
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        to = by_apprise(post, f"json://127.0.0.1:{server.server_port}/rahasia")
        told = [tell(contoh, waiting, to) for _ in range(2)]
        server.shutdown()
    assert [(letter.official, letter.way) for letter in told[0].sent] == [
        ("kabid", "mail"),
        ("kabid", "apprise"),
    ]
    assert told[1] == Told()
    (taken,) = _Receiver.taken
    assert taken["title"] == post.mails[0]["Subject"]
    assert f"rawat decide {waiting.name}" in taken["message"]


@of_apprise
def test_apprise_that_reaches_nobody_repeats_no_token(
    contoh: Office, waiting: RunFolder, post: PostOffice, capfd: pytest.CaptureFixture[str]
) -> None:
    told = tell(contoh, waiting, by_apprise(post, f"json://127.0.0.1:{free_port()}/rahasia"))
    assert [one.why for one in told.undelivered] == ["Apprise could not hand it over"]
    assert "rahasia" not in "".join(capfd.readouterr())
    assert [letter.way for letter in told.sent] == ["mail"]


def test_apprise_that_breaks_stops_nothing(
    contoh: Office, waiting: RunFolder, post: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_name: str) -> None:
        raise RuntimeError("rahasia")

    to = by_apprise(post, "json://127.0.0.1/rahasia")
    monkeypatch.setattr(mail.importlib, "import_module", broken)
    assert [one.why for one in tell(contoh, waiting, to).undelivered] == ["Apprise failed: RuntimeError"]


def test_without_apprise_mail_goes_on(
    contoh: Office, waiting: RunFolder, post: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = by_apprise(post, "json://127.0.0.1/rahasia")
    monkeypatch.setattr(mail.importlib.util, "find_spec", lambda _name: None)
    told = tell(contoh, waiting, to)
    assert [(letter.official, letter.way) for letter in told.sent] == [("kabid", "mail")]
    assert [one.why for one in told.undelivered] == ["the package apprise is not installed"]
    assert len(post.mails) == 1


# Settings ---------------------------------------------------------------------------------------------

WRONG = {
    "no address": ("addresses: {kabid: kabid}", "1: addresses.kabid: expected a mail address"),
    "header in an address": (
        'addresses: {kabid: "a@b.c\\nBcc: x@y.z"}',
        "1: addresses.kabid: expected a mail",
    ),
    "addresses without a server": (
        "addresses: {kabid: a@b.example}",
        "1: the file: addresses need smtp and from",
    ),
    "unknown key": ("alamat: x", "1: alamat: is not a known key"),
    "no time": ("remind_after: besok", "1: remind_after: expected a time such as '2 Jam' or '1 Hari'"),
    "password in the open": (
        "smtp: {host: localhost, security: none, user: a, password_file: b}",
        "1: smtp: no password is sent without encryption",
    ),
    "mail in the open": (
        "smtp: {host: mail.example, security: none}",
        "1: smtp: without encryption mail is handed only to this machine",
    ),
    "user without a password": ("smtp: {host: mail.example, user: a}", "1: smtp: user and password_file go"),
    "password itself": ("smtp: {host: mail.example, password: x}", "1: smtp.password: is not a known key"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_in_the_settings_is_told_with_its_line(case: str) -> None:
    text, told = WRONG[case]
    with pytest.raises(SourceError) as caught:
        parse_settings(text, "notify.yml")
    assert str(caught.value).startswith(f"notify.yml:{told}")


def test_a_secret_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="cannot be read"):
        mail.read_secret(tmp_path / "nothing")
