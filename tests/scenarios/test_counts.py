"""What costs time is counted, so that no change makes it more without being seen: counts, never seconds.

The check row's are in test_batch.py.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

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
