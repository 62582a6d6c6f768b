"""Putting back what was approved and installed on a host of the RHEL family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plans import (
    HOST,
    NEW,
    OLD,
    RUN,
    Plan,
    complaints,
    packages_of,
    update,
    withdraw,
)
from played import ONLY_THE_LOCK, Played, RunPlaybook
from testinfra.host import Host

pytestmark = [pytest.mark.campaign, pytest.mark.lab]


def act(run_playbook: RunPlaybook, playbook: str, plan: Path) -> Played:
    """Apply a plan to the host, or roll it back."""
    return run_playbook(playbook, HOST, rawat_run=RUN, rawat_plan=str(plan))


def told(played: Played) -> dict[str, Any]:
    """Return the evidence of the role."""
    found: dict[str, Any] = played.evidence[HOST]["rollback_updates"]
    return found


def test_a_service_that_its_update_broke_comes_back(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    """To rpm this update is good: only the tests after it can tell, and the rollback has to help."""
    before = packages_of(host)
    plan = plan_file([update("lab-crash"), update("lab-tool")])

    applied = act(run_playbook, "apply-updates.yml", plan)
    is_broken = not host.service("lab-crash").is_running
    undone = act(run_playbook, "rollback-updates.yml", plan)
    is_back = host.service("lab-crash").is_running
    again = act(run_playbook, "rollback-updates.yml", plan)

    assert applied.evidence[HOST]["apply_updates"]["outcome"] == "applied"
    assert (is_broken, is_back) == (True, True)
    assert undone.failures == again.failures == {}
    assert packages_of(host) == before
    assert complaints(host) == ""
    assert told(undone)["outcome"] == "rolled back"
    assert told(undone)["changes"] == [update(name, NEW, OLD) for name in ("lab-crash", "lab-tool")]
    # What stays is told, and makes no rollback incomplete.
    assert [item["package"] for item in told(undone)["not_undone"]] == ["lab-crash"]
    assert "scripts of the new versions ran" in told(undone)["not_undone"][0]["reason"]
    assert told(again)["outcome"] == "nothing to undo"
    assert again.changed(HOST) == ONLY_THE_LOCK


@pytest.mark.parametrize("package", ["lab-script", "lab-refuses"])
def test_after_a_failed_script_and_the_rollback_everything_is_as_before(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan, package: str
) -> None:
    before = packages_of(host)
    plan = plan_file([update(package), update("lab-web")])

    applied = act(run_playbook, "apply-updates.yml", plan)
    undone = act(run_playbook, "rollback-updates.yml", plan)

    assert list(applied.failures) == [HOST]
    assert undone.failures == {}
    assert told(undone)["outcome"] == "rolled back"
    assert packages_of(host) == before
    assert complaints(host) == ""
    assert host.service("lab-web").is_running


def test_the_old_version_comes_from_what_was_kept_when_no_source_answers(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    before = packages_of(host)
    plan = plan_file([update("lab-web"), update("lab-tool")])
    act(run_playbook, "apply-updates.yml", plan)
    host.check_output("mv /srv/rpm /srv/gone; rm -rf /var/cache/dnf/*")

    undone = act(run_playbook, "rollback-updates.yml", plan)

    assert undone.failures == {}
    assert told(undone)["from_kept"] == ["lab-tool", "lab-web"]
    assert packages_of(host) == before


def test_what_cannot_be_put_back_is_told_and_stops_no_other(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    plan = plan_file([update("lab-web"), update("lab-tool")])
    act(run_playbook, "apply-updates.yml", plan)
    host.check_output(f"rm -r /var/lib/rawat/{RUN}/packages")
    withdraw(host, "lab-tool", "1", "lab-base")

    undone = act(run_playbook, "rollback-updates.yml", plan)

    assert told(undone)["outcome"] == "incomplete"
    assert ("lab-tool", "the old version 1.0-1 is no longer offered by any source of the host") in [
        (item["package"], item["reason"]) for item in told(undone)["not_undone"]
    ]
    assert "needs a person" in undone.failures[HOST]
    there = packages_of(host)
    assert f"lab-tool-{NEW}.noarch" in there
    assert f"lab-web-{OLD}.noarch" in there


def test_a_kept_package_that_is_not_whole_is_not_used(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    plan = plan_file([update("lab-tool")])
    act(run_playbook, "apply-updates.yml", plan)
    host.check_output(f"for f in /var/lib/rawat/{RUN}/packages/*.rpm; do echo x >> $f; done")

    undone = act(run_playbook, "rollback-updates.yml", plan)

    assert undone.failures == {}
    assert told(undone)["from_kept"] == []
    assert f"lab-tool-{OLD}.noarch" in packages_of(host)


def test_a_kernel_that_does_not_run_is_taken_away_again(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    before = packages_of(host)
    plan = plan_file([update("lab-kernel")])
    act(run_playbook, "apply-updates.yml", plan)

    undone = act(run_playbook, "rollback-updates.yml", plan)

    assert undone.failures == {}
    assert packages_of(host) == before


def test_what_somebody_brought_since_is_left_alone(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    plan = plan_file([update("lab-tool", "0.9-1", "1.0-0")])
    before = packages_of(host)

    undone = act(run_playbook, "rollback-updates.yml", plan)

    assert told(undone)["outcome"] == "incomplete"
    assert "version 1.0-1 is installed, which this plan did not bring" in undone.failures[HOST]
    assert packages_of(host) == before


def test_settings_that_the_update_replaced_are_as_before(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    plan = plan_file([update("lab-settles")])
    applied = act(run_playbook, "apply-updates.yml", plan)
    replaced = host.file("/etc/lab-settles.conf").content_string

    undone = act(run_playbook, "rollback-updates.yml", plan)

    assert applied.failures == undone.failures == {}
    assert replaced == "shipped with 2\n"
    assert host.file("/etc/lab-settles.conf").content_string == "shipped with 1\n"
    assert undone.evidence[HOST]["judge_rollback"]["whole"] is True


def test_files_laid_beside_changed_settings_are_told(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host.check_output("echo mine > /etc/lab-keeps.conf")
    plan = plan_file([update("lab-keeps")])
    act(run_playbook, "apply-updates.yml", plan)

    undone = act(run_playbook, "rollback-updates.yml", plan)

    assert undone.failures == {}
    assert "/etc/lab-keeps.conf.rpmnew" in [item["package"] for item in told(undone)["not_undone"]]
    assert host.file("/etc/lab-keeps.conf").content_string == "mine\n"
