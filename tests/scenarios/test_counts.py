"""What costs time is counted, so that no change makes it more without being seen: counts, never seconds.

The check row's are in test_batch.py.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from runner.engine import Closed
from runner.workspace import RunFolder
from scenarios.conftest import SURAKARTA_APPROVED
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
    assert synced.total() <= 60


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
