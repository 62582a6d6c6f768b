"""Judges what was measured on a computer. Pure: facts and limits in, findings out.

What a host sends may be anything: a part of it that has not the expected form is unmeasured, and the other
parts are judged all the same. A limit of 0 is none: the value is told and not judged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runner.judges.base import Finding, at_least, at_most, finding, unmeasured

Facts = Mapping[str, Any]
"""What ``roles/check_host/files/check_host_probe.py`` tells under ``facts``."""
Limits = Mapping[str, Any]
"""The inputs of the role ``check_host``, without its name in front."""

_DAY = 86400
_LARGEST = 2**60
_MOST = 1000
_OWN_DISKS = frozenset(["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs", "zfs", "vfat"])
"""File systems that become read-only when their disk fails."""
_NEEDS_ROOT = "needs_root"


def judge(answer: Facts, limits: Limits) -> list[Finding]:
    """Return a finding for everything that was looked at.

    Args:
        answer: ``{facts, errors, now, offset_seconds, earlier}``; ``now`` is the controller's time,
            ``offset_seconds`` how far the host's clock is off from it, ``earlier`` what was measured before.
        limits: the thresholds of this host.
    """
    found: list[Finding] = []
    for name, code, judge_part in _PARTS:
        if name == "clock" and not limits["time_sync_expected"]:
            continue  # somebody else keeps the clock, such as the machine that a container runs on
        if name == "expected_units" and not limits["expected_units"]:
            continue
        found += _judged(answer, limits, name, code, judge_part)
    return found[:_MOST]


def _judged(answer: Facts, limits: Limits, name: str, code: str, judge_part: Judge) -> list[Finding]:
    error = answer["errors"].get(name)
    if error is not None:
        return [unmeasured(code, "", str(error))]
    if name not in answer["facts"]:
        return [unmeasured(code, "", "not_told")]
    try:
        return list(judge_part(answer["facts"][name], limits, answer))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError):
        return [unmeasured(code, "", "unreadable")]


Judge = Callable[[Any, Limits, Facts], Iterator[Finding]]


def _number(value: object) -> float:
    """Return a number as it may stand in evidence; what a host says may be anything."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _share(part: float, whole: float) -> float:
    return round(100 * part / whole, 1)


def _limit(limits: Limits, name: str) -> float | None:
    return limits[name] or None


def _both(limits: Limits, name: str, unit: str) -> tuple[float | None, float | None]:
    """Return from where on it is a warning, and from where on it is critical."""
    return _limit(limits, f"{name}_warning_{unit}"), _limit(limits, f"{name}_critical_{unit}")


def _items(listed: Facts, code: str) -> Iterator[Any]:
    """Yield what is listed; the caller adds ``_cut`` for what did not fit."""
    if not isinstance(listed["items"], list):
        raise TypeError(code)
    yield from listed["items"]


def _cut(listed: Facts, code: str) -> Iterator[Finding]:
    if _number(listed["cut"]) > 0:
        yield unmeasured(code, "", f"{int(listed['cut'])} more were not looked at")


# The parts -------------------------------------------------------------------------------------------


def _load(facts: Any, limits: Limits, _: Facts) -> Iterator[Finding]:  # noqa: ANN401 - any JSON of a host
    per_core = round(_number(facts["15"]) / _number(facts["cores"]), 2)
    yield at_most("load", "", per_core, "per_core", *_both(limits, "load", "per_core"))


def _memory(facts: Any, limits: Limits, _: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    total, swap = _number(facts["total"]), _number(facts["swap_total"])
    used = _share(total - _number(facts["available"]), total)
    yield at_most("memory", "", used, "%", *_both(limits, "memory", "percent"))
    if swap:
        used = _share(swap - _number(facts["swap_free"]), swap)
        yield at_most("swap", "", used, "%", *_both(limits, "swap", "percent"))


def _disks(facts: Any, limits: Limits, answer: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    declared = facts["declared_read_only"]
    for disk in _items(facts, "disk_space"):
        place = _text(disk["place"])
        if "error" in disk:
            yield unmeasured("disk_space", place, str(disk["error"]))
            continue
        if disk["read_only"] is True and disk["type"] in _OWN_DISKS and place not in declared:
            yield finding("disk_read_only", place, "critical")
        yield from _space(place, disk, limits, answer)
    yield from _cut(facts, "disk_space")


def _space(place: str, disk: Facts, limits: Limits, answer: Facts) -> Iterator[Finding]:
    used, free = _number(disk["used"]), _number(disk["free"])
    if used + free > 0:
        yield at_most("disk_space", place, _share(used, used + free), "%", *_both(limits, "disk", "percent"))
        days = days_until_full(used, free, answer["now"], answer["earlier"].get(place, ()))
        if days is not None:
            yield at_least("disk_forecast", place, days, "days", *_both(limits, "disk_forecast", "days"))
    inodes, inodes_free = _number(disk["inodes"]), _number(disk["inodes_free"])
    if inodes > 0:  # some file systems make them as they are needed
        yield at_most(
            "disk_inodes",
            place,
            _share(inodes - inodes_free, inodes),
            "%",
            *_both(limits, "inode", "percent"),
        )


_SHORTEST = 0.9 * _DAY
"""Of a forecast: what grew within hours says nothing about weeks."""
_LONGEST = 3 * 365
"""Of a forecast, in days: what is told further ahead is nobody's business today."""


def days_until_full(used: float, free: float, now: float, earlier: Sequence[Sequence[float]]) -> int | None:
    """Return in how many days a disk is full if it goes on as it did; None when nothing can be said.

    It is taken to go on by the line through all measurements (least squares).

    Args:
        used: bytes used now.
        free: bytes left now.
        now: when that was, in seconds.
        earlier: (when, bytes used) of earlier measurements.
    """
    points = [*((_number(at), _number(then)) for at, then in earlier), (now, used)]
    middle = sum(at for at, _ in points) / len(points)
    average = sum(then for _, then in points) / len(points)
    spread = sum((at - middle) ** 2 for at, _ in points)
    if max(at for at, _ in points) - min(at for at, _ in points) < _SHORTEST:
        return None
    growth = sum((at - middle) * (then - average) for at, then in points) / spread
    days = free / growth / _DAY if growth > 0 else _LONGEST + 1.0
    return int(days) if days <= _LONGEST else None


_UP = frozenset({"active", "activating", "reloading"})
_DOWN = frozenset({"failed", "inactive", "deactivating", "maintenance"})


def _expected_units(facts: Any, limits: Limits, _: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    dead = False
    for unit in limits["expected_units"]:
        if unit not in facts:
            yield unmeasured("unit_dead", unit, "not_told")
            continue
        how = _why_dead(facts[unit])
        dead = dead or bool(how)
        if how:
            yield finding("unit_dead", unit, "critical", how)
    if not dead:
        yield finding("unit_dead", "", "good")


def _why_dead(told: Facts) -> str:
    """Return why an expected unit is not up; nothing when it is at work or waits to be called."""
    if told["LoadState"] != "loaded":
        return "masked" if told["LoadState"] == "masked" else "not_there"
    state = _text(told["ActiveState"])
    if state in _UP:
        # systemd keeps starting it and it keeps dying.
        return "restarting" if told["SubState"] == "auto-restart" else ""
    if state not in _DOWN:
        raise ValueError(state)
    # An earlier probe did not tell the last two: then as it was judged then.
    called = bool(told.get("TriggeredBy")) and told.get("callers_up") != "no"
    passing = told.get("Type") == "oneshot" and told.get("RemainAfterExit") != "yes"
    waits = called or passing
    return "" if waits and state == "inactive" else state


def _units(facts: Any, limits: Limits, _: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    names = [_text(name) for name in _items(facts, "unit_failed")]
    # An expected unit is told as one that has to be up.
    others = [name for name in names if name not in limits["expected_units"]]
    yield from (finding("unit_failed", name, "warning") for name in others)
    if not names:
        yield finding("unit_failed", "", "good")
    yield from _cut(facts, "unit_failed")


def _ports(facts: Any, limits: Limits, _: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    expected = limits["expected_ports"]
    if not expected:
        return
    listening = {_text(each["port"]): each for each in _items(facts, "port_missing")}
    missing = [port for port in expected if port not in listening]
    # What is open to this host alone, or was chosen by the kernel for an answer, is no door.
    open_to_all = [
        port for port, each in listening.items() if each["local"] is False and each["chosen"] is False
    ]
    unexpected = [port for port in open_to_all if port not in expected]
    # It may be meant so, as of a database beside its website: only the office knows.
    alone = [port for port in expected if port in listening and listening[port]["local"] is True]
    yield from (finding("port_missing", port, "critical") for port in missing)
    yield from (finding("port_unexpected", port, "warning") for port in unexpected)
    yield from (finding("port_local", port, "notice") for port in alone)
    if not missing:
        yield finding("port_missing", "", "good")
    if not unexpected:
        yield finding("port_unexpected", "", "good")
    yield from _cut(facts, "port_unexpected")


def _clock(facts: Any, _: Limits, __: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    if facts["synchronized"] is True:
        yield finding("time_sync", "", "good", "synchronized")
    else:
        yield finding("time_sync", "", "warning", "unsynchronized")


def _offset(_: Any, limits: Limits, answer: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    warning, critical = _both(limits, "clock", "seconds")
    offset = round(abs(_number(answer["offset_seconds"])), 1)
    yield at_most("clock_offset", "", offset, "seconds", warning, critical)


def _certificates(facts: Any, limits: Limits, answer: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    warning, critical = _both(limits, "certificate", "days")
    for each in _items(facts, "certificate"):
        path = _text(each["path"])
        if "error" in each:
            yield unmeasured("certificate", path, str(each["error"]))
            continue
        days = math.floor((_number(each["not_after"]) - answer["now"]) / _DAY)
        if days < 0:
            yield finding("certificate_expired", path, "critical", -days, "days")
        else:
            yield at_least("certificate", path, days, "days", warning, critical)
    yield from _cut(facts, "certificate")


def _boot(facts: Any, limits: Limits, _: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    days = math.floor(_number(facts["uptime_seconds"]) / _DAY)
    yield at_most("last_boot", "", days, "days", _limit(limits, "uptime_warning_days"), None)


def _kernel(facts: Any, _: Limits, __: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    running = _text(facts["running"])
    installed = [_text(name) for name in facts["installed"]]
    own = _kernel_parts(running)
    if own is None:
        return  # what its release means is not known: neither that it is the newest nor that it is not
    flavour, newest, known = own[0], running, own[1]
    for name in installed:
        other = _kernel_parts(name)
        if other is not None and other[0] == flavour and other[1] > known:
            newest, known = name, other[1]
    if newest != running:
        yield finding("kernel", "", "warning", running, "", newest)
    else:
        yield finding("kernel", "", "good", running)


_Version = list[tuple[bool, int, str]]
_OF_RPM = re.compile(
    r"(?P<version>[0-9]+(?:\.[0-9]+)+)-(?P<release>[0-9][0-9a-z._]*?\.(?:el|fc|amzn)[0-9][0-9a-z._]*?)"
    r"(?P<flavour>(?:\.(?:x86_64|aarch64|ppc64le|s390x|i686))?(?:\+[0-9a-z_+-]+)?)"
)
"""4.18.0-553.5.1.el8_10.x86_64, 5.14.0-427.el9.aarch64+64k"""
_OF_DPKG = re.compile(
    r"(?P<version>[0-9]+(?:\.[0-9]+)+(?:\+[0-9a-z.+~]+)?)(?:-(?P<release>[0-9][0-9a-z.+~]*))?"
    r"-(?P<flavour>(?:rt-)?686(?:-pae)?|[a-z][0-9a-z-]*)"
)
"""6.1.0-28-cloud-amd64, 6.1.0-0.deb11.21-amd64, 6.12.48+deb13-amd64, 5.15.0-97-generic"""
_PLAIN_FLAVOURS = frozenset({"amd64", "arm64", "cloud-amd64", "cloud-arm64", "rt-amd64", "rt-arm64"})
"""What alone may follow a version without any release, as in 6.12.27-amd64: own kernels look alike."""
_LONGEST_RELEASE = 100


def _kernel_parts(release: str) -> tuple[str, tuple[_Version, _Version]] | None:
    """Return the flavour of a kernel and what it is compared by; None when the release has no known shape.

    Only kernels of one flavour take each other's place: cloud, rt, debug and others are chosen by somebody.
    """
    if len(release) > _LONGEST_RELEASE:
        return None  # no kernel's: nothing hostile is searched for long
    if found := _OF_RPM.fullmatch(release):
        # Besides the numbers: el, and what tells a kernel apart by it, such as uek or rt7.
        words = re.findall(r"[a-z]+", found["release"])
        flavour = f"{'.'.join(words)}{found['flavour']}"
    elif found := _OF_DPKG.fullmatch(release):
        flavour = found["flavour"]
        is_plain = found["release"] is None and "+" not in found["version"]
        if is_plain and flavour not in _PLAIN_FLAVOURS:
            return None
    else:
        return None
    return flavour, (_segments(found["version"]), _segments(found["release"] or ""))


def _segments(version: str) -> _Version:
    """Return what rpm compares versions by: runs of digits as numbers, newer than runs of letters."""
    parts = re.findall(r"[0-9]{1,18}|[a-z]+", version)
    return [(True, int(part), "") if part.isdigit() else (False, 0, part) for part in parts]


def _reboot(facts: Any, _: Limits, __: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    required = facts["required"] is not False
    yield finding("reboot_required", "", "warning" if required else "good")


def _old_code(facts: Any, _: Limits, answer: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    programs = [_text(each["program"]) for each in _items(facts, "old_code")]
    yield from (finding("old_code", program, "warning") for program in programs)
    if _number(facts["hidden"]) > 0 and answer["facts"]["system"]["is_root"] is not True:
        yield unmeasured("old_code", "", _NEEDS_ROOT)
    elif not programs:
        yield finding("old_code", "", "good")
    yield from _cut(facts, "old_code")


def _journal(facts: Any, limits: Limits, _: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    yield at_most("journal_errors", "", _number(facts["count"]), "", *_both(limits, "journal", "count"))


def _packages(facts: Any, _: Limits, __: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    broken = [_text(each["package"]) for each in _items(facts, "packages_broken")]
    yield from (finding("packages_broken", package, "critical") for package in broken)
    if facts["interrupted"] is not False:
        yield finding("packages_interrupted", "", "critical")
    if facts["is_dpkg"] is True and not broken:
        yield finding("packages_broken", "", "good")
    yield from _cut(facts, "packages_broken")


def _backup(facts: Any, limits: Limits, answer: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    if facts["at"] is None:
        yield finding("backup_missing", "", "warning" if limits["backup_expected"] else "good")
        return
    days = max(0, math.floor((answer["now"] - _number(facts["at"])) / _DAY))
    yield at_most("backup_age", "", days, "days", *_both(limits, "backup", "days"))


def _antivirus(facts: Any, limits: Limits, answer: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    if facts["product"] is None:
        yield finding("antivirus_missing", "", "warning" if limits["antivirus_expected"] else "good")
        return
    if facts["built"] is None:
        yield unmeasured("antivirus_age", "", "not_told")
    else:
        days = max(0, math.floor((answer["now"] - _number(facts["built"])) / _DAY))
        yield at_most("antivirus_age", "", days, "days", *_both(limits, "antivirus", "days"))
    if facts["has_daemon"] is True and facts["loaded"] is None:
        # An earlier probe did not tell why: then as it was judged then.
        if why := _text(facts.get("unanswered", "")):
            yield unmeasured("antivirus_loaded", "", why)
        else:
            yield finding("antivirus_stopped", "", "critical")
    elif facts["has_daemon"] is True:
        loaded, on_disk = _text(facts["loaded"]), facts["on_disk"]
        is_old = on_disk is not None and _text(on_disk) != loaded
        yield finding(
            "antivirus_loaded", "", "warning" if is_old else "good", loaded, "", on_disk if is_old else None
        )


def _processes(facts: Any, limits: Limits, _: Facts) -> Iterator[Finding]:  # noqa: ANN401 - as above
    for code, name in (("zombies", "zombie_warning_count"), ("blocked", "blocked_warning_count")):
        count = len(list(_items(facts[code], code))) + _number(facts[code]["cut"])
        yield at_most(code, "", count, "", _limit(limits, name), None)


_PARTS: tuple[tuple[str, str, Judge], ...] = (
    ("disks", "disk_space", _disks),
    ("expected_units", "unit_dead", _expected_units),
    ("units", "unit_failed", _units),
    ("ports", "port_missing", _ports),
    ("load", "load", _load),
    ("memory", "memory", _memory),
    ("processes", "blocked", _processes),
    ("packages", "packages_broken", _packages),
    ("reboot", "reboot_required", _reboot),
    ("kernel", "kernel", _kernel),
    ("old_code", "old_code", _old_code),
    ("boot", "last_boot", _boot),
    ("clock", "time_sync", _clock),
    ("system", "clock_offset", _offset),
    ("certificates", "certificate", _certificates),
    ("journal", "journal_errors", _journal),
    ("backup", "backup_age", _backup),
    ("antivirus", "antivirus_age", _antivirus),
)
"""Part of the facts, the code that is unmeasured when the part is, and who judges it; most urgent first."""
CODES = frozenset({
    "disk_space", "unit_dead", "unit_failed", "port_missing", "load", "blocked", "packages_broken",
    "reboot_required", "kernel", "old_code", "last_boot", "time_sync", "clock_offset", "certificate",
    "journal_errors", "backup_age", "antivirus_age", "zombies",
})  # fmt: skip
"""Codes that are given through a variable."""
