"""Brings a host of the RHEL family to exactly the approved package versions, in the order kept for Debian.

Probe the host again; refuse everything when one package is not as approved; let dnf resolve exactly these
packages, and refuse everything when it would do more or less; write the marker; run the transaction in the
named unit; probe what is in effect. After a run cut short the same call finishes it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils import approved_updates as updates
from ansible.module_utils import (
    debian_packages,
    durable,
    host_unit,
    redhat_sources,
    redhat_transaction,
    redhat_updates,
    rpm_configuration,
    rpm_states,
    work_marker,
)
from ansible.module_utils.debian_packages import Finished

UNIT = "rawat-apply-updates.service"
_UNLIKE = "version {} is installed, neither the old nor the new one approved"


class Known(NamedTuple):
    """What dnf tells of the host: names locked at a version, and names installed beside their old version."""

    locked: set[str]
    beside: set[str]


class Verdict(NamedTuple):
    """What the probe says about the approved updates; pending ones are begun anew or finished."""

    pending: list[updates.Approved]
    unfinished: list[updates.Approved]
    already: list[dict[str, str]]
    refused: list[dict[str, str]]


def ask_dnf(parameters: dict[str, Any]) -> Known:
    """Return what dnf tells without any source."""
    with redhat_transaction.opened(parameters | redhat_sources.PATIENCE, redhat_transaction.NOTHING) as base:
        several = base.sack.query().installed().filter(provides=base.conf.installonlypkgs)
        return Known(redhat_updates.locked_names(base), {package.name for package in several})


def judge(
    approved: list[updates.Approved], found: rpm_states.Installation, known: Known, *, continues: bool
) -> Verdict:
    """Compare the host with what was approved.

    A package of which old and new are on record is accepted only when this very run left it so (`continues`).
    """
    verdict = Verdict([], [], [], [])
    for update in approved:
        there = rpm_states.versions(found, update.package)
        is_beside = any(item.name in known.beside for item in found.get(update.package, []))
        if update.after in there and (is_beside or there == {update.after}):
            verdict.already.append({"package": update.package, "version": update.after})
            continue
        reason = refusal_reason(update, found, known, continues=continues)
        if reason:
            verdict.refused.append(refusal(update, there, reason))
        elif there == {update.before, update.after}:
            verdict.unfinished.append(update)
        else:
            verdict.pending.append(update)
    ours = {update.package for update in approved}
    verdict.refused.extend(
        refusal(
            updates.Approved(package, "", ""),
            rpm_states.versions(found, package),
            "rpm left it unfinished, with several versions on record; it is not part of the approved plan",
        )
        for package in duplicates(found, known)
        if package not in ours
    )
    return verdict


def refusal_reason(
    update: updates.Approved, found: rpm_states.Installation, known: Known, *, continues: bool
) -> str:
    """Return why an update may not be installed as it was approved, an empty string when it may."""
    there = found.get(update.package, [])
    if not there:
        return "the package is no longer installed"
    if there[0].name in known.locked:
        return "the package was locked at its version"
    is_beside = there[0].name in known.beside
    installed = {item.evr for item in there}
    unlike = installed - {update.before, update.after}
    if update.before not in installed or (unlike and not is_beside):
        return _UNLIKE.format(", ".join(sorted(unlike or installed)))
    if continues:
        return ""
    if len(there) > 1 and not is_beside:
        return "rpm left it unfinished, with both versions on record, in work that this run did not start"
    replaced = rpm_configuration.changed_by_hand(there[0].name, there[0].arch).replaced
    return f"it would replace configuration changed by hand: {', '.join(replaced)}" if replaced else ""


def refusal(update: updates.Approved, there: set[str], reason: str) -> dict[str, str]:
    """Return the evidence of one refused update."""
    state = debian_packages.PackageState(", ".join(sorted(there)), "") if there else None
    return dict(updates.refusal(update, state, updates.Offer("", frozenset()), reason))


def duplicates(found: rpm_states.Installation, known: Known) -> list[str]:
    """Return the packages with several versions on record that are not meant to be: an rpm was killed."""
    return sorted(
        package for package, there in found.items() if len(there) > 1 and there[0].name not in known.beside
    )


def run_order(unit: str, order: redhat_transaction.Order, place: Path, timeout: float) -> Finished:
    """Carry an order out in a unit, from a copy of the program beside it: ours is gone when a link is cut."""
    holder = rpm_states.wait_for_lock(order["lock_timeout"])
    if holder:
        return Finished(1, f"E: rpm's database is locked by {holder}")
    program, written = place.with_suffix(".py"), place.with_suffix(".order.json")
    source = redhat_transaction.__loader__.get_source(redhat_transaction.__name__)
    program.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.write(program, source.encode())
    durable.write(written, json.dumps(order).encode())
    command = [sys.executable, "-I", str(program), str(written)]
    return host_unit.run_in_unit(unit, command, log=place.with_suffix(".log"), timeout=timeout)


def problems_after(
    approved: list[updates.Approved],
    found: rpm_states.Installation,
    changes: list[dict[str, str]],
    finished: Finished,
    known: Known,
) -> list[str]:
    """Return in words everything that keeps the host from being "applied"."""
    versions = {update.package: rpm_states.versions(found, update.package) for update in approved}
    ours = {update.package for update in approved}
    said = (
        [f"dnf ended with {finished.rc}: {debian_packages.error_lines(finished.output)}"]
        if finished.rc
        else []
    )
    said += [
        f"{u.package} is not at the approved {u.after}"
        for u in approved
        if u.after not in versions[u.package]
    ]
    said += [f"{name} is unfinished (several versions on record)" for name in duplicates(found, known)]
    return said + [f"{c['package']} changed without approval" for c in changes if c["package"] not in ours]


class Host:
    """One call's work on one host: it gathers the evidence as it goes, so that a failure can publish it."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters
        self.approved = [updates.Approved(u["package"], u["from"], u["to"]) for u in parameters["approved"]]
        directory = Path(parameters["state_directory"]) / parameters["run"]
        self.place: Path = directory / "apply_updates"
        self.marker = work_marker.Marker(
            self.place.with_suffix(".json"), parameters["run"], [tuple(u) for u in self.approved]
        )
        self.began = time.monotonic()
        self.found = rpm_states.read()
        self.known = ask_dnf(parameters)
        self.verdict = judge(self.approved, self.found, self.known, continues=bool(self.marker.begun()))
        self.unsound = redhat_updates.unsound_database(parameters["lock_timeout"])
        self.beside_before = self.put_beside()

    @property
    def waiting(self) -> list[updates.Approved]:
        """The updates that are not in effect yet."""
        return [*self.verdict.pending, *self.verdict.unfinished]

    def changes_since_begun(self) -> list[dict[str, str]]:
        """Return what this run changed here so far, also in a call whose answer was lost."""
        was = self.marker.begun().get("was", {})
        told = {u.package: u for u in self.approved}
        return [
            {"package": name, "from": told[name].before, "to": ", ".join(sorted(now - set(was[name]) or now))}
            for name in sorted(was)
            for now in [rpm_states.versions(self.found, name)]
            if now != set(was[name])
        ]

    def write_marker(self, outcome: str) -> None:
        """Record begin or end of the work before anything else happens."""
        names = [update.package for update in self.waiting]
        self.marker.write(outcome, {name: sorted(rpm_states.versions(self.found, name)) for name in names})

    def order(self) -> redhat_transaction.Order:
        """Return exactly what has to come and to go."""
        comes, goes = [], []
        for update in self.waiting:
            installed = self.found[update.package][0]
            comes.append((installed.name, installed.arch, update.after))
            if installed.name not in self.known.beside:
                goes.append((installed.name, installed.arch, update.before))
        # What was cut short is installed again, since nobody knows how far its scripts came.
        erase = [
            (self.found[update.package][0].name, self.found[update.package][0].arch, update.before)
            for update in self.verdict.unfinished
        ]
        limits = {name: self.parameters[name] for name in ("lock_timeout", "proxy")} | redhat_sources.PATIENCE
        packages = {"comes": comes, "goes": goes, "erase": erase, "files": [], "needs_sources": True}
        return {**packages, **limits, "run": self.parameters["run"]}

    def simulate(self) -> str:
        """Return what dnf would do other than install the pending versions."""
        order = self.order()
        try:
            with redhat_transaction.opened_for(order) as base:
                redhat_transaction.prepare(base, order)
        except (redhat_transaction.RefusedError, redhat_transaction.MetadataError) as error:
            return redhat_updates.one_line(str(error))
        return ""

    def put_beside(self) -> dict[str, int]:
        """Return the files that rpm laid beside changed configuration of the approved packages."""
        names = [item.name for u in self.approved for item in self.found.get(u.package, [])[:1]]
        return dict(rpm_configuration.put_beside(names))

    def evidence(self, outcome: str, changes: list[dict[str, str]], log: str = "") -> dict[str, Any]:
        """Return the evidence of the role."""
        ours = {change["package"] for change in changes}
        beside = self.put_beside()
        return {
            "changes": changes,
            "already": [item for item in self.verdict.already if item["package"] not in ours],
            "refused": self.verdict.refused,
            "outcome": outcome,
            "dpkg_audit": redhat_updates.database_problems(),
            "configuration": sorted(p for p, at in beside.items() if self.beside_before.get(p) != at),
            "seconds": round(time.monotonic() - self.began, 1),
            "log_tail": debian_packages.log_tail(log),
        }


def apply(parameters: dict[str, Any], *, check_mode: bool) -> tuple[dict[str, Any], str]:
    """Do the work; return the evidence and, when the host failed, why."""
    host = Host(parameters)
    done = host.changes_since_begun()
    if host.unsound:
        return host.evidence("failed", done), f"Nothing installed. {'; '.join(host.unsound)}"
    if host.verdict.refused:
        return host.evidence("drift", done), updates.drift_message(host.verdict.refused)
    if not host.waiting:
        if host.marker.is_left_open() and not check_mode:
            host.write_marker("applied")
        return host.evidence("applied", done), ""
    if parameters["reattach"]:
        missing = ", ".join(f"{update.package} {update.after}" for update in host.waiting)
        return host.evidence("failed", done), host.marker.left_undone(missing)
    return install_as_approved(host, check_mode=check_mode)


def install_as_approved(host: Host, *, check_mode: bool) -> tuple[dict[str, Any], str]:
    """Install when dnf would do exactly what was approved."""
    differences = host.simulate()
    if differences:
        return host.evidence("drift", [], differences), f"Nothing installed: {differences}"
    if check_mode:
        planned = [{"package": u.package, "from": u.before, "to": u.after} for u in host.waiting]
        return host.evidence("not applied (check mode)", planned), ""
    return install_and_prove(host)


def install_and_prove(host: Host) -> tuple[dict[str, Any], str]:
    """Install between two marks, then say what is in effect."""
    before, done = host.found, host.changes_since_begun()
    complaints = redhat_updates.database_problems()
    try:
        host.write_marker("begun")
        finished = run_order(UNIT, host.order(), host.place, host.parameters["timeout"])
    except OSError as error:
        # A full disk: what could not be noted down is not begun.
        return host.evidence("failed", done), f"Nothing installed, the work could not be noted down: {error}"
    host.found = rpm_states.read()
    now = rpm_states.changes_between(before, host.found)
    problems = problems_after(host.approved, host.found, now, finished, host.known)
    changes = updates.all_changes(host.changes_since_begun(), now)
    evidence = host.evidence("failed", changes, finished.output)
    # What was wrong before is the gate's to know; what is wrong now and was not is ours.
    problems += [line for line in evidence["dpkg_audit"] if line not in complaints]
    return updates.ended(host.write_marker, evidence, problems)
