"""A lab host whose root is a subvolume of a btrfs of its own, as Debian's installer makes it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import labs
from ladder_field import HOST, LAB
from testinfra.host import Host

from lab import driver, hosts
from lab.command import run
from lab.layout import HostPlan, Lab

ROOT, BYTES = "@rootfs", 1500 * 1024 * 1024
# A container's /dev is made anew at each start and knows no disks.
DISK_UNIT = """\
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'test -e {device} || mknod -m 600 {device} b 7 {number}'
ExecStart=/bin/mount -t btrfs -o subvol=@data {device} /srv/data
[Install]
WantedBy=sysinit.target
"""


@contextmanager
def with_btrfs_root(inventory: Path) -> Iterator[Host]:
    """Give the host a btrfs root and boot it from there; put it back to an ordinary one in the end."""
    labs.fresh(LAB, inventory, HOST)
    with driver.changed_host(LAB, HOST) as (lab, plan):
        hosts.stop(lab, plan)
        device = _move(lab, plan)
    try:
        driver.start(LAB, HOST)
        host = labs.connection(inventory, HOST)
        assert host.run("timeout 60 systemctl is-system-running --wait").stdout.strip() == "running"
        yield host
    finally:
        with driver.changed_host(LAB, HOST) as (lab, plan):
            hosts.close_connections(lab, plan)
            hosts.cut_power(lab, plan)
            lab.root(plan).unlink()
            run(["umount", _top(lab, plan)])
            run(["losetup", "--detach", device])
            shutil.rmtree(lab.disks / plan.name)
            driver.wake(lab, plan)


def _top(lab: Lab, plan: HostPlan) -> Path:
    return lab.disks / plan.name / "top"


def _move(lab: Lab, plan: HostPlan) -> str:
    """Copy a stopped host's root into a subvolume, and put that at the root's place; return the device."""
    top, root, image = _top(lab, plan), lab.root(plan), lab.disks / plan.name / "disk.img"
    with image.open("wb") as file:
        file.truncate(BYTES)
    run(["mkfs.btrfs", "--quiet", image])
    device = run(["losetup", "--find", "--show", image]).strip()
    top.mkdir()
    run(["mount", "-t", "btrfs", "-o", "subvolid=5", device, top])
    for name in (ROOT, "@data"):
        run(["btrfs", "subvolume", "create", top / name])
    run(["cp", "-a", f"{root}/.", top / ROOT])
    _add_btrfs(top / ROOT)
    unit = top / ROOT / "etc/systemd/system/lab-disk.service"
    unit.write_text(DISK_UNIT.format(device=device, number=device.removeprefix("/dev/loop")))
    (unit.parent / "sysinit.target.wants").mkdir(exist_ok=True)
    (unit.parent / "sysinit.target.wants/lab-disk.service").symlink_to(unit.name)
    (top / ROOT / "srv/data").mkdir()
    run(["umount", root])
    root.rmdir()
    # Followed at each start: what stands at the root's name then is what the host boots from.
    root.symlink_to(top / ROOT)
    return device


def _add_btrfs(root: Path) -> None:
    """Copy the controller's own btrfs with the libraries that the host lacks: both are the same Debian."""
    needed = re.findall(r"=> (/\S+)", run(["ldd", "/usr/bin/btrfs"]))
    for path in ["/usr/bin/btrfs", *needed]:
        place = root / "usr" / path.lstrip("/").removeprefix("usr/")
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
