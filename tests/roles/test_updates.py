"""The roles that plan, apply, reboot and roll back updates, on real hosts of a lab.

What changed is asked of the hosts themselves (dpkg's log and table), never of the roles under test.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from played import LAB, ONLY_THE_LOCK, ROOT, FreshHost, PlaybookCommand, Played, RunPlaybook
from testinfra.host import Host

from lab import driver, hosts
from lab.packages import NEW, OLD

pytestmark = pytest.mark.lab

RUN = "2026-11-21-test-1"
CVES = {
    "lab-good": ["CVE-2099-1001", "CVE-2099-1002"],
    "lab-sick": ["CVE-2099-1003"],
    "lab-crash": ["CVE-2099-1004"],
    "lab-postinst": ["CVE-2099-1005"],
    "lab-reboot": ["CVE-2099-1006"],
    "lab-tool": [],
}
PENDING = {
    "web1": ["lab-good", "lab-sick", "lab-tool"],
    "db1": ["lab-good", "lab-reboot", "lab-tool"],
    "file1": ["lab-good", "lab-tool"],
    "web2": ["lab-crash", "lab-good", "lab-tool"],
    "web3": ["lab-good", "lab-postinst", "lab-tool"],
}

Plan = Callable[..., Path]


def packages_of(host: Host) -> str:
    """Return dpkg's table of packages with version and state."""
    return str(host.check_output("dpkg-query --show --showformat='${Package} ${Version} ${Status}\\n'"))


def upgrades_in_log(host: Host) -> list[str]:
    """Return `package old new` of each upgrade or downgrade in dpkg's log, in order."""
    log = host.check_output("grep -hE ' (upgrade|install|remove) ' /var/log/dpkg.log || true")
    return [" ".join(line.split()[3:6]).replace(":all", "") for line in log.splitlines()]


def http_status(host: Host, port: int) -> str:
    """Return the HTTP status that a service on the host answers, 000 when nothing listens for seconds."""
    ask = f"curl -s -m 5 -o /dev/null -w %{{http_code}} http://127.0.0.1:{port}/"
    loop = f"for n in 1 2 3 4 5 6; do s=$({ask}); [ $s = 000 ] || break; sleep 0.5; done; echo $s"
    return str(host.check_output(loop))


def update(package: str, before: str = OLD, after: str = NEW) -> dict[str, str]:
    """Return an approved update as a plan has it, as far as the roles use it."""
    return {"package": package, "from": before, "to": after}


@pytest.fixture
def plan_file(tmp_path: Path) -> Plan:
    """Return a function that writes an approved plan for one host."""

    def write(
        host: str,
        updates: list[dict[str, Any]],
        *,
        reboot: bool = False,
        antivirus: dict[str, str] | None = None,
    ) -> Path:
        planned = {
            "updates": [{**u, "reboot": u["package"] == "lab-reboot"} for u in updates],
            "antivirus": antivirus,
            "reboot": {"expected": reboot, "because": []},
            "new_packages": [],
        }
        path = tmp_path / "plan.json"
        path.write_text(json.dumps({"format": 1, "run": RUN, "hosts": {host: planned}, "not_planned": {}}))
        return path

    return write


def apply(run_playbook: RunPlaybook, host: str, plan: Path, *, check: bool = False) -> Played:
    """Apply a plan to one host."""
    return run_playbook("apply-updates.yml", host, check=check, rawat_run=RUN, rawat_plan=plan)


def roll_back(run_playbook: RunPlaybook, host: str, plan: Path) -> Played:
    """Roll a plan back on one host."""
    return run_playbook("rollback-updates.yml", host, rawat_run=RUN, rawat_plan=plan)


def offer_locally(host: Host, package: str, version: str) -> None:
    """Make the host itself offer a version of a package, as if its mirror had moved."""
    host.check_output(
        "set -e; rm -rf /srv/moved; mkdir -p /srv/moved; cd /srv/moved;"
        f" apt-get download -q {package} >/dev/null; dpkg-deb -R {package}_*.deb tree; rm *.deb;"
        f" sed -i 's/^Version:.*/Version: {version}/' tree/DEBIAN/control;"
        f" dpkg-deb -b tree {package}.deb >/dev/null; rm -r tree; apt-ftparchive packages . > Packages;"
        " echo 'deb [trusted=yes] file:/srv/moved ./' > /etc/apt/sources.list.d/moved.list; apt-get update -q"
    )


def offer_configuration(host: Host, version: str, text: str) -> None:
    """Make the host itself offer a package that is nothing but a configuration file."""
    control = (
        f"Package: conf\\nVersion: {version}\\nArchitecture: all\\n"
        "Maintainer: Lab <lab@example.invalid>\\nDescription: one file\\n"
    )
    host.check_output(
        "set -e; rm -rf /srv/conf; mkdir -p /srv/conf/tree/DEBIAN /srv/conf/tree/etc; cd /srv/conf;"
        f" printf '{control}' > tree/DEBIAN/control; echo /etc/conf.ini > tree/DEBIAN/conffiles;"
        f" echo '{text}' > tree/etc/conf.ini; dpkg-deb -b tree conf.deb >/dev/null; rm -r tree;"
        " apt-ftparchive packages . > Packages; echo 'deb [trusted=yes] file:/srv/conf ./'"
        " > /etc/apt/sources.list.d/conf.list; apt-get update -q"
    )


def test_plan_names_exactly_what_is_pending(fresh_host: FreshHost, run_playbook: RunPlaybook) -> None:
    """Every promised update with versions, kind and CVEs; nothing else; no package changed by planning."""
    connections = {name: fresh_host(name) for name in PENDING}
    before = {name: packages_of(host) for name, host in connections.items()}

    played = run_playbook("plan-updates.yml", "all")

    assert played.failures == {}
    for name, expected in PENDING.items():
        plan = played.evidence[name]["plan_updates"]
        told = {
            u["package"]: (u["from"], u["to"], u["kind"], u["cves"], u["changelog"]) for u in plan["updates"]
        }
        assert list(told) == expected
        for package in expected:
            kind, verdict = ("security", "read") if CVES[package] else ("system", "none named")
            assert told[package] == (OLD, NEW, kind, CVES[package], verdict)
        assert plan["index"]["refreshed"]
        assert plan["held"] == plan["dpkg_audit"] == []
        assert 0 < plan["needed_bytes"] < plan["free_bytes"]
        assert packages_of(connections[name]) == before[name]


def test_plan_foresees_reboot_new_packages_and_antivirus(
    fresh_host: FreshHost, run_playbook: RunPlaybook
) -> None:
    for name in ("db1", "file1"):
        fresh_host(name)

    evidence = run_playbook("plan-updates.yml", "db1:file1").evidence

    database, files = evidence["db1"]["plan_updates"], evidence["file1"]["plan_updates"]
    assert database["reboot"] == {"required_now": False, "expected": True, "because": ["lab-reboot"]}
    assert files["reboot"]["expected"] is False
    assert files["kept_back"] == [
        {"package": "lab-newdep", "from": OLD, "to": NEW, "reason": "needs new package lab-dep"}
    ]
    assert files["new_packages"] == [{"package": "lab-dep", "to": NEW, "needed_by": "lab-newdep"}]
    antivirus = files["antivirus"]
    assert (antivirus["database_on_disk"], antivirus["database_loaded"]) == ("1", "1")
    assert antivirus["update_pending"]
    assert int(antivirus["database_offered"]) > 1


def test_a_new_package_that_may_come_is_planned_installed_and_taken_away_again(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    """As each fix of a kernel of Debian comes: under a new name, needed by one that keeps its name."""
    host = fresh_host("file1")
    before = packages_of(host)

    planned = run_playbook("plan-updates.yml", "file1", plan_updates_new_packages=["lab-d*"])

    assert planned.failures == {}
    told = planned.evidence["file1"]["plan_updates"]
    updates = {entry["package"]: entry for entry in told["updates"]}
    assert [(u["from"], u["to"]) for u in (updates["lab-dep"], updates["lab-newdep"])] == [
        ("", NEW),
        (OLD, NEW),
    ]
    assert (told["kept_back"], told["new_packages"]) == ([], [])
    approved = [update("lab-dep", ""), update("lab-newdep")]
    plan = plan_file("file1", approved)
    tried = apply(run_playbook, "file1", plan, check=True)
    assert (tried.failures, packages_of(host)) == ({}, before)
    first, second = apply(run_playbook, "file1", plan), apply(run_playbook, "file1", plan)
    assert first.failures == second.failures == {}
    assert first.evidence["file1"]["apply_updates"]["changes"] == approved
    assert second.changed("file1") == ONLY_THE_LOCK
    assert host.package("lab-dep").version == host.package("lab-newdep").version == NEW
    # It goes once nothing needs it any more.
    assert "lab-dep" in host.check_output("apt-mark showauto")
    undone = roll_back(run_playbook, "file1", plan)
    assert undone.failures == {}
    evidence = undone.evidence["file1"]["rollback_updates"]
    assert (evidence["outcome"], evidence["not_undone"]) == ("rolled back", [])
    assert {"package": "lab-dep", "from": NEW, "to": ""} in evidence["changes"]
    assert packages_of(host) == before
    assert roll_back(run_playbook, "file1", plan).evidence["file1"]["rollback_updates"]["changes"] == []


def test_a_package_that_the_host_has_to_have_is_planned_with_what_it_needs(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    """An antivirus where there is none: nothing is installed that nobody decided on."""
    host = fresh_host("file1")
    host.check_output("apt-get purge -q -y lab-newdep >/dev/null 2>&1")
    wanted = ["lab-newdep", "lab-nowhere"]

    planned = run_playbook("plan-updates.yml", "file1", plan_updates_wanted_packages=wanted)

    assert planned.failures == {}
    told = planned.evidence["file1"]["plan_updates"]
    coming = [u for u in told["updates"] if not u["from"]]
    assert [(u["package"], u["to"]) for u in coming] == [("lab-dep", NEW), ("lab-newdep", NEW)]
    assert [(item["package"], item["reason"]) for item in told["kept_back"]] == [
        ("lab-nowhere", "is to be installed, and no source of the host offers it")
    ]
    applied = apply(run_playbook, "file1", plan_file("file1", [update(u["package"], "") for u in coming]))
    assert applied.failures == {}
    assert host.package("lab-newdep").version == NEW
    # Else the next clean-up would take it for left over.
    assert "lab-newdep" in host.check_output("apt-mark showmanual").split()
    assert "lab-dep" in host.check_output("apt-mark showauto").split()


def test_plan_of_an_unchanged_host_is_the_same_again(
    fresh_host: FreshHost, run_playbook: RunPlaybook
) -> None:
    fresh_host("web1")
    first = run_playbook("plan-updates.yml", "web1").evidence["web1"]
    # As it is looked at right before a wave: its health is no part of the plan and is left out.
    second = run_playbook("plan-updates.yml", "web1", rawat_reprobe=True).evidence["web1"]
    assert (set(first), set(second)) == ({"check_host", "plan_updates"}, {"plan_updates"})

    for plan in (first, second):
        for measured in ("index", "free_bytes"):
            del plan["plan_updates"][measured]
    assert json.dumps(first["plan_updates"]) == json.dumps(second["plan_updates"])


@pytest.mark.campaign
def test_plan_keeps_held_packages_apart(fresh_host: FreshHost, run_playbook: RunPlaybook) -> None:
    fresh_host("web1").check_output("apt-mark hold lab-good")

    plan = run_playbook("plan-updates.yml", "web1").evidence["web1"]["plan_updates"]

    assert [u["package"] for u in plan["updates"]] == ["lab-sick", "lab-tool"]
    assert plan["held"] == [{"package": "lab-good", "installed": OLD, "candidate": NEW}]
    assert plan["kept_back"] == [
        {"package": "lab-good", "from": OLD, "to": NEW, "reason": "held on the host"}
    ]


@pytest.mark.campaign
def test_plan_shows_unfinished_packages(fresh_host: FreshHost, run_playbook: RunPlaybook) -> None:
    host = fresh_host("web1")
    host.check_output(
        "cd /tmp && apt-get update -q && apt-get download -q lab-good && dpkg --unpack lab-good_*.deb"
    )

    plan = run_playbook("plan-updates.yml", "web1").evidence["web1"]["plan_updates"]

    assert [problem.split(":")[0] for problem in plan["dpkg_audit"]] == ["lab-good"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("{channel} evil main", "not signed", id="wrong-key"),
        pytest.param("http://127.0.0.1:9 lab main", "Connection refused", id="dead-mirror"),
        pytest.param("{channel} gone main", "does not have a Release file", id="suite-gone"),
    ],
)
def test_plan_fails_when_a_source_cannot_be_trusted(
    fresh_host: FreshHost, run_playbook: RunPlaybook, source: str, message: str
) -> None:
    """Never "up to date": one source that cannot be fetched and verified fails the host."""
    host = fresh_host("web1")
    channel = host.check_output("sed -n 's/^URIs: //p' /etc/apt/sources.list.d/lab.sources")
    line = f"deb [signed-by=/usr/share/keyrings/rawat-lab.gpg] {source.format(channel=channel)}"
    host.check_output(f"echo '{line}' > /etc/apt/sources.list.d/extra.list")

    played = run_playbook("plan-updates.yml", "web1", plan_updates_http_retries=0)

    assert "could not be refreshed" in played.failures["web1"]
    assert message in played.failures["web1"]
    published = played.evidence["web1"]["plan_updates"]
    assert published["index"]["refreshed"] is False
    assert "updates" not in published


HOLD_LOCK = (
    "import fcntl,time; f=open('/var/lib/apt/lists/lock','w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep({})"
)


@pytest.mark.campaign
def test_plan_waits_for_another_package_manager(fresh_host: FreshHost, run_playbook: RunPlaybook) -> None:
    host = fresh_host("web1")
    host.check_output(f'systemd-run --quiet --unit=holder python3 -c "{HOLD_LOCK.format(8)}"')

    played = run_playbook("plan-updates.yml", "web1")

    assert played.failures == {}
    assert played.evidence["web1"]["plan_updates"]["index"]["seconds"] > 1


@pytest.mark.campaign
def test_plan_gives_up_on_a_lock_held_for_ever_and_names_it(
    fresh_host: FreshHost, run_playbook: RunPlaybook
) -> None:
    host = fresh_host("web1")
    host.check_output(f'systemd-run --quiet --unit=holder python3 -c "{HOLD_LOCK.format(600)}"')

    played = run_playbook("plan-updates.yml", "web1", plan_updates_lock_timeout=2)

    assert "/var/lib/apt/lists/lock" in played.failures["web1"]
    assert "held by process" in played.failures["web1"]
    assert host.check_output("systemctl is-active holder") == "active"


def test_check_mode_changes_nothing(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host = fresh_host("web1")
    run_playbook("plan-updates.yml", "web1")
    before = packages_of(host), upgrades_in_log(host)

    played = apply(run_playbook, "web1", plan_file("web1", [update("lab-good")]), check=True)

    assert played.failures == {}
    shown = played.evidence["web1"]["apply_updates"]
    assert shown["changes"] == [update("lab-good")]
    assert shown["outcome"] == "not applied (check mode)"
    assert (packages_of(host), upgrades_in_log(host)) == before
    assert not host.file(f"/var/lib/rawat/{RUN}").exists


def test_apply_installs_exactly_the_approved_versions_once(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    """What was not approved stays pending, and a second call changes nothing."""
    host = fresh_host("file1")
    run_playbook("plan-updates.yml", "file1")
    logged = len(upgrades_in_log(host))
    plan = plan_file("file1", [update("lab-good")])

    first = apply(run_playbook, "file1", plan)
    after_first = packages_of(host)
    second = apply(run_playbook, "file1", plan)

    assert first.failures == second.failures == {}
    assert upgrades_in_log(host)[logged:] == [f"lab-good {OLD} {NEW}"]
    evidence = first.evidence["file1"]["apply_updates"]
    assert evidence["changes"] == [update("lab-good")]
    assert (evidence["outcome"], evidence["refused"], evidence["dpkg_audit"]) == ("applied", [], [])
    assert host.package("lab-tool").version == host.package("lab-newdep").version == OLD
    assert not host.package("lab-dep").is_installed
    assert http_status(host, 8090) == "200"
    again = second.evidence["file1"]["apply_updates"]
    # What this run changed stays told as that, however often it is asked.
    assert (again["changes"], again["already"]) == ([update("lab-good")], [])
    assert second.changed("file1") == ONLY_THE_LOCK
    assert packages_of(host) == after_first


@pytest.mark.campaign
def test_apply_installs_the_approved_version_although_a_newer_one_is_offered(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host = fresh_host("file1")
    run_playbook("plan-updates.yml", "file1")
    offer_locally(host, "lab-good", "9.0-1")

    played = apply(run_playbook, "file1", plan_file("file1", [update("lab-good")]))

    assert played.failures == {}
    assert host.package("lab-good").version == NEW


def test_apply_refuses_a_host_that_somebody_changed_since(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    """One package is not as approved: nothing is installed, and the message says which."""
    host = fresh_host("file1")
    run_playbook("plan-updates.yml", "file1")
    offer_locally(host, "lab-good", "9.0-1")
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install -y -q lab-good=9.0-1")
    before = packages_of(host)

    played = apply(run_playbook, "file1", plan_file("file1", [update("lab-good"), update("lab-tool")]))

    evidence = played.evidence["file1"]["apply_updates"]
    assert evidence["outcome"] == "drift"
    assert [(r["package"], r["found"], r["approved_to"]) for r in evidence["refused"]] == [
        ("lab-good", "9.0-1", NEW)
    ]
    assert f"lab-good (approved {OLD} to {NEW}, found 9.0-1)" in played.failures["file1"]
    assert packages_of(host) == before
    assert "reboot_host" not in played.evidence["file1"]


@pytest.mark.campaign
def test_apply_refuses_a_version_that_is_no_longer_offered(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host = fresh_host("file1")
    run_playbook("plan-updates.yml", "file1")
    before = packages_of(host)

    approved = [update("lab-good", after="1.0-1+deb12u9"), update("lab-tool")]
    played = apply(run_playbook, "file1", plan_file("file1", approved))

    assert played.evidence["file1"]["apply_updates"]["refused"][0]["candidate"] == NEW
    assert "no longer offered" in played.failures["file1"]
    assert packages_of(host) == before


@pytest.mark.campaign
def test_apply_refuses_to_bring_in_what_was_not_approved(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    """The resolver could only install lab-newdep together with a new package: the simulation shows it."""
    host = fresh_host("file1")
    run_playbook("plan-updates.yml", "file1")
    before = packages_of(host)

    played = apply(run_playbook, "file1", plan_file("file1", [update("lab-newdep"), update("lab-tool")]))

    assert played.evidence["file1"]["apply_updates"]["outcome"] == "drift"
    assert "lab-dep" in played.failures["file1"]
    assert packages_of(host) == before


@pytest.mark.campaign
def test_apply_refuses_packages_that_others_left_unfinished(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host = fresh_host("web1")
    host.check_output(
        "cd /tmp && apt-get update -q && apt-get download -q lab-sick && dpkg --unpack lab-sick_*.deb"
    )
    before = packages_of(host)

    played = apply(run_playbook, "web1", plan_file("web1", [update("lab-good")]))

    assert played.evidence["web1"]["apply_updates"]["outcome"] == "drift"
    assert "lab-sick" in played.failures["web1"]
    assert packages_of(host) == before


@pytest.mark.campaign
def test_apply_waits_for_a_lock_only_so_long_and_names_who_holds_it(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host = fresh_host("web1")
    run_playbook("plan-updates.yml", "web1")
    hold = HOLD_LOCK.format(600).replace("apt/lists/lock", "dpkg/lock-frontend")
    host.check_output(f'systemd-run --quiet --unit=holder python3 -c "{hold}"')
    before = packages_of(host)
    plan = plan_file("web1", [update("lab-good")])

    played = run_playbook(
        "apply-updates.yml", "web1", rawat_run=RUN, rawat_plan=plan, apply_updates_lock_timeout=2
    )

    assert "held by process" in played.failures["web1"]
    assert played.evidence["web1"]["apply_updates"]["outcome"] == "failed"
    assert packages_of(host) == before
    assert host.check_output("systemctl is-active holder") == "active"


@pytest.mark.campaign
def test_apply_keeps_a_configuration_file_changed_by_hand(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    """No prompt hangs the host, and nothing of the administrator's is overwritten."""
    host = fresh_host("file1")
    run_playbook("plan-updates.yml", "file1")
    offer_configuration(host, "5.0-1", "shipped old")
    host.check_output("apt-get install -y -q conf=5.0-1 && echo mine > /etc/conf.ini")
    offer_configuration(host, "6.0-1", "shipped new")

    planned = run_playbook("plan-updates.yml", "file1").evidence["file1"]["plan_updates"]
    played = apply(run_playbook, "file1", plan_file("file1", [update("conf", "5.0-1", "6.0-1")]))

    kept = {"package": "conf", "path": "/etc/conf.ini", "state": "changed", "choice": "keep"}
    assert {**kept, "sha256": hashlib.sha256(b"mine\n").hexdigest()} in planned["conffiles"]
    assert played.failures == {}
    assert host.file("/etc/conf.ini").content_string == "mine\n"
    assert host.file("/etc/conf.ini.dpkg-dist").content_string == "shipped new\n"


def test_failing_postinst_fails_the_host_and_rollback_heals_it(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host = fresh_host("web3")
    run_playbook("plan-updates.yml", "web3")
    before = packages_of(host)
    plan = plan_file("web3", [update("lab-good"), update("lab-postinst")])

    applied = [apply(run_playbook, "web3", plan) for _ in range(2)]
    broken = packages_of(host)
    undone = roll_back(run_playbook, "web3", plan)
    again = roll_back(run_playbook, "web3", plan)

    for played in applied:
        evidence = played.evidence["web3"]["apply_updates"]
        assert evidence["outcome"] == "failed"
        assert evidence["dpkg_audit"] == ["lab-postinst: only half configured"]
        assert "this update fails on purpose" in evidence["log_tail"]
        assert "lab-postinst" in played.failures["web3"]
    assert broken != before
    assert undone.failures == {}
    evidence = undone.evidence["web3"]["rollback_updates"]
    assert (evidence["outcome"], evidence["not_undone"], evidence["dpkg_audit"]) == ("rolled back", [], [])
    assert [change["package"] for change in evidence["changes"]] == ["lab-good", "lab-postinst"]
    assert packages_of(host) == before
    assert host.run("systemctl --failed --no-legend").stdout == ""
    assert again.evidence["web3"]["rollback_updates"]["outcome"] == "nothing to undo"
    assert again.changed("web3") == ONLY_THE_LOCK


@pytest.mark.parametrize("broken", [("web1", "lab-sick", 8091, "500"), ("web2", "lab-crash", 8092, "000")])
def test_rollback_brings_a_service_back_that_its_update_broke(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan, broken: tuple[str, str, int, str]
) -> None:
    """To apt these updates are good: only the tests after them can tell, and the rollback has to help."""
    name, package, port, status_expected = broken
    host = fresh_host(name)
    run_playbook("plan-updates.yml", name)
    plan = plan_file(name, [update(package)], antivirus={"product": "ClamAV", "database_on_disk": "1"})

    applied = apply(run_playbook, name, plan)
    status_after = http_status(host, port)
    undone = roll_back(run_playbook, name, plan)

    assert applied.evidence[name]["apply_updates"]["outcome"] == "applied"
    assert status_after == status_expected
    assert undone.failures == {}
    assert http_status(host, port) == "200"
    assert host.package(package).version == OLD
    evidence = undone.evidence[name]["rollback_updates"]
    assert evidence["outcome"] == "rolled back"
    # The database that was updated with the packages stays, and that is said.
    assert [item["package"] for item in evidence["not_undone"]] == ["ClamAV signatures"]


@pytest.mark.campaign
def test_rollback_says_what_it_cannot_undo(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    host = fresh_host("web1")
    run_playbook("plan-updates.yml", "web1")
    plan = plan_file("web1", [update("lab-good"), update("lab-sick")])
    apply(run_playbook, "web1", plan)
    # What was kept for this is gone too: tests/roles/test_rollback_ladder.py goes back by it.
    host.check_output(f"rm -r /var/lib/rawat/{RUN}/packages")
    offer_locally(host, "lab-sick", OLD)
    host.check_output(
        "sed -i 's/^Suites:.*/Suites: lab-security/' /etc/apt/sources.list.d/lab.sources; apt-get update -q"
    )

    undone = roll_back(run_playbook, "web1", plan)

    evidence = undone.evidence["web1"]["rollback_updates"]
    assert evidence["outcome"] == "incomplete"
    assert [item["package"] for item in evidence["not_undone"]] == ["lab-good"]
    assert "no longer offered" in evidence["not_undone"][0]["reason"]
    assert "needs a person" in undone.failures["web1"]
    assert host.package("lab-good").version == NEW
    assert host.package("lab-sick").version == OLD


@pytest.mark.parametrize("approved", [True, False])
def test_reboot_happens_only_when_required_and_approved(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan, *, approved: bool
) -> None:
    host = fresh_host("db1")
    run_playbook("plan-updates.yml", "db1")
    boot = host.file("/proc/sys/kernel/random/boot_id").content_string.strip()
    plan = plan_file("db1", [update("lab-reboot")], reboot=approved)

    played = apply(run_playbook, "db1", plan)
    again = apply(run_playbook, "db1", plan)

    assert played.failures == again.failures == {}
    evidence = played.evidence["db1"]["reboot_host"]
    assert (evidence["required"], evidence["approved"], evidence["rebooted"]) == (True, approved, approved)
    assert evidence["because"] == ["lab-reboot"]
    assert evidence["boot_id_before"] == boot
    now = host.file("/proc/sys/kernel/random/boot_id").content_string.strip()
    assert evidence["boot_id_after"] == now
    assert (now != boot) is approved
    assert host.file("/run/reboot-required").exists is not approved
    assert again.evidence["db1"]["reboot_host"]["rebooted"] is False


def boot_of(host: Host) -> str:
    return str(host.check_output("cat /proc/sys/kernel/random/boot_id")).strip()


def test_the_machine_that_rawat_runs_on_is_not_waited_for(
    fresh_host: FreshHost, run_playbook: RunPlaybook, plan_file: Plan
) -> None:
    """The host stands for that machine by its boot id: left in its wave, told to restart, booted."""
    host = fresh_host("db1")
    host.check_output("echo lab-reboot > /run/reboot-required.pkgs; touch /run/reboot-required")
    before = boot_of(host)
    plan = plan_file("db1", [], reboot=True)
    told = {"rawat_run": RUN, "rawat_plan": plan, "rawat_claim": {"run": RUN}, "rawat_action": "7-1-1-reboot"}
    own = {**told, "rawat_controllers": ["db1"], "rawat_controller_boot": before}
    # However slow this machine is, both calls are made before the timer is up; it is then cut short.
    own["reboot_host_delay"] = 600

    unnamed = run_playbook("reboot-controller.yml", "db1", **{**own, "rawat_controllers": []})
    wave = run_playbook("apply-updates.yml", "db1", **own)
    asked = run_playbook("reboot-controller.yml", "db1", **own)
    again = run_playbook("reboot-controller.yml", "db1", **own)
    host.check_output("systemctl start --no-block rawat-reboot.service")
    deadline = time.monotonic() + 60
    while (now := rebooted(host)) in {"", before} and time.monotonic() < deadline:
        time.sleep(0.5)
    after = run_playbook("reboot-controller.yml", "db1", **{**own, "rawat_controller_boot": now})

    assert "db1 is the machine that Rawat runs on, and the inventory does not say" in unnamed.failures["db1"]
    assert wave.failures == asked.failures == again.failures == after.failures == {}
    said = [run.evidence["db1"]["reboot_host"] for run in (unnamed, wave, asked, again, after)]
    assert [told["asked"] for told in said] == [False, False, True, True, False]
    assert [told["rebooted"] for told in said] == [False, False, False, False, True]
    assert [told["boot_id_before"] for told in said] == [before] * 5
    assert [told["boot_id_after"] for told in said] == [before] * 4 + [now]
    assert said[-1]["because"] == ["lab-reboot"]
    assert boot_of(host) == now != before
    assert host.run("systemctl is-active rawat-reboot.timer").stdout.strip() == "inactive"


def rebooted(host: Host) -> str:
    """Return the boot id of a host that may be away, an empty string then."""
    try:
        return boot_of(host)
    except RuntimeError:  # testinfra's word for an ssh that was not answered
        return ""


def slow_down(host: Host, seconds: int) -> None:
    """Make the postinst of the lab's services wait, in the middle of dpkg's work."""
    host.check_output(
        "set -e; mv /usr/bin/systemctl /usr/bin/systemctl.real; printf '%s\\n' '#!/bin/sh'"
        f" 'case \"$*\" in *enable*) touch /run/in-postinst; sleep {seconds};; esac'"
        " 'exec /usr/bin/systemctl.real \"$@\"' > /usr/bin/systemctl; chmod 755 /usr/bin/systemctl"
    )


def start_and_kill(command: list[str], host: Host) -> None:
    """Start a playbook, and kill the controller's side at once when dpkg works on the host."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True) as controller:
        deadline = time.monotonic() + 60
        while not host.file("/run/in-postinst").exists:
            assert time.monotonic() < deadline, "the installation never began"
            time.sleep(0.2)
        os.killpg(controller.pid, signal.SIGKILL)


def test_work_of_a_killed_controller_is_joined_not_repeated(
    fresh_host: FreshHost,
    run_playbook: RunPlaybook,
    playbook_command: PlaybookCommand,
    plan_file: Plan,
) -> None:
    host = fresh_host("file1")
    run_playbook("plan-updates.yml", "file1")
    slow_down(host, 8)
    logged = len(upgrades_in_log(host))
    plan = plan_file("file1", [update("lab-good")])

    start_and_kill(playbook_command("apply-updates.yml", "file1", rawat_run=RUN, rawat_plan=plan), host)
    resumed = apply(run_playbook, "file1", plan)

    assert resumed.failures == {}
    evidence = resumed.evidence["file1"]["apply_updates"]
    assert (evidence["changes"], evidence["already"]) == ([update("lab-good")], [])
    assert upgrades_in_log(host)[logged:] == [f"lab-good {OLD} {NEW}"]


def test_host_that_was_lost_is_asked_and_not_patched(
    fresh_host: FreshHost, run_playbook: RunPlaybook, playbook_command: PlaybookCommand, plan_file: Plan
) -> None:
    """Asked before anything was begun, and again while the work of a lost call goes on."""
    host = fresh_host("file1")
    run_playbook("plan-updates.yml", "file1")
    plan = plan_file("file1", [update("lab-good")])
    wanted: dict[str, Any] = {"rawat_run": RUN, "rawat_plan": plan}
    logged = len(upgrades_in_log(host))

    nothing = run_playbook("apply-updates.yml", "file1", rawat_reattach=True, **wanted)
    left = upgrades_in_log(host)[logged:]
    slow_down(host, 4)
    start_and_kill(playbook_command("apply-updates.yml", "file1", **wanted), host)
    joined = run_playbook("apply-updates.yml", "file1", rawat_reattach=True, **wanted)

    assert "Nothing was begun on the host before it was lost" in nothing.failures["file1"]
    assert left == []
    assert joined.failures == {}
    assert joined.evidence["file1"]["apply_updates"]["changes"] == [update("lab-good")]
    assert upgrades_in_log(host)[logged:] == [f"lab-good {OLD} {NEW}"]


@pytest.mark.campaign
def test_apply_finishes_what_a_power_cut_left_unfinished(
    fresh_host: FreshHost,
    run_playbook: RunPlaybook,
    playbook_command: PlaybookCommand,
    plan_file: Plan,
) -> None:
    host = fresh_host("file1")
    run_playbook("plan-updates.yml", "file1")
    slow_down(host, 60)
    plan = plan_file("file1", [update("lab-good"), update("lab-tool")])

    start_and_kill(playbook_command("apply-updates.yml", "file1", rawat_run=RUN, rawat_plan=plan), host)
    lab = driver.load(LAB)
    hosts.close_connections(lab, lab.host("file1"))
    hosts.cut_power(lab, lab.host("file1"))
    driver.start(LAB, "file1")
    host.check_output("mv /usr/bin/systemctl.real /usr/bin/systemctl")
    left = host.check_output("dpkg --audit")
    resumed = apply(run_playbook, "file1", plan)

    assert left != ""
    assert resumed.failures == {}
    assert resumed.evidence["file1"]["apply_updates"]["outcome"] == "applied"
    assert host.check_output("dpkg --audit") == ""
    assert host.package("lab-good").version == host.package("lab-tool").version == NEW
    assert http_status(host, 8090) == "200"
