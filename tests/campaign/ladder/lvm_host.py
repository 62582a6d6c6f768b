"""A lab host whose root is an LVM logical volume, as Debian's installer makes it.

This machine's kernel may lack the device mapper, so the host is no container but Debian's Linux as a program
(package user-mode-linux), with a disk, a name, an address and keys that are the container's.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import labs
from ladder_field import HOST, LAB
from testinfra.host import Host

from lab import driver, hosts, network, processes
from lab.command import is_successful, run
from lab.layout import HostPlan, Lab

GROUP, MEGABYTE = "kantor", 1024 * 1024
# The first is what LVM keeps of a fresh disk for itself, the last stays free for snapshots.
START_MEGABYTES, ROOT_MEGABYTES, DATA_MEGABYTES, FREE_MEGABYTES = 1, 1536, 128, 2048
SECONDS_TO_BOOT = 400
MODULES = ("dm-mod", "dm-bufio", "dm-snapshot")
# finit_module; Perl is in every Debian, kmod is not.
LOAD = 'for (@ARGV) { open F, "<", $_; syscall(313, fileno F, my $no = "", 0) and die "$_: $!\n" }'
# The libraries come with the programs.
PACKAGES = ("lvm2", "dmsetup", "dmeventd", "thin-provisioning-tools")
# As Debian's initramfs does it. systemd waits for each disk until udev has told of it, and there is no udev:
# from a /sys that cannot be written it sees that.
INIT = f"""\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc
mount -t sysfs -o ro sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=0755 tmpfs /run
perl -e '{LOAD}' {" ".join(f"/{name}.ko" for name in MODULES)}
lvm lvchange -aay -y --sysinit --ignoreskippedcluster {GROUP}/root
mount -t ext4 /dev/mapper/{GROUP}-root /new
exec switch_root /new /sbin/init
"""
INIT_PROGRAMS = ("/bin/sh", "/bin/mount", "/usr/bin/perl", "/sbin/lvm", "/sbin/switch_root")
LINE = "/dev/mapper/{}-{} {} ext4 defaults 0 0\n"
FSTAB = LINE.format(GROUP, "root", "/") + LINE.format(GROUP, "data", "/srv/data")
LVM_SETTINGS = "activation { udev_sync=0 udev_rules=0 }\n"
# What is missing without udev. Its rule for LVM activates the volumes beside the root and, which
# lvm2-monitor.service does not, starts what looks after a merge until its end.
UNIT = f"""\
[Unit]
DefaultDependencies=no
After=systemd-remount-fs.service lvm2-lvmpolld.socket
Before=local-fs.target network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/lvm vgchange -aay --autoactivation event {GROUP}
ExecStart=/bin/mount --all
ExecStart=/sbin/ip address add {{address}}/24 dev eth0
ExecStart=/sbin/ip link set eth0 up
[Install]
WantedBy=sysinit.target
"""
ENABLED = ("lab-host.service", "lvm2-monitor.service", "lvm2-lvmpolld.socket", "dm-event.socket")


@contextmanager
def with_lvm_root(inventory: Path) -> Iterator[Host]:
    """Give the host a root on LVM and boot it from there; put it back to an ordinary one in the end."""
    labs.fresh(LAB, inventory, HOST)
    try:
        with driver.changed_host(LAB, HOST) as (lab, plan):
            hosts.stop(lab, plan)
            _make_disk(lab, plan)
            _make_initrd(_top(lab, plan))
            _plug(lab, plan)
            _boot(lab, plan)
        host = labs.connection(inventory, HOST)
        assert host.run("timeout 200 systemctl is-system-running --wait").stdout.strip() == "running"
        yield host
    finally:
        with driver.changed_host(LAB, HOST) as (lab, plan):
            hosts.close_connections(lab, plan)
            hosts.cut_power(lab, plan)
            hosts.drop_disk(lab, plan)
            _unplug(lab, plan)
            network.connect(lab, plan)
            driver.wake(lab, plan)


def power_cycle() -> None:
    """Cut the host's power, and boot it again from the disk as it is then."""
    with driver.changed_host(LAB, HOST) as (lab, plan):
        hosts.close_connections(lab, plan)
        hosts.cut_power(lab, plan)
        _boot(lab, plan)


def _top(lab: Lab, plan: HostPlan) -> Path:
    return lab.disks / plan.name


def _make_disk(lab: Lab, plan: HostPlan) -> None:
    """Make the disk of a stopped host, with the host's files in its first volume."""
    root, image = lab.root(plan), _top(lab, plan) / "disk.img"
    _change_root(lab, plan)
    with image.open("wb") as file:
        file.truncate((START_MEGABYTES + ROOT_MEGABYTES + DATA_MEGABYTES + FREE_MEGABYTES) * MEGABYTE)
    _make_volumes(image)
    # The volumes cannot be activated here, but it is known where they lie.
    make, data_start = ["mkfs.ext4", "-q", "-F", "-E"], START_MEGABYTES + ROOT_MEGABYTES
    run([*make, f"offset={START_MEGABYTES * MEGABYTE}", "-d", root, image, f"{ROOT_MEGABYTES}M"])
    run([*make, f"offset={data_start * MEGABYTE}", image, f"{DATA_MEGABYTES}M"])
    run(["umount", root])


def _make_volumes(image: Path) -> None:
    device = run(["losetup", "--find", "--show", image]).strip()
    # Nothing of the controller's own LVM takes part: not its folder, its disks, its udev or its kernel.
    config = f'devices {{ filter=["a|^{device}$|", "r|.*|"] }}'
    where = {"LVM_SYSTEM_DIR": str(image.parent), "DM_DISABLE_UDEV": "1"}
    options = ["--driverloaded=n", f"--config={config}"]
    create = ["lvcreate", "--activate=n", "--zero=n", "--wipesignatures=n"]
    try:
        run(["vgcreate", *options, GROUP, device], extra_env=where)
        run([*create, *options, "--name=root", f"--size={ROOT_MEGABYTES}M", GROUP], extra_env=where)
        run([*create, *options, "--name=data", f"--size={DATA_MEGABYTES}M", GROUP], extra_env=where)
    finally:
        run(["losetup", "--detach", device])


def _change_root(lab: Lab, plan: HostPlan) -> None:
    """Add to the host's files what a host with LVM has and a container has not."""
    root = lab.root(plan)
    packed = run(["dpkg", "--listfiles", *PACKAGES]).split()
    _copy((file for file in packed if not re.match("/usr/share/(?!initramfs-tools)", file)), root)
    (root / "etc/lvm/lvmlocal.conf").write_text(LVM_SETTINGS)
    (root / "etc/fstab").write_text(FSTAB)
    (root / "srv/data").mkdir()
    (root / "etc/systemd/system/lab-host.service").write_text(UNIT.format(address=lab.address(plan)))
    for name in ENABLED:
        run(["systemctl", "--quiet", f"--root={root}", "enable", name])


def _copy(paths: Iterable[str], root: Path) -> None:
    """Copy the controller's own files with the libraries that are lacking: both are the same Debian."""
    wanted = [Path(path) for path in paths]
    for path in wanted:
        place = root / (path.parent.resolve() / path.name).relative_to("/")
        if path.is_dir() or place.is_symlink() or place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place, follow_symlinks=False)
        if path.is_symlink():
            wanted.append(path.resolve())
        elif path.read_bytes().startswith(b"\x7fELF"):
            wanted += [Path(library) for library in re.findall(r"(/\S+) \(0x", run(["ldd", path]))]


def _make_initrd(top: Path) -> None:
    """Make what the kernel starts with: it activates the volumes, as Debian's does."""
    tree = top / "initrd"
    for name in ("proc", "sys", "dev", "run", "new", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    _copy((*INIT_PROGRAMS, "/etc/lvm/lvm.conf"), tree)
    (tree / "etc/lvm/lvmlocal.conf").write_text(LVM_SETTINGS)
    for name in MODULES:
        (module,) = Path("/usr/lib/uml/modules").glob(f"*/kernel/drivers/md/{name}.ko")
        shutil.copy(module, tree)
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    with (top / "initrd.img").open("wb") as file:
        for path in sorted(tree.rglob("*")):
            content = b"" if path.is_dir() else path.read_bytes()
            if path.is_symlink():
                content = str(path.readlink()).encode()
            file.write(_packed(str(path.relative_to(tree)), path.lstat().st_mode, content))
        file.write(_packed("TRAILER!!!", 0, b""))


def _packed(name: str, mode: int, content: bytes) -> bytes:
    """Return a file as the archive of an initrd has it (cpio, newc)."""
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return b"".join(part + bytes(-len(part) % 4) for part in (head, content))


def _boot(lab: Lab, plan: HostPlan) -> None:
    """Start the host's kernel, which starts itself again at a reboot, and wait for the host's sshd."""
    top = _top(lab, plan)
    command = [
        # The host's memory is a file there.
        *("/usr/bin/env", f"TMPDIR={top}"),
        *("/usr/bin/linux.uml", "mem=768M", f"uml_dir={top}/", f"umid={plan.name}"),
        *(f"ubda={top}/disk.img", f"initrd={top}/initrd.img", f"root=/dev/mapper/{GROUP}-root"),
        # A network device of the kind `vector` hangs.
        f"eth0=tuntap,{lab.veth(plan)},52:54:00:cd:{lab.number:02x}:{plan.number:02x}",
        *("con0=null,fd:1", "con=null", "ssl=null"),
    ]
    processes.start_unit(hosts.unit(lab, plan), command, lab.host_folder(plan))
    deadline = time.monotonic() + SECONDS_TO_BOOT
    while not hosts.is_greeting(lab.address(plan)):
        assert time.monotonic() < deadline, hosts.last_words(lab, plan)
        time.sleep(0.5)


def _plug(lab: Lab, plan: HostPlan) -> None:
    """Give the host a cable for a kernel of its own instead of the container's."""
    _unplug(lab, plan)
    tap = lab.veth(plan)
    mark = f"alias {network.alias(lab.name)} master {lab.bridge}"
    network.ip([f"tuntap add dev {tap} mode tap", f"link set {tap} {mark} up"])


def _unplug(lab: Lab, plan: HostPlan) -> None:
    is_successful(["ip", "link", "delete", lab.veth(plan)])
    is_successful(["ip", "netns", "delete", lab.machine(plan)])
