"""Control groups and the processes in them.

A process of the lab is known by the control group it is in, never by a remembered number alone:
groups survive lost pid files, and a number that now belongs to somebody else is in another group.
Every host has groups of its own, because systemd-nspawn --keep-unit would otherwise share the
caller's, and then stopping a unit in one host fails.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab import supervise
from lab.command import clean_environment
from lab.errors import LabError

ROOT_GROUP = "rawat-lab"
SUPERVISOR = "supervisor"
GUEST = "guest"
CONTROLLERS = {"name=systemd", "freezer", "memory", "pids"}


@dataclass(frozen=True)
class Unit:
    """A supervised process of a lab: a host or a service."""

    lab: str
    name: str

    @property
    def group(self) -> str:
        """The unit's control group."""
        return f"{ROOT_GROUP}/{self.lab}/{self.name}"


@cache
def hierarchies() -> tuple[Path, ...]:
    """Return the mount points of the control group hierarchies that the lab uses."""
    found = []
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, options = line.split()[:4]
        is_used_v1 = kind == "cgroup" and CONTROLLERS & set(options.split(","))
        if kind == "cgroup2" or is_used_v1:
            found.append(Path(place))
    if not found:
        raise LabError("no control group hierarchy is mounted", "mount cgroup2 on /sys/fs/cgroup")
    return tuple(found)


def group_folders(group: str) -> list[Path]:
    """Return the folders of a control group, one per hierarchy."""
    return [place / group for place in hierarchies()]


def start_unit(unit: Unit, command: Sequence[str], folder: Path, *, always: bool = False) -> None:
    """Start a supervised command, detached from this process, its output in `folder`/log."""
    argv = [sys.executable, "-I", supervise.__file__]
    if always:
        argv.append("--always")
    for part, option in ((SUPERVISOR, "--own"), (GUEST, "--child")):
        for place in group_folders(f"{unit.group}/{part}"):
            place.mkdir(parents=True, exist_ok=True)
            argv += [option, str(place)]
    with (folder / "log").open("ab") as log:
        # setsid --fork: the supervisor belongs to no shell and is nobody's child here.
        subprocess.run(
            ["setsid", "--fork", *argv, "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=clean_environment(),
            check=True,
        )


def members(group: str) -> set[int]:
    """Return the processes in a control group and below it."""
    found: set[int] = set()
    for top in group_folders(group):
        for folder in walk_groups(top):
            with contextlib.suppress(OSError):
                words = (folder / "cgroup.procs").read_text(encoding="ascii").split()
                found.update(int(word) for word in words)
    return found


def walk_groups(top: Path) -> Iterator[Path]:
    """Yield a control group folder and all below it, the deepest first."""
    with contextlib.suppress(OSError):
        for child in os.scandir(top):
            if child.is_dir(follow_symlinks=False):
                yield from walk_groups(Path(child.path))
        yield top


def is_running(unit: Unit) -> bool:
    """Tell whether a unit's own process lives."""
    return bool(members(f"{unit.group}/{GUEST}"))


def send(group: str, number: signal.Signals) -> None:
    """Signal every process of a control group, and surely no other."""
    for pid in members(group):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            # Checked after the handle is open: it cannot slip to a process that reuses the number.
            if is_member(pid, group):
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def is_member(pid: int, group: str) -> bool:
    """Tell whether a process is in a control group or below it."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    paths = [line.split(":", 2)[2].lstrip("/") + "/" for line in lines]
    return any(path.startswith(f"{group}/") for path in paths)


def stop_unit(unit: Unit, grace: float) -> None:
    """Ask a unit to end, and kill what is left after `grace` seconds."""
    thaw(unit)
    send(f"{unit.group}/{SUPERVISOR}", signal.SIGTERM)
    if not wait_until_empty(unit.group, grace):
        kill_group(unit.group)


def kill_group(group: str) -> None:
    """Kill every process of a control group.

    Raises LabError when one of them stays.
    """
    deadline = time.monotonic() + 15
    while members(group):
        send(group, signal.SIGKILL)
        if wait_until_empty(group, 0.5):
            return
        if time.monotonic() > deadline:
            stuck = " ".join(str(pid) for pid in sorted(members(group)))
            raise LabError(f"processes {stuck} of {group} cannot be killed", "see `ps -l`")


def wait_until_empty(group: str, seconds: float) -> bool:
    """Wait for a control group to have no process, and tell whether it happened."""
    deadline = time.monotonic() + seconds
    while members(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def remove_groups(group: str) -> None:
    """Remove a control group and all below it."""
    for top in group_folders(group):
        for folder in walk_groups(top):
            remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove a control group, which the kernel frees a moment after its last process."""
    for _ in range(100):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return


def freeze(unit: Unit) -> None:
    """Let a unit hang: its processes live and do not run."""
    set_frozen(unit, is_frozen=True)


def thaw(unit: Unit) -> None:
    """Let a frozen unit go on."""
    set_frozen(unit, is_frozen=False)


def set_frozen(unit: Unit, *, is_frozen: bool) -> None:
    """Write the state to both kinds of hierarchy."""
    for folder in group_folders(f"{unit.group}/{GUEST}"):
        for file, word in (
            ("freezer.state", "FROZEN" if is_frozen else "THAWED"),
            ("cgroup.freeze", str(int(is_frozen))),
        ):
            if (folder / file).exists():
                (folder / file).write_text(word, encoding="ascii")


def unit_names(lab: str) -> list[str]:
    """Return the names of a lab's units that have control groups."""
    names: set[str] = set()
    for top in group_folders(f"{ROOT_GROUP}/{lab}"):
        if top.is_dir():
            names.update(child.name for child in top.iterdir() if child.is_dir())
    return sorted(names)
