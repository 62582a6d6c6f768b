"""What dnf says is pending on a host of the RHEL family, in the shape of the evidence `plan_updates`.

Asked of dnf's Python interface and not of the output of its commands: exact versions, advisories and the
resolver's answer come as values, in no language and with no column to cut. Rules kept here are those of the
probe of Debian hosts: the metadata are fetched anew and a failure is never "up to date"; a package is planned
only when it can be updated without installing or removing another one; nothing is changed.
"""

from __future__ import annotations

import fnmatch
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils import disk_room, redhat_transaction, rpm_configuration, rpm_states, running_code
from ansible.module_utils.debian_packages import clean_text, run_command

try:
    import dnf
    import hawkey
except ImportError:
    dnf = None

KERNELS = {"kernel-core", "kernel-rt-core", "kernel-uek-core"}
"""What brings a kernel with what boots with it."""
LOCKED_VERSIONS = Path("/etc/dnf/plugins/versionlock.list")
_CHECK_SECONDS = 300
_ANTIVIRUS = ("clamav", "clamd", "clamav-freshclam", "clamav-update")
_MOST_PROBLEMS = 50
_SUGGESTED = re.compile(r"<package\b([^>]*)>((?:(?!</package>).)*<reboot_suggested\b)", re.DOTALL)
_ATTRIBUTE = re.compile(r'\b(name|epoch|version|release)="([^"]*)"')

Advised = dict[str, list[str]]
"""Package -> the versions (`epoch:version-release`) of which an advisory says that a reboot is due."""


class Wanted(NamedTuple):
    """What dnf would do: updates by name, newly installed packages and removed ones."""

    updates: dict[str, Any]
    new: list[Any]
    removed: list[Any]


def one_line(text: str) -> str:
    """Return a text of dnf as one line without control characters."""
    return " ".join(clean_text(text).split())[:1200]


def shown_name(package: hawkey.Package, basearch: str) -> str:
    """Return the name a plan uses: with the architecture when it is not the host's own."""
    return str(package.name) if package.arch in {basearch, "noarch"} else f"{package.name}.{package.arch}"


def resolve(base: dnf.Base, leave_out: Iterable[Any] = ()) -> Wanted:
    """Return what dnf would do to update everything, in memory; packages left out are not to be had."""
    base.reset(goal=True)
    left_out = list(leave_out)
    if left_out:
        base.sack.add_excludes(base.sack.query().available().filterm(pkg=left_out))
    base.upgrade_all()
    base.resolve(allow_erasing=False)
    return sort_out(base.transaction, base.sack.query().installed().run())


def sort_out(transaction: dnf.db.group.RPMTransaction, installed: Iterable[Any]) -> Wanted:
    """Tell updates from packages that would come or go.

    A kernel is installed beside the old one: to dnf that is an installation, to an office an update.
    """
    there = {(package.name, package.arch) for package in installed}
    coming, going = set(transaction.install_set), set(transaction.remove_set)
    updates = {f"{p.name}.{p.arch}": p for p in coming if (p.name, p.arch) in there}
    new = sorted((p for p in coming if (p.name, p.arch) not in there), key=str)
    names = {(p.name, p.arch) for p in coming}
    removed = sorted((p for p in going if (p.name, p.arch) not in names), key=str)
    return Wanted(updates, new, removed)


def needs(package: hawkey.Package, wanted: hawkey.Package) -> bool:
    """Whether a package requires what another one provides."""
    provided = {str(word).split(" ", 1)[0] for word in wanted.provides}
    return any(str(word).split(" ", 1)[0] in provided for word in package.requires)


def locked_names(base: dnf.Base) -> set[str]:
    """Return the names of packages that `dnf versionlock` keeps at a version."""
    if not LOCKED_VERSIONS.exists():
        return set()
    lines = (line.strip() for line in LOCKED_VERSIONS.read_text(encoding="utf-8").splitlines())
    forms = [hawkey.FORM_NEVRA, hawkey.FORM_NEVR, hawkey.FORM_NEV, hawkey.FORM_NA, hawkey.FORM_NAME]
    found = set()
    for line in lines:
        if line and not line.startswith(("#", "!")):
            possible = dnf.subject.Subject(line).get_nevra_possibilities(forms=forms)
            found.update([possible[0].name] if possible else [])
    return found & {package.name for package in base.sack.query().installed()}


class Advice(NamedTuple):
    """What the advisories say of one update."""

    is_security: bool
    cves: list[str]
    verdict: str


def advice_on(
    installed: hawkey.Package,
    candidate: hawkey.Package,
    evr_cmp: Callable[[str, str], int],
    *,
    has_advisories: bool,
) -> Advice:
    """Read the advisories of all versions above the installed one, up to the candidate.

    A fix that came out as a security update stays one when a later ordinary version includes it. A source
    without advisories does not say that there is no vulnerability: `unavailable` is not `none named`.
    """
    fitting = [
        advisory
        for advisory in installed.get_advisories(hawkey.GT)
        if any(
            (package.name, package.arch) == (candidate.name, candidate.arch)
            and evr_cmp(package.evr, candidate.evr) <= 0
            for package in advisory.packages
        )
    ]
    cves = {
        reference.id
        for advisory in fitting
        for reference in advisory.references
        if reference.type == hawkey.REFERENCE_CVE and re.fullmatch(r"CVE-\d{4}-\d{4,}", reference.id)
    }
    named = sorted(cves, key=lambda cve: [int(part) for part in cve.split("-")[1:]])
    verdict = "read" if named else "none named" if has_advisories else "unavailable"
    secure = any(advisory.type == hawkey.ADVISORY_SECURITY for advisory in fitting)
    return Advice(secure, named, verdict)


def reboots_advised(updateinfo: str) -> Advised:
    """Read out of a source's updateinfo for which versions a reboot is suggested.

    Not by an XML parser: the text comes from the network, and dnf has no call that tells this.
    """
    advised: Advised = {}
    for match in _SUGGESTED.finditer(updateinfo):
        told = dict(_ATTRIBUTE.findall(match[1]))
        evr = f"{told.get('epoch') or 0}:{told.get('version', '')}-{told.get('release', '')}"
        advised.setdefault(told.get("name", ""), []).append(evr)
    return advised


def updateinfo_of(repository: dnf.repo.Repo) -> str | None:
    """Return the advisories of a source as text, None when it publishes none."""
    if not repository.get_metadata_path("updateinfo"):
        return None
    return str(repository.get_metadata_content("updateinfo"))


def kept_back_reason(
    package: hawkey.Package,
    everything: Wanted,
    *,
    held: bool,
    excluded: bool,
    replaced: Iterable[str],
) -> str:
    """Return why a pending update is not planned."""
    if held:
        return "held on the host"
    if excluded:
        return "excluded by the configuration of dnf on the host"
    if replaced:
        return f"would replace configuration changed by hand: {', '.join(replaced)}"
    missing = [wanted.name for wanted in everything.new if needs(package, wanted)]
    if missing:
        return f"needs new package {', '.join(missing)}"
    return "its dependencies cannot be met from the configured sources"


def boot_time() -> float:
    """Return when the host's first process started, in seconds since 1970."""
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    kernel = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    started = Path("/proc/1/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return kernel + int(started[19]) / os.sysconf("SC_CLK_TCK")


class Pending:
    """Everything that is pending on one host, asked of one opened dnf."""

    def __init__(self, base: dnf.Base, parameters: dict[str, Any]) -> None:
        self.base, self.parameters = base, parameters
        self.installed: dict[str, Any] = {}
        for package in base.sack.query().installed().latest():
            self.installed[key_of(package)] = package
        self.with_advisories: set[str] = set()
        self.advised: Advised = {}
        for repository in base.repos.iter_enabled():
            text = updateinfo_of(repository)
            if text is None:
                continue
            self.with_advisories.add(repository.id)
            for name, versions in reboots_advised(text).items():
                self.advised.setdefault(name, []).extend(versions)
        self.locked = locked_names(base)

    def name(self, package: hawkey.Package) -> str:
        """Return the name a plan uses."""
        return shown_name(package, self.base.conf.substitutions["basearch"])

    def newer(self) -> dict[str, Any]:
        """Return the newest version above the installed one of every package, also of those locked."""
        found = self.base.sack.query(flags=hawkey.IGNORE_EXCLUDES).upgrades().latest()
        newest = {key_of(package): package for package in found}
        return {key: newest[key] for key in sorted(newest) if key in self.installed}

    def evidence(self) -> dict[str, Any]:
        """Return the package part of the evidence."""
        pending = self.newer()
        allowed = {key_of(package) for package in self.base.sack.query().upgrades()}
        everything = resolve(self.base)
        configuration = {
            key: rpm_configuration.changed_by_hand(self.installed[key].name, self.installed[key].arch)
            for key in sorted(everything.updates)
        }
        replacing = [everything.updates[key] for key, changed in configuration.items() if changed.replaced]
        # Without what must not come, dnf's own resolver finds what can be updated all the same.
        left_out = [*everything.new, *replacing]
        planned = resolve(self.base, left_out).updates if left_out else everything.updates
        running = running_code.code_by_program()
        restarted = self.restarted_files(planned)
        updates = [
            self.update(self.installed[key], planned[key], restarted, running) for key in sorted(planned)
        ]
        nothing = rpm_configuration.Changed({}, [])
        kept_back = [
            {
                "package": self.name(self.installed[key]),
                "from": self.installed[key].evr,
                "to": package.evr,
                "reason": kept_back_reason(
                    package,
                    everything,
                    held=package.name in self.locked,
                    excluded=key not in allowed,
                    replaced=configuration.get(key, nothing).replaced,
                ),
            }
            for key, package in pending.items()
            if key not in planned
        ]
        needed = self.room_needed(planned)
        return {
            "installed": len(self.installed),
            "updates": updates,
            "new_packages": self.new_packages(everything),
            "held": [
                {
                    "package": self.name(package),
                    "installed": package.evr,
                    "candidate": pending.get(key, package).evr,
                }
                for key, package in sorted(self.installed.items())
                if package.name in self.locked
            ],
            "kept_back": kept_back + self.replaced_packages(everything),
            "conffiles": [
                {"package": self.name(self.installed[key]), "path": path, "state": state}
                for key in sorted(planned)
                for path, state in sorted(configuration.get(key, nothing).kept.items())
            ],
            "needed_bytes": sum(needed.values()),
            "free_bytes": disk_room.free_bytes(needed),
            "shortages": disk_room.shortages(needed, self.parameters["reserve_bytes"]) if updates else [],
        }

    def new_packages(self, everything: Wanted) -> list[dict[str, str]]:
        """Return the packages that updating everything would bring, and what needs them."""
        others = sorted([*everything.updates.values(), *everything.new], key=str)
        return [
            {
                "package": self.name(package),
                "to": package.evr,
                "needed_by": ", ".join(o.name for o in others if o != package and needs(o, package)),
            }
            for package in everything.new
        ]

    def replaced_packages(self, everything: Wanted) -> list[dict[str, str]]:
        """Return the installed packages that others would take the place of: told, and never planned."""
        return [
            {
                "package": self.name(package),
                "from": package.evr,
                "to": " or ".join(other.evr for other in by) or package.evr,
                "reason": f"would be replaced by {', '.join(other.name for other in by) or 'nothing'}",
            }
            for package in everything.removed
            for by in [[other for other in everything.new if obsoletes(other, package)]]
        ]

    def restarted_files(self, planned: dict[str, Any]) -> dict[str, set[str]]:
        """Return by source the files of packages whose scripts restart a service of their own."""
        restarted: dict[str, set[str]] = {}
        for key, candidate in planned.items():
            files = self.installed[key].files
            # Not every package there restarts what it ships: a database may leave that to its administrator.
            restarts = rpm_configuration.restarts_services(candidate.name)
            if restarts and running_code.ships_a_service(files):
                restarted.setdefault(source_of(candidate), set()).update(files)
        return restarted

    def update(
        self,
        installed: hawkey.Package,
        candidate: hawkey.Package,
        restarted: dict[str, set[str]],
        running: running_code.Programs,
    ) -> dict[str, Any]:
        """Return the plan's entry for one update."""
        advice = advice_on(
            installed,
            candidate,
            self.base.sack.evr_cmp,
            has_advisories=candidate.reponame in self.with_advisories,
        )
        is_antivirus = matches(candidate.name, self.parameters["antivirus_packages"])
        return {
            "package": self.name(candidate),
            "source": source_of(candidate),
            "architecture": candidate.arch,
            "from": installed.evr,
            "to": candidate.evr,
            "kind": "antivirus" if is_antivirus else "security" if advice.is_security else "system",
            "origin": candidate.reponame,
            "label": candidate.reponame,
            "codename": "",
            "cves": advice.cves,
            "changelog": advice.verdict,
            "bytes": candidate.downloadsize,
            "reboot": self.needs_reboot(installed, candidate)
            or running_code.is_left_running(
                installed.files, restarted.get(source_of(candidate), set()), running
            ),
        }

    def needs_reboot(self, installed: hawkey.Package, candidate: hawkey.Package) -> bool:
        """Whether the package's name or an advisory asks for a reboot."""
        compare = self.base.sack.evr_cmp
        return matches(candidate.name, self.parameters["reboot_packages"]) or any(
            compare(installed.evr, version) < 0 <= compare(candidate.evr, version)
            for version in self.advised.get(candidate.name, [])
        )

    def required_now(self) -> list[str]:
        """Return the packages installed since the boot that are in effect only after the next one."""
        booted = boot_time()
        return sorted(
            self.name(package)
            for package in self.base.sack.query().installed()
            if package.installtime > booted and matches(package.name, self.parameters["reboot_packages"])
        )

    def room_needed(self, planned: dict[str, Any]) -> dict[str, int]:
        """Return the room needed per place: downloads; growth and the largest package beside the old."""
        sizes = [package.installsize for package in planned.values()]
        growth = sum(
            package.installsize - self.installed[key].installsize for key, package in planned.items()
        )
        kernels = [package for package in planned.values() if package.name in KERNELS]
        return {
            "/": 0,
            **disk_room.room_of_kernels(len(kernels)),
            # A kernel stays beside the old one: it takes all of its size.
            "/usr": int(max(0, growth) + max(sizes, default=0) + sum(p.installsize for p in kernels)),
            str(self.base.conf.cachedir): int(sum(package.downloadsize for package in planned.values())),
            "/var/lib": 0,
        }


def key_of(package: hawkey.Package) -> str:
    """Return what tells packages of one name apart: their architecture."""
    return f"{package.name}.{package.arch}"


def source_of(package: hawkey.Package) -> str:
    """Return the name of the source package."""
    return str(package.source_name or package.name)


def obsoletes(package: hawkey.Package, old: hawkey.Package) -> bool:
    """Whether a package says that it takes the place of another one."""
    return any(str(word).split(" ", 1)[0] == old.name for word in package.obsoletes)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether the name fits one of the shell patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def plan_reboot(updates: list[dict[str, Any]], required_now: list[str]) -> dict[str, Any]:
    """Return whether a reboot is required now or to be expected, and because of which packages."""
    because = {update["package"] for update in updates if update["reboot"]} | set(required_now)
    return {"required_now": bool(required_now), "expected": bool(because), "because": sorted(because)}


def database_problems(lock_timeout: float = 0) -> list[str]:
    """Return what is wrong with the package database, one sentence each: in the place of `dpkg --audit`."""
    # What rpm was killed in the middle of is left there twice.
    checked = run_command(
        ["dnf", "--quiet", "--cacheonly", "check", "--dependencies", "--duplicates"], timeout=_CHECK_SECONDS
    )
    return (unsound_database(lock_timeout) + parse_check(checked.output, checked.rc))[:_MOST_PROBLEMS]


def unsound_database(lock_timeout: float = 0) -> list[str]:
    """Return why rpm's own database cannot be built on, nothing when it can."""
    holder = rpm_states.wait_for_lock(lock_timeout)
    if holder:
        # rpm would wait for it without an end.
        return [f"rpmdb: locked by {holder}"]
    verified = run_command(["rpmdb", "--verifydb"], timeout=_CHECK_SECONDS)
    return [] if verified.rc == 0 else [f"rpmdb: {one_line(verified.output) or 'is not sound'}"]


def parse_check(output: str, rc: int) -> list[str]:
    """Read what `dnf check` complains about: one line each, and an error of its own counted as one."""
    said = [one_line(line) for line in output.splitlines() if line.strip()]
    found = [line for line in said if not re.fullmatch(r"Error: Check discovered \d+ problem\(s\)", line)]
    return sorted(found or ["dnf check ended with an error and said nothing"]) if rc else []


def probe(parameters: dict[str, Any], *, refresh: bool) -> tuple[dict[str, Any], bool]:
    """Return the evidence of a host, and whether ClamAV is on it.

    Raises:
        MetadataError: when the metadata cannot be had.
    """
    began = time.monotonic()
    sources = redhat_transaction.SOURCES if refresh else redhat_transaction.STORED
    with redhat_transaction.opened(parameters, sources) as base:
        index = {"refreshed": refresh, "seconds": round(time.monotonic() - began, 1)}
        pending = Pending(base, parameters)
        plan = pending.evidence()
        has_antivirus = any(package.name in _ANTIVIRUS for package in pending.installed.values())
        reboot = plan_reboot(plan["updates"], pending.required_now())
    problems = database_problems(parameters["lock_timeout"])
    return {"index": index, **plan, "reboot": reboot, "dpkg_audit": problems}, has_antivirus
