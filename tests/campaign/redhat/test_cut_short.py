"""Work cut short on a host of the RHEL family: runner, rpm, power, cable, disk (rows 2, 4, 12, 14, 16)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
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
    slow_down,
    transactions,
    update,
)
from played import ROOT, FreshHost, PlaybookCommand, Played, RunPlaybook
from testinfra.host import Host

from lab import driver, faults, hosts

pytestmark = [pytest.mark.campaign, pytest.mark.lab]

LAB = "rhelcampaign"
UNIT = "rawat-apply-updates.service"
NAMES = ("lab-tool", "lab-web")
# The script of lab-web is what waits: rpm has laid new files down, and has taken no old package out.
WAIT = 20


def act(run_playbook: RunPlaybook, playbook: str, plan: Path, **variables: object) -> Played:
    """Apply a plan to the host, or roll it back."""
    return run_playbook(playbook, HOST, rawat_run=RUN, rawat_plan=str(plan), **variables)


def told(played: Played) -> dict[str, Any]:
    """Return the evidence of applying."""
    found: dict[str, Any] = played.evidence[HOST]["apply_updates"]
    return found


def await_script(host: Host) -> None:
    """Wait until rpm is amid its work."""
    deadline = time.monotonic() + 120
    while not host.file("/var/in-script").exists:
        assert time.monotonic() < deadline, "the transaction never began"
        time.sleep(0.2)


@pytest.fixture(name="host")
def _host(host: Host) -> Host:
    """Give a fresh host whose sources were just looked at, and whose scripts take their time."""
    slow_down(host, WAIT)
    return host


@pytest.fixture(name="plan")
def _plan(plan_file: Plan) -> Path:
    """Give an approved plan of two packages."""
    return plan_file([update(name) for name in NAMES])


def begin(playbook_command: PlaybookCommand, plan: Path) -> subprocess.Popen[bytes]:
    """Start a runner in a session of its own."""
    command = playbook_command("apply-updates.yml", HOST, rawat_run=RUN, rawat_plan=str(plan))
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)


def is_updated(host: Host) -> bool:
    """Tell whether both packages are at their new version alone."""
    return [p for p in packages_of(host) if p.startswith(NAMES)] == [f"{n}-{NEW}.noarch" for n in NAMES]


def test_work_of_a_killed_runner_is_joined_and_not_repeated(
    host: Host, run_playbook: RunPlaybook, playbook_command: PlaybookCommand, plan: Path
) -> None:
    with begin(playbook_command, plan) as runner:
        await_script(host)
        os.killpg(runner.pid, signal.SIGKILL)

    joined = act(run_playbook, "apply-updates.yml", plan)

    assert joined.failures == {}
    assert told(joined)["changes"] == [update(name) for name in NAMES]
    assert transactions(host) == [f"rawat {RUN}"]
    assert is_updated(host)


def test_host_behind_a_cut_link_is_asked_and_not_updated_again(
    host: Host, run_playbook: RunPlaybook, playbook_command: PlaybookCommand, plan: Path
) -> None:
    lab = driver.load(LAB)
    place = lab.host(HOST)
    with begin(playbook_command, plan) as runner:
        await_script(host)
        faults.cut_cable(lab, place)
        try:
            ended = runner.wait(timeout=120)
        finally:
            faults.mend(lab, place)

    asked = act(run_playbook, "apply-updates.yml", plan, rawat_reattach=True)

    assert ended != 0
    assert asked.failures == {}
    assert told(asked)["changes"] == [update(name) for name in NAMES]
    assert transactions(host) == [f"rawat {RUN}"]
    assert is_updated(host)


def test_a_host_that_was_lost_before_anything_began_is_left_alone(
    host: Host, run_playbook: RunPlaybook, plan: Path
) -> None:
    before = packages_of(host)

    asked = act(run_playbook, "apply-updates.yml", plan, rawat_reattach=True)

    assert "Nothing was begun on the host before it was lost" in asked.failures[HOST]
    assert packages_of(host) == before


def kill_rpm(host: Host) -> None:
    """Kill what runs the transaction, with the script that it waits for."""
    host.check_output(f"systemctl kill --kill-whom=all --signal=KILL {UNIT}")


@pytest.mark.parametrize("end", ["finished", "rolled back"])
def test_rpm_killed_midway_is_told_and_the_same_run_finishes_or_undoes_it(
    host: Host, run_playbook: RunPlaybook, playbook_command: PlaybookCommand, plan: Path, *, end: str
) -> None:
    before = packages_of(host)
    with begin(playbook_command, plan) as runner:
        await_script(host)
        kill_rpm(host)
        ended = runner.wait(timeout=120)
    left = [p for p in packages_of(host) if p.startswith(NAMES)]
    planned = run_playbook("plan-updates.yml", HOST, rawat_reprobe=True)

    playbook = "apply-updates.yml" if end == "finished" else "rollback-updates.yml"
    after = act(run_playbook, playbook, plan)

    assert ended != 0
    # rpm lays down all that is new before it takes the old out: what it was at is there twice.
    assert [f"lab-web-{version}.noarch" in left for version in (OLD, NEW)] == [True, True]
    assert [line for line in planned.evidence[HOST]["plan_updates"]["dpkg_audit"] if "lab-web" in line] != []
    assert after.failures == {}
    assert is_updated(host) if end == "finished" else packages_of(host) == before
    assert complaints(host) == ""
    assert host.service("lab-web").is_running


def test_rpm_killed_midway_is_not_taken_over_by_another_run(
    host: Host, run_playbook: RunPlaybook, playbook_command: PlaybookCommand, plan: Path
) -> None:
    with begin(playbook_command, plan) as runner:
        await_script(host)
        kill_rpm(host)
        runner.wait(timeout=120)
    left = packages_of(host)

    other = run_playbook("apply-updates.yml", HOST, rawat_run="2026-11-22-other-1", rawat_plan=str(plan))

    assert told(other)["outcome"] == "drift"
    assert "in work that this run did not start" in other.failures[HOST]
    assert packages_of(host) == left


def test_a_power_cut_midway_is_finished_by_the_same_run(
    host: Host, run_playbook: RunPlaybook, playbook_command: PlaybookCommand, plan: Path
) -> None:
    lab = driver.load(LAB)
    with begin(playbook_command, plan) as runner:
        await_script(host)
        os.killpg(runner.pid, signal.SIGKILL)
    hosts.close_connections(lab, lab.host(HOST))
    hosts.cut_power(lab, lab.host(HOST))
    driver.start(LAB, HOST)

    asked = act(run_playbook, "apply-updates.yml", plan, rawat_reattach=True)
    resumed = act(run_playbook, "apply-updates.yml", plan)

    assert "the host was restarted in the middle of the work" in asked.failures[HOST]
    assert resumed.failures == {}
    assert is_updated(host)
    assert complaints(host) == ""
    assert host.service("lab-web").is_running


def small_disk(host: Host, place: str, kilobytes: int) -> None:
    """Put a place of the host on a disk of its own that has only so much left."""
    host.check_output(
        f"mkdir -p {place} && cp -a {place} /var/copy && mount -t tmpfs -o size=8M tmpfs {place}"
        f" && cp -a /var/copy/. {place} && free=$(df --output=avail -k {place} | tail -n 1)"
        f" && head -c $(( (free - {kilobytes}) * 1024 )) /dev/zero > {place}/fill"
    )


@pytest.mark.parametrize("place", ["/var/lib/rawat", "/var/lib/rpm"])
def test_a_full_disk_is_told_and_mended_by_the_same_run_with_room(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan: Path, place: str
) -> None:
    host = fresh_host(HOST)
    assert run_playbook("plan-updates.yml", HOST, rawat_reprobe=True).failures == {}
    small_disk(host, place, 0)

    full = act(run_playbook, "apply-updates.yml", plan)
    host.check_output(f"rm {place}/fill")
    with_room = act(run_playbook, "apply-updates.yml", plan)

    assert list(full.failures) == [HOST], full.output
    assert with_room.failures == {}
    assert is_updated(host)
    assert complaints(host) == ""
