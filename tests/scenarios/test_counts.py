"""What costs time is counted, so that no change makes it more without being seen: counts, never seconds.

The check row's are in test_batch.py.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest

from runner.engine import Closed
from runner.executors.base import ActionRequest
from runner.executors.verification import VerificationExecutor
from runner.files import make_private_dir
from runner.workspace import RunFolder
from scenarios.conftest import SURAKARTA_APPROVED
from scenarios.lines import Line
from scenarios.office import Office


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is forced to disk, by the kind of file."""
    found: Counter[str] = Counter()
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        found["folder" if path.is_dir() else path.name] += 1
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    return found


def test_a_record_of_the_journal_costs_one_sync_and_a_file_one_of_its_own(
    contoh: Office, synced: Counter[str]
) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {2: ["disetujui"]})

    records = folder.journal.read_text(encoding="utf-8").splitlines()
    # Four rows with one gate, two waves of a change, each with a look before it and a test after it.
    assert len(records) == synced.pop("journal.jsonl") == 39
    folders = synced.pop("folder")
    files = sorted(synced)
    assert [name for name in files if not name.endswith(".partial")] == []
    # A file is named in its folder once it is whole; a folder that is new is named in the one above it.
    assert folders <= 2 * synced.total()
    # The run's own files, a copy of the plan for each part after it, and once per run the book that no
    # number is given twice by.
    assert (synced.total() - synced["..numbers.json.partial"], synced["..numbers.json.partial"]) == (69, 1)


def evidence_reads(office: Office, root: Path, count: int) -> set[int]:
    """Return how often the evidence of a host is read in a run over so many hosts."""
    grown = office.copy(root)
    grown.hosts = tuple(f"pc{number}" for number in range(1, count + 1))
    grown.groups = {"canary": ["pc1"]}
    read: Counter[str] = Counter()
    real = RunFolder.read

    def counted(folder: RunFolder, named: dict[str, str]) -> bytes:
        read[named["path"].rpartition("/")[2]] += 1
        return real(folder, named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RunFolder, "read", counted)
        assert isinstance(grown.go_on(grown.start(), SURAKARTA_APPROVED), Closed)
    return {read[f"{host}.json"] for host in grown.hosts[1:]}


def test_how_often_a_host_s_evidence_is_read_does_not_grow_with_the_number_of_hosts(
    surakarta: Office, tmp_path: Path
) -> None:
    """Reading all hosts' before each wave made a run over ten times the hosts a hundred times as long."""
    few, many = (evidence_reads(surakarta, tmp_path / str(count), count) for count in (21, 41))
    assert few == many


def test_the_test_row_costs_one_connection_a_host_and_a_pytest_for_eight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(tmp_path)
    hosts = tuple(f"tested{number}" for number in range(9))
    line.write({host: {} for host in hosts})
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    asked = tmp_path / "asked"
    suite = f"""
        def test_asked(host):
            name = host.backend.get_hostname()
            for number in range(3):
                assert host.run(f"echo {{name}} {{number}} >> {asked}").rc == 0
    """
    checkout = make_private_dir(tmp_path / "checkout")
    folder = checkout / "tests" / "suite"
    folder.mkdir(parents=True)
    (checkout / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
    (folder / "test_suite.py").write_text(dedent(suite), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    request = ActionRequest(
        run="2026-01-01-counts-1",
        step=8,
        attempt=1,
        part="suite",
        hosts=hosts,
        inventory=line.inventory,
        work=tmp_path / "work",
        host_state=make_private_dir(tmp_path / "host_state"),
        suite=folder,
    )

    results = VerificationExecutor().execute(request, lambda _event: None)

    assert [result.status for result in results] == ["ok"] * len(hosts)
    # One ssh a host, whatever number of commands it is asked; each command once.
    assert {host: len(line.called(host)) for host in hosts} == dict.fromkeys(hosts, 1)
    commands = asked.read_text(encoding="utf-8").splitlines()
    assert sorted(commands) == sorted(f"{host} {number}" for host in hosts for number in range(3))
    assert len(list((tmp_path / "work").glob("tests-*"))) == 2
