"""Does one approved cure on the host, and notes its begin and its end in the marker, on the disk.

It is written beside the marker and run there as a unit of systemd, with the host's own Python and the
standard library alone: a killed controller or a cut link does not touch it.

Rules kept here, and nowhere else:
1. Only a file that `may_go` names is ever removed: a package file in a package manager's cache, or a rotated
   log beside the log it came from. It has to be the one that was approved: its size and time are compared.
2. No link is followed: every folder on the way is opened by itself, and a name in it is removed there. Who
   may write into a folder of logs can therefore have removed only what he could have removed himself.
3. A lock is removed only while the kernel lets us hold what its holder would have to hold.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

# Names that every terminal, document and shell shows as they are; other files are left alone.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9@_.+:~%=-]{0,199}")
_ROTATED = re.compile(r"(?P<log>.+?)(?:\.\d{1,4}|-\d{8}(?:-\d{1,8})?)(?:\.(?:gz|xz|bz2|zst))?")
CACHE, LOGS = "clean_package_cache", "remove_rotated_logs"
DNF_CACHE = Path("/var/cache/dnf")
APT_CACHE_LOCK = "/var/cache/apt/archives/lock"
ACCOUNTS_LOCK = "/etc/.pwd.lock"
LOCK_OWNER = 0
# What useradd and its kin lock by a file that merely exists; scripts of packages call them.
LEFTOVER_LOCKS = tuple(
    f"/etc/{name}.lock" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
)
# struct flock of fcntl(2): kind, whence, start, length, process.
_FLOCK = "hhqqi"
_SAID = 4000
_LOCK_BYTES = 64


class Place(NamedTuple):
    """A folder in which a cure may remove files, so deep at most, and folders in it that are left alone."""

    root: str
    depth: int
    ending: str = ""
    left_alone: frozenset[str] = frozenset()


PLACES = {
    CACHE: (Place("/var/cache/apt/archives", 2, ".deb"), Place("/var/cache/dnf", 3, ".rpm")),
    # What tells who came in and what was installed is never removed; systemd's own journal is systemd's.
    LOGS: (
        Place(
            "/var/log",
            3,
            left_alone=frozenset({"journal", "audit", "apt", "private", "sudo-io", "installer", "rawat"}),
        ),
    ),
}
_KEPT_LOGS = ("wtmp", "btmp", "lastlog", "faillog", "auth.log", "secure", "sudo.log", "dpkg.log", "audit.log")


class CannotCureError(Exception):
    """The cure was not done, or not to its end."""


# Files --------------------------------------------------------------------------------------------------


def may_go(place: Place, folder: int, name: str) -> os.stat_result | None:
    """Return what a file is that may be removed from an opened folder of the place, None when it may not."""
    if not PLAIN_NAME.fullmatch(name):
        return None
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    # A second name elsewhere means that somebody else counts on the file, and that nothing would be freed.
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return None
    if place.ending:
        return found if name.endswith(place.ending) else None
    return found if is_rotated(folder, name) else None


def is_rotated(folder: int, name: str) -> bool:
    """Whether a log was put aside by rotation: the log it came from stands beside it."""
    match = _ROTATED.fullmatch(name)
    if match is None or match["log"].startswith(_KEPT_LOGS):
        return False
    try:
        beside = os.stat(match["log"], dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(beside.st_mode)


def opened(place: Place, below: list[str]) -> int:
    """Return the opened folder that is reached from the place's root by these names, following no link.

    Raises:
        OSError: when one of them is no folder, or lies on another file system.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(place.root, flags)
    device = os.fstat(folder).st_dev
    for name in below:
        try:
            deeper = os.open(name, flags, dir_fd=folder)
        finally:
            os.close(folder)
        folder = deeper
        if os.fstat(folder).st_dev != device:
            os.close(folder)
            raise NotADirectoryError(f"{name} lies on another file system")
    return folder


def remove_files(cure: str, files: list[dict]) -> int:
    """Remove the approved files that are still the same; return the bytes they took."""
    freed = 0
    for approved in files:
        path = str(approved["path"])
        for place in PLACES[cure]:
            if path.startswith(place.root + "/"):
                freed += _remove_one(place, path[len(place.root) + 1 :], approved)
    return freed


def _remove_one(place: Place, below: str, approved: dict) -> int:
    *folders, name = below.split("/")
    if len(folders) >= place.depth or not all(PLAIN_NAME.fullmatch(each) for each in folders):
        return 0
    if folders and folders[0] in place.left_alone:
        return 0
    try:
        folder = opened(place, folders)
    except OSError:
        return 0
    try:
        found = may_go(place, folder, name)
        if found is None or describe(found) != {"bytes": approved["bytes"], "modified": approved["modified"]}:
            return 0
        os.unlink(name, dir_fd=folder)
    except OSError as error:
        raise CannotCureError(f"{place.root}/{below}: {error.strerror}") from error
    finally:
        os.close(folder)
    return found.st_blocks * 512


def describe(found: os.stat_result) -> dict:
    """Return what a file is known by."""
    return {"bytes": found.st_size, "modified": int(found.st_mtime)}


# Locks --------------------------------------------------------------------------------------------------


def leftover(path: str) -> dict | None:
    """Return what a lock file says of its holder, who is gone; None when there is no such file.

    Raises:
        CannotCureError: when somebody may still hold it.
    """
    try:
        found = os.lstat(path)
        is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == LOCK_OWNER and found.st_size <= _LOCK_BYTES
        said = Path(path).read_bytes() if is_ours else b""
    except FileNotFoundError:
        return None
    if not is_ours:
        raise CannotCureError("it is no lock file as the account tools leave it")
    holder = said.strip(b"\0\n ").decode("ascii", "replace")
    if holder.isdigit() and was_running(int(holder), found.st_mtime):
        raise CannotCureError(f"process {holder} that it names is alive")
    return {"holder": holder if holder.isdigit() else ""}


def was_running(process: int, since: float) -> bool:
    """Whether the process is there now and was there then; a number may be given out again."""
    try:
        words = (
            Path(f"/proc/{process}/stat")
            .read_text(encoding="utf-8", errors="replace")
            .rpartition(")")[2]
            .split()
        )
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except OSError:
        return False
    age = uptime - int(words[19]) / os.sysconf("SC_CLK_TCK")
    # A minute for what clocks and ticks may differ; in doubt it is alive.
    return time.time() - age < since + 60


def remove_lock(path: str) -> None:
    """Remove a lock whose holder is gone, while nobody else can take it."""
    if path not in LEFTOVER_LOCKS:
        raise CannotCureError("it is no lock that may be removed")
    guard = os.open(ACCOUNTS_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # Every tool holds this one, which the kernel frees, as long as it holds any of the others.
        fcntl.lockf(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if leftover(path) is not None:
            Path(path).unlink()
    except BlockingIOError as error:
        raise CannotCureError("an account is being changed right now") from error
    finally:
        os.close(guard)


def is_held(path: str) -> bool:
    """Whether a process holds the kernel's lock on a file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK
    finally:
        os.close(file)


# The cures ----------------------------------------------------------------------------------------------


def cure(code: str, does: dict) -> int:
    """Do what was approved; return the bytes of the files that were removed.

    Raises:
        CannotCureError: when it could not be done.
    """
    if code in PLACES:
        return _with_cache_lock(code, does) if code == CACHE else remove_files(code, does["files"])
    if code == "remove_lock":
        remove_lock(does["path"])
    else:
        for command in commands(code, does):
            _run(command)
    return 0


def commands(code: str, does: dict) -> list[list[str]]:
    """Return the commands of a cure; the first that fails ends it."""
    if code == "start_unit":
        # A unit that failed too often is not started again before its failure is forgotten.
        return [["systemctl", "reset-failed", does["unit"]], ["systemctl", "start", does["unit"]]]
    if code == "start_time_sync":
        return [["systemctl", "enable", does["unit"]], *commands("start_unit", does)]
    if code == "vacuum_journal":
        return [["journalctl", f"--vacuum-size={int(does['keep_bytes'])}"]]
    if code == "configure_packages":
        options = ["--force-confdef", "--force-confold", "--configure", "--pending"]
        return [["/usr/bin/dpkg", *options]]
    if code == "renew_certificate":
        return [list(does["hook"])]
    raise CannotCureError(f"there is no cure {code}")


def _run(command: list[str]) -> None:
    # Its output goes to the unit's log. No shell, and no end of ours: who kills dpkg breaks the host.
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    if done.returncode and command[1:2] != ["reset-failed"]:
        raise CannotCureError(f"{command[0]} ended with {done.returncode}")


def dnf_at_work() -> str:
    """Return the process that a lock of dnf names and that lives, "" when there is none."""
    for path in sorted(DNF_CACHE.glob("*_lock.pid")):
        try:
            said = path.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        if said.isdigit() and Path(f"/proc/{said}").exists():
            return f"process {said} (dnf)"
    return ""


def _with_cache_lock(code: str, does: dict) -> int:
    """Remove package files while no package manager can be using them."""
    if dnf_at_work():
        raise CannotCureError("a package manager is at work")
    if not Path(APT_CACHE_LOCK).parent.is_dir():
        return remove_files(code, does["files"])
    lock = os.open(APT_CACHE_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return remove_files(code, does["files"])
    except BlockingIOError as error:
        raise CannotCureError("a package manager is at work") from error
    finally:
        os.close(lock)


# The marker ---------------------------------------------------------------------------------------------


def read_marker(marker: Path) -> dict:
    """Return what was noted for each cure; an unreadable marker is not taken for an empty one."""
    try:
        return dict(json.loads(marker.read_bytes()))
    except FileNotFoundError:
        return {}


def note(marker: Path, name: str, what: dict) -> None:
    """Note something of a cure beside what was noted before; it is on the disk when this returns."""
    noted = read_marker(marker)
    noted[name] = {**noted.get(name, {}), **what}
    written = marker.with_suffix(".new")
    written.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(written, flags, 0o600), "w") as stream:
        json.dump(noted, stream, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    written.replace(marker)
    folder = os.open(marker.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def boot_id() -> str:
    """Return which boot the host is in."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def main(order: Path) -> int:
    """Do what one order says: `marker`, `id`, `cure` and `does`."""
    told = json.loads(order.read_bytes())
    marker = Path(told["marker"])
    tries = read_marker(marker).get(told["id"], {}).get("tries", 0) + 1
    note(marker, told["id"], {"outcome": "begun", "boot_id": boot_id(), "tries": tries, "freed_bytes": 0})
    freed, problem = 0, ""
    try:
        freed = cure(told["cure"], told["does"])
    except (CannotCureError, OSError) as error:
        problem = f"{error}"[:_SAID]
    note(marker, told["id"], {"outcome": "ended", "problem": problem, "freed_bytes": freed})
    if problem:
        print(problem, flush=True)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
