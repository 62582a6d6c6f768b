"""What the hosts' disks are made of: layers over layers, each named by the digest of its recipe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from lab.layout import HostPlan
from lab.packages import OLD, RECIPES, package_files
from lab.rpm_packages import SCRIPT, rpm_files

RELEASE = "bookworm"


@dataclass(frozen=True)
class Layer:
    """A disk layer: Debian packages, lab packages and files over a parent, then a shell script."""

    name: str
    parent: Layer | None = None
    packages: tuple[str, ...] = ()
    lab_packages: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    script: str = ""
    # Files that are not text, by name, are put in place by the image builder and counted here.
    databases: str = ""

    @property
    def key(self) -> str:
        """The layer's folder name: its own name and the digest of all that it is made of."""
        own = asdict(self) | {"parent": self.parent.key if self.parent else ""}
        own["lab_packages"] = {name: package_files(RECIPES[name], OLD) for name in self.lab_packages}
        digest = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
        return f"{self.name}-{digest[:12]}"

    @property
    def chain(self) -> list[Layer]:
        """This layer and those below it, the topmost first."""
        return [self, *(self.parent.chain if self.parent else [])]


BASE = Layer(
    name="base",
    packages=(
        "apt-utils",
        "ca-certificates",
        "curl",
        "dbus",
        "iproute2",
        "iputils-ping",
        "openssh-server",
        "procps",
        "python3-apt",
        "python3-minimal",
        "restic",
        "sudo",
        "systemd-sysv",
    ),
    files={
        # Measured: dpkg's fsync after every file is most of an update's time; a lab may lose it.
        "etc/dpkg/dpkg.cfg.d/rawat-lab": "force-unsafe-io\n",
        "etc/apt/apt.conf.d/90rawat-lab": 'Acquire::Languages "none";\n',
        "etc/systemd/journald.conf.d/rawat-lab.conf": ("[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n"),
        "etc/ssh/sshd_config.d/rawat-lab.conf": (
            "HostKey /etc/ssh/ssh_host_ed25519_key\n"
            "PasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\n"
            "UseDNS no\n"
            "MaxStartups 100\n"
            "MaxSessions 50\n"
        ),
    },
    # Timers that would take the package manager's lock at a moment of their own are switched off.
    script=(
        "rm -f etc/ssh/ssh_host_* etc/machine-id etc/hostname etc/apt/sources.list\n"
        "rm -f etc/resolv.conf; : > etc/resolv.conf\n"
        "for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer"
        " console-getty.service getty@.service; do ln -sf /dev/null etc/systemd/system/$unit; done\n"
    ),
)

CLAMAV = Layer(
    name="clamav",
    parent=BASE,
    packages=("clamav", "clamav-daemon", "clamav-freshclam", "clamdscan"),
    script="systemctl --quiet disable clamav-freshclam.service\n",
    databases="1",
)

POSTGRESQL = Layer(name="postgresql", parent=CLAMAV, packages=("postgresql",))

RSYNC = Layer(
    name="rsync",
    parent=CLAMAV,
    # The last two wait for what a test tells them: the site and the names of an office's website.
    packages=("rsync", "nginx-light", "dnsmasq-base"),
    files={
        "etc/rsyncd.conf": (
            "uid = nobody\ngid = nogroup\nuse chroot = no\nread only = yes\n\n"
            "[berkas]\npath = /srv/berkas\ncomment = shared files of the lab\n"
        ),
        "srv/berkas/baca-saya.txt": "Contoh berkas bersama untuk lab.\n",
    },
    script="systemctl --quiet enable rsync.service\nsystemctl --quiet disable nginx.service\n",
)

# What stands around an office's computers, for the campaign that breaks it. Nothing starts by itself.
SERVICES = Layer(
    name="services",
    parent=BASE,
    packages=(
        "nginx-light",
        "dnsmasq-base",
        "postgresql",
        "mariadb-server",
        "avahi-daemon",
        "cups-ipp-utils",
        "snmpd",
    ),
    script=(
        "systemctl --quiet disable nginx.service postgresql.service mariadb.service mariadb.socket"
        " snmpd.service avahi-daemon.service avahi-daemon.socket\n"
        "pg_dropcluster 15 main\n"
    ),
)

# Debian below, Rocky Linux to everybody who asks: rpm and dnf are the real ones.
REDHAT = Layer(
    name="redhat",
    parent=BASE,
    packages=("createrepo-c", "dnf", "dnf-plugins-core", "python3-dnf", "rpm"),
    files=rpm_files(),
    script=SCRIPT,
)

LAYERS = {layer.name: layer for layer in (BASE, CLAMAV, POSTGRESQL, RSYNC, SERVICES, REDHAT)}


# systemd 252 can leave a mount waiting for ever when many mounts changed in one second, and the boot with
# it (seen in one boot of eighty). A container needs none of these, so none is left to wait.
NEEDLESS_MOUNTS = (
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
)


def host_layer(plan: HostPlan) -> Layer:
    """Return the top layer of a host: its lab packages in their old versions."""
    kind = LAYERS[plan.layer]
    return Layer(
        name="-".join((kind.name, *(name.removeprefix("lab-") for name in plan.packages))),
        parent=kind,
        lab_packages=plan.packages,
        script="".join(f"ln -sf /dev/null etc/systemd/system/{name}\n" for name in NEEDLESS_MOUNTS),
    )
