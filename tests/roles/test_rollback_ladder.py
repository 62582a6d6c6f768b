"""Going back when no source has the old version; the rest of the ladder is in tests/campaign/ladder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from played import LAB, FreshHost, RunPlaybook

from lab import channel, driver
from lab.packages import NEW, OLD

pytestmark = pytest.mark.lab

RUN = "2026-11-22-ladder-1"


def test_rollback_works_although_no_source_has_the_old_version_any_more(
    fresh_host: FreshHost, run_playbook: RunPlaybook, tmp_path: Path
) -> None:
    host, lab, plan = fresh_host("file1"), driver.load(LAB), tmp_path / "plan.json"
    updates = [{"package": "lab-tool", "from": OLD, "to": NEW, "reboot": False}]
    planned = {"updates": updates, "antivirus": None, "reboot": {"expected": False, "because": []}}
    plan.write_text(json.dumps({"hosts": {"file1": planned}}))
    host.check_output("apt-get update -q")
    applied = run_playbook("apply-updates.yml", "file1", rawat_run=RUN, rawat_plan=plan)
    channel.withdraw(lab, "lab-tool", OLD)
    try:
        host.check_output("apt-get update -q")
        offered = host.check_output("apt-cache madison lab-tool")
        undone = run_playbook("rollback-updates.yml", "file1", rawat_run=RUN, rawat_plan=plan)
    finally:
        channel.publish(lab, "lab-tool", OLD, "lab")

    kept = applied.evidence["file1"]["save_packages"]
    assert [(item["package"], item["how"]) for item in kept["saved"]] == [("lab-tool", "channel")]
    assert NEW in offered
    assert f"| {OLD} |" not in offered.replace("  ", " ")
    assert undone.failures == {}
    assert undone.evidence["file1"]["rollback_updates"]["from_kept"] == ["lab-tool"]
    assert host.package("lab-tool").version == OLD
