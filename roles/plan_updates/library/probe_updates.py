#!/usr/bin/python3
"""Ansible module: says exactly which updates a host has pending, and changes no package.

Which package manager is asked is told by the host's os-release, here on the host: asking costs no round trip.

Rules kept here: the package index is refreshed first, and a refresh that fails is a failure, never "up to
date"; what apt would do is asked of apt's own resolver in memory; a package is planned only when it can be
updated without removing another one, and without installing one but those that are named for it, as kernels
are: each fix of a kernel comes under a new name. Every list is sorted: the same state gives the same plan.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils import (
    chosen_conffiles,
    clamav_mirror,
    configuration_files,
    disk_room,
    dnf_python,
    package_files,
    redhat_transaction,
    redhat_updates,
    root_snapshot,
    rpm_states,
    running_code,
)
from ansible.module_utils import clamav_database as clamav
from ansible.module_utils import debian_packages as packages
from ansible.module_utils.basic import AnsibleModule

try:
    import apt
    import apt_pkg
except ImportError:
    apt = None

DOCUMENTATION = """
module: probe_updates
short_description: Say which package and antivirus updates a Debian or RHEL host has pending
description:
  - Refreshes the package index, then reports pending updates, held and kept-back packages, the reboot
    foreseen, the package manager's health, the space needed and the state of ClamAV. No package is changed.
options:
  security_labels: {type: list, elements: str, required: true, description: Labels of security archives}
  security_codenames: {type: list, elements: str, required: true, description: Patterns of codenames}
  antivirus_packages: {type: list, elements: str, required: true, description: Patterns of package names}
  reboot_packages: {type: list, elements: str, required: true, description: Patterns of package names}
  new_packages: {type: list, elements: str, default: [], description: Patterns of packages that may come anew}
  wanted_packages: {type: list, elements: str, default: [], description: Packages that the host has to have}
  lock_timeout: {type: int, required: true, description: Seconds to wait for another package manager}
  http_timeout: {type: int, required: true, description: Seconds to wait for a mirror to answer}
  http_retries: {type: int, required: true, description: How often a download is tried again}
  proxy: {type: str, default: "", description: "Fetch through it, whatever proxy the host names itself"}
  reserve_bytes: {type: int, required: true, description: Bytes that have to stay free after the updates}
  conffiles: {type: dict, default: {}, description: "What is chosen for changed files: path to keep or new"}
  snapshot:
    {type: str, default: none, choices: [return, keep, none], description: What a snapshot of the root is for}
  run: {type: str, default: "", description: Its own snapshots of LVM take no room away from it}
  is_controller: {type: bool, default: false, description: Whether Rawat runs on this host}
author: Rawat
"""
EXAMPLES = """
- name: Probe pending updates
  probe_updates:
    security_labels: [Debian-Security]
    security_codenames: ["*-security"]
    antivirus_packages: ["clamav*"]
    reboot_packages: ["linux-image-*"]
    lock_timeout: 600
    http_timeout: 15
    http_retries: 2
    reserve_bytes: 67108864
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role plan_updates}
"""

REBOOT_REQUIRED = Path("/run/reboot-required")
REBOOT_REQUIRED_PACKAGES = Path("/run/reboot-required.pkgs")
REBOOT_TEXT = "reboot-required"
_LISTS_LOCK = "/var/lib/apt/lists/lock"
# A kernel that comes beside the old one; what boots with it is made at its installation.
KERNELS = ("linux-image-[0-9]*", "linux-image-unsigned-[0-9]*")
_PAUSE = 2.0
"""Seconds before the package index is fetched once more."""


_UBUNTU_SECURITY = {
    "Ubuntu": "-security",
    "UbuntuESM": "-infra-security",
    "UbuntuESMApps": "-apps-security",
}
"""Origin -> what follows the codename in the suite of its security archive, which has no label of its own."""


class Archive(NamedTuple):
    """Who offers a version. The suite tells Ubuntu's archives apart and is no part of the plan."""

    origin: str
    label: str
    codename: str
    suite: str = ""


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether the name fits one of the shell patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def is_security(archives: Iterable[Archive], labels: Iterable[str], codenames: Iterable[str]) -> bool:
    """Whether one of the archives is a security archive, told by label or codename.

    Never by a suite name of its own: "stable" becomes "oldstable" one day and takes the security suite with
    it. Ubuntu's suites are made of the codename and stay what they are.
    """
    known, patterns = set(labels), tuple(codenames)
    return any(
        archive.label in known or matches(archive.codename, patterns) or is_security_of_ubuntu(archive)
        for archive in archives
    )


def is_security_of_ubuntu(archive: Archive) -> bool:
    """Whether it is Ubuntu's security archive of the release, or of its extended maintenance."""
    ending = _UBUNTU_SECURITY.get(archive.origin)
    return ending is not None and archive.suite == archive.codename + ending


def kind_of(package: str, archives: Iterable[Archive], parameters: dict[str, Any]) -> str:
    """Return `antivirus`, `security` or `system`."""
    if matches(package.partition(":")[0], parameters["antivirus_packages"]):
        return "antivirus"
    secure = is_security(archives, parameters["security_labels"], parameters["security_codenames"])
    return "security" if secure else "system"


def refresh_index(parameters: dict[str, Any]) -> dict[str, Any]:
    """Fetch the package index anew; any source that cannot be fetched and verified makes it fail."""
    command = [
        "apt-get",
        "update",
        # Without it apt-get exits 0 on a wrong signing key and on an unreachable mirror.
        "--option=APT::Update::Error-Mode=any",
        f"--option=Acquire::Retries={parameters['http_retries']}",
        f"--option={packages.AT_ONCE}",
        f"--option=Acquire::http::Timeout={parameters['http_timeout']}",
        f"--option=Acquire::https::Timeout={parameters['http_timeout']}",
        *packages.through(parameters["proxy"]),
    ]
    began, has_paused = time.monotonic(), False
    while True:
        asked = time.monotonic()
        done = packages.run_command(command, timeout=parameters["lock_timeout"] + 300)
        waited, took = time.monotonic() - began, time.monotonic() - asked
        if done.rc == 0:
            break
        # DPkg::Lock::Timeout does not cover the lock of the lists, so the waiting is done here.
        if _LISTS_LOCK in done.output:
            if waited > parameters["lock_timeout"]:
                break
            time.sleep(1)
        elif has_paused or took > parameters["http_timeout"]:
            break
        else:
            # A cache that many hosts ask at the same time refuses some of them for a moment.
            has_paused = True
            time.sleep(_PAUSE)
    index = {"refreshed": done.rc == 0, "seconds": round(waited, 1)}
    return index if done.rc == 0 else {**index, "error": packages.error_lines(done.output)}


def archives_of(version: apt.package.Version) -> list[Archive]:
    """Return the archives that offer a version, sorted; the record of the installed one is no archive."""
    named = {
        Archive(origin.origin, origin.label, origin.codename, origin.archive)
        for origin in version.origins
        if origin.archive != "now"
    }
    return sorted(named)


def archives_on_the_way(package: apt.Package) -> list[Archive]:
    """Return the archives of every version above the installed one, up to the candidate.

    A fix that came out as a security update stays one when a later ordinary version includes it. Of a package
    that is not installed yet the candidate alone counts.
    """
    if package.installed is None:
        return archives_of(package.candidate)
    between = [v for v in package.versions if package.installed < v <= package.candidate]
    return [archive for version in between for archive in archives_of(version)]


def resolve(
    cache: apt.Cache, *, dist_upgrade: bool
) -> tuple[list[apt.Package], list[apt.Package], list[apt.Package]]:
    """Return what apt would upgrade, newly install and remove."""
    cache.clear()
    cache.upgrade(dist_upgrade)
    changes = sorted(cache.get_changes(), key=lambda package: package.name)
    upgrades = [package for package in changes if package.marked_upgrade]
    new = [package for package in changes if package.marked_install]
    return upgrades, new, [package for package in changes if package.marked_delete]


def plan_changes(
    cache: apt.Cache, held: Iterable[apt.Package], patterns: Iterable[str], missing: list[str]
) -> tuple[list[apt.Package], list[apt.Package]]:
    """Return what is updated, and what comes anew: with an update, or because the host has to have it.

    Updates that need new packages are taken one by one, in the order of their names: each with those before
    it, where nothing is removed and every new package fits the patterns.
    """
    ordinary, _, _ = resolve(cache, dist_upgrade=False)
    known, held_names = {package.name for package in ordinary}, {package.name for package in held}
    waiting = [p.name for p in cache if p.is_upgradable and p.name not in known | held_names]
    # What a package that has to be there needs may come whatever it is called.
    brought = with_new_packages(cache, missing, ["*"]) or ([], [])
    allowed = [*patterns, *(package.shortname for package in brought[1])]
    taken = missing if brought[1] else []
    for name in sorted(waiting):
        if with_new_packages(cache, [*taken, name], allowed) is not None:
            taken = [*taken, name]
    return with_new_packages(cache, taken, allowed) or (ordinary, [])


def with_new_packages(
    cache: apt.Cache, names: list[str], patterns: Iterable[str]
) -> tuple[list[apt.Package], list[apt.Package]] | None:
    """Return updates and new packages when these are taken as well, None when that may not be."""
    cache.clear()
    cache.upgrade(dist_upgrade=False)
    for name in names:
        if not cache[name].marked_upgrade:
            cache[name].mark_install(auto_fix=False)
    changes = sorted(cache.get_changes(), key=lambda package: package.name)
    # To apt what comes anew is an upgrade as well.
    new = [package for package in changes if package.marked_install]
    others = [package for package in changes if not package.marked_upgrade]
    is_theirs = all(matches(package.shortname, patterns) for package in new)
    whole = all(cache[name].marked_upgrade for name in names)
    if others or not is_theirs or not whole or cache.broken_count:
        return None
    return [package for package in changes if package not in new], new


def needs(package: apt.Package, wanted: apt.Package) -> bool:
    """Whether the package's candidate depends on the wanted package, by its name or by what it provides."""
    names = {wanted.shortname, wanted.name, *wanted.candidate.provides}
    depends = package.candidate.get_dependencies("Depends", "PreDepends")
    return any(alternative.name in names for dependency in depends for alternative in dependency)


def kept_back_reason(
    package: apt.Package, new: list[apt.Package], removed: list[apt.Package], *, is_held: bool
) -> str:
    """Return why a pending update is not planned."""
    if is_held:
        return "held on the host"
    # Ubuntu hands an update out to some hosts first; an older python-apt does not say to which.
    if getattr(package, "phasing_applied", False):
        return "phased: not yet offered to this host"
    missing = [wanted.name for wanted in new if needs(package, wanted)]
    if missing:
        return f"needs new package {', '.join(missing)}"
    if removed:
        return f"would remove {', '.join(gone.name for gone in removed)}"
    return "its dependencies cannot be met from the configured sources"


def installed_postinst(package: apt.Package) -> str:
    """Return the postinst of the installed version, nothing of a package that is not installed."""
    if package.installed is None:
        return ""
    for name in (package.shortname, f"{package.shortname}:{package.installed.architecture}"):
        path = Path("/var/lib/dpkg/info") / f"{name}.postinst"
        if path.exists():
            return path.read_text(encoding="utf-8", errors="replace")
    return ""


class Running(NamedTuple):
    """What runs on the host, and what of it the scripts of a source's packages restart."""

    programs: running_code.Programs
    restarted: dict[str, set[str]]


def what_runs(planned: list[apt.Package]) -> Running:
    """Ask which code runs, and which files belong to packages that restart a service of their own."""
    restarted: dict[str, set[str]] = {}
    for package in planned:
        if running_code.ships_a_service(package.installed_files):
            restarted.setdefault(package.candidate.source_name, set()).update(package.installed_files)
    return Running(running_code.code_by_program(), restarted)


def needs_reboot(package: apt.Package, postinst: str, running: Running, patterns: Iterable[str]) -> bool:
    """Whether a reboot has to follow the update.

    Its name says so, its postinst asks for one, or programs run its code that nobody restarts: the init
    system and the message bus cannot be, and a service does not know that its library has changed.
    """
    if matches(package.shortname, patterns) or REBOOT_TEXT in postinst:
        return True
    restarted = running.restarted.get(package.candidate.source_name, set())
    return bool(running_code.is_left_running(package.installed_files, restarted, running.programs))


def source_version_before(package: apt.Package, cache: apt.Cache) -> str | None:
    """Return which version of the package's source the host has, None when it has none of it.

    Of a new kernel it is that of the kernels beside it: the changelog is one and the same.
    """
    if package.installed:
        return str(package.installed.source_version)
    name = package.candidate.source_name
    found = [p.installed.source_version for p in cache if p.installed and p.installed.source_name == name]
    return max(found, key=functools.cmp_to_key(apt_pkg.version_compare), default=None)


def describe_update(
    package: apt.Package,
    cache: apt.Cache,
    opened: package_files.Opened | None,
    running: Running,
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """Return the plan's entry for one update."""
    version, before = package.candidate, source_version_before(package, cache)
    archives = archives_of(version)
    secure = [
        a
        for a in archives
        if is_security([a], parameters["security_labels"], parameters["security_codenames"])
    ]
    archive = next(iter(secure or archives), Archive("", "", ""))
    changelog = opened.changelog if opened else None
    if before is None:
        # All that its changelog ever named would be told as closed by it.
        changelog = None
    cves = package_files.cves_newer_than(changelog or "", before or "", apt_pkg.version_compare)
    scripts = installed_postinst(package) + (opened.postinst if opened else "")
    return {
        "package": package.name,
        "source": version.source_name,
        "architecture": version.architecture,
        "from": package.installed.version if package.installed else "",
        "to": version.version,
        "kind": kind_of(package.name, archives_on_the_way(package), parameters),
        "origin": archive.origin,
        "label": archive.label,
        "codename": archive.codename,
        "cves": cves,
        "changelog": package_files.changelog_verdict(changelog, cves),
        "bytes": version.size,
        "reboot": needs_reboot(package, scripts, running, parameters["reboot_packages"]),
    }


def plan_packages(cache: apt.Cache, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the package part of the evidence, asked of apt's resolver in memory."""
    installed = sorted(
        (package for package in cache if package.is_installed), key=lambda package: package.name
    )
    states = packages.package_states()
    held = [package for package in installed if states[package.name].is_held]
    wanted = [name for name in parameters["wanted_packages"] if not is_there(cache, name)]
    offered = [name for name in wanted if name in cache and cache[name].candidate]
    upgrades, coming = plan_changes(cache, held, parameters["new_packages"], sorted(offered))
    planned = sorted([*upgrades, *coming], key=lambda package: package.name)
    everything, new, removed = resolve(cache, dist_upgrade=True)
    new = [package for package in new if package not in coming]
    new_packages = [
        {
            "package": package.name,
            "to": package.candidate.version,
            "needed_by": ", ".join(other.name for other in [*everything, *new] if needs(other, package)),
        }
        for package in new
    ]
    left = [package for package in installed if package.is_upgradable and package not in planned]
    kept_back = [
        {
            "package": package.name,
            "from": package.installed.version,
            "to": package.candidate.version,
            "reason": kept_back_reason(package, new, removed, is_held=package in held),
        }
        for package in left
    ]
    with tempfile.TemporaryDirectory(prefix="rawat-plan-") as directory:
        # apt downloads as its own unprivileged user.
        shutil.chown(directory, "_apt")
        opened = package_files.open_sources(planned, directory)
    running = what_runs(planned)
    needed = room_needed(planned)
    return {
        "installed": len(installed),
        "updates": [
            describe_update(p, cache, opened.get(p.candidate.source_name), running, parameters)
            for p in planned
        ],
        "new_packages": new_packages,
        "held": [held_package(package) for package in held],
        "kept_back": kept_back + [not_coming(cache, n) for n in wanted if n not in {p.name for p in coming}],
        "conffiles": chosen_conffiles.with_choices(
            configuration_files.changed_by_hand(package.name for package in upgrades), parameters["conffiles"]
        ),
        "needed_bytes": sum(needed.values()),
        "free_bytes": disk_room.free_bytes(needed),
        "shortages": disk_room.shortages(needed, parameters["reserve_bytes"]) if planned else [],
    }


def is_there(cache: apt.Cache, name: str) -> bool:
    """Whether a package is installed."""
    return name in cache and bool(cache[name].is_installed)


def not_coming(cache: apt.Cache, name: str) -> dict[str, str]:
    """Return the plan's entry for a package that the host has to have and cannot get."""
    candidate = cache[name].candidate if name in cache else None
    reason = "its dependencies cannot be met from the configured sources"
    return {
        "package": name,
        "from": "",
        "to": candidate.version if candidate else "",
        "reason": reason if candidate else "is to be installed, and no source of the host offers it",
    }


def held_package(package: apt.Package) -> dict[str, str]:
    """Return the plan's entry for a package on hold."""
    candidate = package.candidate or package.installed
    return {"package": package.name, "installed": package.installed.version, "candidate": candidate.version}


def room_needed(planned: list[apt.Package]) -> dict[str, int]:
    """Return the room needed per place: the downloads; the growth and the largest package beside the old."""
    sizes = [package.candidate.installed_size for package in planned]
    before = sum(package.installed.installed_size for package in planned if package.installed)
    growth = sum(sizes) - before
    downloads = sum(package.candidate.size for package in planned)
    kernels = [
        package for package in planned if matches(package.shortname, KERNELS) and not package.installed
    ]
    return {
        "/": 0,
        **disk_room.room_of_kernels(len(kernels)),
        "/usr": int(max(0, growth) + max(sizes, default=0)),
        "/var/cache/apt/archives": int(downloads),
        "/var/lib/dpkg": 0,
    }


def plan_reboot(updates: list[dict[str, Any]]) -> dict[str, Any]:
    """Return whether a reboot is required now or to be expected, and because of which packages."""
    required_now = REBOOT_REQUIRED.exists()
    because = {update["package"] for update in updates if update["reboot"]}
    if required_now:
        because |= (
            set(REBOOT_REQUIRED_PACKAGES.read_text().split()) if REBOOT_REQUIRED_PACKAGES.exists() else set()
        )
        because = because or {str(REBOOT_REQUIRED)}
    return {"required_now": required_now, "expected": bool(because), "because": sorted(because)}


def has_antivirus(cache: apt.Cache) -> bool:
    """Whether ClamAV is on a Debian host."""
    names = ("clamav-daemon", "clamav-freshclam", "clamav")
    return any(name in cache and cache[name].is_installed for name in names)


def plan_antivirus(freshclam: Path, clamd: Path, http_timeout: int) -> dict[str, Any]:
    """Return the state of ClamAV's database, by the configuration files of its two services."""
    settings = clamav.read_configuration(freshclam)
    engine, loaded = clamav.ask_daemon(clamav.read_configuration(clamd))
    if not engine:
        engine, _ = clamav.parse_daemon_version(packages.run_command(["clamscan", "--version"]).output)
    on_disk, offered = clamav.version_on_disk(settings), clamav_mirror.version_offered(settings, http_timeout)
    return {
        "product": "ClamAV",
        "engine": engine,
        "database_on_disk": on_disk,
        "database_loaded": loaded,
        "database_offered": offered,
        # No answer from the mirror is no news about the database: neither "pending" nor "up to date".
        "update_pending": None if offered is None else on_disk is None or int(offered) > int(on_disk),
    }


def operating_system() -> dict[str, str]:
    """Return name, version and running kernel."""
    release = rpm_states.os_release()
    point_release = Path("/etc/debian_version")
    exact = point_release.read_text(encoding="utf-8").strip() if release.get("ID") == "debian" else ""
    return {
        "name": release.get("NAME", "unknown"),
        "version": exact or release.get("VERSION_ID", "unknown"),
        "kernel": os.uname().release,
    }


def probe(parameters: dict[str, Any], index: dict[str, Any]) -> dict[str, Any]:
    """Return the whole evidence of a host whose index is fresh."""
    apt_pkg.config.set("Acquire::Retries", str(parameters["http_retries"]))
    apt_pkg.config.set(*packages.AT_ONCE.split("="))
    apt_pkg.config.set("Acquire::http::Timeout", str(parameters["http_timeout"]))
    if parameters["proxy"]:
        apt_pkg.config.set("Acquire::http::Proxy", parameters["proxy"])
        apt_pkg.config.set("Acquire::https::Proxy", parameters["proxy"])
    cache = apt.Cache()
    plan = plan_packages(cache, parameters)
    confs = (clamav.FRESHCLAM_CONF, clamav.CLAMD_CONF)
    return {
        "os": operating_system(),
        "index": index,
        **plan,
        "antivirus": plan_antivirus(*confs, parameters["http_timeout"]) if has_antivirus(cache) else None,
        "reboot": plan_reboot(plan["updates"]),
        "dpkg_audit": packages.dpkg_audit(),
    }


def ask_apt(module: AnsibleModule) -> dict[str, Any]:
    """Return the evidence of a Debian host; ends the module when it cannot be had."""
    if apt is None:
        module.fail_json(
            msg="python3-apt is missing on this host: it is asked for, never installed by a plan. "
            "Install it by hand, then plan again.",
            evidence={"os": operating_system()},
        )
    # In check mode even the index stays as it is, and the evidence says so.
    index = {"refreshed": False, "seconds": 0.0} if module.check_mode else refresh_index(module.params)
    if "error" in index:
        refuse_old_index(module, index, module.params["proxy"] or apt_pkg.config.find("Acquire::http::Proxy"))
    return probe(module.params, index)


def ask_dnf(module: AnsibleModule) -> dict[str, Any]:
    """Return the evidence of a host of the RHEL family; ends the module when it cannot be had."""
    dnf_python.require_dnf(module, {"os": operating_system()})
    began = time.monotonic()
    try:
        found, has_clamav = redhat_updates.probe(module.params, refresh=not module.check_mode)
    except redhat_transaction.MetadataError as error:
        seconds = round(time.monotonic() - began, 1)
        refuse_old_index(
            module,
            {"refreshed": False, "seconds": seconds, "error": redhat_updates.one_line(str(error))},
            module.params["proxy"],
        )
    confs = (clamav.FRESHCLAM_CONFS[1], clamav.CLAMD_CONFS[1])
    antivirus = plan_antivirus(*confs, module.params["http_timeout"]) if has_clamav else None
    return {"os": operating_system(), **found, "antivirus": antivirus}


def refuse_old_index(module: AnsibleModule, index: dict[str, Any], proxy: str) -> None:
    """End the module: what is pending is not known."""
    # A host's own settings may name user and password of its proxy.
    way = f" through the proxy {re.sub('//[^/]*@', '//', proxy)}" if proxy else ""
    module.fail_json(
        msg=f"The package index could not be refreshed{way}, so updates are not known: {index['error']}",
        evidence={"os": operating_system(), "index": index},
    )


def main() -> None:
    """Run the module."""
    names = {"type": "list", "elements": "str", "required": True}
    number = {"type": "int", "required": True}
    module = AnsibleModule(
        argument_spec={
            "security_labels": names,
            "security_codenames": names,
            "antivirus_packages": names,
            "reboot_packages": names,
            "new_packages": {"type": "list", "elements": "str", "default": []},
            "wanted_packages": {"type": "list", "elements": "str", "default": []},
            "lock_timeout": number,
            "http_timeout": number,
            "http_retries": number,
            "proxy": {"type": "str", "default": ""},
            "reserve_bytes": number,
            "conffiles": {"type": "dict", "default": {}},
            "snapshot": {"type": "str", "default": "none", "choices": ["return", "keep", "none"]},
            "run": {"type": "str", "default": ""},
            "is_controller": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    evidence = ask_dnf(module) if rpm_states.is_redhat(rpm_states.os_release()) else ask_apt(module)
    choice, is_controller = module.params["snapshot"], module.params["is_controller"]
    evidence["snapshot"] = root_snapshot.look(
        choice, module.params["run"], evidence["needed_bytes"], is_controller=is_controller
    )
    if evidence["shortages"]:
        said = "; ".join(evidence["shortages"])
        module.fail_json(
            msg=f"Too little room for the updates, so none is planned. {said}", evidence=evidence
        )
    module.exit_json(changed=False, evidence=evidence)


if __name__ == "__main__":
    main()
