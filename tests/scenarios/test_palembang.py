"""Every path of the Palembang SOP, whole runs with fakes."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console

from runner import record, report, verify
from runner.engine import Closed, Unfilled, Waiting
from runner.executors.base import Failure, HostResult, HostStatus
from runner.run_view import document_view
from runner.screens import gate_view
from runner.workspace import RunFolder
from scenarios.office import HOSTS, Office, events_of, rows_finished
from scenarios.palembang import SICK, checked, filled_in

ASSIGNED, RECEIVED = {1: ["ditugaskan"]}, {11: ["diterima"]}
PROPOSED = {5: ["diajukan"], 7: ["ditugaskan"]}


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "bukti.pdf"
    path.write_bytes(b"%PDF-1.7 a made-up receipt")
    return path


def whole(
    office: Office, decisions: dict[int, list[str]], *rows: int, paper: Path | None = None
) -> RunFolder:
    """Return a run that was done to its end and complete."""
    folder = office.start()
    closed = office.go_on(folder, ASSIGNED | RECEIVED | decisions, filled_in(1, *rows, paper=paper))
    assert isinstance(closed, Closed), closed
    assert (closed.outcome, closed.reason) == ("completed", "")
    verify.check_run(folder)
    return folder


def order(folder: RunFolder) -> list[tuple[int, str | None]]:
    return rows_finished(folder)


HEAD: list[tuple[int, str | None]] = [(1, "ditugaskan"), (2, None)]
TAIL: list[tuple[int, str | None]] = [(9, None), (10, None), (11, "diterima")]


def test_without_a_disturbance_row_three_leads_to_the_backup(palembang: Office) -> None:
    folder = whole(palembang, {})
    assert order(folder) == [*HEAD, (3, "TIDAK"), *TAIL]


def test_a_disturbance_that_is_repaired_leads_to_the_backup(palembang: Office) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK})
    folder = whole(palembang, {}, 4)
    assert order(folder) == [*HEAD, (3, "YA"), (4, "diperbaiki"), *TAIL]


def test_the_repair_is_proved_on_the_disturbed_hosts_alone(palembang: Office) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK, "db1": "unreachable"})
    whole(palembang, {}, 4)
    assert palembang.playbooks.hosts_of(4, "1") == ("db1", "web1")
    asked = {request.part: request.playbook for request in palembang.playbooks.requests if request.step == 4}
    assert asked == {
        "propose": palembang.root / "playbooks" / "propose-repairs.yml",
        "1": palembang.root / "playbooks" / "check-hosts.yml",
    }


def test_what_cannot_be_repaired_is_proposed_approved_and_followed_up(palembang: Office, paper: Path) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK})
    palembang.playbooks.answer(4, "1", {"web1": SICK})
    folder = whole(palembang, PROPOSED | {6: ["disetujui"]}, 4, 5, 7, 8, paper=paper)
    middle = [(4, "tidak dapat"), (5, "diajukan"), (6, "disetujui"), (7, "ditugaskan"), (8, None)]
    assert order(folder) == [*HEAD, (3, "YA"), *middle, *TAIL]
    assert record.load(folder).state.looked.disturbed == set()
    assert (folder.path / "forms" / "8-1-attachment-1.pdf").exists()


def test_a_follow_up_that_did_not_help_leaves_the_host_disturbed(palembang: Office, paper: Path) -> None:
    for row in (2, 4, 8):
        palembang.playbooks.answer(row, "1", {"web1": SICK})
    folder = whole(palembang, PROPOSED | {6: ["disetujui"]}, 4, 5, 7, 8, paper=paper)
    assert record.load(folder).state.looked.disturbed == {"web1"}


def test_what_is_refused_leads_to_the_backup_and_stays_disturbed(palembang: Office) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK})
    palembang.playbooks.answer(4, "1", {"web1": SICK})
    folder = whole(palembang, PROPOSED | {6: ["ditolak"]}, 4, 5)
    assert order(folder) == [*HEAD, (3, "YA"), (4, "tidak dapat"), (5, "diajukan"), (6, "ditolak"), *TAIL]
    assert record.load(folder).state.looked.disturbed == {"web1"}


def test_refusing_the_proposal_needs_a_reason(palembang: Office) -> None:
    sop = palembang.sop
    assert sop.needs_reason(sop.step(6), "ditolak")
    assert not sop.needs_reason(sop.step(11), "diterima")


def test_a_report_that_is_returned_is_written_again(palembang: Office) -> None:
    folder = whole(palembang, {11: ["dikembalikan", "diterima"]})
    assert order(folder) == [*HEAD, (3, "TIDAK"), (9, None), (10, None), (11, "dikembalikan"), *TAIL[1:]]
    assert [e["attempt"] for e in events_of(folder, "step_started") if e["step"] == 10] == [1, 2]


def test_a_run_without_an_archive_row_is_sealed(palembang: Office) -> None:
    folder = whole(palembang, {})
    assert palembang.archive.sealed == [folder.name]


# What a disturbance is ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (checked("web1", "good"), "TIDAK"),
        (checked("web1", "notice"), "TIDAK"),
        (checked("web1", "warning"), "TIDAK"),
        (checked("web1", "critical"), "YA"),
        (checked("web1", "unmeasured"), "YA"),
        (HostResult("web1", "failed", {}, Failure("", "x")), "YA"),
        (HostResult("web1", "unknown", {}, Failure("", "x")), "YA"),
        (HostResult("web1", "unreachable", {}, Failure("", "x")), "YA"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_what_is_critical_unmeasured_or_silent_is_a_disturbance(
    palembang: Office, found: HostResult, outcome: str
) -> None:
    palembang.playbooks.answer(2, "1", {"web1": found})
    folder = palembang.start()
    palembang.go_on(folder, ASSIGNED, filled_in(1))
    assert dict(order(folder))[3] == outcome


def test_when_no_host_answers_there_is_a_disturbance_and_the_run_goes_on(palembang: Office) -> None:
    nobody: dict[str, HostStatus | HostResult] = dict.fromkeys(HOSTS, "unreachable")
    palembang.playbooks.answer(2, "1", nobody)
    palembang.playbooks.answer(4, "1", nobody)
    folder = palembang.start()
    stop = palembang.go_on(folder, ASSIGNED, filled_in(1, 4))
    assert isinstance(stop, Unfilled)
    assert order(folder)[-1] == (4, "tidak dapat")


def test_a_repair_is_not_believed_without_a_look(palembang: Office) -> None:
    """Staf TI may write what he likes; the host says whether it works."""
    palembang.playbooks.answer(2, "1", {"web1": SICK})
    palembang.playbooks.answer(4, "1", {"web1": SICK})
    said = filled_in(1, 4)
    said[4].answers["hasil"] = "Diperbaiki"
    folder = palembang.start()
    palembang.go_on(folder, ASSIGNED, said)
    assert order(folder)[-1] == (4, "tidak dapat")


# What who decides is told ------------------------------------------------------------------------------


def seen(folder: RunFolder) -> str:
    now = record.load(folder)
    assert now.state.gate is not None
    console = Console(width=110, record=True)
    console.print(gate_view(now.state.gate, now))
    return console.export_text()


def test_row_one_is_told_that_changes_come_before_the_backup(palembang: Office) -> None:
    folder = palembang.start()
    assert isinstance(palembang.go_on(folder, {}, filled_in(1)), Waiting)
    told = seen(folder)
    assert "row 4 changes hosts before row 9 backs them up" in told
    assert "row 8 changes hosts before row 9 backs them up" in told
    assert "Basis data kepegawaian" in told


def test_the_budget_authority_sees_the_proposal_with_its_total(palembang: Office) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK})
    palembang.playbooks.answer(4, "1", {"web1": SICK})
    folder = palembang.start()
    stop = palembang.go_on(folder, ASSIGNED | {5: ["diajukan"]}, filled_in(1, 4, 5))
    assert isinstance(stop, Waiting)
    assert stop.gate.position == "Kuasa Pengguna Anggaran"
    told = seen(folder)
    for words in ("Rp1.250.000", "Jumlah seluruhnya: Rp2.850.000", "Situs web tidak menjawab.", "Disk 1 TB"):
        assert words in told


# The documents -----------------------------------------------------------------------------------------


def documents(folder: RunFolder) -> dict[tuple[int, int, str], str]:
    """Return the text of every document of a run, by row, attempt and name, as it is built for real."""
    now = record.load(folder)
    found = {}
    for event in now.events:
        if event.name == "document_written":
            at = event["document"], event["version"], event["step"], event["attempt"], event["as_of"]
            html = report.render_html(document_view(now, *at))
            found[event["step"], event["attempt"], event["document"]] = plain(html)
    return found


def plain(html: str) -> str:
    """Return the words of a page."""
    body = html.split("</head>", 1)[1]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_every_output_of_the_paper_has_its_document(palembang: Office, paper: Path) -> None:
    for row in (2, 4):
        palembang.playbooks.answer(row, "1", {"web1": SICK})
    folder = whole(palembang, PROPOSED | {6: ["disetujui"]}, 4, 5, 7, 8, paper=paper)
    assert [(row, name) for row, _, name in documents(folder)] == [
        (1, "daftar-aplikasi"),
        (2, "laporan-pemantauan"),
        (3, "laporan-pemantauan"),
        (4, "laporan-perbaikan"),
        (5, "usulan-anggaran"),
        (6, "keputusan-usulan"),
        (7, "keputusan-usulan"),
        (8, "catatan-tindak-lanjut"),
        (9, "laporan-backup"),
        (10, "laporan-pemeliharaan"),
        (11, "laporan-pemeliharaan"),
    ]


def test_the_report_of_a_refused_proposal_names_what_is_unresolved_and_why(palembang: Office) -> None:
    for row in (2, 4):
        palembang.playbooks.answer(row, "1", {"web1": SICK})
    folder = whole(palembang, {5: ["diajukan"], 6: ["ditolak"]}, 4, 5)
    told = documents(folder)
    final = told[11, 1, "laporan-pemeliharaan"]
    for words in (
        "1 mengalami gangguan: 0 teratasi dan 1 belum teratasi (web1)",
        "Masih harus ditangani: web1",
        "Kuasa Pengguna Anggaran memutuskan “ditolak” pada langkah 6",
        "Alasan: Alasan contoh",
        "BELUM TERATASI",
        "tcp 80",
        "Rp2.850.000",
    ):
        assert words in final
    assert "ditolak" in told[6, 1, "keputusan-usulan"]


def test_the_report_of_a_repair_says_that_it_was_looked_at_again(palembang: Office) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK})
    told = documents(whole(palembang, {}, 4))
    assert "Hasil langkah 4: diperbaiki" in told[4, 1, "laporan-perbaikan"]
    assert "1 teratasi dan 0 belum teratasi" in told[11, 1, "laporan-pemeliharaan"]
    assert "Tidak ada gangguan yang masih harus ditangani" in told[11, 1, "laporan-pemeliharaan"]


def test_the_report_of_a_month_without_disturbance_says_so(palembang: Office) -> None:
    told = documents(whole(palembang, {11: ["dikembalikan", "diterima"]}))
    assert "5 komponen diperiksa; tidak ada gangguan." in told[11, 2, "laporan-pemeliharaan"]
    assert "dikembalikan \N{EN DASH} Alasan contoh" in told[10, 2, "laporan-pemeliharaan"]


def test_the_proposal_shows_amounts_and_who_signed(palembang: Office) -> None:
    for row in (2, 4):
        palembang.playbooks.answer(row, "1", {"web1": SICK})
    told = documents(whole(palembang, {5: ["diajukan"], 6: ["ditolak"]}, 4, 5))[5, 1, "usulan-anggaran"]
    for words in ("Disk 1 TB", "Rp1.250.000", "Jumlah seluruhnya Rp2.850.000", "ditandatangani Nama Kabid"):
        assert words in told


def test_what_people_type_is_text_in_documents(palembang: Office) -> None:
    said = filled_in(1)
    said[1].answers["catatan"] = "<script>alert(1)</script> {{ view.run }}"
    folder = palembang.start()
    palembang.go_on(folder, ASSIGNED | RECEIVED, said)
    now = record.load(folder)
    event = next(e for e in now.events if e.name == "document_written")
    at = event["document"], event["version"], event["step"], event["attempt"], event["as_of"]
    html = report.render_html(document_view(now, *at))
    assert "<script>" not in html
    assert "{{ view.run }}" in html


# Row 9 and routers -------------------------------------------------------------------------------------

KEPT = {"file": "router/2026-11-21.rsc", "bytes": 2048, "sha256": "a1" * 32}


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (HostResult("router", "ok", {"back_up_routerboard": KEPT}), ("router/2026-11-21.rsc", "a1a1a1a1")),
        (
            HostResult("router", "failed", {}, Failure("Make sure", "is no whole configuration")),
            ("TIDAK TERSIMPAN", "is no whole configuration"),
        ),
    ],
    ids=["kept", "not whole"],
)
def test_the_configuration_of_a_router_is_kept_and_told(
    palembang: Office, result: HostResult, words: tuple[str, ...]
) -> None:
    palembang.hosts = (*HOSTS, "router", "printer")
    palembang.groups = {**palembang.groups, "routerboards": ["router"], "printers": ["printer"]}
    palembang.playbooks.answer(9, "1", {"router": result})
    told = documents(whole(palembang, {}))
    assert set(palembang.playbooks.hosts_of(9, "1") or ()) == {*HOSTS, "router"}
    for page in (told[9, 1, "laporan-backup"], told[11, 1, "laporan-pemeliharaan"]):
        assert [word for word in words if word not in page] == []
        # An export is no backup that was restored from.
        assert "0 dari 5 host memiliki backup yang telah diuji pulih" in page
