"""Rows 21 and 26: the mirror moves, or somebody patches by hand, between the plan and the change.

Whatever the gates do about it, the host's own dpkg log is what counts: no version that was not approved.
"""

from __future__ import annotations

from typing import Any

import pytest
from field import LAB, NEW, Field, Figure, Results

from lab import driver

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(1800)]

HOSTS = ("web1", "db1", "file1", "web2")
ROUNDS = 3
Plan = dict[str, Any]


def unapproved(field: Field, host: str, plan: Plan, before: int) -> list[str]:
    """Return what was installed on a host since its `before`th change and was not approved."""
    approved = {f"{u['package']} {u['from']} {u['to']}" for u in plan["hosts"][host]["updates"]}
    return [change for change in field.upgrades(host)[before:] if change not in approved]


def statuses(results: Results) -> dict[str, str]:
    return {host: result.status for host, result in results.items()}


def test_mirror_that_moves_after_the_gate_brings_nothing_unapproved(field: Field, figure: Figure) -> None:
    """Row 21: newer versions come out after the plan, index refreshed or not; 0 of them are installed."""
    installed = changes = 0
    for number in range(ROUNDS):
        field.fresh(*HOSTS)
        plan, path = field.make_plan(*HOSTS)
        before = {host: len(field.upgrades(host)) for host in HOSTS}
        driver.publish(LAB, "lab-good", f"1.0-1+deb12u{50 + number}")
        driver.publish(LAB, "lab-tool", f"1.0-1+deb12u{50 + number}")
        for host in HOSTS[: 2 + number % 3]:
            field.ssh(host, "apt-get update -q")

        results = field.apply(path, *HOSTS)

        for host in HOSTS:
            installed += len(unapproved(field, host, plan, before[host]))
            changes += len(field.upgrades(host)) - before[host]
            # All or nothing: the approved versions, or the host as it was.
            assert field.is_updated(host, plan) is (results[host].status == "ok"), results[host]
            assert field.is_updated(host, plan) or field.is_as_before(host, plan)
    figure(21, moves=ROUNDS, hosts=ROUNDS * len(HOSTS), changes=changes, unapproved=installed)
    assert installed == 0
    assert changes > 0


def test_approved_version_that_the_mirror_took_back_is_not_replaced(field: Field, figure: Figure) -> None:
    """Row 21: only a newer one is offered; nothing is installed, and the refusal names both."""
    field.fresh(*HOSTS)
    newest = driver.publish(LAB, "lab-good", "1.0-1+deb12u80")
    plan, path = field.make_plan(*HOSTS)
    before = {host: len(field.upgrades(host)) for host in HOSTS}
    newest.unlink()
    driver.publish(LAB, "lab-good", "1.0-1+deb12u90")
    for host in HOSTS:
        field.ssh(host, "apt-get update -q")

    results = field.apply(path, *HOSTS)

    assert statuses(results) == dict.fromkeys(HOSTS, "failed")
    for host in HOSTS:
        failure = results[host].failure
        assert failure
        assert "no longer offered (offered now: 1.0-1+deb12u90)" in failure.message
        assert field.upgrades(host)[before[host] :] == []
        assert field.is_as_before(host, plan)
    figure(21, taken_back=len(HOSTS), installed=0)


BY_HAND = {
    "newer": "apt-get install -y -q {tool}=1.0-1+deb12u95",
    "removed": "apt-get remove -y -q {tool}",
    "held": "apt-mark hold {tool}",
    "half": "cd /tmp; apt-get download -q {tool}; dpkg --unpack {tool}_*.deb",
}


def test_host_that_somebody_patched_by_hand_is_left_alone(field: Field, figure: Figure) -> None:
    """Row 26: four ways of meddling; nothing is installed, and what differs is told."""
    field.fresh(*HOSTS)
    plan, path = field.make_plan(*HOSTS)
    driver.publish(LAB, "lab-tool", "1.0-1+deb12u95")
    for host, way in zip(HOSTS, BY_HAND.values(), strict=True):
        field.ssh(
            host, "export DEBIAN_FRONTEND=noninteractive; apt-get update -q;" + way.format(tool="lab-tool")
        )
    before = {host: field.lab_packages(host) for host in HOSTS}

    results = field.apply(path, *HOSTS)

    assert statuses(results) == dict.fromkeys(HOSTS, "failed")
    for host in HOSTS:
        failure = results[host].failure
        assert failure
        assert "not as it was approved" in failure.message
        assert "lab-tool" in failure.message
        assert results[host].results["apply_updates"]["outcome"] == "drift"
        assert field.lab_packages(host) == before[host]
    figure(26, ways=len(BY_HAND), refused=len(HOSTS), of=len(plan["hosts"]), installed=0)


def test_update_that_somebody_made_by_hand_is_told_as_there_before(field: Field, figure: Figure) -> None:
    """Row 26: the very version that was approved; the rest is installed, and no more is claimed."""
    field.fresh("file1")
    plan, path = field.make_plan("file1")
    wanted = {u["package"]: u["to"] for u in plan["hosts"]["file1"]["updates"]}
    field.ssh("file1", f"apt-get install -y -q lab-good={wanted['lab-good']}")
    before = len(field.upgrades("file1"))

    results = field.apply(path, "file1")

    apply = results["file1"].results["apply_updates"]
    assert results["file1"].status == "ok", results["file1"].failure
    assert apply["already"] == [{"package": "lab-good", "version": wanted["lab-good"]}]
    assert [change["package"] for change in apply["changes"]] == ["lab-tool"]
    assert len(field.upgrades("file1")) == before + 1
    assert field.is_updated("file1", plan)
    figure(26, by_hand=1, told_as_already=1, new=NEW)
