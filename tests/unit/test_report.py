"""The documents of a run: what each of them says, and that hostile text in them is harmless."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable
from copy import deepcopy
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import jinja2
import pytest
import sample_run
from sample_run import (
    FOUND,
    HOSTS,
    ROSTER,
    RUN,
    SampleRun,
    applied,
    checked,
    found,
    results,
    update,
    whole_run,
)

from runner import errors, report
from runner.checkpoint import Chain
from runner.judges.base import at_most
from runner.moves import Part, PartKind
from runner.officials import Deputy
from runner.run_view import document_view
from runner.view import DocumentView

ROOT = Path(__file__).parents[2]
NOT_CERTIFIED = "bukan tanda tangan elektronik tersertifikasi"
HOSTILE = "<script>alert(1)</script>{{7*7}}{% raise %}\x1b[31m\u202e<img src=file:///etc/passwd>&lt;b&gt;\"'"


@pytest.fixture(scope="module", name="sample")
def _sample(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    return whole_run(tmp_path_factory.mktemp("runs"))


def view_of(sample: SampleRun, document: str, version: str) -> DocumentView:
    step, attempt, as_of = sample.marks[document, version]
    return report.document_view(sample.record(), document, version, step, attempt, as_of)


def text_of(html: str) -> str:
    """Return the words a reader sees, spaces made one."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


def shown(sample: SampleRun, document: str, version: str) -> str:
    return text_of(report.render_html(view_of(sample, document, version)))


class Elements(HTMLParser):
    """Collects elements and attributes as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


# The view -------------------------------------------------------------------------------------------


def test_every_document_of_the_sop_has_a_template(sample: SampleRun) -> None:
    wanted = {output.document for row in sample.sop.steps for output in row.documents}

    assert wanted <= report.known_documents()


def test_unknown_document_is_named_with_those_there_are(sample: SampleRun) -> None:
    view = view_of(sample, "disposisi", "final").model_copy(update={"document": "surat-cinta"})

    with pytest.raises(errors.InputError, match=r"no document 'surat-cinta'; there are .*disposisi"):
        report.render_html(view)


def test_hosts_end_in_the_state_that_evidence_proves(sample: SampleRun) -> None:
    view = view_of(sample, "laporan-hasil-update", "ratified")

    assert {host.host: host.state for host in view.hosts} == {
        "db1": "updated",
        "file1": "updated",
        "pc06": "not_done",
        "web1": "rolled_back",
        "web2": "failed",
        "web3": "rolled_back",
    }


def test_view_knows_nothing_that_came_after_its_event(sample: SampleRun) -> None:
    view = view_of(sample, "disposisi", "final")

    assert {host.state for host in view.hosts} == {"not_done"}
    assert [decision.outcome for decision in view.decisions] == ["belum", "sesuai", "diperintahkan"]
    assert not any(host.backup or host.apply for host in view.hosts)


def test_event_that_is_not_in_the_journal_is_refused(sample: SampleRun) -> None:
    with pytest.raises(errors.InputError, match="no event 9999"):
        report.document_view(sample.record(), "disposisi", "final", 4, 1, 9999)


def test_changed_evidence_is_not_reported(tmp_path: Path) -> None:
    sample = SampleRun(tmp_path)
    sample.start()
    sample.check()
    file = sample.folder.evidence(2, 1, "1") / "web1.json"
    file.write_bytes(file.read_bytes().replace(b"lab-good", b"lab-evil"))

    with pytest.raises(errors.VerificationError, match=r"web1\.json: is not the file that the journal names"):
        view_of(sample, "laporan-hasil-pengecekan", "draft")


def test_evidence_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    sample = SampleRun(tmp_path)
    sample.start()
    sample.check(items={"web1": found([update("lab-good") | {"to": ["not", "a", "version"]}])})

    with pytest.raises(errors.InputError, match=r"2-1-1/web1\.json: results\.plan_updates\.updates\.0\.to"):
        view_of(sample, "laporan-hasil-pengecekan", "draft")


@pytest.mark.parametrize(
    "published",
    [{}, {"os": {"name": "Debian", "version": "12", "kernel": "6.1"}, "index": {"refreshed": False}}],
)
def test_check_that_failed_half_way_is_no_check(tmp_path: Path, published: dict[str, Any]) -> None:
    sample = SampleRun(tmp_path)
    sample.start()
    failure = ("failed", "Probe", "The package index could not be refreshed")
    sample.check(items=FOUND | {"web1": published}, bad={"web1": failure})
    view = view_of(sample, "laporan-hasil-pengecekan", "draft")

    assert [host.host for host in view.unchecked] == ["pc06", "web1"]
    assert "The package index could not be refreshed" in text_of(report.render_html(view))


def test_antivirus_mirror_without_answer_is_neither_new_nor_old(tmp_path: Path) -> None:
    sample = SampleRun(tmp_path)
    sample.start()
    silent = FOUND["web1"]["antivirus"] | {"database_offered": None, "update_pending": None}
    sample.check(items={"web1": found([], antivirus=silent)})
    text = shown(sample, "laporan-hasil-pengecekan", "draft")

    assert "database 1, versi terbaru tidak diketahui" in text
    assert "tidak ada pemutakhiran yang tersedia" in text


def test_vulnerability_is_closed_only_where_the_host_was_tested(sample: SampleRun) -> None:
    cves = {cve.id: cve for cve in view_of(sample, "laporan-hasil-update", "ratified").cves}

    assert cves["CVE-2099-0004"].closed_on == ("db1",)
    assert cves["CVE-2099-0001"].closed_on == ("db1", "file1")
    # On web2 the new lab-good could not be taken back, but the host did not pass as updated.
    assert cves["CVE-2099-0001"].open_on == ("web1", "web2", "web3")


def test_a_new_draft_empties_the_approvals(sample: SampleRun) -> None:
    draft = view_of(sample, "laporan-hasil-update", "draft")
    ratified = view_of(sample, "laporan-hasil-update", "ratified")

    assert [place.decision for place in draft.approvals] == [None, None]
    assert [place.decision and place.decision.outcome for place in ratified.approvals] == [
        "sesuai",
        "ditetapkan",
    ]


def test_order_is_forwarded_to_who_watches_and_who_works(sample: SampleRun) -> None:
    assert view_of(sample, "disposisi", "final").forwarded_to == (
        "JF Pranata Komputer Ahli Muda",
        "Pengelola Sistem dan Jaringan",
    )


def test_refused_order_is_forwarded_to_nobody_and_says_why(tmp_path: Path) -> None:
    sample = SampleRun(tmp_path)
    sample.start()
    sample.check()
    sample.gate(3, 1, 1, "sesuai", 4)
    sample.gate(4, 1, 3, "tidak diperintahkan", "end", reason="Menunggu anggaran.")
    text = shown(sample, "disposisi", "final")

    assert "[x] tidak diperintahkan (dipilih)" in text
    assert "[ ] diperintahkan" in text
    assert "Menunggu anggaran." in text
    assert "tidak diteruskan" in text


def test_untested_and_lost_hosts_are_never_good(tmp_path: Path) -> None:
    from sample_run import applied, results  # noqa: PLC0415 - only this story needs them

    from runner.moves import Part  # noqa: PLC0415

    sample = SampleRun(tmp_path)
    sample.start()
    sample.order()
    sample.back_up()
    wave = Part("1", "playbook", ("db1", "file1", "web1"))
    sample.begin(7, 1, [wave])
    lost: Any = {
        "file1": ("unknown", "", "sambungan terputus"),
        "web1": ("unreachable", "", "No route to host"),
    }
    sample.act(7, 1, wave, 30, results({"db1": applied("db1")}, lost), changes=True)
    sample.document(7, 1)
    states = {host.host: host.state for host in view_of(sample, "catatan-update", "final").hosts}

    assert (states["db1"], states["file1"], states["web1"]) == ("untested", "unknown", "not_done")
    assert "hasil tidak diketahui" in shown(sample, "catatan-update", "final")


# What the documents say ---------------------------------------------------------------------------------


def test_check_report_lists_what_was_found_and_what_could_not_be_checked(sample: SampleRun) -> None:
    text = shown(sample, "laporan-hasil-pengecekan", "verified")

    assert "Pengecekan menjangkau 5 dari 6 host" in text
    assert "1 host tidak dapat dicek: pc06." in text
    assert "postgresql-15 15.8-0+deb12u1 → 15.14-0+deb12u1 Security patch CVE-2099-1001" in text
    assert "lab-tool 1.0-1 → 1.0-1+deb12u1 Update sistem tidak disebut" in text
    assert "ClamAV mesin 1.4.3; database 1, tersedia 6" in text
    assert text.count("7.2-1 → 7.2-1+deb12u1 Ditahan (hold) oleh pengelola") == 1
    assert text.count("7.2-1+deb12u1") == 1
    assert "Tidak dapat dipasang sendiri: membutuhkan paket baru lab-dep" in text
    assert "/etc/default/rsync Berkas konfigurasi telah diubah pada host; dibiarkan demikian" in text
    assert (
        "/etc/rsyncd.conf Berkas konfigurasi telah diubah pada host; diganti dengan berkas versi baru" in text
    )
    assert "host tidak terjangkau" in text


def test_check_report_tells_what_is_not_good_worst_first_and_equal_things_once(sample: SampleRun) -> None:
    text = shown(sample, "laporan-hasil-pengecekan", "verified")

    assert "Keadaan 2 host perlu perbaikan: 1 temuan kritis, 2 peringatan." in text
    assert "Keadaan 3 komputer diperiksa: 1 temuan kritis, 2 peringatan, 1 hal tidak dapat diukur." in text
    lines = [
        "kritis Ruang disk /var: terpakai 96,2%; batas 95%. web1",
        "peringatan Layanan cron.service: gagal berjalan. db1 dan web1",
        "tidak terukur Sertifikat /etc/ssl/situs.pem: tidak dapat diukur",
        "(tidak ada, atau tidak boleh dibaca). db1",
    ]
    assert " ".join(lines) in text
    assert "Pada db1 dan web1 ada 3 temuan yang membutuhkan perbaikan di luar pemutakhiran ini" in text
    assert "Memori" not in text


def test_schedule_tells_when_who_which_hosts_and_when_hosts_may_be_changed(tmp_path: Path) -> None:
    windows = {
        "windows": [{"days": ["minggu", "sat"], "from": "18:00", "until": "23:00"}],
        "freeze": [{"from": "2026-12-20", "until": "2027-01-02", "reason": "Tutup buku"}],
        "min_minutes": 0,
    }
    sample = SampleRun(tmp_path, windows=windows)
    sample.start()
    sample.check()
    text = shown(sample, "jadwal-pengecekan", "draft")

    assert "1 November 2026 Sabtu, 21 November 2026 08.05 WIB s.d. 08.06 WIB Nama Pengelola" in text
    assert "Telah dilaksanakan pada 5 dari 6 host; dicek ulang: pc06" in text
    assert "2 Desember 2026 paling lambat Senin, 21 Desember 2026" in text
    assert "1 canary 1 web1 2 Tanpa kelompok 5 db1, file1, pc06, web2, dan web3" in text
    assert "Sabtu dan Minggu, pukul 18.00 s.d. 23.00 WIB" in text
    assert "20 Desember 2026 s.d. 2 Januari 2027, Tutup buku" in text
    assert "Jadwal" not in shown(sample, "laporan-hasil-pengecekan", "draft")


def test_the_view_of_a_document_holds_findings_and_not_every_measured_value(sample: SampleRun) -> None:
    host = view_of(sample, "laporan-hasil-pengecekan", "verified").hosts[0]
    assert host.check
    assert (len(host.check.findings), host.check.facts) == (2, {})


def test_a_check_that_looked_at_no_condition_does_not_call_it_good(tmp_path: Path) -> None:
    sample = SampleRun(tmp_path)
    sample.start()
    sample.check(checks={})
    text = shown(sample, "laporan-hasil-pengecekan", "draft")
    assert "Keadaan komputer tidak diperiksa." in text
    assert "temuan" not in text.replace("Temuan", "")


def test_a_plan_decided_on_again_tells_only_what_has_changed(tmp_path: Path) -> None:
    sample = SampleRun(tmp_path)
    sample.start()
    sample.order()
    nowhere = {"path": "plans/7-1-1-reprobe-1.json", "sha256": "0" * 64}
    sample.write("step_spanned", step=5, attempt=1, until=8, next=7)
    sample.begin(7, 1, [Part("1", "playbook", ("db1",))])
    drifted = {"part": "1-reprobe-1", "hosts": ["db1"], "to": 2, "differences": nowhere}
    sample.write("plan_drifted", step=7, attempt=1, **drifted)
    newer: Any = deepcopy(FOUND)
    newer["db1"]["updates"][0] = {**newer["db1"]["updates"][0], "to": "99.9-1"}
    newer["db1"]["reboot"] = {**newer["db1"]["reboot"], "expected": True}
    newer["file1"]["updates"] = []
    del newer["web1"]
    sample.check(3, newer)
    text = shown(sample, "laporan-hasil-pengecekan", "draft")
    changes = text.partition("Perubahan terhadap rencana")[2].partition("D. Simpulan")[0]

    assert "diputuskan pada langkah 4 (diperintahkan)" in changes
    assert "99.9-1" in changes
    assert "sudah terpasang atau tidak ditawarkan lagi" in changes
    assert "web1 (seluruhnya) termasuk rencana tidak dapat dicek" in changes
    # What an earlier check found on a host is not passed off as found by this one.
    assert "Pengecekan menjangkau 4 dari 6 host" in text
    assert "web2" not in changes


def test_what_was_installed_before_the_plan_was_made_anew_stays_in_every_report(tmp_path: Path) -> None:
    """The canary was updated, then another wave's host differed: its update is not forgotten."""
    sample = SampleRun(tmp_path)
    sample.start()
    sample.order()
    sample.back_up()
    wave, check = Part("1", "playbook", ("web1",)), Part("1-check", "check", ("web1",))
    sample.begin(7, 1, [wave, check])
    sample.act(7, 1, wave, 38, results({"web1": applied("web1")}, {}), changes=True)
    sample.act(7, 1, check, 6, results({"web1": sample_run.tested()}, {}))
    nowhere = {"path": "plans/7-1-2-reprobe-1.json", "sha256": "0" * 64}
    drifted = {"part": "2-reprobe-1", "hosts": ["db1"], "to": 2, "differences": nowhere}
    sample.write("plan_drifted", step=7, attempt=1, **drifted)
    now: Any = deepcopy(FOUND)
    now["web1"] |= {"updates": [], "antivirus": None}
    now["db1"]["updates"][0]["to"] = "99.9-1"
    sample.check(3, now)

    for document, step, attempt in (("laporan-hasil-pengecekan", 2, 3), ("catatan-update", 7, 1)):
        view = report.document_view(
            sample.record(), document, "draft", step, attempt, sample.journal.events[-1].seq
        )
        text = text_of(report.render_html(view))
        told = text.partition("Dipasang oleh pelaksanaan ini menurut rencana yang diputuskan sebelumnya")[2]
        assert "web1 lab-good 1.0-1 1.0-1+deb12u1 Diperbarui" in told, document
        (web1,) = (host for host in view.hosts if host.host == "web1")
        assert web1.state == "updated"


def test_a_plan_that_was_only_sent_back_is_told_whole(sample: SampleRun) -> None:
    assert "Perubahan terhadap rencana" not in shown(sample, "laporan-hasil-pengecekan", "verified")


def test_final_report_names_who_freed_the_hosts_and_why(tmp_path: Path) -> None:
    made = SampleRun(tmp_path)
    made.start()
    made.order()
    official = made.roster.officials[3]
    statement = {"path": "decisions/break-1.json", "sha256": "0" * 64}
    made.write(
        "lock_broken",
        person=official.person(),
        reason="<b>Cuti</b>",
        statement=statement,
        signature=statement,
    )
    made.write("run_resumed")
    now = made.record()
    view = document_view(now, "laporan-hasil-update", "draft", 9, 1, len(now.events))

    assert [(item.person.name, item.reason) for item in view.breaks] == [
        ("Nama Kepala Bidang", "<b>Cuti</b>")
    ]
    page = report.render_html(view)
    assert "Host pelaksanaan ini pernah dilepas" in page
    assert "Nama Kepala Bidang (Kepala Bidang Teknologi dan Informatika): &lt;b&gt;Cuti&lt;/b&gt;" in page


CAME = {
    "nip": f"{9:018d}",
    "positions": ["Staf <b>Ahli</b>"],
    "valid": {"from": "2026-11-01", "until": None},
    "key": "SHA256:baru",
}
LETTER = {
    "kind": "Plh",
    "position": "Kepala Bidang Teknologi dan Informatika",
    "valid": {"from": "2026-11-21", "until": "2026-11-23"},
    "letter": "800/12/2026",
}
DIFFERENCES = [
    {"official": "baru", "name": "Nama Baru", "field": "official", "before": None, "after": CAME},
    {"official": "analis", "name": "Nama Analis", "field": "deputy", "before": None, "after": LETTER},
    {"official": "kabid", "name": "Nama Kabid", "field": "key", "before": "SHA256:a", "after": "SHA256:b"},
    {
        "official": "kabid",
        "name": "Nama Kabid",
        "field": "valid",
        "before": {"from": None, "until": None},
        "after": {"from": None, "until": "2026-12-31"},
    },
    {"official": "lama", "name": "Nama Lama", "field": "official", "before": CAME, "after": None},
]


@pytest.mark.parametrize("document", ["laporan-hasil-update", "laporan-penghentian"])
def test_reports_name_every_change_of_the_roster(tmp_path: Path, document: str) -> None:
    made = SampleRun(tmp_path)
    made.start()
    made.order()
    file = {"path": "x", "sha256": "0" * 64}
    official = made.roster.officials[3].person()
    (tmp_path / RUN / "rosters").mkdir()
    snapshot = made.roster.snapshot()
    (tmp_path / RUN / "rosters" / "1.json").write_bytes(snapshot)
    made.write(
        "roster_changed",
        person=official,
        reason="<i>Cuti</i>",
        changes=DIFFERENCES,
        roster={"path": "rosters/1.json", "sha256": hashlib.sha256(snapshot).hexdigest()},
        signers=file,
        nonce=None,
        statement=file,
        signature=file,
    )
    if document == "laporan-penghentian":
        made.write("run_stopped", step=5, attempt=0, person=official, reason="Alasan")
    now = made.record()
    page = report.render_html(document_view(now, document, "draft", 5, 1, len(now.events)))
    told = " ".join(re.sub(r"<[^>]+>", " ", page.partition("Perubahan daftar pejabat")[2]).split())

    assert "Nama Kepala Bidang (Kepala Bidang Teknologi dan Informatika): &lt;i&gt;Cuti&lt;/i&gt;" in told
    assert (
        "Nama Baru masuk daftar pejabat - NIP 000000000000000009, Staf &lt;b&gt;Ahli&lt;/b&gt;, "
        "sejak 1 November 2026, kunci SHA256:baru"
    ) in told
    assert (
        "Nama Analis ditunjuk - Plh. Kepala Bidang Teknologi dan Informatika, "
        "21 November 2026 s.d. 23 November 2026, menurut 800/12/2026"
    ) in told
    assert "Nama Kabid kunci tanda tangan SHA256:a SHA256:b" in told
    assert "Nama Kabid masa sebagai pejabat tanpa batas waktu sampai 31 Desember 2026" in told
    assert "Nama Lama keluar dari daftar pejabat NIP 000000000000000009" in told


def test_check_schedule_is_due_a_month_later(sample: SampleRun) -> None:
    text = shown(sample, "jadwal-pengecekan", "draft")

    assert "paling lambat Senin, 21 Desember 2026" in text
    assert "Berkala setiap bulan" in text


def test_draft_is_marked_as_text_until_its_last_version(sample: SampleRun) -> None:
    marks = {
        key: "DRAF \u2013" in shown(sample, *key)
        for key in sample.marks
        if key[0] in {"laporan-hasil-pengecekan", "laporan-hasil-update", "catatan-update"}
    }

    assert marks == {
        ("laporan-hasil-pengecekan", "draft"): True,
        ("laporan-hasil-pengecekan", "verified"): False,
        ("catatan-update", "draft"): True,
        ("catatan-update", "final"): False,
        ("laporan-hasil-update", "draft"): True,
        ("laporan-hasil-update", "verified"): True,
        ("laporan-hasil-update", "ratified"): False,
    }


def test_disposition_shows_order_plan_digest_and_signed_statement(sample: SampleRun) -> None:
    view = view_of(sample, "disposisi", "final")
    text = shown(sample, "disposisi", "final")

    assert "[x] diperintahkan (dipilih)" in text
    assert "Laksanakan di luar jam pelayanan." in text
    assert view.plan
    assert view.plan.sha256 in text
    assert view.order
    assert view.order.statement_sha256 in text
    assert NOT_CERTIFIED in text


def test_where_a_document_is_signed_as_pdf_the_note_says_which_marks_are_no_certified_signatures(
    sample: SampleRun,
) -> None:
    """Approvals through the system are none; the document's own signature is another matter."""
    views = {document: view_of(sample, document, version) for document, version in sample.marks}
    noted = [name for name, view in views.items() if NOT_CERTIFIED in text_of(report.render_html(view))]
    assert {"laporan-hasil-update", "laporan-hasil-pengecekan", "jadwal-pengecekan", "disposisi"} <= {*noted}
    own = "Dokumen ini sendiri ditandatangani secara elektronik"
    words = "namanya tampak {} dengan keterangan “Ditandatangani secara elektronik”."
    for name in noted:
        plain, signed, copy = (
            text_of(report.render_html(views[name].model_copy(update={"electronic": electronic})))
            for electronic in ("", "signed", "copy")
        )
        assert own not in plain
        assert f"{own} oleh pejabat yang {words.format('pada ruang tanda tangan')}" in signed
        assert f"{own} pada berkas yang tersimpan dalam arsip" in copy
        assert words.format("di sana") in copy
        assert signed.count(NOT_CERTIFIED) == copy.count(NOT_CERTIFIED) == plain.count(NOT_CERTIFIED)
        # Signed it is; nothing need be signed otherwise any more.
        for text in (signed, copy):
            assert "ditandatangani basah atau secara elektronik menurut" not in text


def test_update_record_shows_backup_versions_and_failures(sample: SampleRun) -> None:
    text = shown(sample, "catatan-update", "final")

    assert "20 dari 20 berkas sama, 1,2 detik" in text
    assert "db1 : layanan (PostgreSQL 15/main, 8,4 MB), kepegawaian (MariaDB, 3,1 kB)" in text
    assert "Tidak disalin karena dikecualikan: db1: coba." in text
    assert "ya, 21 detik" in text
    assert "lab-reboot 1.0-1 1.0-1+deb12u1" in text
    assert "subprocess returned error exit status 3" in text


def test_update_record_names_files_laid_beside_changed_configuration(sample: SampleRun) -> None:
    text = shown(sample, "catatan-update", "final")

    assert text.count("berkas baru diletakkan di sampingnya") == 1
    assert "/etc/lab-good.conf.rpmnew" in text


def test_update_record_before_the_update_says_so(sample: SampleRun) -> None:
    text = shown(sample, "catatan-update", "draft")

    assert "update belum dilaksanakan" in text
    assert "Versi sebelum dan sesudah" not in text


def test_minutes_show_failing_tests_rollback_and_what_could_not_be_undone(sample: SampleRun) -> None:
    text = shown(sample, "notulensi-hasil-update", "final")

    assert "tidak normal \u2013 Dari 6 host" in text
    assert "layanan tidak aktif: lab-crash.service" in text
    assert "lab-good: versi semula 1.0-1 tidak tersedia lagi pada sumber paket host" in text
    assert "Nama Analis, Analis Sistem Informasi dan Jaringan" in text


def test_report_tells_the_leader_the_result_in_one_sentence(sample: SampleRun) -> None:
    text = shown(sample, "laporan-hasil-update", "ratified")

    assert (
        "Dari 6 host, 2 diperbarui dan lulus uji, 2 dikembalikan ke versi semula dan lulus uji ulang, "
        "1 gagal, 1 tidak dikerjakan; 8 dari 16 pemutakhiran yang direncanakan berlaku dan 5 dari 10 "
        "kerentanan (CVE) tertutup." in text
    )
    assert ", termasuk 2 basis data. Rincian" in text
    assert "Masih harus ditangani: pc06, web1, web2, dan web3." in text
    for chapter in ("A. Pendahuluan", "B. Kegiatan", "C. Hasil", "D. Simpulan", "E. Penutup"):
        assert chapter in text


def test_report_tells_the_rungs_of_a_rollback_and_what_was_left(sample: SampleRun) -> None:
    text = shown(sample, "laporan-hasil-update", "ratified")

    assert "Dikembalikan dari backup: /etc/contoh.conf." in text
    assert "Sesudah paket dikembalikan: belum seperti semula (tcp/8092 tertutup)." in text
    assert (
        "Sesudah berkas konfigurasi dikembalikan: layanan, port, alamat dan sistem berkas seperti semula."
        in text
    )
    assert "Dibiarkan: /etc/contoh.baru (dibawa oleh pemutakhiran, tidak dihapus)." in text


def test_report_shows_what_was_sent_back_and_why(sample: SampleRun) -> None:
    text = shown(sample, "laporan-hasil-update", "ratified")

    assert "perlu perbaikan \u2013 Tambahkan keterangan untuk web2." in text
    assert "belum \u2013 Host pc06 tidak terjangkau; mohon dicoba sekali lagi." in text


# Times ----------------------------------------------------------------------------------------------

Told = Callable[[SampleRun], None]
UPDATE_REPORT = ("laporan-hasil-update", "ratified")


def slow_run(path: Path, zone: str = "Asia/Jakarta", *, after_backup: Told, before_report: Told) -> SampleRun:
    """Return a whole run whose row 6 takes 12 minutes more than its three hours."""
    run = SampleRun(path, zone=zone)
    run.start()
    run.order()
    run.back_up(3 * 3600 + 720)
    after_backup(run)
    run.apply()
    run.verify()
    before_report(run)
    run.report()
    return run


def nothing(_run: SampleRun) -> None:
    """Leave it all untold."""


def test_report_shows_for_every_attempt_standard_work_deviation_and_on_whom_it_waited(
    sample: SampleRun,
) -> None:
    text = shown(sample, *UPDATE_REPORT)

    row = "Langkah 3: bekerja 2 detik dari waktu baku 15 Menit 2 detik kurang 14 menit 58 detik"
    assert f"{row} Analis Sistem Informasi dan Jaringan: 10 menit" in text
    assert "langkah 3, percobaan ke-2 15 Menit" in text


def test_report_says_that_rows_beside_each_other_do_not_add_up(sample: SampleRun) -> None:
    view, text = view_of(sample, *UPDATE_REPORT), shown(sample, *UPDATE_REPORT)

    assert "Langkah 5 berjalan bersamaan dengan langkah 6 sampai 8." in text
    assert "sehingga jumlah per langkah bukan lama pelaksanaan" in text
    assert f"Lama pelaksanaan sampai dokumen ini dibuat {report.wording.duration(view.elapsed)}" in text
    assert sum(row.work + row.waiting for row in view.rows) > view.elapsed


def test_report_without_a_word_on_the_conditions_says_so(sample: SampleRun) -> None:
    assert "Kondisi pelaksanaan: tidak dinyatakan . Waktu baku SOP berlaku dalam kondisi normal" in shown(
        sample, *UPDATE_REPORT
    )


def test_report_shows_what_was_over_why_and_in_what_conditions(tmp_path: Path) -> None:
    def note(run: SampleRun) -> None:
        run.note_reason(6, "Alasan pertama")
        run.note_reason(6, "Jaringan lambat <b>", who=3)
        run.note_condition("tidak normal", "Listrik padam")

    run = slow_run(tmp_path, after_backup=nothing, before_report=note)
    text = shown(run, *UPDATE_REPORT)
    over = report.wording.duration(next(row.over for row in view_of(run, *UPDATE_REPORT).rows if row.no == 5))

    assert "Kondisi pelaksanaan: tidak normal \u2013 Listrik padam (menurut Nama Pengelola, Pengelola" in text
    assert "6 3 Jam 3 jam 12 menit lebih 12 menit 3 detik Jaringan lambat <b> (Nama Kepala Bidang)" in text
    assert "Alasan pertama" not in text
    assert f"lebih {over} belum diberi alasan" in text
    assert "Waktu baku terlampaui pada langkah 5 dan 6; alasannya ada pada bagian B." in text


def test_report_tells_of_a_clock_that_was_set_and_of_a_reboot(tmp_path: Path) -> None:
    def disturb(run: SampleRun) -> None:
        run.clock.set_by = -3780
        run.write("run_interrupted", reason="why")
        run.clock.boot = "boot-2"
        run.write("run_resumed")

    run = slow_run(tmp_path, after_backup=disturb, before_report=nothing)
    tries = {row.no: row.tries[0] for row in view_of(run, *UPDATE_REPORT).rows if row.tries}
    text = shown(run, *UPDATE_REPORT)

    assert (tries[5].shifts, tries[5].reboots) == ((-3780.0,), 1)
    assert (tries[7].shifts, tries[7].reboots) == ((), 0)
    assert tries[5].measured > 3 * 3600 + 720
    assert "Jam dinding bergeser mundur 1 jam 3 menit; lama diukur dengan jam monoton." in text
    assert "Pengukuran melintasi reboot; untuk saat itu jam dinding dipakai." in text


@pytest.mark.parametrize(
    ("zone", "begun", "ended", "named"),
    [
        ("Asia/Jakarta", "21 Nov 2026 08.37", "21 Nov 2026 11.50", "Mulai (WIB)"),
        ("Asia/Makassar", "21 Nov 2026 09.37", "21 Nov 2026 12.50", "Mulai (WITA)"),
        ("Asia/Jayapura", "21 Nov 2026 10.37", "21 Nov 2026 13.50", "Mulai (WIT)"),
        ("Pacific/Auckland", "21 Nov 2026 14.37", "21 Nov 2026 17.50", "Mulai (UTC+13:00)"),
        ("Pacific/Honolulu", "20 Nov 2026 15.37", "20 Nov 2026 18.50", "Mulai (UTC-10:00)"),
    ],
)
def test_report_shows_the_office_s_own_time(
    tmp_path: Path, zone: str, begun: str, ended: str, named: str
) -> None:
    text = shown(slow_run(tmp_path, zone, after_backup=nothing, before_report=nothing), *UPDATE_REPORT)

    assert named in text
    assert f"{begun} {ended} 3 jam 12 menit" in text


def test_a_run_across_midnight_shows_both_days(tmp_path: Path) -> None:
    def wait(run: SampleRun) -> None:
        run.clock.elapsed += 11.5 * 3600

    run = slow_run(tmp_path, "Asia/Jayapura", after_backup=wait, before_report=nothing)
    text = shown(run, *UPDATE_REPORT)

    assert re.search(r"21 Nov 2026 10\.37 22 Nov 2026 01\.\d\d 14 jam \d\d menit", text)
    assert re.search(r"Tanggal Minggu, 22 November 2026, pukul 0[12]\.\d\d WIT", text)


def test_sop_wording_stands_to_the_letter(sample: SampleRun) -> None:
    text = shown(sample, "laporan-hasil-update", "ratified")

    for row in sample.sop.steps:
        if row.pelaksana:
            assert row.kegiatan in text


def test_long_list_puts_equal_changes_of_hosts_and_packages_on_one_line(tmp_path: Path) -> None:
    same = [update(f"lib{n}", [f"CVE-2099-{n}"]) for n in range(30)]
    twins = [update("perl", ["CVE-2099-99"]), update("perl-base", ["CVE-2099-99"])]
    sample = SampleRun(tmp_path)
    sample.start()
    sample.check(items={host: found([*same, *twins]) for host in ("web1", "db1", "file1")})
    view = view_of(sample, "laporan-hasil-pengecekan", "draft")
    text = text_of(report.render_html(view))

    assert view.planned_count == 96
    assert len(view.planned_changes) == 31
    assert (
        "perl, perl-base 1.0-1 → 1.0-1+deb12u1 Security patch CVE-2099-99 tidak db1, file1, dan web1" in text
    )


# Form and safety ----------------------------------------------------------------------------------------


def every_html(sample: SampleRun) -> list[str]:
    return [report.render_html(view_of(sample, *key)) for key in sample.marks]


def test_every_picture_has_a_title_and_every_header_a_scope(sample: SampleRun) -> None:
    for html in every_html(sample):
        assert all("<title>" in svg for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
        assert all("scope" in attributes for tag, attributes in Elements(html).found if tag == "th")


def test_html_needs_nothing_from_outside(sample: SampleRun) -> None:
    for html in every_html(sample):
        for tag, attributes in Elements(html).found:
            assert tag not in {"script", "img", "link", "iframe", "object", "base"}
            assert not {"src", "href", "srcdoc"} & set(attributes)
        assert "url(" not in html


def test_footer_carries_run_and_digest_of_the_data(sample: SampleRun) -> None:
    view = view_of(sample, "disposisi", "final")
    digest = hashlib.sha256(report.view_json(view)).hexdigest()
    html = report.render_html(view)

    assert f"{RUN} · data {digest[:16]}" in text_of(html)
    assert f"rawat:{RUN}:disposisi:final:{digest}" in html


def test_view_json_is_canonical_and_keeps_the_words_of_evidence(sample: SampleRun) -> None:
    data = report.view_json(view_of(sample, "laporan-hasil-pengecekan", "draft"))
    again = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"

    assert data.decode() == again
    assert '"from":"15.8-0+deb12u1"' in again


def hostile_run(path: Path) -> SampleRun:
    """Return a run in which host, SOP-independent text and officials' reasons are an attack."""
    sample = SampleRun(path)
    sample.start()
    bad = dict(FOUND)
    bad["web1"] = found(
        [update(f"pkg{HOSTILE}", [f"CVE-1{HOSTILE}"])],
        os={"name": HOSTILE, "version": HOSTILE, "kernel": HOSTILE},
        held=[{"package": HOSTILE, "installed": HOSTILE, "candidate": HOSTILE}],
        dpkg_audit=[HOSTILE],
    )
    attack = at_most("disk_space", HOSTILE, 99, "%", 85, 95) | {"measured": HOSTILE, "why": HOSTILE}
    checks = {"web1": checked(attack, attack | {"severity": "unmeasured"})}
    sample.check(items=bad, checks=checks)
    sample.gate(3, 1, 1, "sesuai", 4, reason=HOSTILE)
    sample.gate(4, 1, 3, "diperintahkan", 5, reason=HOSTILE)
    return sample


@pytest.mark.parametrize("document", [("laporan-hasil-pengecekan", "verified"), ("disposisi", "final")])
def test_hostile_text_neither_runs_nor_steers(tmp_path: Path, document: tuple[str, str]) -> None:
    html = report.render_html(view_of(hostile_run(tmp_path), *document))
    tags = {tag for tag, _ in Elements(html).found}

    assert not tags & {"script", "img", "b1"}
    assert "{{7*7}}" in html
    assert "49" not in text_of(html).partition("alert(1)")[2][:20]
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "\u2039U+001B\u203a" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&amp;lt;b&amp;gt;" in html


def test_a_host_cannot_fill_a_document(tmp_path: Path) -> None:
    sample = SampleRun(tmp_path)
    sample.start()
    sample.check(items={"web1": found([update("x" * 15_000, [f"CVE-2099-{n}" for n in range(300)])])})
    html = report.render_html(view_of(sample, "laporan-hasil-pengecekan", "draft"))

    assert "x" * 4001 not in html
    assert "dan 294 lainnya" in text_of(html)


@pytest.mark.parametrize("value", [None, True, 1.5j, object()])
def test_a_hole_in_a_document_is_an_error(value: object) -> None:
    with pytest.raises(TypeError, match="must not print"):
        report.environment().from_string("{{ value }}").render(value=value)


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ("{{ view.run }", "unexpected '}'"),
        ("{% endfor %}", "Encountered unknown tag 'endfor'."),
        ("{{ view.run | tebal }}", "No filter named 'tebal'."),
        ("{{ view.kepala }}", "has no attribute 'kepala'"),
        ("{{ view.run / 2 }}", "unsupported operand type(s) for /: 'str' and 'int'"),
        ("{{ view.look }}", "a document must not print"),
        ("{{ [1][7] }}", "list object has no element 7"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_file_and_line(
    sample: SampleRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str, told: str
) -> None:
    own = tmp_path / "disposisi.html.j2"
    own.write_text(f"<title>Disposisi</title>\n<p>\n{mistake}\n", encoding="utf-8")
    folders = jinja2.FileSystemLoader([tmp_path, ROOT / report.TEMPLATES])
    changed = report.environment().overlay(loader=folders)
    monkeypatch.setattr(report, "environment", lambda: changed)

    with pytest.raises(errors.InputError) as refused:
        report.render_html(view_of(sample, "disposisi", "final"))

    where = f"{own}:3: the document cannot be made with this template: "
    assert str(refused.value).startswith(where)
    assert told in str(refused.value)


# Deputies ----------------------------------------------------------------------------------------------


def test_a_deputy_s_decision_says_plh_before_the_position_and_names_the_letter_once(tmp_path: Path) -> None:
    kabid, letter = "Kepala Bidang Teknologi dan Informatika", "800/12/2026 tanggal 20 November 2026"
    deputy = Deputy.model_validate(
        {
            "official": "kabid",
            "position": kabid,
            "kind": "Plh",
            "from": "2026-11-20",
            "until": "2026-11-30",
            "letter": letter,
        }
    )
    officials = [*ROSTER.officials[:3], ROSTER.officials[3].model_copy(update={"positions": ["Sekretaris"]})]
    roster = ROSTER.model_copy(update={"officials": officials, "deputies": [deputy]})
    deputised = whole_run(tmp_path, roster)
    for document, version in (("disposisi", "final"), ("laporan-hasil-update", "ratified")):
        text = shown(deputised, document, version)
        assert f"Plh. {kabid}" in text
        assert text.count(letter) == 1, document


# Files --------------------------------------------------------------------------------------------------


def test_documents_are_built_the_same_anywhere(sample: SampleRun, tmp_path: Path) -> None:
    step, attempt, as_of = sample.marks["disposisi", "final"]
    name = "04-1-disposisi-final"
    here, there = tmp_path / "here", tmp_path / "another" / "place"
    first = report.build_document(sample.record(), "disposisi", "final", step, attempt, as_of, here)
    before = Path.cwd()
    try:
        os.chdir(tmp_path)
        second = report.build_document(sample.record(), "disposisi", "final", step, attempt, as_of, there)
    finally:
        os.chdir(before)

    assert [path.name for path in first] == [f"{name}.json", f"{name}.html", f"{name}.pdf"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(path.name for path in here.iterdir()) == sorted(path.name for path in first)


@pytest.mark.parametrize("document", [("jadwal-pengecekan", "verified"), ("catatan-update", "final")])
def test_documents_with_annexes_are_built_the_same_anywhere(
    sample: SampleRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: tuple[str, str]
) -> None:
    """Six hosts are many here, so that the log has an annex."""
    for module in ("view", "annex"):
        monkeypatch.setattr(f"runner.{module}.MOST_TOLD", 3)
    head = Chain(records=12, head="5" * 64)
    places = [tmp_path / "here", tmp_path / "another" / "place"]
    first, second = (
        report.build_document(sample.record(), *document, *sample.marks[document], place, head)
        for place in places
    )

    has_annex = document[0] == "catatan-update"
    kinds = ["json", "html", *(["lampiran-1.pdf"] if has_annex else []), "pdf"]
    assert [path.name.partition(".")[2] for path in first] == kinds
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    page = first[1].read_text(encoding="utf-8")
    assert "Buku register: 12 catatan" in page
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in first[2:-1]]
    assert [digest in page for digest in digests] == [True] * has_annex


def test_the_day_of_a_signature_in_wet_ink_is_written_as_an_office_writes_it() -> None:
    person = {"name": "Nama Contoh"}
    paper = {"date": "2026-08-17", "scan": "5" * 64, "entered_by": person, "confirmed_by": person}
    page = '{% import "_macros.html.j2" as m with context %}{{ m.wet_ink(decision) }}'

    told = report.environment().from_string(page).render(decision={"paper": paper})

    assert "tanda tangan basah tanggal 17 Agustus 2026, dipindai" in told


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("2024-01-01T01:00:00+09:00", "31 Desember 2023, 23.00 WIB"),
        ("2024-01-01T01:00:00Z", "1 Januari 2024, 08.00 WIB"),
        ("2024-01-01T01:00:00", "2024-01-01T01:00:00"),  # of whose clock?
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("<b>kemarin</b>", "&lt;b&gt;kemarin&lt;/b&gt;"),
    ],
)
def test_a_time_that_a_host_told_is_shown_in_the_offices_zone(said: str, shown: str) -> None:
    template = report.environment().from_string("{{ said | host_moment }}")

    assert template.render(said=said, view=SimpleNamespace(timezone="Asia/Jakarta")) == shown


def test_documents_of_a_moved_run_are_the_same(sample: SampleRun, tmp_path: Path) -> None:
    record = sample.record()
    moved = tmp_path / "elsewhere"
    sample.folder.path.rename(moved)
    try:
        there = dataclasses.replace(record, folder=dataclasses.replace(record.folder, path=moved))
        step, attempt, as_of = sample.marks["laporan-hasil-update", "ratified"]
        view = report.document_view(there, "laporan-hasil-update", "ratified", step, attempt, as_of)
    finally:
        moved.rename(sample.folder.path)

    assert report.render_html(view) == report.render_html(view_of(sample, "laporan-hasil-update", "ratified"))


def test_sample_has_every_host(sample: SampleRun) -> None:
    assert {host.host for host in view_of(sample, "disposisi", "final").hosts} == set(HOSTS)


def test_every_kind_of_part_that_may_fail_has_a_name_in_documents() -> None:
    """A look before a wave tells nothing of its own about a host; everything else may have failed."""
    macros = Path(__file__).parents[2].joinpath("report_templates", "_macros.html.j2").read_text("utf-8")
    (names,) = re.findall(r"macro part_name\(kind\) %}{{ ({.*?})\[kind\]", macros)
    assert set(re.findall(r'"(\w+)": ', names)) == set(get_args(PartKind)) - {"reprobe"}


# The flowchart as an annex ------------------------------------------------------------------------------


def standing_rows(html: str) -> dict[str, str]:
    """Return the class of each row of the annex, and check that its sign says the same in words."""
    found = re.findall(
        r'<tr class="(\w+)"><th scope="row" class="center"><div>(\d+)</div>\s*<svg.*?<title>(.*?)<',
        html,
        re.DOTALL,
    )
    words = {"done": "selesai", "current": "sampai di sini", "not_reached": "belum atau tidak dilalui"}
    assert all(words[standing] == word for standing, _, word in found)
    return {no: standing for standing, no, _ in found}


def test_the_report_shows_the_sop_with_what_is_done_and_where_the_run_is(sample: SampleRun) -> None:
    rows = standing_rows(report.render_html(view_of(sample, "laporan-hasil-update", "draft")))
    assert [rows[str(no)] for no in range(1, 14)] == ["done"] * 8 + ["current"] + ["not_reached"] * 4


def test_the_symbols_of_the_annex_have_the_colours_of_their_rows(sample: SampleRun) -> None:
    html = report.render_html(view_of(sample, "laporan-hasil-update", "ratified"))
    marked = re.findall(r'<tr class="(done|current|not_reached)">(.*?)</tr>', html, re.DOTALL)
    assert len(marked) == 13
    for standing, row in marked:
        colour = {"done": "#d3ebdc", "current": "#ffd58a", "not_reached": "#ffffff"}[standing]
        assert f'fill="{colour}" stroke="' in row
