"""The health of hosts in a run: shown at its gate, and handed on to the runs after it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from fakes import default_result
from rich.console import Console

from runner import errors, journal, record
from runner.earlier_checks import measured_before
from runner.executors.base import ActionRequest, HostResult
from runner.judges.base import at_most, finding, unmeasured
from runner.screens import gate_view
from runner.workspace import RunFolder
from scenarios.office import Office, events_of

DAY = 24 * 3600.0
FINDINGS = [
    unmeasured("certificate", "/c.pem", "not_there"),
    *(finding("unit_failed", f"\x1b[2J{number}.service", "warning") for number in range(9)),
    at_most("disk_space", "/var", 96, "%", 85, 95),
    at_most("memory", "", 1, "%", 90, 97),
]


def checked(host: str, *findings: dict[str, Any], used: float = 0) -> HostResult:
    disks = {"items": [{"place": "/var", "used": used}, {"place": "/nas", "error": "no_answer"}]}
    check = {"kind": "computer", "facts": {"disks": disks}, "findings": list(findings)}
    return HostResult(host, "ok", {"plan-updates": default_result("plan-updates"), "check_host": check})


@pytest.fixture
def sick(contoh: Office) -> RunFolder:
    """Return a run that waits at the gate over its plan; one of its hosts is sick."""
    contoh.playbooks.answer(1, "1", {"db1": checked("db1", *FINDINGS)})
    folder = contoh.start()
    contoh.go_on(folder, {})
    return folder


def shown(folder: RunFolder) -> str:
    now = record.load(folder)
    assert now.state.gate is not None
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(gate_view(now.state.gate, now))
    return console.export_text()


def test_the_gate_shows_how_many_things_are_not_good_and_the_worst_of_them(sick: RunFolder) -> None:
    text = shown(sick)
    assert "health of 1 host(s): 1 critical, 9 warning, 1 unmeasured" in text
    assert text.index("db1: critical: disk space /var 96 %, threshold 95 %") < text.index("unit failed")
    assert "and 3 more" in text
    assert "memory" not in text
    assert "\x1b[2J" not in text


def test_a_gate_without_any_check_says_nothing_of_health(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    assert "health" not in shown(folder)


def test_findings_that_were_altered_are_not_shown_to_who_signs(sick: RunFolder) -> None:
    path = sick.path / "evidence" / "1-1-1" / "db1.json"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"critical"', b'"good"'))
    with pytest.raises(errors.VerificationError, match="is not the file that the journal names"):
        shown(sick)


def test_findings_are_no_part_of_the_plan(contoh: Office, sick: RunFolder) -> None:
    plan = events_of(sick, "plan_made")[0]["sha256"]
    assert "unit_failed" not in (sick.path / "plans" / "1-1.json").read_text(encoding="utf-8")
    assert plan
    assert not any(request.reprobe for request in contoh.playbooks.requests)


def test_the_look_before_a_wave_is_told_to_be_no_more_than_that(contoh: Office, sick: RunFolder) -> None:
    contoh.go_on(sick, {2: ["disetujui"]}, resumed=True)
    told = {request.part: request.reprobe for request in contoh.playbooks.requests}
    assert {part for part, reprobe in told.items() if reprobe} == {part for part in told if "reprobe" in part}
    assert any(told.values())


def earlier_told(request: ActionRequest) -> Any:  # noqa: ANN401 - any JSON
    assert request.earlier is not None
    return json.loads(request.earlier.read_bytes())


def run_once(office: Office, used: float) -> tuple[RunFolder, Any]:
    """Start a run that measures a disk; return what its first action was told of earlier ones."""
    told: list[Any] = []
    office.playbooks.before = lambda request: (
        told.append(earlier_told(request)) if request.step == 1 else None
    )
    office.playbooks.answer(1, "1", {"db1": checked("db1", used=used)})
    folder = office.start()
    office.go_on(folder, {2: ["dibatalkan"]})
    return folder, told[0]


def test_a_run_is_told_what_earlier_runs_measured(contoh: Office) -> None:
    first, told_first = run_once(contoh, 10)
    contoh.clock.advance(30 * DAY)
    second, told_second = run_once(contoh, 20)
    contoh.clock.advance(30 * DAY)
    _, told_third = run_once(contoh, 30)
    assert told_first == {}
    assert told_second == {"db1": {"/var": [[_measured_at(first), 10.0]]}}
    assert told_third == {"db1": {"/var": [[_measured_at(first), 10.0], [_measured_at(second), 20.0]]}}


def test_a_run_whose_record_does_not_hold_tells_nothing(contoh: Office) -> None:
    first, _ = run_once(contoh, 10)
    assert measured_before(contoh.workspace, ["db1"], own="") != {}
    lines = first.journal.read_bytes().splitlines(keepends=True)
    first.journal.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    assert measured_before(contoh.workspace, ["db1"], own="") == {}


def test_only_the_hosts_of_a_run_are_looked_up(contoh: Office) -> None:
    folder, _ = run_once(contoh, 10)
    assert measured_before(contoh.workspace, ["web1"], own="") == {}
    assert measured_before(contoh.workspace, ["db1"], own=folder.name) == {}


def test_databases_are_told_by_their_whole_size(contoh: Office) -> None:
    facts = {"databases": [{"name": "a", "bytes": 3}, {"name": "b", "bytes": 4}]}
    results = {"check_database": {"kind": "database", "facts": facts, "findings": []}}
    published = {"plan-updates": default_result("plan-updates"), **results}
    contoh.playbooks.answer(1, "1", {"db1": HostResult("db1", "ok", published)})
    folder = contoh.start()
    contoh.go_on(folder, {})
    told = measured_before(contoh.workspace, ["db1"], own="")
    assert told == {"db1": {"databases": [[_measured_at(folder), 7.0]]}}


def test_a_database_that_was_down_leaves_what_the_others_told(contoh: Office) -> None:
    up = {"databases": [{"name": "a", "bytes": 3}]}
    answers = {
        host: HostResult(
            host,
            "ok",
            {
                "plan-updates": default_result("plan-updates"),
                "check_database": {"kind": "database", "facts": facts, "findings": []},
            },
        )
        for host, facts in (("db1", up), ("web1", {"outcome": "refused"}))
    }
    contoh.playbooks.answer(1, "1", answers)
    folder = contoh.start()
    contoh.go_on(folder, {})
    told = measured_before(contoh.workspace, ["web1", "db1"], own="")
    assert told == {"db1": {"databases": [[_measured_at(folder), 3.0]]}}


def test_altered_evidence_of_an_earlier_run_tells_nothing(contoh: Office) -> None:
    first, _ = run_once(contoh, 10)
    contoh.clock.advance(30 * DAY)
    path: Path = first.path / "evidence" / "1-1-1" / "db1.json"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"used":10', b'"used":99'))
    _, told = run_once(contoh, 20)
    assert told == {}


def _measured_at(folder: RunFolder) -> float:
    told = next(e for e in journal.read(folder.journal) if e.name == "action_finished")
    return told.instant.at.timestamp()
