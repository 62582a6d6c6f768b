"""Puts packages of an approved plan back to their versions before it, on a host of the RHEL family.

Rules kept here, as for Debian: only packages that stand at the approved new version, or that rpm left
unfinished, are touched; what cannot be undone is said with its reason, and then the host counts as
incomplete; success is what a probe finds afterwards. An old version comes out of what was saved before the
update, or else out of a source that still has it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils import approved_updates as updates
from ansible.module_utils import (
    debian_packages,
    host_unit,
    redhat_install,
    redhat_sources,
    redhat_transaction,
    redhat_updates,
    rpm_configuration,
    rpm_states,
    saved_packages,
)

UNIT = "rawat-rollback-updates.service"


class Way(NamedTuple):
    """What has to be done about the updates of a plan, and what cannot be."""

    restore: list[updates.Approved]
    not_undone: list[dict[str, str]]


def judge(
    approved: list[updates.Approved],
    found: rpm_states.Installation,
    known: redhat_install.Known,
    running_kernel: str,
) -> Way:
    """Return the updates to take back, and what cannot be taken back, with the reason."""
    way = Way([], [])
    for update in approved:
        there = found.get(update.package, [])
        if update.after not in rpm_states.versions(found, update.package) and is_as_before(
            update, there, known
        ):
            continue
        reason = obstacle(update, there, known, running_kernel)
        if reason:
            way.not_undone.append({"package": update.package, "reason": reason})
        else:
            way.restore.append(update)
    return way


def is_as_before(
    update: updates.Approved, there: list[rpm_states.Installed], known: redhat_install.Known
) -> bool:
    """Whether the version before is in effect, alone unless its kind is installed beside others."""
    installed = {item.evr for item in there}
    return update.before in installed and (installed == {update.before} or there[0].name in known.beside)


def obstacle(
    update: updates.Approved,
    there: list[rpm_states.Installed],
    known: redhat_install.Known,
    running_kernel: str,
) -> str:
    """Return why a package cannot be put back, an empty string when it may be."""
    if not there:
        return "the package is no longer installed"
    if there[0].name in known.locked:
        return "the package is locked at its version"
    unlike = {item.evr for item in there} - {update.before, update.after}
    if unlike and there[0].name not in known.beside:
        return f"version {', '.join(sorted(unlike))} is installed, which this plan did not bring"
    new = {f"{item.evr.rpartition(':')[2]}.{item.arch}" for item in there if item.evr == update.after}
    if there[0].name in known.beside and running_kernel in new:
        return updates.RUNNING_KERNEL
    return ""


def is_offered(base: redhat_transaction.dnf.Base, package: redhat_transaction.Package) -> bool:
    """Whether a source of the host has a package."""
    return bool(base.sack.query().available().filter(name=package.name, arch=package.arch, evr=package.evr))


class Host:
    """One call's work on one host."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters
        self.began = time.monotonic()
        self.approved = [updates.Approved(u["package"], u["from"], u["to"]) for u in parameters["approved"]]
        self.place = Path(parameters["state_directory"]) / parameters["run"] / "rollback_updates"
        self.found = rpm_states.read()
        self.known = redhat_install.ask_dnf(parameters)
        way = judge(self.approved, self.found, self.known, os.uname().release)
        self.not_undone = way.not_undone
        folder = saved_packages.folder_of(parameters["state_directory"], parameters["run"])
        self.saved = saved_packages.whole_files(folder, {u.package: u.before for u in self.approved})
        self.restore = self.those_to_be_had(way.restore)
        self.complaints = redhat_updates.database_problems()
        names = [there[0].name for u in self.approved if (there := self.found.get(u.package))]
        self.notes = self.stays(names)

    def those_to_be_had(self, restore: list[updates.Approved]) -> list[updates.Approved]:
        """Return the updates whose old version can be had; say of the others that it cannot."""
        asked = [u for u in restore if u.package not in self.saved and not self.is_beside(u)]
        if not asked:
            return restore
        gone = {}
        try:
            with redhat_transaction.opened_for(self.order(asked)) as base:
                gone = {
                    update.package: "by any source of the host"
                    for update in asked
                    if not is_offered(base, self.package(update, update.before))
                }
        except redhat_transaction.MetadataError as error:
            said = redhat_updates.one_line(str(error))
            gone = {update.package: f"as far as is known: {said}" for update in asked}
        self.not_undone += [
            {
                "package": u.package,
                "reason": f"the old version {u.before} is no longer offered {gone[u.package]}",
            }
            for u in asked
            if u.package in gone
        ]
        return [update for update in restore if update.package not in gone]

    def is_beside(self, update: updates.Approved) -> bool:
        """Whether the old version is still installed beside the new one, as of kernels."""
        there = self.found[update.package]
        return there[0].name in self.known.beside and update.before in {item.evr for item in there}

    def package(self, update: updates.Approved, evr: str) -> redhat_transaction.Package:
        """Return a version of a package of the plan."""
        installed = self.found[update.package][0]
        return redhat_transaction.Package(installed.name, installed.arch, evr)

    def order(self, restore: list[updates.Approved]) -> redhat_transaction.Order:
        """Return exactly what has to come and to go."""
        comes = [self.package(u, u.before) for u in restore if not self.is_beside(u)]
        goes = [
            self.package(u, u.after) for u in restore if u.after in rpm_states.versions(self.found, u.package)
        ]
        erase = [self.package(u, u.after) for u in restore if self.is_beside(u)]
        return {
            "comes": comes,
            "goes": goes,
            "erase": erase,
            "files": [str(self.saved[u.package]) for u in restore if u.package in self.saved],
            "needs_sources": any(u.package not in self.saved and not self.is_beside(u) for u in restore),
            "run": self.parameters["run"],
            "lock_timeout": self.parameters["lock_timeout"],
            "proxy": self.parameters["proxy"],
            **redhat_sources.PATIENCE,
        }

    def unfinished(self) -> list[updates.Approved]:
        """Return the updates of which rpm has both versions on record: it was killed."""
        return [u for u in self.restore if len(self.found[u.package]) > 1 and not self.is_beside(u)]

    def settling(self) -> redhat_transaction.Order:
        """Return what ends a transaction cut short: the new files are there, so the old record goes.

        dnf cannot put a version that is on record in the place of another one: to it that is a downgrade.
        """
        gone = [self.package(update, update.before) for update in self.unfinished()]
        order = self.order([])
        return order | {"goes": gone, "erase": gone}

    def differences(self) -> str:
        """Return what dnf would do other than put back the old versions."""
        order = self.settling() if self.unfinished() else self.order(self.restore)
        try:
            with redhat_transaction.opened_for(order) as base:
                redhat_transaction.prepare(base, order)
        except (redhat_transaction.RefusedError, redhat_transaction.MetadataError) as error:
            return str(redhat_updates.one_line(str(error)))
        return ""

    def undo(self) -> debian_packages.Finished:
        """Put the old versions back in a named unit."""
        # A service that crashed often enough is refused a start until its failures are forgotten.
        for unit in self.failed_units():
            host_unit.forget_failure(unit)
        timeout = self.parameters["timeout"]
        if self.unfinished():
            finished = redhat_install.run_order(UNIT, self.settling(), self.place, timeout)
            self.found = rpm_states.read()
            if finished.rc or self.unfinished():
                return finished
        return redhat_install.run_order(UNIT, self.order(self.restore), self.place, timeout)

    def failed_units(self) -> list[str]:
        """Return the failed services that the packages to put back ship."""
        names = [self.package(update, "").name for update in self.restore]
        return list(rpm_states.failed_units(names))

    def stays(self, names: list[str]) -> list[dict[str, str]]:
        """Say what no rollback takes back: what scripts did elsewhere, and files laid beside changed ones."""
        touched = {self.package(update, "").name for update in self.restore}
        scripts = [name for name in names if name in touched and rpm_configuration.has_scripts(name)]
        beside = sorted(rpm_configuration.put_beside(names))
        reason = "scripts of the new versions ran; what they changed elsewhere on the host is not taken back"
        return [{"package": ", ".join(scripts), "reason": reason}] * bool(scripts) + [
            {"package": path, "reason": "the file, laid beside changed configuration, stays"}
            for path in beside
        ]

    def evidence(self, outcome: str, changes: list[dict[str, str]]) -> dict[str, Any]:
        """Return the evidence of the role; what stays by nature is told but makes no rollback incomplete."""
        return {
            "changes": changes,
            "not_undone": self.not_undone + self.notes,
            "from_kept": sorted(self.saved.keys() & {change["package"] for change in changes}),
            "dpkg_audit": redhat_updates.database_problems(),
            "outcome": outcome,
            "seconds": round(time.monotonic() - self.began, 1),
        }


def roll_back(parameters: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Do the work and return the evidence."""
    host = Host(parameters)
    if not host.restore:
        return host.evidence("incomplete" if host.not_undone else "nothing to undo", [])
    differences = host.differences()
    if differences:
        reason = f"nothing was put back: {differences}"
        host.not_undone += [{"package": update.package, "reason": reason} for update in host.restore]
        return host.evidence("incomplete", [])
    if check_mode:
        planned = [{"package": u.package, "from": u.after, "to": u.before} for u in host.restore]
        return host.evidence("not rolled back (check mode)", planned)
    return undo_and_prove(host)


def undo_and_prove(host: Host) -> dict[str, Any]:
    """Put the old versions back, then say what is in effect."""
    before = host.found
    finished = host.undo()
    after = rpm_states.read()
    said = debian_packages.error_lines(finished.output) if finished.rc else "dnf said nothing about it"
    host.not_undone += [
        {"package": u.package, "reason": f"still at {', '.join(sorted(versions)) or 'none'}: {said}"}
        for u in host.restore
        for versions in [rpm_states.versions(after, u.package)]
        if u.after in versions or not is_as_before(u, after.get(u.package, []), host.known)
    ]
    if finished.rc and not host.not_undone:
        host.not_undone.append({"package": "dnf", "reason": f"ended with {finished.rc}: {said}"})
    host.not_undone += [
        {"package": unit, "reason": "its service is failed after the rollback"}
        for unit in host.failed_units()
    ]
    evidence = host.evidence("rolled back", rpm_states.changes_between(before, after))
    new_complaints = [line for line in evidence["dpkg_audit"] if line not in host.complaints]
    if host.not_undone or new_complaints:
        evidence["outcome"] = "incomplete"
    return evidence
