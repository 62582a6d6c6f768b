"""The root of a host on btrfs: whether it can go back by a snapshot, and the exchange by which it does.

Rules kept here:
1. The file system's top is mounted where this process alone sees it; it is gone with the process.
2. What stands at the root's own name is exchanged in one step: at every moment the host can be booted.
3. Nothing is thrown away by going back: the root as it was left lies beside the snapshot.
4. What the snapshot cannot bring back whole is told before anybody decides, and then is not gone back by.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils import durable, mounted, root_volume
from ansible.module_utils import snapshot_rules as rules
from ansible.module_utils.mounted import Mount
from ansible.module_utils.snapshot_rules import Kept, SnapshotError

FOLDER = "rawat-snapshots"
"""At the top of the file system; each run has a folder in it: ``before``, ``replaced-<n>``, the record."""
BEFORE, RECORD = "before", "record.json"
_NEW_NAMESPACE, _EXCHANGE, _HERE = 0x00020000, 2, -100
_BY_NUMBER = re.compile(r"\bsubvolid=")


def look(choice: str, run: str, update_bytes: int, *, is_controller: bool) -> dict[str, Any]:
    """Return what a plan says of the root: whether a snapshot is taken before the updates, and why not.

    Args:
        choice: what the inventory says: ``return`` (a rollback goes back by it), ``keep`` (it is there for a
            person) or ``none``.
        run: id of the run; on LVM the room of its own snapshots is not missing.
        update_bytes: what the updates need on the disks; on LVM a snapshot is given room by that.
        is_controller: Rawat runs on this host.

    ``not_covered`` are the places of other file systems and subvolumes: going back leaves them as they are.
    """
    mounts = mounted.read()
    root = mounts["/"]
    told = {"file_system": root.kind, "subvolume": root.root if root.kind == "btrfs" else "",
            "volume": "", "room_bytes": 0}  # fmt: skip
    why_not = "the inventory asks for none"
    if choice != "none":
        more, why_not = (
            ({}, _file_system(root, is_controller=is_controller) or _whole(root))
            if root.kind == "btrfs"
            else root_volume.look(root.kind, run, update_bytes, is_controller=is_controller)
        )
        told |= more
    return {
        **told,
        "taken": not why_not,
        "returns": not why_not and choice == "return",
        "why_not": why_not,
        "not_covered": [] if why_not else not_covered(mounts),
    }


def not_covered(mounts: dict[str, Mount]) -> list[str]:
    """Return the places of the host's files that lie outside of the root's subvolume."""
    return [mount.place for mount in mounted.of_the_host(mounts) if mount.place != "/"]


def _file_system(root: Mount, *, is_controller: bool) -> str:
    """Return why the root is none that can be exchanged, or nothing."""
    if root.kind != "btrfs":
        return f"the root file system is {root.kind}, of which no snapshot is taken"
    if is_controller:
        return rules.OWN_RECORD
    if root.root == "/":
        return "the root is the top of its file system, which cannot be exchanged"
    if _is_booted_by_number():
        return "the root is mounted by its number (subvolid), which a copy does not have"
    return "" if shutil.which("btrfs") else "the program btrfs is not installed on the host"


def _whole(root: Mount) -> str:
    """Return why a snapshot of the root would not bring the host back whole, or nothing."""
    if apart := rules.apart():
        return apart
    try:
        inner = _subvolumes_inside(root)
    except SnapshotError as error:
        return str(error)
    return f"the subvolume {inner[0]} lies inside of the root and would be left behind" if inner else ""


def _is_booted_by_number() -> bool:
    table = Path("/etc/fstab")
    lines = table.read_text(encoding="utf-8", errors="replace").splitlines() if table.exists() else []
    rows = (line.split() for line in lines if not line.lstrip().startswith("#"))
    # Device, place, kind, options.
    options = [" ".join(row) for row in rows if row[1:2] == ["/"]]
    return any(_BY_NUMBER.search(text) for text in [*options, Path("/proc/cmdline").read_text("utf-8")])


def _subvolumes_inside(root: Mount) -> list[str]:
    """Return the subvolumes inside of the root's that hold anything; the empty ones of systemd are none."""
    listed = _require("list the subvolumes", "subvolume", "list", "-o", "/")
    paths = [line.partition(" path ")[2] for line in listed.splitlines()]
    inside = [f"/{path}"[len(root.root) :] for path in paths if f"/{path}".startswith(f"{root.root}/")]
    return sorted(place for place in inside if any(os.scandir(place)))


@contextmanager
def opened(root: Mount) -> Iterator[Path]:
    """Mount the top of the root's file system where only this process sees it, and give its place."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NAMESPACE) != 0:
        raise SnapshotError(f"no mounts of its own for this process: {os.strerror(ctypes.get_errno())}")
    place = Path(tempfile.mkdtemp(prefix="rawat-top-", dir="/run"))
    try:
        rules.require("keep the mounts apart", "mount", "--make-rprivate", "/")
        words = ("-t", "btrfs", "-o", "subvolid=5", root.source, str(place))
        rules.require("open the file system", "mount", *words)
        try:
            yield place
        finally:
            rules.require("close the file system", "umount", str(place))
    finally:
        place.rmdir()


def take(top: Path, root: Mount, run: str, started: str, *, is_fresh: bool) -> bool:
    """Have a read-only snapshot of the root as it is before the updates of a run; tell whether one was made.

    Args:
        top: where the top of the file system is mounted.
        root: the host's root.
        run: id of the run.
        started: digest of the run's first record.
        is_fresh: nothing of the plan is installed yet. Otherwise the one of an earlier call stays: it alone
            is from before.
    """
    folder, fresh = folder_of(top, run), folder_of(top, run) / "new"
    before = folder / BEFORE
    if before.exists() and not is_fresh:
        return False
    if not is_fresh:
        raise SnapshotError("a part of the plan is installed already, so no snapshot can be from before it")
    for place in (folder.parent, folder):
        place.mkdir(mode=0o700, exist_ok=True)
    boot = rules.boot_digest()
    record = {"run": run, "started": started, "taken": time.time(), "root": root.root, "boot": boot}
    durable.write(folder / RECORD, json.dumps(record).encode())
    for left in (fresh, before):
        if left.exists():
            delete(top, left)
    _require("take the snapshot", "subvolume", "snapshot", "-r", str(top / root.root.lstrip("/")), str(fresh))
    fresh.rename(before)
    _require("write the snapshot to the disk", "filesystem", "sync", str(top))
    return True


def folder_of(top: Path, run: str) -> Path:
    """Return the folder of a run's snapshot."""
    return top / FOLDER / run


def record_of(folder: Path) -> dict[str, Any]:
    """Return what stands beside a snapshot; nothing when it cannot be read."""
    try:
        told = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def is_exchanged(root: Mount, run: str) -> bool:
    """Whether the host still runs from the root that was replaced: a restart is all that is missing."""
    return root.root.startswith(f"/{FOLDER}/{run}/replaced-")


def is_returned(top: Path, run: str) -> bool:
    """Whether the host runs from a copy of the run's snapshot."""
    before = folder_of(top, run) / BEFORE
    return before.exists() and _identity("/")["Parent UUID"] == _identity(str(before))["UUID"]


def exchange(top: Path, root: Mount, run: str) -> str:
    """Put a copy of the run's snapshot at the root's name; return where the root lies that was there.

    Raises:
        SnapshotError: everything is as it was.
    """
    folder, name = folder_of(top, run), top / root.root.lstrip("/")
    copy = folder / f"replaced-{1 + len(list(folder.glob('replaced-*')))}"
    _require("copy the snapshot", "subvolume", "snapshot", str(folder / BEFORE), str(copy))
    _require("write the copy to the disk", "filesystem", "sync", str(top))
    _swap(copy, name)
    try:
        boot_from(top, name, copy)
        _require("write the exchange to the disk", "filesystem", "sync", str(top))
    except SnapshotError:
        _swap(copy, name)
        raise
    return str(copy.relative_to(top))


def _swap(one: Path, other: Path) -> None:
    names = os.fsencode(one), os.fsencode(other)
    if ctypes.CDLL(None, use_errno=True).renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE) != 0:
        raise SnapshotError(f"the root cannot be exchanged: {os.strerror(ctypes.get_errno())}")


def boot_from(top: Path, name: Path, replaced: Path) -> None:
    """Have the default subvolume be the one at the root's name, where the replaced one was the default."""
    default = _require("ask for the default subvolume", "subvolume", "get-default", str(top)).split()[1]
    old, new = (_identity(str(place))["Subvolume ID"] for place in (replaced, name))
    if default == old:
        _require("set the default subvolume", "subvolume", "set-default", new, str(top))


def sweep(top: Path, run: str, ended: list[str], keep_days: int, *, is_check: bool) -> list[Kept]:
    """Remove the snapshots of runs that have ended and lie there long enough; return all of other runs.

    A run that is open keeps its own, however old: it may still have to go back.
    """
    found = []
    for folder in sorted((top / FOLDER).glob("*")):
        told = record_of(folder)
        if folder.name == run or not told:
            continue
        days = rules.days_since(float(told.get("taken", time.time())))
        is_due = told.get("started") in ended and days >= keep_days
        if is_due and not is_check:
            for subvolume in sorted(path for path in folder.iterdir() if path.is_dir()):
                delete(top, subvolume)
            shutil.rmtree(folder)
        found.append(Kept(folder.name, days, is_due))
    return found


def delete(top: Path, subvolume: Path) -> None:
    """Remove a subvolume with those inside of it; the kernel refuses one that the host runs from."""
    inside = _require("list the subvolumes", "subvolume", "list", "-o", str(subvolume)).splitlines()
    for path in sorted((line.partition(" path ")[2] for line in inside), reverse=True):
        delete(top, top / path)
    _require("remove a snapshot", "subvolume", "delete", str(subvolume))


def _identity(place: str) -> dict[str, str]:
    shown = _require("look at a subvolume", "subvolume", "show", place)
    rows = (line.partition(":") for line in shown.splitlines()[1:])
    return {name.strip(): value.strip() for name, _, value in rows}


def _require(what: str, *words: str) -> str:
    return str(rules.require(what, "btrfs", *words))
