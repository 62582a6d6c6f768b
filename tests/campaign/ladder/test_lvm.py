"""A host whose root is on LVM goes back by a snapshot merged as it starts; nothing is lost or passed over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ladder_field import HOST, RUN, LadderField
from lvm_host import GROUP, with_lvm_root
from office_services import put
from testinfra.host import Host

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

CONF = ("conf", "5.0-1", "6.0-1")
FIRST = {"rawat_claim": {"run": RUN, "started": "a" * 64, "operator": "x"}}
BEFORE, REPLACED = f"{GROUP}/rawat-{RUN}", f"{GROUP}/rawat-{RUN}-replaced-1"
ROOT, MIB = f"{GROUP}/root", 2**20
# The kernel of such a host is a program among others: what takes seconds elsewhere takes minutes.
SLOW = 600
AWAIT_MERGE = """\
while dmsetup table | grep -q snapshot-merge || lvs -a --noheadings -o lv_merging | grep -q merging
do sleep 1; done
"""


@pytest.fixture(scope="module", name="rooted")
def _rooted(lab_inventory: Path) -> Iterator[Host]:
    with with_lvm_root(lab_inventory) as host:
        yield host


@pytest.fixture(name="slow")
def _slow(field: LadderField) -> LadderField:
    field.seconds = SLOW
    return field


@pytest.fixture
def host(rooted: Host, slow: LadderField) -> Host:
    """Return the host with the old package, the new one being offered, and no snapshot of earlier tests."""
    put(rooted, "/root/await-merge", AWAIT_MERGE)
    rooted.check_output("timeout 300 sh /root/await-merge")
    for volume in snapshots_of(rooted):
        rooted.check_output(f"lvremove --yes {GROUP}/{volume}")
    for tag in filter(None, rooted.check_output(f"lvs --noheadings -o lv_tags {ROOT}").strip().split(",")):
        rooted.check_output(f"lvchange --deltag {tag} {ROOT}")
    rooted.check_output("sh -c 'rm -rf /var/lib/rawat; dpkg --purge conf; rm -rf /etc/conf.*'")
    slow.offer(rooted, "5.0-1", "old")
    rooted.check_output("apt-get install -y -q conf=5.0-1")
    slow.offer(rooted, "6.0-1", "new")
    return rooted


def snapshots_of(host: Host) -> list[str]:
    listed = host.check_output(f"lvs --all --noheadings -o lv_name -S 'origin=root' {GROUP}").split()
    return [name.strip("[]") for name in listed]


def planned(field: LadderField, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any variable
    """Plan on the real host and approve what it says of its root, for the one package."""
    told: dict[str, Any] = field.evidence("plan-updates.yml", **more)["plan_updates"]["snapshot"]
    path = field.plan(CONF)
    plan = json.loads(path.read_text())
    plan["hosts"][HOST]["snapshot"] = told
    path.write_text(json.dumps(plan))
    return told


def boot_of(host: Host) -> str:
    return host.check_output("cat /proc/sys/kernel/random/boot_id")


def restart(host: Host) -> None:
    """Have the host start again, and wait until it answers."""
    before, deadline = boot_of(host), time.monotonic() + SLOW
    now = before
    with suppress(RuntimeError):
        host.run("systemctl reboot")
    while now == before:
        assert time.monotonic() < deadline
        time.sleep(2)
        # A host that is down is an error to testinfra.
        with suppress(RuntimeError):
            now = boot_of(host)


def seen_in(host: Host, volume: str, path: str) -> str:
    """Return what a file holds in a snapshot."""
    host.check_output(f"mount -o ro /dev/{volume} /mnt")
    try:
        return host.file(f"/mnt{path}").content_string
    finally:
        host.check_output("umount /mnt")


def test_the_host_goes_back_whole_and_what_was_written_since_is_kept_beside(
    host: Host, slow: LadderField
) -> None:
    told = planned(slow)
    slow.evidence("backup-hosts.yml")
    applied = slow.evidence("apply-updates.yml", **FIRST)
    host.check_output("sh -c 'echo since > /srv/since; echo since > /srv/data/since'")
    before = boot_of(host)

    undone = slow.evidence("rollback-updates.yml", **FIRST)
    again = slow.evidence("rollback-updates.yml", **FIRST)

    assert told == {
        "file_system": "ext4", "subvolume": "", "volume": ROOT, "room_bytes": told["room_bytes"],
        "taken": True, "returns": True, "why_not": "", "not_covered": ["/srv/data"],
    }  # fmt: skip
    assert told["room_bytes"] >= 512 * MIB
    took = applied["take_snapshot"]
    assert (took["taken"], took["place"], took["problem"]) == (True, BEFORE, "")
    returned = undone["return_to_snapshot"]
    assert (returned["outcome"], returned["replaced"]) == ("returned", REPLACED)
    assert [item["path"] for item in undone["judge_rollback"]["left"]] == ["/", "/srv/data"]
    assert undone["judge_rollback"]["whole"]
    assert undone["compare_baseline"]["rungs"][0]["rung"] == "snapshot"
    assert undone["rollback_updates"]["outcome"] == "nothing to undo"
    assert again["return_to_snapshot"]["outcome"] == "returned"
    # Restarted once, with everything of the package as it was.
    assert boot_of(host) != before
    assert host.package("conf").version == "5.0-1"
    assert host.file("/etc/conf.ini").content_string == "old\n"
    assert not host.file("/srv/since").exists
    assert host.file("/srv/data/since").content_string == "since\n"
    assert not host.file("/var/lib/rawat/lock.json").exists
    host.check_output("timeout 300 sh /root/await-merge")
    assert seen_in(host, REPLACED, "/srv/since") == "since\n"
    # Merged to the end, the snapshot from before is no longer there, and the answer is the same.
    assert snapshots_of(host) == [REPLACED.partition("/")[2]]
    assert slow.evidence("rollback-updates.yml", **FIRST)["return_to_snapshot"]["outcome"] == "returned"


def test_a_second_call_keeps_the_snapshot_from_before_and_ended_runs_lose_theirs_after_days(
    host: Host, slow: LadderField
) -> None:
    planned(slow)
    first = slow.evidence("apply-updates.yml", **FIRST)
    identity = host.check_output(f"lvs --noheadings -o lv_uuid {BEFORE}")
    slow.evidence("apply-updates.yml", **FIRST)
    same = host.check_output(f"lvs --noheadings -o lv_uuid {BEFORE}")
    other = {"rawat_run": "2026-11-23-other", "rawat_claim": {"run": "2026-11-23-other", "started": "c" * 64}}
    slow.plan()

    open_still = slow.evidence("apply-updates.yml", **other, take_snapshot_keep_days=0)
    too_early = slow.evidence("apply-updates.yml", **other, rawat_ended=["a" * 64])
    due = slow.evidence("apply-updates.yml", **other, rawat_ended=["a" * 64], take_snapshot_keep_days=0)

    assert first["take_snapshot"]["taken"]
    assert same == identity
    kept = [{"run": RUN, "days": 0}]
    assert [item["take_snapshot"]["kept"] for item in (open_still, too_early, due)] == [kept, kept, []]
    assert due["take_snapshot"]["removed"] == kept
    assert snapshots_of(host) == []


def test_a_snapshot_that_ran_full_is_told_and_the_next_rung_does_its_part(
    host: Host, slow: LadderField
) -> None:
    planned(slow)
    plan = json.loads((slow.folder / "plan.json").read_text())
    plan["hosts"][HOST]["snapshot"]["room_bytes"] = 32 * MIB
    (slow.folder / "plan.json").write_text(json.dumps(plan))
    slow.evidence("backup-hosts.yml")
    slow.evidence("apply-updates.yml", **FIRST)
    host.check_output("sh -c 'head -c 100M /dev/urandom > /srv/much; sync; rm /srv/much'")
    before = boot_of(host)

    undone = slow.evidence("rollback-updates.yml", **FIRST)

    returned = undone["return_to_snapshot"]
    assert (returned["outcome"], returned["reason"]) == (
        "not possible", "more was changed than the snapshot can hold",
    )  # fmt: skip
    assert undone["rollback_updates"]["outcome"] == "rolled back"
    assert host.package("conf").version == "5.0-1"
    assert boot_of(host) == before


def test_a_host_that_restarted_meanwhile_goes_back_and_one_that_was_to_restart_is_restarted(
    host: Host, slow: LadderField
) -> None:
    planned(slow)
    slow.evidence("backup-hosts.yml")
    slow.evidence("apply-updates.yml", **FIRST)
    restart(host)
    before = boot_of(host)
    # As a runner leaves it that died right after LVM was told.
    host.check_output(f"lvchange --addtag rawat.returned.{RUN}.{before} {ROOT}")
    host.check_output(f"lvconvert --yes --merge {BEFORE}")

    undone = slow.evidence("rollback-updates.yml", **FIRST)

    assert undone["return_to_snapshot"]["outcome"] == "returned"
    assert boot_of(host) != before
    assert host.package("conf").version == "5.0-1"


def test_no_snapshot_is_promised(host: Host, slow: LadderField) -> None:
    own = planned(slow, rawat_controllers=[HOST])
    host.check_output(f"lvcreate --yes --wipesignatures n -n filler -l 90%FREE {GROUP}")
    try:
        full = planned(slow)
        applied = slow.evidence("apply-updates.yml", **FIRST)
    finally:
        host.check_output(f"lvremove --yes {GROUP}/filler")

    assert (own["taken"], own["why_not"]) == (
        False, "Rawat runs on this machine: its own record would be taken back",
    )  # fmt: skip
    assert (full["taken"], full["volume"]) == (False, ROOT)
    assert full["why_not"].startswith(f"the volume group {GROUP} has less than ")
    assert not applied["take_snapshot"]["taken"]
    assert host.package("conf").version == "6.0-1"


def test_a_promised_snapshot_that_cannot_be_taken_changes_nothing(host: Host, slow: LadderField) -> None:
    planned(slow)
    host.check_output(f"lvcreate --yes --wipesignatures n -n filler -l 90%FREE {GROUP}")

    played = slow.play("apply-updates.yml", **FIRST)
    host.check_output(f"lvremove --yes {GROUP}/filler")

    assert "The snapshot that was approved cannot be taken, so nothing is changed" in played.failures[HOST]
    assert host.package("conf").version == "5.0-1"
    assert snapshots_of(host) == []
