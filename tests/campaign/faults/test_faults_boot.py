"""Rows 3 and 4: the runner dies while the host patches; the host reboots or loses power meanwhile."""

from __future__ import annotations

import time

import pytest
from field import Field, Figure

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(1800)]

HOSTS = ("web1", "db1", "file1", "web2")
# Their updates need no reboot, which would take systemd's own account of the unit away.
STAY = ("web1", "file1", "web2")
UNIT = "rawat-apply-updates.service"


def starts(field: Field, host: str) -> int:
    """Return how often systemd started the unit since the host came up."""
    told = field.ssh(host, f"journalctl --quiet --unit={UNIT} --output=cat")
    return told.count("Started ")


def test_work_of_a_dead_runner_is_joined_and_started_once(field: Field, figure: Figure) -> None:
    """Row 3: the runner's whole tree is killed while postinst sleeps; the next one joins the unit."""
    rounds, joined = 5, 0
    for _ in range(rounds):
        field.fresh(*STAY)
        plan, path = field.make_plan(*STAY)
        for host in STAY:
            field.slow_scripts(host, 10)
        field.kill_runner_in_the_middle(path, *STAY)

        results = field.apply(path, *STAY)

        for host in STAY:
            apply = results[host].results["apply_updates"]
            assert results[host].status == "ok", results[host].failure
            assert field.is_updated(host, plan)
            assert starts(field, host) == 1
            # What the dead runner's call changed is told as a change, not as there before.
            assert (len(apply["changes"]), apply["already"]) == (len(plan["hosts"][host]["updates"]), [])
            joined += 1
    figure(3, runners_killed=rounds, joined=joined, of=rounds * len(STAY), starts_each=1)


def test_reboot_in_the_middle_of_the_change_is_told_and_healed(field: Field, figure: Figure) -> None:
    """Row 4: postinst reboots the host; another boot, no unit, a marker that says "begun"."""
    rounds, told = 3, 0
    for _ in range(rounds):
        field.fresh(*HOSTS)
        plan, path = field.make_plan(*HOSTS)
        before = {host: field.lab_packages(host) for host in HOSTS}
        boots = {host: field.ssh(host, "cat /proc/sys/kernel/random/boot_id") for host in HOSTS}
        for host in HOSTS:
            field.slow_scripts(host, 1, then="/usr/bin/systemctl.real reboot; sleep 30")

        results = field.apply(path, *HOSTS)

        for host in HOSTS:
            assert field.ssh(host, "cat /proc/sys/kernel/random/boot_id") != boots[host]
            updated = field.is_updated(host, plan)
            failure = results[host].failure
            assert results[host].status == ("ok" if updated else "failed"), failure
            if not updated:
                assert failure
                # A host may still say itself how dpkg was cut off, on its way down.
                restarted = "the host was restarted in the middle of the work" in failure.message
                assert restarted or "is unfinished" in failure.message, failure
            told += 1
        back = field.roll_back(path, *HOSTS)
        assert {host: result.status for host, result in back.items()} == dict.fromkeys(HOSTS, "ok")
        assert {host: field.lab_packages(host) for host in HOSTS} == before
    figure(4, reboots=rounds * len(HOSTS), told_right=told, rolled_back_as_before=told)


def test_power_cut_in_the_middle_of_the_change_is_finished_by_the_resumed_run(
    field: Field, figure: Figure
) -> None:
    """Row 4: runner and hosts die together; the run that goes on finishes its own work and nobody else's."""
    field.fresh(*HOSTS)
    plan, path = field.make_plan(*HOSTS)
    for host in HOSTS:
        field.slow_scripts(host, 60)
    field.kill_runner_in_the_middle(path, *HOSTS)
    for host in HOSTS:
        field.cut_power(host)

    began = time.monotonic()
    results = field.apply(path, *HOSTS)

    statuses = {host: (result.status, result.failure) for host, result in results.items()}
    assert statuses == dict.fromkeys(HOSTS, ("ok", None))
    assert all(field.is_updated(host, plan) for host in HOSTS)
    figure(4, power_cuts=len(HOSTS), finished=len(HOSTS), seconds=round(time.monotonic() - began))


def test_tests_wait_for_work_that_a_dead_runner_left(field: Field, figure: Figure) -> None:
    """Row 3: the testing row is a probe as well: of a host whose work is over, not of one amid it."""
    field.fresh(*STAY)
    plan, path = field.make_plan(*STAY)
    for host in STAY:
        field.slow_scripts(host, 20)
    field.kill_runner_in_the_middle(path, *STAY)

    results = field.test(plan, *STAY)

    for host in STAY:
        tests = {test["name"]: test["outcome"] for test in results[host].results["verification"]["tests"]}
        assert tests["test_planned_versions_are_in_effect"] == "passed"
        assert tests["test_no_package_is_half_configured"] == "passed"
    figure(3, tested_in_the_middle=len(STAY), told_right=len(STAY))
