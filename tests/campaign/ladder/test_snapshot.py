"""A host with a btrfs root goes back by its snapshot; nothing is lost or passed over in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from btrfs_host import with_btrfs_root
from ladder_field import HOST, RUN, LadderField
from office_services import put
from testinfra.host import Host

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

CONF = ("conf", "5.0-1", "6.0-1")
FIRST = {"rawat_claim": {"run": RUN, "started": "a" * 64, "operator": "x"}}
# What the tests themselves do at the top of the host's file system, as an administrator would.
OPEN_TOP = "mount -t btrfs -o subvolid=5 $(awk '$5 == \"/\" {print $(NF-1)}' /proc/self/mountinfo) /mnt\n"
EMPTY_TOP = """\
sh /root/open-top
for place in /mnt/rawat-snapshots/*/*/; do test ! -d "$place" || btrfs subvolume delete "$place"; done
rm -rf /mnt/rawat-snapshots; umount /mnt
"""
EXCHANGE = """\
sh /root/open-top; cd /mnt/rawat-snapshots/$1; btrfs subvolume snapshot before replaced-1
python3 -c "import ctypes; ctypes.CDLL(None).renameat2(-100, b'replaced-1', -100, b'/mnt/@rootfs', 2)"
cd /; umount /mnt
"""


@pytest.fixture(scope="module", name="rooted")
def _rooted(lab_inventory: Path) -> Iterator[Host]:
    with with_btrfs_root(lab_inventory) as host:
        yield host


@pytest.fixture
def host(rooted: Host, field: LadderField) -> Host:
    """Return the host with the old package, the new one being offered, and no snapshot of earlier tests."""
    put(rooted, "/root/open-top", OPEN_TOP)
    put(rooted, "/root/empty-top", EMPTY_TOP)
    put(rooted, "/root/exchange", EXCHANGE)
    rooted.check_output("sh -e /root/empty-top")
    rooted.check_output("sh -c 'rm -rf /var/lib/rawat; dpkg --purge conf; rm -rf /etc/conf.*'")
    field.offer(rooted, "5.0-1", "old")
    rooted.check_output("apt-get install -y -q conf=5.0-1")
    field.offer(rooted, "6.0-1", "new")
    return rooted


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


def test_the_host_goes_back_whole_and_what_was_written_since_is_kept_beside(
    host: Host, field: LadderField
) -> None:
    told = planned(field)
    field.evidence("backup-hosts.yml")
    applied = field.evidence("apply-updates.yml", **FIRST)
    host.check_output("sh -c 'echo since > /srv/since; echo since > /srv/data/since'")
    before = boot_of(host)

    undone = field.evidence("rollback-updates.yml", **FIRST)
    again = field.evidence("rollback-updates.yml", **FIRST)

    assert told == {
        "file_system": "btrfs", "subvolume": "/@rootfs", "volume": "", "room_bytes": 0, "taken": True,
        "returns": True, "why_not": "", "not_covered": ["/srv/data"],
    }  # fmt: skip
    assert (applied["take_snapshot"]["taken"], applied["take_snapshot"]["problem"]) == (True, "")
    returned = undone["return_to_snapshot"]
    place = f"rawat-snapshots/{RUN}/replaced-1"
    assert (returned["outcome"], returned["replaced"]) == ("returned", place)
    assert [item["path"] for item in undone["judge_rollback"]["left"]] == ["/", "/srv/data"]
    assert undone["judge_rollback"]["whole"]
    assert undone["compare_baseline"]["rungs"][0]["rung"] == "snapshot"
    assert undone["rollback_updates"]["outcome"] == "nothing to undo"
    assert again["return_to_snapshot"]["outcome"] == "returned"
    # Restarted once, into the copy, with everything of the package as it was.
    assert boot_of(host) != before
    assert host.package("conf").version == "5.0-1"
    assert host.file("/etc/conf.ini").content_string == "old\n"
    assert not host.file("/srv/since").exists
    assert host.file("/srv/data/since").content_string == "since\n"
    assert not host.file("/var/lib/rawat/lock.json").exists
    host.check_output("sh /root/open-top")
    assert host.file(f"/mnt/{place}/srv/since").content_string == "since\n"
    assert host.run(f"touch /mnt/rawat-snapshots/{RUN}/before/x").rc != 0
    host.check_output("umount /mnt")


def test_a_second_call_keeps_the_snapshot_from_before_and_ended_runs_lose_theirs_after_days(
    host: Host, field: LadderField
) -> None:
    planned(field)
    first = field.evidence("apply-updates.yml", **FIRST)
    host.check_output("sh /root/open-top")
    identity = host.check_output(f"btrfs subvolume show /mnt/rawat-snapshots/{RUN}/before | grep -w UUID")
    field.evidence("apply-updates.yml", **FIRST)
    same = host.check_output(f"btrfs subvolume show /mnt/rawat-snapshots/{RUN}/before | grep -w UUID")
    other = {"rawat_run": "2026-11-23-other", "rawat_claim": {"run": "2026-11-23-other", "started": "c" * 64}}
    field.plan()

    open_still = field.evidence("apply-updates.yml", **other, take_snapshot_keep_days=0)
    too_early = field.evidence("apply-updates.yml", **other, rawat_ended=["a" * 64])
    due = field.evidence("apply-updates.yml", **other, rawat_ended=["a" * 64], take_snapshot_keep_days=0)

    assert first["take_snapshot"]["taken"]
    assert same == identity
    kept = [{"run": RUN, "days": 0}]
    assert [item["take_snapshot"]["kept"] for item in (open_still, too_early, due)] == [kept, kept, []]
    assert due["take_snapshot"]["removed"] == kept
    assert not host.file(f"/mnt/rawat-snapshots/{RUN}").exists
    host.check_output("umount /mnt")


def test_what_cannot_be_brought_back_whole_is_told_and_the_next_rung_does_its_part(
    host: Host, field: LadderField
) -> None:
    planned(field)
    field.evidence("backup-hosts.yml")
    field.evidence("apply-updates.yml", **FIRST)
    host.check_output("sh -c 'btrfs subvolume create /var/lib/mesin && touch /var/lib/mesin/disk'")
    before = boot_of(host)

    told = planned(field)
    assert told["why_not"] == "the subvolume /var/lib/mesin lies inside of the root and would be left behind"
    plan = json.loads((field.folder / "plan.json").read_text())
    plan["hosts"][HOST]["snapshot"] |= {"taken": True, "returns": True}
    (field.folder / "plan.json").write_text(json.dumps(plan))
    undone = field.evidence("rollback-updates.yml", **FIRST)

    host.check_output("btrfs subvolume delete /var/lib/mesin")
    assert undone["return_to_snapshot"]["outcome"] == "not possible"
    assert "/var/lib/mesin" in undone["return_to_snapshot"]["reason"]
    assert undone["rollback_updates"]["outcome"] == "rolled back"
    assert host.package("conf").version == "5.0-1"
    assert boot_of(host) == before


def test_a_host_that_was_exchanged_and_not_restarted_is_restarted(host: Host, field: LadderField) -> None:
    planned(field)
    field.evidence("backup-hosts.yml")
    field.evidence("apply-updates.yml", **FIRST)
    before = boot_of(host)
    # As a runner leaves it that died right after the exchange.
    host.check_output(f"sh -e /root/exchange {RUN}")

    undone = field.evidence("rollback-updates.yml", **FIRST)

    assert undone["return_to_snapshot"]["outcome"] == "returned"
    assert boot_of(host) != before
    assert host.package("conf").version == "5.0-1"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"plan_updates_snapshot": "none"}, "the inventory asks for none"),
        ({"rawat_controllers": [HOST]}, "Rawat runs on this machine: its own record would be taken back"),
    ],
)
def test_no_snapshot_is_promised(
    host: Host, field: LadderField, variables: dict[str, Any], said: str
) -> None:
    told = planned(field, **variables)

    applied = field.evidence("apply-updates.yml", **FIRST)

    assert (told["taken"], told["why_not"]) == (False, said)
    assert not applied["take_snapshot"]["taken"]
    assert host.package("conf").version == "6.0-1"


def test_a_promised_snapshot_that_cannot_be_taken_changes_nothing(host: Host, field: LadderField) -> None:
    planned(field)
    host.check_output("mv /usr/bin/btrfs /usr/bin/btrfs.away")

    played = field.play("apply-updates.yml", **FIRST)
    host.check_output("mv /usr/bin/btrfs.away /usr/bin/btrfs")

    assert "The snapshot that was approved cannot be taken, so nothing is changed" in played.failures[HOST]
    assert host.package("conf").version == "5.0-1"
