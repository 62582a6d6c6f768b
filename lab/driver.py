"""Bringing labs up, taking them down, and saying how they are.

The state folder says what a lab is; what runs is asked of the kernel. So taking down works whatever
was killed in between, and after a reboot of the controller.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import channel, clamav, hosts, image, inventory, network, processes, services
from lab.command import run
from lab.errors import ImpossibleHereError, LabError
from lab.layout import DEFAULT_NAME, HERMETIC, RUN_ROOT, STATE_ROOT, HostPlan, Lab, host_plans, state_folder
from lab.requirements import make_room, require_machine, require_root

FORMAT = 1
HIGHEST_NUMBER = 250


@dataclass(frozen=True)
class HostStatus:
    """A host as it is now."""

    name: str
    address: str
    groups: tuple[str, ...]
    state: str


@dataclass(frozen=True)
class LabStatus:
    """A lab as it is now."""

    lab: Lab
    hosts: tuple[HostStatus, ...]
    services: dict[str, bool]

    @property
    def is_complete(self) -> bool:
        """Tell whether every host runs and every service listens."""
        return all(self.services.values()) and all(host.state == "running" for host in self.hosts)


@dataclass(frozen=True)
class Wish:
    """What `lab up` is asked for."""

    name: str = DEFAULT_NAME
    count: int = 5
    profile: str = HERMETIC
    inventory: Path | None = None


def silent(_text: str) -> None:
    """Say nothing."""


def up(wish: Wish, say: Callable[[str], None] = silent) -> Lab:
    """Bring a lab up and return it; one that is up as wished stays as it is.

    Raises LabError when a part fails, after taking down what had come up.
    """
    # Wrong wishes are refused before anything is looked at or made.
    state_folder(wish.name)
    host_plans(wish.count, wish.profile)
    folder = inventory.choose_folder(wish.name, wish.count, wish.inventory)
    require_machine(say)
    with only_process(wish.name):
        if state_folder(wish.name).exists():
            lab = load(wish.name)
            status = look(lab)
            if status.is_complete:
                require_same(lab, wish, folder)
                say("already up")
                return lab
            say("clearing what is left of an earlier lab")
            clear(wish.name)
        lab = register(wish, folder)
        try:
            raise_lab(lab, say)
        except BaseException:
            clear(lab.name)
            raise
    return lab


def require_same(lab: Lab, wish: Wish, folder: Path) -> None:
    """Raises ImpossibleHereError unless a lab that is up is the one wished for."""
    if (lab.count, lab.profile, lab.inventory) != (wish.count, wish.profile, folder):
        raise ImpossibleHereError(
            f"lab {lab.name} is up with {lab.count} hosts, profile {lab.profile}, inventory {lab.inventory}",
            f"take it down first: rawat lab down --name {lab.name}",
        )


def raise_lab(lab: Lab, say: Callable[[str], None]) -> None:
    """Make every part of a registered lab."""
    make_room(lab.count, say)
    image.prepare_layers(lab.hosts, say)
    say("signing the package channel")
    inventory.prepare_folder(lab)
    channel.create(lab)
    clamav.create_mirror(lab)
    for_each(lab.hosts, lambda plan: hosts.make_identity(lab, plan))
    inventory.finish_folder(lab)
    say("building the network and starting the services")
    network.build(lab)
    services.start(lab)
    say(f"booting {lab.count} hosts")
    lab.disks.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "mode=0711", f"rawat-{lab.name}", lab.disks])
    for_each(lab.hosts, lambda plan: wake(lab, plan))


def wake(lab: Lab, plan: HostPlan) -> None:
    """Give a host a fresh disk and boot it."""
    hosts.mount_disk(lab, plan)
    hosts.boot(lab, plan)
    hosts.wait_for_ssh(lab, plan)


def for_each(plans: Iterable[HostPlan], act: Callable[[HostPlan], None]) -> None:
    """Do something for several hosts at once, and raise the first error when all are done."""
    with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        for done in [pool.submit(act, plan) for plan in plans]:
            done.result()


def down(name: str = DEFAULT_NAME) -> bool:
    """Take a lab down, and tell whether there was anything of it.

    Raises LabError when something stays.
    """
    state_folder(name)
    require_root()
    with only_process(name):
        if not leftovers(name):
            return False
        clear(name)
    return True


def clear(name: str) -> None:
    """Remove everything of a lab, in whatever state it is."""
    group = f"{processes.ROOT_GROUP}/{name}"
    for unit in processes.unit_names(name):
        processes.thaw(processes.Unit(name, unit))
    if (state_folder(name) / "lab.json").exists():
        lab = load(name)
        for_each(lab.hosts, lambda plan: hosts.close_connections(lab, plan))
    processes.kill_group(group)
    processes.remove_groups(group)
    for place in mounts(name):
        run(["umount", place])
    network.remove(name)
    shutil.rmtree(state_folder(name), ignore_errors=True)
    if remains := leftovers(name):
        raise LabError(f"lab {name} is not gone: {', '.join(remains)}", "see what holds them")


def leftovers(name: str) -> list[str]:
    """Return what there is of a lab on this machine; nothing when it is down."""
    group = f"{processes.ROOT_GROUP}/{name}"
    found = [f"process {pid}" for pid in sorted(processes.members(group))]
    found += [f"control group {path}" for path in processes.group_folders(group) if path.exists()]
    found += [f"mount {place}" for place in mounts(name)]
    found += [f"namespace {space}" for space in network.namespaces(name)]
    found += [f"device {link}" for link in network.links(name)]
    found += [f"nft table of {name}"] if network.has_firewall(name) else []
    state = state_folder(name)
    return found + ([f"folder {state}"] if state.exists() else [])


def mounts(name: str) -> list[Path]:
    """Return the mounts below a lab's state folder, the innermost first."""
    top = state_folder(name)
    places = []
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        place = Path(line.split()[1].encode().decode("unicode_escape"))
        if place.is_relative_to(top):
            places.append(place)
    return list(reversed(places))


def register(wish: Wish, folder: Path) -> Lab:
    """Give a lab the lowest free number and write down what it is."""
    with only_process(".numbers"):
        taken = {load(path.parent.name).number for path in STATE_ROOT.glob("*/lab.json")}
        wanted = [0] if wish.name == DEFAULT_NAME else range(1, HIGHEST_NUMBER)
        free = next((number for number in wanted if number not in taken), None)
        if free is None:
            raise ImpossibleHereError("no subnet is free for another lab", "take one down")
        lab = Lab(wish.name, free, wish.count, wish.profile, folder)
        lab.state.mkdir(parents=True, mode=0o711)
        text = json.dumps(
            {
                "format": FORMAT,
                "name": lab.name,
                "number": lab.number,
                "hosts": lab.count,
                "profile": lab.profile,
                "inventory": str(lab.inventory),
            },
            indent=2,
        )
        fresh = lab.state / ".lab.json.new"
        fresh.write_text(text + "\n", encoding="utf-8")
        fresh.rename(lab.state / "lab.json")
    return lab


def load(name: str) -> Lab:
    """Return a lab that has been brought up.

    Raises ImpossibleHereError when there is none of that name.
    """
    try:
        text = (state_folder(name) / "lab.json").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ImpossibleHereError(f"no lab {name} is up", f"rawat lab up --name {name}") from error
    told = json.loads(text)
    return Lab(told["name"], told["number"], told["hosts"], told["profile"], Path(told["inventory"]))


def look(lab: Lab) -> LabStatus:
    """Return how a lab is now."""
    listening = {name: services.is_listening(place) for name, place in services.places(lab).items()}
    with ThreadPoolExecutor(max_workers=20) as pool:
        return LabStatus(lab, tuple(pool.map(lambda plan: look_at(lab, plan), lab.hosts)), listening)


def look_at(lab: Lab, plan: HostPlan) -> HostStatus:
    """Return how a host is now."""
    state = "stopped"
    if processes.is_running(hosts.unit(lab, plan)):
        state = "running" if hosts.is_greeting(lab.address(plan)) else "not answering"
    return HostStatus(plan.name, lab.address(plan), plan.groups, state)


def reset(name: str, host: str) -> None:
    """Put a host back to how it was after `up`, or when it was kept, and boot it."""
    with changed_host(name, host) as (lab, plan):
        hosts.close_connections(lab, plan)
        hosts.cut_power(lab, plan)
        hosts.drop_disk(lab, plan)
        wake(lab, plan)


def keep(name: str, host: str) -> None:
    """Make a host as it is now what a reset brings back, and boot it."""
    with changed_host(name, host) as (lab, plan):
        hosts.stop(lab, plan)
        hosts.keep_disk(lab, plan)
        hosts.drop_disk(lab, plan)
        wake(lab, plan)


def stop(name: str, host: str) -> None:
    """Shut a host down."""
    with changed_host(name, host) as (lab, plan):
        hosts.stop(lab, plan)


def start(name: str, host: str) -> None:
    """Boot a stopped host with the disk it has."""
    with changed_host(name, host) as (lab, plan):
        if not processes.members(hosts.unit(lab, plan).group):
            hosts.boot(lab, plan)
        hosts.wait_for_ssh(lab, plan)


def publish(name: str, package: str, version: str, suite: str = "") -> Path:
    """Add a version of a package to a lab's channel, and return the package file."""
    require_root()
    with only_process(name):
        return channel.publish(load(name), package, version, suite)


@contextmanager
def changed_host(name: str, host: str) -> Iterator[tuple[Lab, HostPlan]]:
    """Give a lab and a host of it to one process that changes the host."""
    require_root()
    lab = load(name)
    plan = lab.host(host)
    with only_process(f"{name}.{host}"):
        if not hosts.is_mounted(lab.disks):
            raise LabError(
                f"lab {name} does not run (was this machine restarted?)",
                f"rawat lab up --name {name} brings it up afresh",
            )
        yield lab, plan


@contextmanager
def only_process(what: str) -> Iterator[None]:
    """Wait until no other process changes the same thing."""
    RUN_ROOT.mkdir(mode=0o700, exist_ok=True)
    with (RUN_ROOT / what).open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
