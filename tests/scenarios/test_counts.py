"""What costs time is counted, so that no change makes it more without being seen: counts, never seconds."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from runner.executors.base import ActionRequest, HostResult
from runner.executors.playbook import PlaybookExecutor
from runner.files import make_private_dir
from scenarios.office import Office

ROOT = Path(__file__).parents[2]


def check_hosts(tmp_path: Path, hosts: dict[str, dict[str, object]]) -> tuple[HostResult, ...]:
    """Do the check row on hosts that are this machine, as whoever runs the tests."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    tree = {"all": {"hosts": hosts, "vars": {**here, "ansible_become": False}}}
    inventory = make_private_dir(tmp_path / "inventory")
    (inventory / "hosts.yml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    request = ActionRequest(
        run="2026-01-01-counts-1",
        step=1,
        attempt=1,
        part="main",
        hosts=tuple(hosts),
        inventory=inventory,
        work=tmp_path / "work",
        host_state=make_private_dir(tmp_path / "host_state"),
        playbook=ROOT / "playbooks" / "check-hosts.yml",
    )
    return PlaybookExecutor(ROOT).execute(request, lambda _event: None)


def test_the_check_row_costs_one_task_a_host_and_a_host_s_wrong_input_costs_that_host_only(
    tmp_path: Path,
) -> None:
    wrong = {"check_host_timeout": "soon"}
    results = check_hosts(tmp_path, {"pc1": {}, "pc2": {}, "pc3": wrong})

    assert [result.status for result in results] == ["ok", "ok", "failed"]
    assert results[2].failure is not None
    assert "check_host_timeout" in results[2].failure.message
    lines = [json.loads(line) for line in (tmp_path / "work" / "channel.jsonl").read_text().splitlines()]
    told = Counter((line["kind"], line.get("host", "")) for line in lines)
    # Each task on a host is a process of its own on the controller, and a round trip where it asks the host.
    assert told == {
        ("task", ""): 1,
        ("end", ""): 1,
        **{("start", host): 1 for host in ("pc1", "pc2", "pc3")},
        **{("host", host): 1 for host in ("pc1", "pc2", "pc3")},
        **{("evidence", host): 1 for host in ("pc1", "pc2")},
    }


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
