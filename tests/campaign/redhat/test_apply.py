"""Installing exactly what was approved on a host of the RHEL family; what rpm says is so, not what we say."""

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
    offer,
    packages_of,
    transactions,
    update,
    withdraw,
)
from played import ONLY_THE_LOCK, Played, RunPlaybook
from testinfra.host import Host

pytestmark = [pytest.mark.campaign, pytest.mark.lab]


def apply(run_playbook: RunPlaybook, plan: Path, *, check: bool = False, **variables: object) -> Played:
    """Apply a plan to the host."""
    return run_playbook(
        "apply-updates.yml", HOST, check=check, rawat_run=RUN, rawat_plan=str(plan), **variables
    )


def told(played: Played) -> dict[str, Any]:
    """Return the evidence of the role."""
    found: dict[str, Any] = played.evidence[HOST]["apply_updates"]
    return found


def test_check_mode_changes_nothing(host: Host, run_playbook: RunPlaybook, plan_file: Plan) -> None:
    before = packages_of(host)

    played = apply(run_playbook, plan_file([update("lab-tool")]), check=True)

    assert played.failures == {}
    assert told(played)["changes"] == [update("lab-tool")]
    assert told(played)["outcome"] == "not applied (check mode)"
    assert packages_of(host) == before
    assert not host.file(f"/var/lib/rawat/{RUN}").exists


def test_exactly_the_approved_versions_are_installed_once(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    before = packages_of(host)
    plan = plan_file([update("lab-web"), update("lab-tool")])

    first = apply(run_playbook, plan)
    after = packages_of(host)
    second = apply(run_playbook, plan)

    assert first.failures == second.failures == {}
    names = ("lab-tool", "lab-web")
    assert set(after) - set(before) == {f"{name}-{NEW}.noarch" for name in names}
    assert set(before) - set(after) == {f"{name}-{OLD}.noarch" for name in names}
    assert told(first)["changes"] == [update(name) for name in names]
    assert (told(first)["outcome"], told(first)["refused"], told(first)["dpkg_audit"]) == ("applied", [], [])
    assert transactions(host) == [f"rawat {RUN}"]
    assert host.service("lab-web").is_running
    # What this run changed stays told as that, however often it is asked.
    assert (told(second)["changes"], told(second)["already"]) == (told(first)["changes"], [])
    assert second.changed(HOST) == ONLY_THE_LOCK
    assert packages_of(host) == after
    assert complaints(host) == ""


def test_approved_version_is_installed_although_a_newer_one_is_offered(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    offer(host, "lab-tool", "9")

    played = apply(run_playbook, plan_file([update("lab-tool")]))

    assert played.failures == {}
    assert f"lab-tool-{NEW}.noarch" in packages_of(host)


def refused(played: Played, host: Host, before: list[str]) -> str:
    """Look that nothing was installed, and return what is said about it."""
    assert list(played.failures) == [HOST], played.output
    assert told(played)["outcome"] == "drift"
    assert packages_of(host) == before
    assert transactions(host) == []
    assert "reboot_host" not in played.evidence[HOST]
    return played.failures[HOST]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(("", "lab-newdep", "would also install lab-dep-1.0-2.noarch"), id="more than approved"),
        pytest.param(
            ("rpm --erase lab-tool", "lab-tool", "lab-tool (approved 1.0-1 to 1.0-2, found none)"), id="gone"
        ),
        pytest.param(
            (
                "echo 'lab-tool-0:1.0-1.*' >> /etc/dnf/plugins/versionlock.list",
                "lab-tool",
                "locked at its version",
            ),
            id="locked since",
        ),
        pytest.param(
            (
                "echo mine > /etc/lab-settles.conf",
                "lab-settles",
                "would replace configuration changed by hand: /etc/lab-settles.conf",
            ),
            id="settings changed since",
        ),
        pytest.param(
            (
                "rpm -i --force --nodeps /srv/rpm/lab-updates/noarch/lab-plain-1.0-2.noarch.rpm",
                "lab-tool",
                "lab-plain (approved  to , found 1.0-1, 1.0-2): rpm left it unfinished",
            ),
            id="somebody else's unfinished work",
        ),
        pytest.param(
            (
                "rpm -i --force --nodeps /srv/rpm/lab-updates/noarch/lab-tool-1.0-2.noarch.rpm",
                "lab-tool",
                "in work that this run did not start",
            ),
            id="somebody else's unfinished work on the same package",
        ),
    ],
)
def test_a_host_that_is_not_as_approved_is_refused_whole(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan, case: tuple[str, str, str]
) -> None:
    change, approved, said = case
    host.check_output(change or "true")
    before = packages_of(host)

    played = apply(run_playbook, plan_file([update(name) for name in (approved, "lab-web")]))

    assert said in refused(played, host, before)


def test_a_version_that_is_installed_and_was_not_approved_is_refused(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    offer(host, "lab-tool", "9")
    host.check_output("rpm -U /srv/rpm/lab-updates/noarch/lab-tool-1.0-9.noarch.rpm")
    before = packages_of(host)

    played = apply(run_playbook, plan_file([update("lab-tool"), update("lab-web")]))

    assert "version 1.0-9 is installed, neither the old nor the new one approved" in refused(
        played, host, before
    )
    assert [(r["package"], r["found"]) for r in told(played)["refused"]] == [("lab-tool", "1.0-9")]


def test_a_version_that_is_no_longer_offered_is_refused(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    withdraw(host, "lab-tool", "2", "lab-updates")
    before = packages_of(host)

    played = apply(run_playbook, plan_file([update("lab-tool"), update("lab-web")]))

    assert "lab-tool-1.0-2.noarch is offered by no source of the host" in refused(played, host, before)


def test_a_package_without_the_signature_that_its_source_demands_is_refused(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host.check_output("sed -i s/gpgcheck=0/gpgcheck=1/ /etc/yum.repos.d/lab-updates.repo")
    before = packages_of(host)

    played = apply(run_playbook, plan_file([update("lab-tool")]))

    assert "is not signed as its source demands" in played.failures[HOST]
    assert told(played)["outcome"] == "failed"
    assert packages_of(host) == before


HOLD_RPM = (
    "import fcntl,time; f=open('/var/lib/rpm/.rpm.lock','w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep({})"
)
HOLD_DNF = (
    "import dnf,time; l=dnf.lock.build_rpmdb_lock('/var/lib/dnf', True);"
    " l.__enter__(); time.sleep({}); l.__exit__()"
)


@pytest.mark.parametrize("hold", [HOLD_RPM, HOLD_DNF], ids=["rpm", "dnf"])
def test_a_lock_is_waited_for_only_so_long_and_its_holder_named(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan, hold: str
) -> None:
    host.check_output("systemd-run --quiet --unit=holder /usr/bin/python3 -c %s && sleep 2", hold.format(600))
    before = packages_of(host)

    played = apply(run_playbook, plan_file([update("lab-tool")]), apply_updates_lock_timeout=2)

    holder = host.check_output("systemctl show --property=MainPID --value holder")
    assert f"process {holder} (" in played.failures[HOST]
    assert told(played)["outcome"] == "failed"
    assert packages_of(host) == before
    assert host.service("holder").is_running


@pytest.mark.parametrize("hold", [HOLD_RPM, HOLD_DNF], ids=["rpm", "dnf"])
def test_a_lock_that_is_freed_in_time_is_waited_for(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan, hold: str
) -> None:
    host.check_output("systemd-run --quiet --unit=holder /usr/bin/python3 -c %s && sleep 1", hold.format(25))

    played = apply(run_playbook, plan_file([update("lab-tool")]))

    assert played.failures == {}
    assert f"lab-tool-{NEW}.noarch" in packages_of(host)
    assert not host.service("holder").is_running


def test_settings_changed_by_hand_stay_and_what_is_laid_beside_is_told(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host.check_output("echo mine > /etc/lab-keeps.conf")

    played = apply(run_playbook, plan_file([update("lab-keeps"), update("lab-settles")]))

    assert played.failures == {}
    assert told(played)["configuration"] == ["/etc/lab-keeps.conf.rpmnew"]
    assert host.file("/etc/lab-keeps.conf").content_string == "mine\n"
    assert host.file("/etc/lab-keeps.conf.rpmnew").content_string == "shipped with 2\n"
    assert host.file("/etc/lab-settles.conf").content_string == "shipped with 2\n"


def test_a_package_like_a_kernel_is_installed_beside_the_old_one(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    plan = plan_file([update("lab-kernel")])

    first, second = apply(run_playbook, plan), apply(run_playbook, plan)

    assert first.failures == second.failures == {}
    assert [p for p in packages_of(host) if "kernel" in p] == [f"lab-kernel-{v}.noarch" for v in (OLD, NEW)]
    assert told(first)["changes"] == told(second)["changes"] == [update("lab-kernel")]


@pytest.mark.parametrize(
    ("package", "is_new"), [("lab-script", True), ("lab-refuses", False)], ids=["after", "before"]
)
def test_a_failing_script_fails_the_host_each_time(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan, package: str, *, is_new: bool
) -> None:
    plan = plan_file([update(package), update("lab-web")])

    played = apply(run_playbook, plan)

    assert told(played)["outcome"] == "failed"
    assert package in played.failures[HOST]
    assert "scriptlet" in played.failures[HOST]
    assert f"{package}-{NEW if is_new else OLD}.noarch" in packages_of(host)
    assert complaints(host) == ""


@pytest.mark.parametrize("approved", [True, False])
def test_a_restart_happens_only_when_it_is_needed_and_approved(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan, *, approved: bool
) -> None:
    boot = host.check_output("cat /proc/sys/kernel/random/boot_id")
    plan = plan_file([update("lab-boot"), update("lab-tool")], reboot=approved)

    played = apply(run_playbook, plan)
    again = apply(run_playbook, plan)

    assert played.failures == again.failures == {}
    evidence = played.evidence[HOST]["reboot_host"]
    assert (evidence["required"], evidence["approved"], evidence["rebooted"]) == (True, approved, approved)
    assert evidence["because"] == ["lab-boot"]
    now = host.check_output("cat /proc/sys/kernel/random/boot_id")
    assert (now != boot) is approved
    assert again.evidence[HOST]["reboot_host"]["required"] is not approved
    assert again.evidence[HOST]["reboot_host"]["rebooted"] is False


def test_packages_of_a_source_behind_http_are_fetched_and_one_that_breaks_off_installs_nothing(
    host: Host, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    serve = "systemd-run --quiet --unit=mirror /usr/bin/python3 -m http.server --directory /srv/rpm 8080"
    host.check_output(
        f"{serve}; sed -i s,file:///srv/rpm,http://127.0.0.1:8080, /etc/yum.repos.d/*.repo; sleep 2"
    )
    assert run_playbook("plan-updates.yml", HOST, rawat_reprobe=True).failures == {}
    before = packages_of(host)

    applied = apply(run_playbook, plan_file([update("lab-tool")]))
    between = packages_of(host)
    host.check_output("systemctl stop mirror")
    broken = apply(run_playbook, plan_file([update("lab-web")]))

    assert applied.failures == {}
    assert applied.evidence[HOST]["save_packages"]["not_saved"] == []
    assert set(between) - set(before) == {f"lab-tool-{NEW}.noarch"}
    assert told(broken)["outcome"] == "failed"
    assert packages_of(host) == between
