#!/usr/bin/python3
"""Ansible module: puts packages of an approved plan back to the versions they had before it.

Rules kept here: only packages that stand at the approved new version, or that dpkg left unfinished, are
touched; what cannot be undone is said with its reason, and then the host counts as incomplete; success is
what a probe finds afterwards, not what apt answered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ansible.module_utils import approved_updates as updates
from ansible.module_utils import clamav_database as clamav
from ansible.module_utils import debian_packages as packages
from ansible.module_utils import dnf_python, host_unit, redhat_rollback, rpm_states, saved_packages
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: undo_updates
short_description: Put updated packages back to the versions before an approved plan
description:
  - Downgrades the packages of a plan to their versions before it, heals packages that dpkg left unfinished,
    and says what could not be undone.
options:
  approved: {type: list, elements: dict, required: true, description: "Updates: package, from and to"}
  antivirus: {type: dict, description: The plan's state of the antivirus before the updates}
  run: {type: str, required: true, description: Identifies the run in the log left on the host}
  state_directory: {type: path, required: true, description: Where the log is kept on the host}
  lock_timeout: {type: int, required: true, description: Seconds to wait for another package manager}
  timeout: {type: int, required: true, description: Seconds to wait for the work}
  proxy: {type: str, default: "", description: "Fetch through it, whatever proxy the host names itself"}
author: Rawat
"""
EXAMPLES = """
- name: Put back the versions before the plan
  undo_updates:
    approved: [{package: openssl, from: 3.0.16-1, to: 3.0.17-1}]
    run: example-1
    state_directory: /var/lib/rawat
    lock_timeout: 600
    timeout: 3600
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role rollback_updates}
"""

UNIT = "rawat-rollback-updates.service"
APPLY_UNIT = "rawat-apply-updates.service"


def judge(
    approved: list[updates.Approved],
    states: dict[str, packages.PackageState],
    offers: dict[str, updates.Offer],
    kept: Collection[str] = (),
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the versions to go back to, and what cannot go back, with the reason.

    Of the packages `kept` the old version lies on the host, whatever its sources offer. One that was not
    there before goes back to no version, "".
    """
    restore, not_undone = {}, []
    for update in approved:
        state = states.get(update.package)
        if updates.is_before(update, state):
            continue
        reason = obstacle(update, state, offers.get(update.package), is_kept=update.package in kept)
        if reason is None:
            restore[update.package] = update.before
        else:
            not_undone.append({"package": update.package, "reason": reason})
    return restore, not_undone


def obstacle(
    update: updates.Approved,
    state: packages.PackageState | None,
    offer: updates.Offer | None,
    *,
    is_kept: bool = False,
) -> str | None:
    """Return why a package cannot be put back, None when it can."""
    if state is None:
        return "the package is no longer installed"
    if state.is_held:
        return "the package is on hold"
    if state.is_settled and state.version != update.after:
        return f"version {state.version} is installed, which this plan did not bring"
    if not update.before:
        return updates.RUNNING_KERNEL if update.package in kernel_packages(os.uname().release) else None
    if not is_kept and (offer is None or update.before not in offer.versions):
        return f"the old version {update.before} is no longer offered by any source of the host"
    return None


def kernel_packages(release: str) -> set[str]:
    """Return the packages that a running kernel may be of."""
    kinds = ("linux-image", "linux-image-unsigned", "linux-modules", "linux-modules-extra")
    return {f"{kind}-{release}" for kind in kinds}


def failed_units(names: list[str]) -> list[str]:
    """Return the failed systemd services that the packages ship."""
    if not names:
        return []
    listed = packages.run_command(["dpkg-query", "--listfiles", *names]).output.split()
    shipped = {Path(path).name for path in listed if "/systemd/system/" in path and path.endswith(".service")}
    states = ["--state=failed", "--plain", "--no-legend", "--no-pager"]
    shown = packages.run_command(["systemctl", "list-units", "--type=service", *states]).output
    return sorted(shipped & {line.split()[0] for line in shown.splitlines() if line.strip()})


def antivirus_notes(
    before: dict[str, Any] | None, configuration: Path = clamav.FRESHCLAM_CONF
) -> list[dict[str, str]]:
    """Say that a newer signature database stays: it is never taken back."""
    now = clamav.version_on_disk(clamav.read_configuration(configuration)) if before else None
    if before is None or now is None or now == before["database_on_disk"]:
        return []
    reason = f"database {before['database_on_disk'] or 'none'} became {now}; databases are never taken back"
    return [{"package": f"{before['product']} signatures", "reason": reason}]


def unfinished_work(
    restore: dict[str, str], states: dict[str, packages.PackageState], finished: packages.Finished
) -> list[dict[str, str]]:
    """Return the packages that did not come back although they could have."""
    said = packages.why_failed(finished.output) if finished.rc else "apt said nothing about it"
    gone = packages.PackageState("none", "--")
    # What goes is not there any more when it has gone.
    found = {name: states.get(name, gone) for name, version in restore.items() if version or name in states}
    return [
        {"package": name, "reason": f"still at {state.version} ({state.status}): {said}"}
        for name, state in sorted(found.items())
        if state.version != restore[name] or not state.is_settled
    ]


class Host:
    """One call's work on one host."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters
        self.began = time.monotonic()
        self.approved = [updates.Approved(u["package"], u["from"], u["to"]) for u in parameters["approved"]]
        self.states = packages.package_states()
        offers = updates.read_offers([update.package for update in self.approved])
        folder = saved_packages.folder_of(parameters["state_directory"], parameters["run"])
        self.kept = saved_packages.whole_files(folder, {u.package: u.before for u in self.approved})
        restore, self.not_undone = judge(self.approved, self.states, offers, self.kept)
        self.restore = {name: version for name, version in restore.items() if version}
        self.going = sorted(restore.keys() - self.restore.keys())

    def broken(self) -> dict[str, str]:
        """Return the packages whose files are a mess although dpkg's table names the old version.

        So a full disk leaves them; apt takes them for installed and does nothing unless it is told to.
        """
        return {name: version for name, version in self.restore.items() if self.states[name].is_broken}

    def command(self, *options: str, only: dict[str, str] | None = None) -> list[str]:
        """Return the apt-get call that brings the old versions back."""
        command: list[str] = packages.install_command(
            only or self.restore,
            lock_timeout=self.parameters["lock_timeout"],
            options=[
                "--allow-downgrades",
                "--only-upgrade",
                *packages.through(self.parameters["proxy"]),
                *options,
            ],
            files=self.kept,
        )
        return command

    def removal(self, *options: str) -> list[str]:
        """Return the apt-get call that takes away what was not there before; configuration files stay."""
        limits = ["-o", f"DPkg::Lock::Timeout={self.parameters['lock_timeout']}"]
        return ["/usr/bin/apt-get", "remove", "--yes", *limits, *options, "--", *self.going]

    def differences(self) -> list[str]:
        """Return what apt would do other than put back the old versions."""
        if packages.is_dpkg_interrupted() or not self.restore:
            return []
        simulated = packages.run_command(self.command("--simulate"))
        if simulated.rc != 0:
            return [f"apt refuses: {packages.error_lines(simulated.output)}"]
        at_old = {name for name, version in self.restore.items() if self.states[name].version == version}
        plan = packages.parse_simulation(simulated.output)
        differences: list[str] = packages.simulation_differences(self.restore, plan, may_be_missing=at_old)
        return differences

    def undo(self) -> packages.Finished:
        """Put the old versions back in a named unit."""
        log = Path(self.parameters["state_directory"]) / self.parameters["run"] / "rollback_updates.log"
        timeout = self.parameters["timeout"]
        if packages.is_dpkg_interrupted():
            # It may fail on the very package that is to be put back: it only has to end the old transaction.
            host_unit.run_in_unit(UNIT, packages.CONFIGURE_COMMAND, log=log, timeout=timeout)
        # A service that crashed often enough is refused a start until its failures are forgotten.
        for unit in failed_units(sorted(self.restore)):
            host_unit.forget_failure(unit)
        packages.wait_for_archives(self.parameters["lock_timeout"])
        if broken := self.broken():
            # Apart from the others: apt finds no file for a package that is only to be configured.
            command = self.command("--reinstall", only=broken)
            host_unit.run_in_unit(UNIT, command, log=log, timeout=timeout)
        finished = packages.Finished(0, "")
        if self.restore:
            finished = host_unit.run_in_unit(UNIT, self.command(), log=log, timeout=timeout)
        return self.take_away(log, timeout) if self.going and not finished.rc else finished

    def take_away(self, log: Path, timeout: float) -> packages.Finished:
        """Remove what the update brought, once nothing needs it any more: exactly that, or nothing."""
        simulated = packages.run_command(self.removal("--simulate"))
        plan = packages.parse_simulation(simulated.output)
        others = sorted(set(plan.removes) - set(self.going)) + sorted(plan.installs)
        if simulated.rc or others:
            said = f"with it would go or come {', '.join(others)}" if others else simulated.output
            return packages.Finished(1, f"E: {said}")
        return host_unit.run_in_unit(UNIT, self.removal(), log=log, timeout=timeout)

    def evidence(self, outcome: str, changes: list[dict[str, str]]) -> dict[str, Any]:
        """Return the evidence of the role; what stays by nature is told but makes no rollback incomplete."""
        return {
            "changes": changes,
            "not_undone": self.not_undone + antivirus_notes(self.parameters["antivirus"]),
            "from_kept": sorted(self.kept.keys() & {change["package"] for change in changes}),
            "dpkg_audit": packages.dpkg_audit(),
            "outcome": outcome,
            "seconds": round(time.monotonic() - self.began, 1),
        }


def roll_back(host: Host, *, check_mode: bool) -> dict[str, Any]:
    """Do the work and return the evidence."""
    if not host.restore and not host.going:
        return host.evidence("incomplete" if host.not_undone else "nothing to undo", [])
    differences = host.differences()
    if differences:
        reason = f"nothing was put back: {'; '.join(differences)}"
        names = sorted([*host.restore, *host.going])
        host.not_undone += [{"package": name, "reason": reason} for name in names]
        return host.evidence("incomplete", [])
    if check_mode:
        planned = {name: host.states[name].version for name in sorted([*host.restore, *host.going])}
        changes = [
            {"package": name, "from": now, "to": host.restore.get(name, "")} for name, now in planned.items()
        ]
        return host.evidence("not rolled back (check mode)", changes)
    return undo_and_prove(host)


def undo_and_prove(host: Host) -> dict[str, Any]:
    """Put the old versions back, then say what is in effect."""
    before = host.states
    finished = host.undo()
    after = packages.package_states()
    wanted = {**host.restore, **dict.fromkeys(host.going, "")}
    host.not_undone += unfinished_work(wanted, after, finished)
    host.not_undone += [
        {"package": unit, "reason": "its service is failed after the rollback"}
        for unit in failed_units(sorted(host.restore))
    ]
    evidence = host.evidence("rolled back", updates.changes_between(before, after))
    if host.not_undone or evidence["dpkg_audit"]:
        evidence["outcome"] = "incomplete"
    return evidence


def failure_message(evidence: dict[str, Any]) -> str:
    """Return one sentence saying what a person has to look at."""
    reasons = [f"{item['package']}: {item['reason']}" for item in evidence["not_undone"]]
    reasons += [f"the package manager complains of {problem}" for problem in evidence["dpkg_audit"]]
    return f"The rollback is incomplete and needs a person. {'; '.join(reasons)}"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "approved": {"type": "list", "elements": "dict", "required": True},
            "antivirus": {"type": "dict"},
            "run": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "lock_timeout": {"type": "int", "required": True},
            "timeout": {"type": "int", "required": True},
            "proxy": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    is_redhat = rpm_states.is_redhat(rpm_states.os_release())
    if is_redhat:
        dnf_python.require_dnf(module, {})
    elif not updates.HAS_APT:
        module.fail_json(msg="python3-apt is missing on this host; nothing was put back.", evidence={})
    directory, timeout = Path(module.params["state_directory"]), module.params["timeout"]
    with host_unit.only_call(directory, timeout, make=not module.check_mode) as is_alone:
        for unit in (APPLY_UNIT, UNIT):
            if not is_alone or not host_unit.wait_for_end(unit, timeout):
                module.fail_json(msg=f"{unit} of an earlier call is still at work on this host.", evidence={})
        if is_redhat:
            evidence = redhat_rollback.roll_back(module.params, check_mode=module.check_mode)
            evidence["not_undone"] += antivirus_notes(module.params["antivirus"], Path("/etc/freshclam.conf"))
        else:
            evidence = roll_back(Host(module.params), check_mode=module.check_mode)
    if evidence["outcome"] == "incomplete":
        module.fail_json(msg=failure_message(evidence), changed=bool(evidence["changes"]), evidence=evidence)
    module.exit_json(changed=bool(evidence["changes"]), evidence=evidence)


if __name__ == "__main__":
    main()
