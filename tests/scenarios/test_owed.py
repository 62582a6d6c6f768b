"""What one run could not maintain, the next one begins with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner import errors, journal, run_check
from runner.canonical import canonical_json
from runner.clock import format_utc
from runner.earlier_runs import find_owed
from runner.workspace import RunFolder
from scenarios.forgery import forge, read_journal
from scenarios.office import Office, events_of

APPROVED = {2: ["disetujui"]}


def whole(office: Office) -> RunFolder:
    folder = office.start()
    office.go_on(folder, APPROVED)
    return folder


def owed_at_start(folder: RunFolder) -> list[tuple[str, str, str]]:
    return [(o["host"], o["run"], o["reason"]) for o in events_of(folder, "run_started")[0]["owed"]]


def waves(office: Office) -> list[tuple[str, ...]]:
    return [hosts for step, _, part, hosts in office.playbooks.done if step == 3 and part.isdecimal()]


def test_the_first_run_is_owed_nothing(contoh: Office) -> None:
    assert owed_at_start(contoh.start()) == []


def test_the_next_run_names_the_owed_hosts_and_takes_them_first(contoh: Office) -> None:
    contoh.playbooks.answer(1, "1", {"web10": "unreachable", "web2": "unknown"})
    first = whole(contoh)
    contoh.playbooks.answer(1, "1", {})
    contoh.playbooks.requests.clear()
    second = whole(contoh)
    assert owed_at_start(second) == [("web2", first.name, "unknown"), ("web10", first.name, "unreachable")]
    assert waves(contoh) == [("web1",), ("web2", "web10"), ("db1", "file1")]
    run_check.checked_run(second)
    assert owed_at_start(contoh.start()) == []


def test_a_host_stays_owed_over_several_runs_since_its_first_day(contoh: Office) -> None:
    contoh.playbooks.answer(1, "1", {"web10": "unreachable"})
    runs = [whole(contoh) for _ in range(3)]
    last = contoh.start()
    (owed,) = events_of(last, "run_started")[0]["owed"]
    told = next(e for e in journal.read(runs[0].journal) if e.name == "action_finished")
    assert owed == {
        "host": "web10",
        "run": runs[0].name,
        "since": format_utc(told.instant.at),
        "reason": "unreachable",
    }


def test_a_run_over_other_hosts_does_not_forget_what_is_owed(contoh: Office) -> None:
    contoh.playbooks.answer(1, "1", {"web10": "unreachable"})
    first = whole(contoh)
    everything, contoh.hosts = contoh.hosts, ("web1", "db1")
    assert owed_at_start(whole(contoh)) == []
    contoh.hosts = everything
    assert owed_at_start(contoh.start()) == [("web10", first.name, "unreachable")]


def test_a_run_that_was_left_open_owes_what_it_did_not_begin(contoh: Office) -> None:
    first = contoh.start()
    contoh.go_on(first, {})
    contoh.free(first)
    assert {owed[2] for owed in owed_at_start(contoh.start())} == {"stopped"}


def test_a_run_of_another_sop_says_nothing(contoh: Office) -> None:
    contoh.playbooks.answer(1, "1", {"web10": "unreachable"})
    whole(contoh)
    contoh.sop_text = contoh.sop_text.replace("id: contoh-pemeriksaan", "id: contoh-pemeriksaan-1")
    assert owed_at_start(contoh.start()) == []


def test_a_run_that_cannot_be_read_is_named_and_the_one_before_it_asked(contoh: Office) -> None:
    contoh.playbooks.answer(1, "1", {"web10": "unreachable"})
    first = whole(contoh)
    broken = whole(contoh)
    lines = broken.journal.read_bytes().splitlines(keepends=True)
    broken.journal.write_bytes(b"".join(lines[:3] + lines[4:]))
    third = contoh.start()
    assert owed_at_start(third) == [("web10", first.name, "unreachable")]
    assert events_of(third, "run_started")[0]["owed_unread"] == [broken.name]


def test_owed_hosts_that_are_not_of_the_run_are_found(contoh: Office) -> None:
    folder = whole(contoh)
    stranger = {"host": "pc99", "run": "x", "since": "y", "reason": "unknown"}
    forge(folder.path, lambda records: records[0].update(owed=[stranger]))
    with pytest.raises(errors.VerificationError, match="what is owed is not a list of hosts of the run"):
        run_check.checked_run(folder)


@pytest.fixture
def old_runs(contoh: Office, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the journals that are read, of an office with 500 old runs."""
    first = json.dumps(read_journal(whole(contoh).path)[0])
    for number in range(2, 501):
        name = f"2026-11-21-contoh-pemeriksaan-{number}"
        (contoh.workspace.runs / name).mkdir()
        record = canonical_json(json.loads(first) | {"run": name})
        (contoh.workspace.runs / name / "journal.jsonl").write_bytes(record)
    read: list[Path] = []
    real = journal.read

    def counted(path: Path) -> tuple[journal.Event, ...]:
        read.append(path)
        return real(path)

    monkeypatch.setattr(journal, "read", counted)
    return read


def test_of_500_old_runs_only_the_newest_is_read(contoh: Office, old_runs: list[Path]) -> None:
    find_owed(contoh.workspace, "contoh-pemeriksaan", contoh.hosts)
    assert [path.parent.name for path in old_runs] == ["2026-11-21-contoh-pemeriksaan-500"]


def test_for_a_host_that_no_run_knows_no_run_is_read_whole(contoh: Office, old_runs: list[Path]) -> None:
    assert find_owed(contoh.workspace, "contoh-pemeriksaan", ["new1"]).owed == ()
    assert old_runs == []
