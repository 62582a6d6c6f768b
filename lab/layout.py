"""Names, numbers and places of a lab: pure values, no side effects.

A lab has a name and a number. The number decides its subnet and its device names (which the kernel
limits to 15 characters), the name decides its folder, its control groups and its firewall table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab.errors import ImpossibleHereError

STATE_ROOT = Path("/var/lib/rawat-lab")
CACHE_ROOT = Path("/var/cache/rawat-lab")
RUN_ROOT = Path("/run/rawat-lab")
DEFAULT_NAME = "lab"
DEFAULT_HOSTS = 5
MOST_HOSTS = 200
LONGEST_NAME = 30
CHANNEL_PORT = 8800
ANTIVIRUS_PORT = 8801
MIRROR_PORT = 8802
BACKUP_PORT = 8810
MAIL_PORT = 8820
HERMETIC = "hermetic"
DEBIAN_SECURITY = "debian-security"
SERVICES = "services"
REDHAT = "redhat"
PROFILES = (HERMETIC, DEBIAN_SECURITY, SERVICES, REDHAT)


@dataclass(frozen=True)
class HostPlan:
    """What one host of a lab is: its address, its groups, and the layers and packages it has."""

    name: str
    number: int
    groups: tuple[str, ...]
    layer: str
    packages: tuple[str, ...]


# The order is the order of waking: `--hosts N` takes the first N.
FIRST_HOSTS = (
    HostPlan("web1", 11, ("canary", "web"), "clamav", ("lab-good", "lab-sick", "lab-tool")),
    HostPlan("db1", 12, ("db",), "postgresql", ("lab-good", "lab-reboot", "lab-tool")),
    HostPlan("file1", 13, ("file",), "rsync", ("lab-good", "lab-newdep", "lab-tool")),
    HostPlan("web2", 14, ("web",), "clamav", ("lab-crash", "lab-good", "lab-tool")),
    HostPlan("web3", 15, ("web",), "clamav", ("lab-good", "lab-postinst", "lab-tool")),
)


# Of the profile `services`: hosts on which the services around an office's computers can be started.
SERVICE_HOSTS = (
    HostPlan("svc1", 11, ("svc",), "services", ()),
    HostPlan("svc2", 12, ("svc",), "services", ()),
)

# Of the profile `redhat`: hosts with rpm and dnf, and repositories of their own.
REDHAT_HOSTS = (
    HostPlan("rhel1", 11, ("redhat",), "redhat", ()),
    HostPlan("rhel2", 12, ("redhat",), "redhat", ()),
)
FEW_HOSTS = {SERVICES: SERVICE_HOSTS, REDHAT: REDHAT_HOSTS}


def host_plans(count: int, profile: str = HERMETIC) -> tuple[HostPlan, ...]:
    """Return the first `count` hosts; beyond the five named ones they are plain office computers.

    Raises ImpossibleHereError for a count that a subnet cannot hold.
    """
    if not 1 <= count <= MOST_HOSTS:
        raise ImpossibleHereError(
            f"{count} hosts are asked for, a lab has 1 to {MOST_HOSTS}", "choose --hosts"
        )
    if profile in FEW_HOSTS:
        few = FEW_HOSTS[profile]
        if count > len(few):
            raise ImpossibleHereError(f"the profile {profile} has {len(few)} hosts", "choose --hosts")
        return few[:count]
    more = (
        HostPlan(f"pc{place:02}", 10 + place, ("pc",), "clamav", ("lab-good", "lab-tool"))
        for place in range(len(FIRST_HOSTS) + 1, count + 1)
    )
    return (*FIRST_HOSTS[:count], *more)


@dataclass(frozen=True)
class Lab:
    """One lab: everything that follows from its name, number, size and profile."""

    name: str
    number: int
    count: int
    profile: str
    inventory: Path

    @cached_property
    def hosts(self) -> tuple[HostPlan, ...]:
        """The hosts, in the order of waking."""
        return host_plans(self.count, self.profile)

    @property
    def state(self) -> Path:
        """The folder of all that the lab keeps, gone when it is down."""
        return state_folder(self.name)

    @property
    def disks(self) -> Path:
        """The tmpfs that holds what the hosts write."""
        return self.state / "disks"

    @property
    def channel(self) -> Path:
        """The folder of the package channel."""
        return self.state / "channel"

    @property
    def channel_suites(self) -> tuple[str, ...]:
        """The suites that hosts install from."""
        return ("lab", "lab-updates", "lab-security")

    @property
    def bridge(self) -> str:
        """The network device that joins the hosts."""
        return "rawat-lab" if self.number == 0 else f"rawat-n{self.number}"

    @property
    def controller(self) -> str:
        """The controller's address on the bridge."""
        return f"10.205.{self.number}.1"

    @property
    def mail_port(self) -> int:
        """The mail server's port on the loopback, which all labs share."""
        return MAIL_PORT + self.number

    def host(self, name: str) -> HostPlan:
        """Return a host's plan. Raises ImpossibleHereError when the lab has no such host."""
        for plan in self.hosts:
            if plan.name == name:
                return plan
        known = ", ".join(plan.name for plan in self.hosts)
        raise ImpossibleHereError(f"lab {self.name} has no host {name}", f"it has {known}")

    def address(self, plan: HostPlan) -> str:
        """Return a host's address."""
        return f"10.205.{self.number}.{plan.number}"

    def veth(self, plan: HostPlan) -> str:
        """Return the controller's end of a host's cable."""
        return f"rw{self.number}-{plan.name}"

    def machine(self, plan: HostPlan) -> str:
        """The name of a host's network namespace and container."""
        return machine_name(self.name, plan.name)

    def host_folder(self, plan: HostPlan) -> Path:
        """Return the folder of a host's identity and console log."""
        return self.state / "hosts" / plan.name

    def root(self, plan: HostPlan) -> Path:
        """Return where a host's disk is mounted."""
        return self.disks / plan.name / "root"

    def url(self, port: int) -> str:
        """Return the address of a service of the controller."""
        return f"http://{self.controller}:{port}"


def state_folder(name: str) -> Path:
    """Return the folder of a lab's state. Raises ImpossibleHereError for an unfit name."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > LONGEST_NAME:
        raise ImpossibleHereError(
            f"{name!r} is no lab name", f"use up to {LONGEST_NAME} small letters, digits and single hyphens"
        )
    return STATE_ROOT / name


def machine_name(lab: str, host: str) -> str:
    """Return the namespace name of a host; the dot keeps labs `a` and `a-b` apart."""
    return f"rawat-{lab}.{host}"


def firewall_table(name: str) -> str:
    """Return a lab's nft table name, in which hyphens are not allowed."""
    return "rawat." + name.replace("-", "_")
