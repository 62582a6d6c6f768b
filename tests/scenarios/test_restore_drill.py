"""The third SOP, written by the guide alone: a restore drill through all of its rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from unit.sample_run import backed_up, checked

from runner import record, report, verify
from runner.engine import Closed, Waiting
from runner.executors.base import Failure, HostResult
from runner.report import document_view
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.office import HOSTS, Office, events_of, rows_finished

PASSED = {2: ["diperintahkan"], 5: ["lulus"], 7: ["disahkan"]}
ROWS = [1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.fixture(name="drill")
def _drill(quick_dir: Path, root: Path, make_office: MakeOffice) -> Office:
    """Return an office in which every host but ``web2`` comes back from its backup."""
    tree = Path(tempfile.mkdtemp(dir=quick_dir)) / "drill"
    office = make_office(tree, root / "sops" / "contoh-uji-pulih-cadangan.yml")
    office.playbooks.answer(
        3, "1", {host: HostResult(host, "ok", {"check_host": checked()}) for host in HOSTS}
    )
    lost = backed_up("web2") | {"restore_test": {"files": 20, "matched": 19, "seconds": 1.0}}
    failed = Failure("Compare what came back", "1 of 20 files differs")
    backups = {host: HostResult(host, "ok", {"back_up_host": backed_up(host)}) for host in HOSTS}
    backups["web2"] = HostResult("web2", "failed", {"back_up_host": lost}, failed)
    office.playbooks.answer(4, "1", backups)
    return office


def pages(folder: RunFolder) -> list[str]:
    """Return the documents of a run as its real templates print them."""
    now = record.load(folder)
    made = events_of(folder, "document_written")
    return [
        report.render_html(
            document_view(
                now.at(one["as_of"]),
                one["document"],
                one["version"],
                one["step"],
                one["attempt"],
                one["as_of"],
            )
        )
        for one in made
    ]


def test_the_drill_goes_through_all_rows_and_holds(drill: Office) -> None:
    folder = drill.start()
    assert isinstance(drill.go_on(folder, PASSED), Closed)
    assert [row for row, _ in rows_finished(folder)] == ROWS
    assert [request.playbook.name for request in drill.playbooks.requests if request.playbook] == [
        "check-hosts.yml",
        "backup-hosts.yml",
    ]
    verify.check_run(folder)


def test_a_drill_that_failed_is_done_again(drill: Office) -> None:
    folder = drill.start()
    drill.go_on(folder, {**PASSED, 5: ["diulang", "lulus"]})
    assert [row for row, _ in rows_finished(folder)] == [1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9]


def test_minutes_that_are_returned_are_written_again(drill: Office) -> None:
    folder = drill.start()
    drill.go_on(folder, {**PASSED, 7: ["dikembalikan", "disahkan"]})
    assert [row for row, _ in rows_finished(folder)] == [*ROWS[:7], 6, 7, 8, 9]


def test_a_drill_that_is_put_off_touches_no_host(drill: Office) -> None:
    folder = drill.start()
    assert drill.go_on(folder, {2: ["ditunda"]}) == Closed(
        "ended", "Alasan contoh", drill.root / "archive" / folder.name
    )
    assert drill.playbooks.requests == []


def test_the_drill_waits_for_the_head_first(drill: Office) -> None:
    waiting = drill.go_on(drill.start(), {})
    assert isinstance(waiting, Waiting)
    assert waiting.gate.position == "Kepala Bidang Teknologi dan Informatika"


def test_the_minutes_say_which_host_did_not_come_back(drill: Office) -> None:
    folder = drill.start()
    drill.go_on(folder, PASSED)
    first, _, last = pages(folder)
    assert "dapat dipulihkan pada 4 dari 5 host" in first
    assert "19 dari 20 berkas sama \N{EN DASH} TIDAK LULUS" in first
    assert "DRAF" in first
    assert "DRAF" not in last
    assert "Mengesahkan berita acara uji pulih" in last
