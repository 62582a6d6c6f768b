"""What the patch row costs, counted: the quick form of `make bench BENCH=patch`.

Counts of tasks, round trips, processes and bytes, never seconds. Hosts are the stand-in for ssh, which
installs nothing: it looks at which module it is sent and answers what that would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.files import make_private_dir
from scenarios.lines import PATCHED, Line, started

ROOT = Path(__file__).parents[2]
HOSTS = (f"{PATCHED}-good", f"{PATCHED}-fails", f"{PATCHED}-locked", f"{PATCHED}-reboot")
GOOD, FAILS, LOCKED, REBOOT = HOSTS
UPDATES = [
    {"package": f"package{number}", "from": "1.0-1", "to": "1.0-1+deb12u1", "reboot": False, "cves": []}
    for number in range(20)
]
HELD = {"outcome": "held", "holder": None, "taken_over": None}
TOLD = {"boot_id_before": "1", "boot_id_after": "1", "rebooted": False, "required": False, "because": []}
APPLIED = {"outcome": "applied", "changes": []}
# What a host answers to each module.
TAKEN = {"changed": True, "evidence": HELD}
GIVEN_BACK = {"changed": False, "evidence": {"outcome": "released", "why": ""}}
DONE = {"changed": True, "evidence": {"apply_updates": APPLIED, "reboot_host": TOLD}}
FAILED = {"failed": True, "msg": "No room.", "evidence": {"apply_updates": {**APPLIED, "outcome": "drift"}}}
ANSWERS: dict[str, dict[str, Any]] = {
    GOOD: {"update_in_turn": DONE},
    FAILS: {"update_in_turn": FAILED},
    LOCKED: {"hold_host_lock": {"failed": True, "msg": "This host is locked.", "evidence": HELD}},
    # Its reboot was not approved in this plan, and is not told yet: the role looks itself.
    REBOOT: {
        "update_in_turn": {"changed": True, "evidence": {"apply_updates": APPLIED}},
        "probe_reboot": {"required": False, "because": [], "boot_id": "1", "restarted": None},
    },
}
# Hold, its evidence, the update, its evidence, and giving the host back.
TASKS = 5


@dataclass(frozen=True)
class Row:
    """How the patch row went."""

    line: Line
    results: dict[str, dict[str, Any]]
    channel: list[dict[str, Any]]
    processes: Counter[str]

    def tasks(self, host: str) -> int:
        return sum(one["kind"] == "start" and one["host"] == host for one in self.channel)

    def calls(self, host: str) -> list[dict[str, Any]]:
        """Return what was sent to a host: which module, and how many bytes."""
        return [call for call in self.line.called(host) if "module" in call]


@pytest.fixture(scope="module", name="row")
def _row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    folder = tmp_path_factory.mktemp("patch")
    line = Line(folder)
    line.write({host: {} for host in HOSTS})
    for host in HOSTS:
        told = {"hold_host_lock": TAKEN, "released": GIVEN_BACK} | ANSWERS[host]
        line.answer(host, told)
    planned = {
        "updates": UPDATES,
        "reboot": {"expected": False},
        "conffiles": [],
        "snapshot": {"taken": False},
    }
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"hosts": dict.fromkeys(HOSTS, planned)}), encoding="utf-8")
    make_private_dir(folder / "row")
    make_private_dir(folder / "row" / "host_state")
    wish = {
        "inventory": str(line.inventory),
        "hosts": [*HOSTS],
        "work": str(folder / "row"),
        "plan": str(plan),
    }
    wish |= {"playbook": "apply-updates.yml", "changes": True, "claim": {"run": "r", "started": "0" * 64}}
    (folder / "wish").write_text(json.dumps(wish), encoding="utf-8")
    trace = make_private_dir(folder / "trace") / "of"
    calls = "trace=execve,clone,clone3,fork,vfork"
    strace = ["strace", "-ff", "--seccomp-bpf", "-qq", "-e", calls, "-e", "signal=none", "-o"]
    done = subprocess.run(
        [*strace, trace, sys.executable, ROOT / "tests" / "bench" / "row.py", folder / "wish"],
        env=os.environ | {"BENCH_OUT": str(folder / "out")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    said = (folder / "row" / "work" / "channel.jsonl").read_text(encoding="utf-8").splitlines()
    results = json.loads((folder / "out").read_text(encoding="utf-8"))
    return Row(line, results, [json.loads(each) for each in said], started(trace))


def test_a_patched_host_costs_three_round_trips_and_five_tasks(row: Row) -> None:
    assert [call["module"] for call in row.calls(GOOD)] == ["hold_host_lock", "update_in_turn", "released"]
    assert row.tasks(GOOD) == TASKS
    assert row.results[GOOD] == {
        "status": "ok",
        "results": {"hold_host": HELD, **DONE["evidence"]},
        "why": "",
    }


def test_what_is_sent_to_a_host_is_bounded(row: Row) -> None:
    sent = {call["module"]: call["sent"] for call in row.calls(GOOD)}
    # Twenty updates, Ansible's libraries, and all modules of the update in one.
    assert 100_000 < sent["update_in_turn"] < 400_000
    assert all(50_000 < sent[module] < 200_000 for module in ("hold_host_lock", "released"))


def test_a_host_whose_update_fails_is_given_back_and_costs_no_more(row: Row) -> None:
    assert [call["module"] for call in row.calls(FAILS)] == ["hold_host_lock", "update_in_turn", "released"]
    assert (row.results[FAILS]["status"], row.results[FAILS]["why"]) == ("failed", "No room.")
    assert row.results[FAILS]["results"]["apply_updates"]["outcome"] == "drift"


def test_a_host_that_another_run_holds_is_asked_once(row: Row) -> None:
    assert [call["module"] for call in row.calls(LOCKED)] == ["hold_host_lock"]
    assert "locked" in row.results[LOCKED]["why"]
    assert "apply_updates" not in row.results[LOCKED]["results"]


def test_only_where_a_reboot_is_not_told_the_role_of_reboots_looks(row: Row) -> None:
    asked = [call["module"] for call in row.calls(REBOOT)]
    assert asked == ["hold_host_lock", "update_in_turn", "probe_reboot", "released"]
    assert row.results[REBOOT]["results"]["reboot_host"]["rebooted"] is False


def test_each_task_of_a_host_is_one_process_and_each_round_trip_one_ssh(row: Row) -> None:
    trips = sum(len(row.calls(host)) for host in HOSTS)
    tasks = sum(row.tasks(host) for host in HOSTS)

    assert row.processes == {
        "python": 2,  # the warden, and ansible-runner
        "ansible-playbook": 1,
        "ldconfig": 1,
        "fork": tasks,
        "ssh": trips,
    }
