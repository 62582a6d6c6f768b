"""What is pending on a host of the RHEL family, asked of the real dnf over repositories that are known."""

from __future__ import annotations

from typing import Any

import pytest
from played import FreshHost, Played, RunPlaybook
from testinfra.host import Host

from lab.rpm_packages import QUIET, REPOSITORIES, UPDATES
from runner import plan as plans
from runner.findings import PlanUpdates

pytestmark = [pytest.mark.campaign, pytest.mark.lab]

HOST = "rhel1"


def planned(run_playbook: RunPlaybook, **variables: object) -> dict[str, Any]:
    """Plan the host, look at what came as the runner would, and return it."""
    played = run_playbook("plan-updates.yml", HOST, **variables)
    assert played.failures == {}, played.output
    assert played.changed(HOST) == 0
    found: dict[str, Any] = played.evidence[HOST]["plan_updates"]
    PlanUpdates.model_validate(found)
    return found


def refused(run_playbook: RunPlaybook, **variables: object) -> Played:
    """Plan the host, which must fail, and must not say what is pending."""
    played = run_playbook("plan-updates.yml", HOST, **variables)
    assert list(played.failures) == [HOST], played.output
    assert "updates" not in played.evidence[HOST].get("plan_updates", {})
    return played


def installed(host: Host) -> str:
    """Return all packages of the host and the number of transactions it has seen."""
    return host.check_output("rpm -qa | sort; dnf -q -C history list 2>/dev/null | wc -l")


def test_what_is_pending_is_told_with_kind_and_advisories(
    run_playbook: RunPlaybook, fresh_host: FreshHost
) -> None:
    host = fresh_host(HOST)
    before = installed(host)
    found = planned(run_playbook)

    told = {
        u["package"]: (u["from"], u["to"], u["kind"], u["label"], u["cves"], u["changelog"], u["reboot"])
        for u in found["updates"]
    }
    old, new = "1.0-1", "1.0-2"
    cves = ["CVE-2099-7001", "CVE-2099-7002"]
    assert told == {
        "clamav-lab": (old, new, "antivirus", UPDATES, ["CVE-2099-7003"], "read", False),
        "lab-boot": (old, new, "system", UPDATES, [], "none named", True),
        "lab-crash": (old, new, "security", UPDATES, ["CVE-2099-7005"], "read", False),
        "lab-keeps": (old, new, "system", UPDATES, [], "none named", False),
        "lab-kernel": (old, new, "system", UPDATES, [], "none named", False),
        "lab-plain": (old, new, "system", UPDATES, [], "none named", False),
        "lab-quiet": (old, new, "system", QUIET, [], "unavailable", False),
        "lab-refuses": (old, new, "system", UPDATES, [], "none named", False),
        "lab-script": (old, new, "system", UPDATES, [], "none named", False),
        "lab-settles": (old, new, "system", UPDATES, [], "none named", False),
        "lab-tool": (old, new, "system", UPDATES, [], "none named", False),
        "lab-unnamed": (old, new, "security", UPDATES, [], "none named", False),
        "lab-web": (old, new, "security", UPDATES, cves, "read", False),
    }
    assert found["os"]["name"] == "Rocky Linux"
    assert (found["index"]["refreshed"], found["dpkg_audit"], found["conffiles"]) == (True, [], [])
    assert found["reboot"] == {"required_now": False, "expected": True, "because": ["lab-boot"]}
    assert 0 < found["needed_bytes"] < found["free_bytes"]
    assert installed(host) == before


def test_what_would_come_go_or_is_locked_is_told_and_not_planned(
    run_playbook: RunPlaybook, fresh_host: FreshHost
) -> None:
    fresh_host(HOST)
    found = planned(run_playbook)

    assert {item["package"]: item["reason"] for item in found["kept_back"]} == {
        "lab-locked": "held on the host",
        "lab-newdep": "needs new package lab-dep",
        "lab-old": "would be replaced by lab-next",
    }
    assert found["held"] == [{"package": "lab-locked", "installed": "1.0-1", "candidate": "1.0-2"}]
    assert {item["package"]: item["needed_by"] for item in found["new_packages"]} == {
        "lab-dep": "lab-newdep",
        "lab-next": "",
    }


def test_two_looks_at_an_unchanged_host_give_the_same_plan(
    run_playbook: RunPlaybook, fresh_host: FreshHost
) -> None:
    fresh_host(HOST)
    item = {"host": HOST, "status": "ok", "failure": None}
    acts_by = plans.ActsBy("d", {})
    first, second = (
        plans.make_plan("r", "s", acts_by, [{**item, "results": {"plan_updates": planned(run_playbook)}}])
        for _ in range(2)
    )

    assert first == second
    assert len(first["hosts"][HOST]["updates"]) == 13


def test_settings_changed_by_hand_stay_or_keep_the_update_back(
    run_playbook: RunPlaybook, fresh_host: FreshHost
) -> None:
    host = fresh_host(HOST)
    host.check_output("echo mine > /etc/lab-keeps.conf; echo mine > /etc/lab-settles.conf")
    found = planned(run_playbook)

    assert found["conffiles"] == [{"package": "lab-keeps", "path": "/etc/lab-keeps.conf", "state": "changed"}]
    assert "lab-keeps" in {update["package"] for update in found["updates"]}
    assert "lab-settles" not in {update["package"] for update in found["updates"]}
    reasons = {item["package"]: item["reason"] for item in found["kept_back"]}
    assert reasons["lab-settles"] == "would replace configuration changed by hand: /etc/lab-settles.conf"


@pytest.mark.parametrize(
    ("breaking", "said"),
    [
        pytest.param(f"mv /{REPOSITORIES}/{UPDATES} /gone", UPDATES, id="a source that is gone"),
        pytest.param(
            f"cp /dev/null /{REPOSITORIES}/{UPDATES}/repodata/repomd.xml", UPDATES, id="an empty index"
        ),
        pytest.param("rm /etc/yum.repos.d/*", "no source is enabled", id="no source at all"),
        pytest.param(
            f"sed -i s,^baseurl=.*,baseurl=http://127.0.0.1:9/, /etc/yum.repos.d/{UPDATES}.repo",
            UPDATES,
            id="a server that does not answer",
        ),
    ],
)
@pytest.mark.parametrize("looked_before", [False, True], ids=["first look", "cached"])
def test_a_source_that_cannot_be_had_is_never_up_to_date(
    run_playbook: RunPlaybook, fresh_host: FreshHost, breaking: str, said: str, *, looked_before: bool
) -> None:
    host = fresh_host(HOST)
    if looked_before:
        host.check_output("dnf -q makecache")
    host.check_output(breaking)
    # A source that may be missing is dnf's usual setting.
    host.run("echo skip_if_unavailable=True >> /etc/dnf/dnf.conf")

    played = refused(run_playbook)

    assert "updates are not known" in played.failures[HOST]
    assert said in played.failures[HOST]
    assert played.evidence[HOST]["plan_updates"]["index"]["refreshed"] is False


def test_metadata_that_are_not_those_of_the_index_are_refused(
    run_playbook: RunPlaybook, fresh_host: FreshHost
) -> None:
    host = fresh_host(HOST)
    host.check_output(f"for f in /{REPOSITORIES}/{UPDATES}/repodata/*primary.xml*; do echo x >> $f; done")

    assert UPDATES in refused(run_playbook).failures[HOST]


def test_a_source_of_a_plugin_may_be_missing(run_playbook: RunPlaybook, fresh_host: FreshHost) -> None:
    host = fresh_host(HOST)
    # The store of downloads, which nobody has made here.
    assert "_dnf_local" in host.check_output("dnf -C repolist --all 2>/dev/null")

    assert len(planned(run_playbook)["updates"]) == 13


def test_another_process_of_dnf_is_waited_for_and_then_named(
    run_playbook: RunPlaybook, fresh_host: FreshHost
) -> None:
    host = fresh_host(HOST)
    hold = (
        "import dnf,time; b=dnf.Base(); b.conf.read(); "
        "l=dnf.lock.build_metadata_lock(b.conf.cachedir, True); l.__enter__(); time.sleep(600)"
    )
    host.check_output("systemd-run --quiet --unit=holder /usr/bin/python3 -c %s && sleep 2", hold)

    played = refused(run_playbook, plan_updates_lock_timeout=2)

    holder = host.check_output("systemctl show --property=MainPID --value holder")
    assert f"process {holder} (" in played.failures[HOST]


def test_check_mode_fetches_nothing_and_says_so(run_playbook: RunPlaybook, fresh_host: FreshHost) -> None:
    host = fresh_host(HOST)
    host.check_output("dnf -q makecache")
    before = host.check_output("find /var/cache/dnf -name repomd.xml -newermt 2000-01-01 -printf '%p %T@\\n'")
    played = run_playbook("plan-updates.yml", HOST, check=True)

    found = played.evidence[HOST]["plan_updates"]
    assert (found["index"]["refreshed"], len(found["updates"])) == (False, 13)
    after = host.check_output("find /var/cache/dnf -name repomd.xml -newermt 2000-01-01 -printf '%p %T@\\n'")
    assert after == before


def test_a_database_that_is_not_sound_is_told(run_playbook: RunPlaybook, fresh_host: FreshHost) -> None:
    host = fresh_host(HOST)
    # As after an rpm that was killed: the new package is there, and the old one still is.
    host.check_output(f"rpm -i --force --nodeps /{REPOSITORIES}/{UPDATES}/noarch/lab-tool-1.0-2.noarch.rpm")
    found = planned(run_playbook)

    assert [line for line in found["dpkg_audit"] if "lab-tool" in line] != []
