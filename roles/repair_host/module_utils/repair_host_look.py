"""Looks for the known disturbances of a host and says for each which known cure would do exactly what.

It changes nothing. What cannot be looked at is told as unmeasured, never as sound.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import stat
import time
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils import certificate_end, host_unit
from ansible.module_utils import debian_packages as packages
from ansible.module_utils import repair_host_cure as cures

Entry = dict[str, Any]
MOST_FILES = 300
MOST_SEEN = 20_000
COMMAND_SECONDS = 20
# A living holder of a package manager's lock is told once it has held on for so long; it is never ended.
LONG_SECONDS = 3600
CODES = (
    "disk_full",
    "lock_stale",
    "packages_unfinished",
    "time_sync_off",
    "certificate_expired",
    "unit_dead",
)
"""In the order in which they are cured: room first, services last."""

NEEDS = {
    cures.CACHE: ["idle_package_manager"],
    "configure_packages": ["idle_package_manager"],
    "remove_lock": ["idle_accounts"],
    "start_time_sync": ["time_server"],
    "renew_certificate": ["issuer"],
}
"""Cure -> what it needs to come to its end."""

ON_A_DISK = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "vfat", "bcachefs"}
TIME_SERVICES = (
    "chrony.service",
    "chronyd.service",
    "systemd-timesyncd.service",
    "ntpsec.service",
    "ntpd.service",
)
JOURNAL = Path("/var/log/journal")
_MOUNT_WORDS, _KIND_WORDS = 6, 3
# Of struct timex: TIME_ERROR, STA_UNSYNC, and the size of a word it is read with.
_CLOCK_ERROR, _UNSYNCHRONIZED, _WORD = 5, 0x40, 8


class CannotLookError(Exception):
    """Something could not be looked at: a reason's code, and what the host said."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Wanted(NamedTuple):
    """What the office expects of the host."""

    units: tuple[str, ...]
    certificates: tuple[dict[str, Any], ...]
    certificate_days: int
    time_sync: bool
    time_service: str
    disk_percent: int
    journal_keep_bytes: int
    log_days: int

    def names(self) -> set[tuple[str, str]]:
        """Return what is looked at by name; an approved thing that is not among them is looked at no more."""
        units = {("unit_dead", unit) for unit in self.units}
        certificates = {("certificate_expired", each["path"]) for each in self.certificates}
        return units | certificates | {("time_sync_off", self.time_service if self.time_sync else "")}


class Looked(NamedTuple):
    """What was found on a host."""

    family: str
    repairs: list[Entry]
    unmeasured: list[Entry]
    not_here: list[Entry]

    def of(self, code: str, subject: str) -> list[Entry]:
        """Return what was found of one disturbance."""
        return [entry for entry in self.repairs if (entry["code"], entry["subject"]) == (code, subject)]

    def why_unmeasured(self, code: str, subject: str) -> Entry | None:
        """Return why it is not known whether a disturbance is there."""
        told = [each for each in self.unmeasured if each["code"] == code and each["subject"] in {"", subject}]
        return told[0] if told else None


def look(wanted: Wanted, codes: tuple[str, ...] = CODES) -> Looked:
    """Look for disturbances of these codes."""
    family = family_of_host()
    found = Looked(family, [], [], [])
    for code in CODES:
        if code not in codes:
            continue
        if code == "packages_unfinished" and family != "debian":
            found.not_here.append({"code": code, "reason": "not_on_this_family", "detail": "dpkg"})
            continue
        try:
            _LOOKS[code](wanted, found)
        except CannotLookError as error:
            found.unmeasured.append(unmeasured(code, "", error.reason, error.detail))
        except Exception as error:  # noqa: BLE001 - whatever one look meets, the others are told
            found.unmeasured.append(unmeasured(code, "", "error", f"{error.__class__.__name__}: {error}"))
    return found


def family_of_host() -> str:
    """Return `debian`, `redhat` or `other`, by the package table that is there."""
    if Path("/var/lib/dpkg/status").exists() and Path("/etc/debian_version").exists():
        return "debian"
    return "redhat" if Path("/etc/redhat-release").exists() else "other"


def entry(code: str, subject: str, cure: str, **more: object) -> Entry:
    """Return what is told of a disturbance and of one cure for it; without a cure `reason` says why."""
    return {
        "id": f"{code}:{subject}:{cure or 'none'}",
        "code": code,
        "subject": subject,
        "found": {},
        "cure": cure,
        "does": {},
        "risk": "low",
        "needs": NEEDS.get(cure, []),
        "reason": "",
        "detail": "",
        **more,
    }


def unmeasured(code: str, subject: str, reason: str, detail: str) -> Entry:
    """Return what is told of something that could not be looked at."""
    told = packages.clean_text(detail)[:300]
    return {"code": code, "subject": subject, "reason": reason, "detail": told}


# Disks --------------------------------------------------------------------------------------------------


class Mount(NamedTuple):
    """A place at which a file system is mounted."""

    place: str
    kind: str
    device: str
    read_only: bool


def full_disks(wanted: Wanted, found: Looked) -> None:
    """Look for full disks, and for what may go on them."""
    mounts = parse_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"))
    seen = set()
    for mount in sorted(mounts.values()):
        if not is_looked_at(mount) or mount.device in seen:
            continue
        seen.add(mount.device)
        told = usage(mount.place)
        if max(told["percent"], told["inodes_percent"]) < wanted.disk_percent:
            continue
        told["limit"] = wanted.disk_percent
        offers = [*offered_files(mount, mounts, wanted), *offered_journal(mount, mounts, wanted)]
        order = [cures.CACHE, "vacuum_journal", cures.LOGS]
        for cure, does in sorted(offers, key=lambda offer: order.index(offer[0])):
            risk = "low" if cure == cures.CACHE else "medium"
            found.repairs.append(entry("disk_full", mount.place, cure, found=told, does=does, risk=risk))
        if not offers:
            found.repairs.append(entry("disk_full", mount.place, "", found=told, reason="nothing_to_free"))


def parse_mounts(text: str) -> dict[str, Mount]:
    """Return what is mounted by its place; what was mounted over another hides it."""
    mounts = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if len(words) >= _MOUNT_WORDS and len(kind) >= _KIND_WORDS:
            place = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), words[4])
            mounts[place] = Mount(place, kind[0], words[2], "ro" in kind[2].split(","))
    return mounts


def is_looked_at(mount: Mount) -> bool:
    """Whether a file system lies on a disk of this host; a server's one may never answer."""
    is_local = mount.kind in ON_A_DISK or (mount.kind == "overlay" and mount.place == "/")
    # Logs and caches kept in memory fill like a disk.
    return not mount.read_only and (is_local or (mount.kind == "tmpfs" and mount.place.startswith("/var/")))


def device_of(path: str, mounts: dict[str, Mount]) -> str:
    """Return on which device a path lies; one device can be mounted at several places."""
    while path not in mounts and path != "/":
        path = os.path.dirname(path)  # noqa: PTH120 - text, no file
    return mounts[path].device if path in mounts else ""


def usage(place: str) -> Entry:
    """Return how full a file system is, in per cent as df tells it."""
    told = os.statvfs(place)
    used = told.f_blocks - told.f_bfree
    files = told.f_files - told.f_ffree
    return {
        "percent": round(100 * used / ((used + told.f_bavail) or 1), 1),
        "inodes_percent": round(100 * files / (told.f_files or 1), 1),
        "bytes": told.f_blocks * told.f_frsize,
        "free_bytes": told.f_bavail * told.f_frsize,
    }


def offered_files(mount: Mount, mounts: dict[str, Mount], wanted: Wanted) -> list[tuple[str, Entry]]:
    """Return for each cure that removes files what it would remove from a disk, the largest first."""
    offers = []
    for cure, places in cures.PLACES.items():
        days = wanted.log_days if cure == cures.LOGS else 0
        files = [file for place in places for file in files_in(place, mount, mounts, days)]
        files.sort(key=lambda file: (-file["bytes"], file["path"]))
        if files:
            kept = files[:MOST_FILES]
            does = {"files": kept, "count": len(kept), "bytes": sum(f["bytes"] for f in kept)}
            offers.append((cure, {**does, "more": len(files) - len(kept)}))
    return offers


def files_in(place: cures.Place, mount: Mount, mounts: dict[str, Mount], days: int) -> list[Entry]:
    """Return the files of a place that may go and lie on this disk."""
    found: list[Entry] = []
    try:
        is_folder = stat.S_ISDIR(os.lstat(place.root).st_mode)
    except OSError:
        return found
    seen, youngest = 0, time.time() - days * 86400
    # Follows no link, and opens every folder from the one above it.
    for path, folders, names, folder in os.fwalk(place.root) if is_folder else ():
        below = path[len(place.root) :].count("/")
        if below == 0:
            folders[:] = [name for name in folders if name not in place.left_alone]
        folders[:] = [
            name
            for name in sorted(folders)
            if below + 1 < place.depth and cures.PLAIN_NAME.fullmatch(name) and f"{path}/{name}" not in mounts
        ]
        seen += len(names)
        if device_of(path, mounts) != mount.device or seen > MOST_SEEN:
            continue
        for name in sorted(names):
            told = cures.may_go(place, folder, name)
            if told is not None and told.st_mtime <= youngest and f"{path}/{name}" not in mounts:
                found.append({"path": f"{path}/{name}", **cures.describe(told)})
    return found


def offered_journal(mount: Mount, mounts: dict[str, Mount], wanted: Wanted) -> list[tuple[str, Entry]]:
    """Return how much systemd's journal could give back, by its own tool."""
    if JOURNAL.is_symlink() or not JOURNAL.is_dir() or device_of(str(JOURNAL), mounts) != mount.device:
        return []
    sizes = {path: path.lstat() for path in JOURNAL.glob("*/*.journal*")}
    total = sum(told.st_blocks * 512 for told in sizes.values())
    # Only closed files go; those that are written to stay.
    closed = sum(told.st_blocks * 512 for path, told in sizes.items() if "@" in path.name)
    gives = min(closed, total - wanted.journal_keep_bytes)
    keep = {"keep_bytes": wanted.journal_keep_bytes, "bytes": gives}
    return [("vacuum_journal", keep)] if gives > 0 else []


# Package managers ---------------------------------------------------------------------------------------


def stale_locks(_: Wanted, found: Looked) -> None:
    """Look for locks that a dead process left, and for living ones that hold a package manager's for long.

    apt's and dpkg's own locks are the kernel's and end with their holder: a file of that name locks nothing.
    """
    for path in cures.LEFTOVER_LOCKS:
        try:
            told = cures.leftover(path)
        except cures.CannotCureError as error:
            if not cures.is_held(cures.ACCOUNTS_LOCK):
                found.repairs.append(no_cure("lock_stale", path, "holder_alive", str(error)))
            continue
        # While an account is being changed its locks are as they should be.
        if told is not None and not cures.is_held(cures.ACCOUNTS_LOCK):
            said = {"holder": told["holder"] or "none"}
            found.repairs.append(entry("lock_stale", path, "remove_lock", found=said, does={"path": path}))
    for path in packages.LOCKS if found.family == "debian" else ():
        holder = packages.lock_holder(path)
        if holder and seconds_running(holder) > LONG_SECONDS:
            found.repairs.append(no_cure("lock_stale", path, "holder_alive", holder))


def no_cure(code: str, subject: str, reason: str, detail: str = "", **more: object) -> Entry:
    """Return what is told of a disturbance for which there is no cure here."""
    return entry(code, subject, "", reason=reason, detail=packages.clean_text(detail)[:300], **more)


def seconds_running(holder: str) -> float:
    """Return since when a process that is named so runs; 0 when it has ended."""
    words = re.match(r"process (\d+)", holder)
    try:
        told = Path(f"/proc/{words[1] if words else 0}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    ticks = int(told.rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0]) - ticks / os.sysconf(
        "SC_CLK_TCK"
    )


def unfinished_packages(_: Wanted, found: Looked) -> None:
    """Look for packages that dpkg has not finished, and for dpkg having been cut short."""
    states = packages.package_states()
    interrupted = packages.is_dpkg_interrupted()
    unsettled = {name: state for name, state in states.items() if not state.is_settled}
    open_ = [
        {"package": name, "version": state.version, "state": state.status}
        for name, state in sorted(unsettled.items())
        if not state.is_broken
    ]
    if open_ or interrupted:
        told = {"interrupted": interrupted, "count": len(open_)}
        more = {"does": {"packages": open_}, "risk": "medium"}
        found.repairs.append(entry("packages_unfinished", "dpkg", "configure_packages", found=told, **more))
    for name, state in sorted(unsettled.items()):
        if state.is_broken:
            found.repairs.append(no_cure("packages_unfinished", name, "package_damaged", state.status))


# Units, time and certificates ---------------------------------------------------------------------------


_ASKED_OF_UNITS = (
    "LoadState,ActiveState,SubState,Result,UnitFileState,Type,TriggeredBy,RemainAfterExit,NRestarts,MainPID"
)


def unit_told(unit: str) -> dict[str, str]:
    """Return what systemd says of a unit.

    Raises:
        CannotLookError: when systemd does not answer.
    """
    asked = packages.run_command(
        ["systemctl", "show", f"--property={_ASKED_OF_UNITS}", "--", unit], COMMAND_SECONDS
    )
    told = dict(line.split("=", 1) for line in asked.output.splitlines() if "=" in line)
    if asked.rc or "ActiveState" not in told:
        raise CannotLookError("no_answer", asked.output)
    return told


def dead_units(wanted: Wanted, found: Looked) -> None:
    """Look at the units that the office expects."""
    for unit in wanted.units:
        told = unit_told(unit)
        reason = why_not_startable(told)
        if reason is None and is_up(told):
            continue
        state = {"state": told["ActiveState"], "result": told.get("Result", "")}
        if reason:
            found.repairs.append(no_cure("unit_dead", unit, reason, found=state))
        else:
            found.repairs.append(entry("unit_dead", unit, "start_unit", found=state, does={"unit": unit}))


def why_not_startable(told: dict[str, str]) -> str | None:
    """Return why a unit cannot be started by anybody as it is, None when it can."""
    if told["LoadState"] == "masked":
        return "unit_masked"
    if told["LoadState"] != "loaded":
        return "unit_not_there"
    # systemd keeps starting it and it keeps dying: to start it once more would change nothing.
    return "unit_restarting" if told["SubState"] == "auto-restart" else None


def is_up(told: dict[str, str]) -> bool:
    """Whether a unit is as expected: at work, or not failed and waiting to be called."""
    if told["ActiveState"] in {"active", "activating", "reloading"}:
        return True
    called = any(
        unit_told(caller)["ActiveState"] == "active" for caller in told.get("TriggeredBy", "").split()
    )
    waits = called or (told.get("Type") == "oneshot" and told.get("RemainAfterExit") != "yes")
    return told["ActiveState"] != "failed" and waits


def time_sync(wanted: Wanted, found: Looked) -> None:
    """Look whether the clock is kept, by the kernel's word and by the service the office named."""
    if not wanted.time_sync:
        return
    synchronized = is_synchronized()
    unit = wanted.time_service
    state: Entry = {"synchronized": {True: "yes", False: "no", None: "not told"}[synchronized]}
    if not unit:
        if synchronized is None:
            # So it is in containers, whose clock is that of the machine.
            raise CannotLookError("not_told")
        if not synchronized:
            detail = ", ".join(each for each in TIME_SERVICES if host_unit.is_running(each))
            found.repairs.append(no_cure("time_sync_off", "", "no_time_service", detail, found=state))
        return
    told = unit_told(unit)
    state.update(state=told["ActiveState"], enabled=told["UnitFileState"] or "no")
    reason = why_not_startable(told)
    runs = told["ActiveState"] == "active"
    if not reason and runs and is_enabled(told):
        if synchronized is not False:
            return
        reason = "no_time_server"
    if reason:
        found.repairs.append(no_cure("time_sync_off", unit, reason, found=state))
        return
    # A clock that was wrong jumps.
    more = {"found": state, "does": {"unit": unit}, "risk": "medium"}
    found.repairs.append(entry("time_sync_off", unit, "start_time_sync", **more))


def is_enabled(told: dict[str, str]) -> bool:
    """Whether a unit comes up with the host; some are always there, or are pulled in by others."""
    return told["UnitFileState"] not in {"disabled", "masked", "masked-runtime", "bad"}


def is_synchronized() -> bool | None:
    """Return what the kernel knows of the clock, None where it may not be asked (containers)."""
    # struct timex on 64 bits: modes, offset, freq, maxerror, esterror, status, ...
    answer = (ctypes.c_long * 64)()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(answer))
    if state < 0 or ctypes.sizeof(ctypes.c_long) != _WORD:
        return None
    status = answer[5]
    return state != _CLOCK_ERROR and not status & _UNSYNCHRONIZED


def expired_certificates(wanted: Wanted, found: Looked) -> None:
    """Look at the certificates that the office named, and at the programs it named to renew them."""
    for each in wanted.certificates:
        path, hook = each["path"], [str(word) for word in each.get("hook") or []]
        try:
            left = (certificate_end.end_of_certificate(path) - time.time()) / 86400
        except (OSError, ValueError) as error:
            told = unmeasured("certificate_expired", path, "unreadable", str(error))
            found.unmeasured.append(told)
            continue
        if left > wanted.certificate_days:
            continue
        days = {"days_left": round(left, 1)}
        problem = problem_with_program(hook[0]) if hook else ""
        if not hook:
            found.repairs.append(no_cure("certificate_expired", path, "no_hook", found=days))
        elif problem:
            found.repairs.append(no_cure("certificate_expired", path, "hook_unsafe", problem, found=days))
        else:
            does = {"hook": hook, "sha256": hashlib.sha256(Path(hook[0]).read_bytes()).hexdigest()}
            more = {"found": days, "does": does, "risk": "medium"}
            found.repairs.append(entry("certificate_expired", path, "renew_certificate", **more))


def problem_with_program(path: str) -> str:
    """Return why a program may not be run as root, "" when only root can have written it."""
    try:
        place = Path(path).resolve(strict=True)
        for part in (place, *place.parents):
            told = part.stat()
            is_shared = told.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not told.st_mode & stat.S_ISVTX
            if told.st_uid != 0 or is_shared:
                return f"others than root may write {part}"
        is_program = stat.S_ISREG(place.stat().st_mode) and os.access(place, os.X_OK)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "" if is_program else f"{path} is no program"


_LOOKS = {
    "disk_full": full_disks,
    "lock_stale": stale_locks,
    "packages_unfinished": unfinished_packages,
    "time_sync_off": time_sync,
    "certificate_expired": expired_certificates,
    "unit_dead": dead_units,
}
