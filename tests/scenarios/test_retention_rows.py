"""Retention as an office's own SOP: the plan is what is to be removed, and only that is, after a decision."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from runner import record, report, screens, verify
from runner.engine import Closed
from runner.executors.base import Failure, HostResult
from runner.report import document_view
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.office import HOSTS, Office, events_of, rows_finished

APPROVED = {4: ["disetujui"], 7: ["disahkan"]}
OLD, OLDER = "a" * 64, "b" * 64


def proposal(host: str, *ids: str) -> HostResult:
    removals = [{"id": one, "time": "2024-01-01T01:00:00", "tags": ["run-lama"]} for one in ids]
    keep = [{"id": "c" * 64, "time": "2026-11-20T01:00:00", "tags": [], "reason": "it is the newest one"}]
    told = {"snapshots": 1 + len(ids), "keep": keep, "removals": removals, "proven": ""}
    return HostResult(host, "ok", {"propose_retention": told})


@pytest.fixture(name="office")
def _office(quick_dir: Path, root: Path, make_office: MakeOffice) -> Office:
    """Return an office in which two backups of ``web1`` and one of ``db1`` have had their time."""
    tree = Path(tempfile.mkdtemp(dir=quick_dir)) / "retention"
    office = make_office(tree, root / "sops" / "contoh-retensi-cadangan.yml")
    ids = {"web1": (OLD, OLDER), "db1": (OLD,)}
    found = {host: proposal(host, *ids.get(host, ())) for host in HOSTS}
    for row, part in ((3, "1"), (5, "1-reprobe-1")):
        office.playbooks.answer(row, part, found)
    done = {"approved": 2, "pending": 2, "removed": [OLD, OLDER], "refused": [], "check": "ok"}
    refused = {"approved": 1, "pending": 1, "removed": [], "refused": [], "check": ""}
    why = Failure("Remove", "nothing was removed: the server is append-only")
    pruned = {
        "web1": HostResult("web1", "ok", {"prune_backups": done}),
        "db1": HostResult("db1", "failed", {"prune_backups": refused}, why),
    }
    office.playbooks.answer(5, "1", pruned)
    return office


def planned(folder: RunFolder) -> dict[str, Any]:
    (made,) = events_of(folder, "plan_made")
    plan: dict[str, Any] = json.loads((folder.path / made["path"]).read_bytes())
    return plan


def last_page(folder: RunFolder) -> str:
    now = record.load(folder)
    one = events_of(folder, "document_written")[-1]
    at = one["as_of"]
    view = document_view(now.at(at), one["document"], one["version"], one["step"], one["attempt"], at)
    return report.render_html(view)


def test_only_hosts_with_something_to_remove_are_changed_and_the_minutes_tell_each(office: Office) -> None:
    folder = office.start()

    assert isinstance(office.go_on(folder, APPROVED), Closed)

    assert [row for row, _ in rows_finished(folder)] == [*range(1, 10)]
    plan = planned(folder)
    assert [one["id"] for one in plan["hosts"]["web1"]["removals"]] == [OLD, OLDER]
    assert (plan["hosts"]["file1"]["removals"], plan["hosts"]["file1"]["updates"]) == ([], [])
    assert office.playbooks.hosts_of(5, "1") == ("db1", "web1")
    verify.check_run(folder)
    page = last_page(folder)
    assert "2 dari 3 cadangan yang diusulkan telah dihapus" in page
    assert "the server is append-only" in page
    assert page.count("masih ada") == 1


def test_what_is_refused_removes_nothing(office: Office) -> None:
    folder = office.start()

    office.go_on(folder, {4: ["ditolak"]})

    assert office.playbooks.hosts_of(5, "1") is None


def test_a_list_that_is_another_now_goes_back_to_the_gate(office: Office) -> None:
    """Meanwhile a run was opened that refers to one of them: officials see that, and decide anew."""
    now = {"web1": proposal("web1", OLD), "db1": proposal("db1", OLD)}
    office.playbooks.answer(5, "1-reprobe-1", now, attempt=1)
    folder = office.start()

    office.go_on(folder, {4: ["disetujui", "ditolak"]})

    (drifted,) = events_of(folder, "plan_drifted")
    told = json.loads((folder.path / drifted["differences"]["path"]).read_bytes())["hosts"]
    assert list(told) == ["web1"]
    assert told["web1"]["removals"] == {"approved": [OLD, OLDER], "found": [OLD]}
    assert office.playbooks.hosts_of(5, "1") is None
    verify.check_run(folder)


def test_a_host_that_proposes_nonsense_is_not_planned(office: Office) -> None:
    wrong = HostResult("web1", "ok", {"propose_retention": {"removals": [{"id": 7}]}})
    office.playbooks.answer(3, "1", {"web1": wrong, "db1": proposal("db1", OLD)})
    folder = office.start()

    office.go_on(folder, {})

    assert planned(folder)["not_planned"]["web1"] == "failed: its list of updates cannot be read"


def test_the_gate_shows_each_backup_that_goes_for_good(office: Office) -> None:
    folder = office.start()
    office.go_on(folder, {})
    screen = Console(file=io.StringIO(), width=200)

    plan = planned(folder)
    plan["hosts"]["web1"]["removals"][0]["tags"] = ["run\x1b[2J"]
    for part in screens.plan_view(plan):
        screen.print(part)

    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "Backups to be removed for good" in shown
    assert shown.count(OLD[:16]) == 2
    assert "Planned changes" not in shown
    assert "\x1b" not in shown
