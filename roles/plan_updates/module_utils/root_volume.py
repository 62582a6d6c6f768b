"""The root of a host on LVM: whether it can go back by a snapshot, and the merge by which it does.

Rules kept here:
1. What is known of a snapshot stands in the tags of its volume: going back does not take that back.
2. The kernel is asked what the root is made of; what was told to LVM comes into effect with a restart only.
3. Nothing is thrown away by going back: the root as it was left is a snapshot of its own, taken before.
4. There is room for both from the beginning, or none is promised.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils import snapshot_rules as rules
from ansible.module_utils.snapshot_rules import Kept, SnapshotError

NAME = "rawat-"
"""Names of volumes: ``rawat-<run>`` from before the update, ``rawat-<run>-replaced-<n>`` as it was left."""
_TAG = "rawat."
# Of the root's volume: the run that it goes back for, and the start of the host in which that was begun.
_RETURNED = f"{_TAG}returned."
# One of the two makes the image that the host starts from; without, it could not open the root again.
_STARTERS = ("/usr/share/initramfs-tools/hooks/lvm2", "/usr/lib/dracut/modules.d/90lvm")
_COLUMNS = (
    "vg_name", "vg_free", "vg_extent_size", "lv_name", "lv_layout", "lv_size", "lv_tags", "lv_merging",
    "lv_snapshot_invalid", "lv_kernel_major", "lv_kernel_minor",
)  # fmt: skip
# For what else is written meanwhile; and for what is needed on the disks: blocks change that stay of a size.
_ROOM, _ROOM_A_BYTE = 512 * 1024 * 1024, 8


class Volume(NamedTuple):
    """A logical volume as LVM lists it; sizes in bytes."""

    group: str
    free: int
    extent: int
    name: str
    layout: str
    size: int
    tags: frozenset[str]
    is_merging: bool
    is_full: bool
    device: tuple[str, str]

    @property
    def path(self) -> str:
        """Its name with its group's, as LVM's programs take and show it."""
        return f"{self.group}/{self.name}"

    def told(self, what: str) -> str:
        """Return the word of a tag, or nothing."""
        head = f"{_TAG}{what}."
        return next((tag[len(head) :] for tag in self.tags if tag.startswith(head)), "")

    def is_of(self, what: str, run: str) -> bool:
        """Whether it is a run's: ``before`` or ``replaced``."""
        return self.told(what) == run


class Group(NamedTuple):
    """The root's volume, and all volumes of its group."""

    root: Volume
    volumes: list[Volume]

    def of(self, what: str, run: str) -> list[Volume]:
        """Return the volumes that a run made, ``before`` or ``replaced``, in the order of their names."""
        return [volume for volume in self.volumes if volume.is_of(what, run)]


def is_one() -> bool:
    """Whether the root lies on a logical volume, as the kernel tells it."""
    number = rules.device("/")
    uuid = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/dm/uuid")
    return uuid.exists() and uuid.read_text(encoding="ascii").startswith("LVM-")


def of_root() -> Group:
    """Return the volume that the root lies on.

    Raises:
        SnapshotError: it is none, or LVM does not tell of it.
    """
    number = rules.device("/")
    if not is_one():
        raise SnapshotError("the root is not on LVM")
    if not shutil.which("lvs"):
        raise SnapshotError("the programs of LVM are not installed on the host")
    words = ("--all", "--units", "b", "--nosuffix", "--reportformat", "json", "--options", ",".join(_COLUMNS))
    volumes = parse(rules.require("list the volumes", "lvs", *words))
    here = (str(os.major(number)), str(os.minor(number)))
    root = next((volume for volume in volumes if volume.device == here), None)
    if root is None:
        raise SnapshotError("LVM does not list the volume of the root")
    return Group(root, [volume for volume in volumes if volume.group == root.group])


def parse(text: str) -> list[Volume]:
    """Return the volumes of a report of ``lvs``; warnings before it are left out.

    Raises:
        SnapshotError: there is no report in it.
    """
    try:
        rows = json.loads(text[text.index("{") :])["report"][0]["lv"]
        return [_volume(row) for row in sorted(rows, key=lambda row: row["lv_name"].strip("[]"))]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SnapshotError(f"LVM's list of volumes cannot be read: {error}") from error


def _volume(row: dict[str, str]) -> Volume:
    return Volume(
        group=row["vg_name"],
        free=int(row["vg_free"]),
        extent=int(row["vg_extent_size"]),
        # A volume that is not shown by itself, as one that is being merged, stands in brackets.
        name=row["lv_name"].strip("[]"),
        layout=row["lv_layout"],
        size=int(row["lv_size"]),
        tags=frozenset(filter(None, row["lv_tags"].split(","))),
        is_merging=bool(row["lv_merging"].strip()),
        is_full=bool(row["lv_snapshot_invalid"].strip()),
        device=(row["lv_kernel_major"], row["lv_kernel_minor"]),
    )


def look(kind: str, run: str, update_bytes: int, *, is_controller: bool) -> tuple[dict[str, str | int], str]:
    """Return the volume of the root and the room of a snapshot, and why it cannot go back by one, or nothing.

    Args:
        kind: of the root's file system.
        run: id of the run; the room that its own snapshots take is not missing.
        update_bytes: what the updates need on the disks.
        is_controller: Rawat runs on this host.
    """
    if not is_one():
        return {}, f"the root file system is {kind}, of which no snapshot is taken"
    try:
        group = of_root()
    except SnapshotError as error:
        return {}, str(error)
    size = room(group.root, update_bytes)
    why = rules.OWN_RECORD if is_controller else rules.apart() or why_not(group, run, size)
    return {"volume": group.root.path, "room_bytes": size}, why


def room(root: Volume, update_bytes: int) -> int:
    """Return the bytes of a snapshot that holds what an update changes; never much more than the root has."""
    # What it keeps its own account in comes on top: a 50th covers it with 4 KB pieces.
    wanted = min(_ROOM + _ROOM_A_BYTE * update_bytes, root.size + root.size // 50)
    # LVM gives whole extents, and takes a size for no other number than one of whole sectors.
    return -(-wanted // root.extent) * root.extent


def why_not(group: Group, run: str, room_bytes: int) -> str:
    """Return why the root cannot go back by a snapshot, or nothing.

    What it says is part of a plan: it must not change with every megabyte that is free.
    """
    root = group.root
    if root.layout not in {"linear", "striped"}:
        return f"the root's volume is of another kind ({root.layout}), which is not proven"
    if not any(Path(place).exists() for place in _STARTERS):
        return "the host's start image is not made by what opens volumes with snapshots"
    if any(volume.is_merging for volume in group.volumes):
        return "an earlier snapshot is still being merged into the root"
    own = sum(volume.size for volume in group.of("before", run))
    if root.free + own < 2 * room_bytes:
        return f"the volume group {root.group} has less than {2 * room_bytes // 2**20} MiB free"
    return ""


def take(group: Group, run: str, started: str, *, is_fresh: bool, room_bytes: int) -> bool:
    """Have a snapshot of the root as it is before the updates of a run; tell whether one was made.

    Args:
        group: as it is now.
        run: id of the run.
        started: digest of the run's first record.
        is_fresh: nothing of the plan is installed yet. Otherwise the one of an earlier call stays: it alone
            is from before.
        room_bytes: how much of what changes it can hold, as the plan says.
    """
    root, before = group.root, group.of("before", run)
    if before and not is_fresh:
        return False
    if not is_fresh:
        raise SnapshotError("a part of the plan is installed already, so no snapshot can be from before it")
    for volume in before:
        remove(volume)
    # What an earlier going back of this run said of the root is not true of the one to come.
    _untag(root, [tag for tag in root.tags if _returned(tag)[0] == run])
    _snapshot(root, f"{NAME}{run}", {"before": run, "started": started}, room_bytes)
    return True


def _snapshot(root: Volume, name: str, told: dict[str, str], size: int) -> None:
    tags = {**told, "taken": str(int(time.time())), "boot": rules.boot_digest()}
    words = [word for key, value in tags.items() if value for word in ("--addtag", f"{_TAG}{key}.{value}")]
    about = ("--snapshot", "--yes", "--name", name, "--size", f"{size}b")
    rules.require("take the snapshot", "lvcreate", *about, *words, root.path)


def state(group: Group, run: str) -> str:
    """Return how far a host is with going back by a run's snapshot.

    ``none``, ``before`` (nothing is begun), ``exchanged`` (a restart is all that is missing) or ``returned``.
    """
    begun = {boot for whose, boot in map(_returned, group.root.tags) if whose == run}
    for volume in group.of("before", run):
        if volume.is_merging:
            return "returned" if "snapshot-merge" in target(group.root) else "exchanged"
        return "before"
    # Merged to the end it is no longer there.
    return "returned" if begun - {boot_id()} else "none"


def target(root: Volume) -> str:
    """Return what the kernel makes the root's volume of: linear, snapshot-origin or snapshot-merge."""
    major, minor = root.device
    return rules.require("ask for the root's table", "dmsetup", "table", "--major", major, "--minor", minor)


def replaced(group: Group, run: str) -> str:
    """Return where the root lies that was left last, or nothing."""
    found = sorted(group.of("replaced", run), key=lambda volume: float(volume.told("taken")))
    return found[-1].path if found else ""


def go_back(group: Group, run: str) -> str:
    """Have the run's snapshot merged into the root by the next start; return where the root of now lies.

    Raises:
        SnapshotError: everything is as it was.
    """
    (before,) = group.of("before", run)
    root, number = group.root, 1 + len(group.of("replaced", run))
    name = f"{NAME}{run}-replaced-{number}"
    # Merging changes no more of the root than the snapshot has kept of it.
    _snapshot(root, name, {"replaced": run, "started": before.told("started")}, before.size)
    tag = f"{_RETURNED}{run}.{boot_id()}"
    try:
        rules.require("write down that the host goes back", "lvchange", "--addtag", tag, root.path)
        rules.require("go back to the snapshot", "lvconvert", "--yes", "--merge", before.path)
    except SnapshotError:
        rules.require("remove a snapshot", "lvremove", "--yes", f"{root.group}/{name}")
        _untag(root, [tag])
        raise
    return f"{root.group}/{name}"


def sweep(group: Group, run: str, ended: list[str], keep_days: int, *, is_check: bool) -> list[Kept]:
    """Remove the snapshots of runs that have ended and lie there long enough; return all of other runs.

    A run that is open keeps its own, however old: it may still have to go back.
    """
    others: dict[str, list[Volume]] = {}
    for volume in group.volumes:
        owner = volume.told("before") or volume.told("replaced")
        if owner not in {"", run}:
            others.setdefault(owner, []).append(volume)
    found = []
    for owner, volumes in sorted(others.items()):
        days = min(rules.days_since(float(volume.told("taken"))) for volume in volumes)
        has_ended = all(volume.told("started") in ended for volume in volumes)
        is_due = has_ended and days >= keep_days and not any(volume.is_merging for volume in volumes)
        if is_due and not is_check:
            for volume in volumes:
                remove(volume)
            _untag(group.root, [tag for tag in group.root.tags if _returned(tag)[0] == owner])
        found.append(Kept(owner, days, is_due))
    return found


def remove(volume: Volume) -> None:
    """Remove a snapshot; LVM refuses one that is being merged."""
    rules.require("remove a snapshot", "lvremove", "--yes", volume.path)


def boot_id() -> str:
    """Return the id of the host's present start."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _returned(tag: str) -> tuple[str, str]:
    """Return the run and the host's start that a tag of the root names; nothing of any other tag."""
    run, _, boot = tag.removeprefix(_RETURNED).rpartition(".") if tag.startswith(_RETURNED) else ("", "", "")
    return run, boot


def _untag(volume: Volume, tags: list[str]) -> None:
    words = [word for tag in tags for word in ("--deltag", tag)]
    if words:
        rules.require("write down what is no longer so", "lvchange", *words, volume.path)
