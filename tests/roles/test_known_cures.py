"""The role that repairs hosts, on one of a lab: proposed, allowed, done, proven. The rest is a campaign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from played import ONLY_THE_LOCK, FreshHost, Played, RunPlaybook
from testinfra.host import Host

from runner.repairs import RepairHost

pytestmark = pytest.mark.lab

HOST, UNIT, LOCK = "file1", "rsync.service", "/etc/group.lock"
# An account tool killed at the wrong moment leaves an empty lock; no package can add a group from then on.
FAULTS = f"systemctl stop {UNIT}; : > {LOCK}; ! groupadd lab-before"
EXPECTED = {"repair_host_expected_units": [UNIT], "repair_host_settle": 1}


def told(played: Played) -> RepairHost:
    return RepairHost.model_validate(played.evidence[HOST]["repair_host"])


def outcomes(played: Played) -> dict[str, str]:
    return {cure.cure: cure.outcome for cure in told(played).cures}


def state(host: Host) -> tuple[str, bool]:
    return host.run(f"systemctl is-active {UNIT}").stdout.strip(), host.file(LOCK).exists


def test_a_dead_unit_and_a_left_lock_are_proposed_cured_when_allowed_and_proven(
    run_playbook: RunPlaybook, fresh_host: FreshHost, tmp_path: Path
) -> None:
    host = fresh_host(HOST)
    host.check_output(FAULTS)
    plan = tmp_path / "plan.json"

    def repair(action: str, *cures: str) -> Played:
        given: dict[str, Any] = {"rawat_run": "2026-11-21-test-1", "rawat_action": action, "rawat_plan": plan}
        return run_playbook("repair-hosts.yml", HOST, rawat_allowed_cures=list(cures), **given, **EXPECTED)

    proposed = run_playbook("propose-repairs.yml", HOST, **EXPECTED)
    found = proposed.evidence[HOST]["repair_host"]["repairs"]
    plan.write_text(json.dumps({"hosts": {HOST: {"repairs": found}}}))
    half = repair("4-1-a", "start_unit")
    half_done = state(host)
    done = repair("4-2-a", "start_unit", "remove_lock")
    again = repair("4-3-a", "start_unit", "remove_lock")

    assert [entry["cure"] for entry in found] == ["remove_lock", "start_unit"]
    assert (proposed.failures, proposed.changed(HOST)) == ({}, 0)
    assert outcomes(half) == {"remove_lock": "not allowed", "start_unit": "done"}
    assert (list(half.failures), half_done) == ([HOST], ("active", True))
    assert outcomes(done) == {"remove_lock": "done", "start_unit": "not needed"}
    assert (done.failures, told(done).repairs, state(host)) == ({}, (), ("active", False))
    assert host.run("groupadd lab-after").succeeded
    assert set(outcomes(again).values()) == {"not needed"}
    assert (again.failures, again.changed(HOST)) == ({}, ONLY_THE_LOCK)
