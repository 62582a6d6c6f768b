"""What the patch row costs, counted: the quick form of `make bench BENCH=patch`.

Counts of tasks, round trips, processes and bytes, never seconds. Hosts are the stand-in for ssh, which
installs nothing: it looks at which module it is sent and answers what that would.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.lines import PATCHED, Line, Row

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


def calls(row: Row, host: str) -> list[dict[str, Any]]:
    """Return what was sent to a host: which module, and how many bytes."""
    return [call for call in row.line.called(host) if "module" in call]


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
    claim = {"run": "r", "started": "0" * 64}
    return line.row(HOSTS, playbook="apply-updates.yml", plan=str(plan), changes=True, claim=claim)


def test_a_patched_host_costs_three_round_trips_and_five_tasks(row: Row) -> None:
    assert [call["module"] for call in calls(row, GOOD)] == ["hold_host_lock", "update_in_turn", "released"]
    assert row.tasks(GOOD) == TASKS
    assert row.results[GOOD] == {
        "status": "ok",
        "results": {"hold_host": HELD, **DONE["evidence"]},
        "why": "",
    }


def test_what_is_sent_to_a_host_is_bounded(row: Row) -> None:
    sent = {call["module"]: call["sent"] for call in calls(row, GOOD)}
    # Twenty updates, Ansible's libraries, and all modules of the update in one.
    assert 100_000 < sent["update_in_turn"] < 400_000
    assert all(50_000 < sent[module] < 200_000 for module in ("hold_host_lock", "released"))


def test_a_host_whose_update_fails_is_given_back_and_costs_no_more(row: Row) -> None:
    assert [call["module"] for call in calls(row, FAILS)] == ["hold_host_lock", "update_in_turn", "released"]
    assert (row.results[FAILS]["status"], row.results[FAILS]["why"]) == ("failed", "No room.")
    assert row.results[FAILS]["results"]["apply_updates"]["outcome"] == "drift"


def test_a_host_that_another_run_holds_is_asked_once(row: Row) -> None:
    assert [call["module"] for call in calls(row, LOCKED)] == ["hold_host_lock"]
    assert "locked" in row.results[LOCKED]["why"]
    assert "apply_updates" not in row.results[LOCKED]["results"]


def test_only_where_a_reboot_is_not_told_the_role_of_reboots_looks(row: Row) -> None:
    asked = [call["module"] for call in calls(row, REBOOT)]
    assert asked == ["hold_host_lock", "update_in_turn", "probe_reboot", "released"]
    assert row.results[REBOOT]["results"]["reboot_host"]["rebooted"] is False


def test_each_task_of_a_host_is_one_process_and_each_round_trip_one_ssh(row: Row) -> None:
    trips = sum(len(calls(row, host)) for host in HOSTS)
    tasks = sum(row.tasks(host) for host in HOSTS)

    assert row.processes == {
        "python": 2,  # the warden, and ansible-runner
        "ansible-playbook": 1,
        "ldconfig": 1,
        "fork": tasks,
        "ssh": trips,
    }
