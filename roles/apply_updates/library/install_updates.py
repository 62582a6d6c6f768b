#!/usr/bin/python3
"""Ansible module: brings a host to exactly the approved package versions, and touches nothing else.

The order kept here: wait for work of ours that is still going; probe the host again; refuse everything when
one package is not as approved; simulate, and refuse everything when apt would do more or less; write the
marker; install in a named unit; probe what is in effect. After a run cut short the same call finishes it,
and a call that only joins (`reattach`) says what came of it and installs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils import approved_updates as updates
from ansible.module_utils import (
    chosen_conffiles,
    dnf_python,
    host_unit,
    redhat_install,
    rpm_states,
    work_marker,
)
from ansible.module_utils import debian_packages as packages
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: install_updates
short_description: Install exactly the approved package versions
description:
  - Installs the approved versions in one transaction, or refuses all of them when the host has drifted from
    what was approved.
options:
  approved: {type: list, elements: dict, required: true, description: "Updates: package, from and to"}
  run: {type: str, required: true, description: Identifies the run in the marker left on the host}
  state_directory: {type: path, required: true, description: Where marker and log are kept on the host}
  lock_timeout: {type: int, required: true, description: Seconds to wait for another package manager}
  timeout: {type: int, required: true, description: Seconds to wait for the installation}
  proxy: {type: str, default: "", description: "Fetch through it, whatever proxy the host names itself"}
  reattach: {type: bool, default: false, description: Read what came of work begun earlier and start none}
  conffiles: {type: list, elements: dict, default: [], description: "The plan's changed files, with choices"}
  chosen: {type: dict, default: {}, description: "What was chosen at the gate: path to keep or new"}
author: Rawat
"""
EXAMPLES = """
- name: Install the approved versions
  install_updates:
    approved: [{package: openssl, from: 3.0.16-1, to: 3.0.17-1}]
    run: example-1
    state_directory: /var/lib/rawat
    lock_timeout: 600
    timeout: 3600
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role apply_updates}
"""

UNIT = "rawat-apply-updates.service"


def problems_after(
    approved: list[updates.Approved],
    states: dict[str, packages.PackageState],
    changes: list[dict[str, str]],
    finished: packages.Finished,
) -> list[str]:
    """Return in words everything that keeps the host from being "applied"."""
    missing = [u for u in approved if u.package not in states or states[u.package].version != u.after]
    unfinished = [u for u in approved if u.package in states and not states[u.package].is_settled]
    ours = {update.package for update in approved}
    said = [f"apt ended with {finished.rc}: {packages.why_failed(finished.output)}"] if finished.rc else []
    said += [f"{u.package} is not at the approved {u.after}" for u in missing]
    said += [f"{u.package} is unfinished ({states[u.package].status})" for u in unfinished]
    return said + [f"{c['package']} changed without approval" for c in changes if c["package"] not in ours]


class Host:
    """One call's work on one host: it gathers the evidence as it goes, so that a failure can publish it."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters
        self.approved = [updates.Approved(u["package"], u["from"], u["to"]) for u in parameters["approved"]]
        self.directory: Path = Path(parameters["state_directory"]) / parameters["run"]
        marker = self.directory / "apply_updates.json"
        self.marker = work_marker.Marker(marker, parameters["run"], self.approved)
        self.began = time.monotonic()
        self.states = packages.package_states()
        self.verdict = updates.Verdict({}, [], [])
        self.chosen: list[dict[str, Any]] = []
        self.new_files: chosen_conffiles.Content = {}

    def changes_since_begun(self) -> list[dict[str, str]]:
        """Return what this run changed here so far, also in a call whose answer was lost."""
        was = self.marker.begun().get("was", {})
        pairs = [(name, was[name], self.version_of(name)) for name in sorted(was)]
        return [{"package": name, "from": old, "to": new} for name, old, new in pairs if old != new]

    def version_of(self, package: str) -> str:
        """Return the installed version of a package, "" when there is none."""
        state = self.states.get(package)
        return state.version if state else ""

    def write_marker(self, outcome: str) -> None:
        """Record begin or end of the work before anything else happens."""
        self.marker.write(outcome, {name: self.version_of(name) for name in self.verdict.pending})

    def probe(self) -> None:
        """Judge the host as it is now."""
        offers = updates.read_offers([update.package for update in self.approved])
        continues = bool(self.marker.begun())
        verdict = updates.judge(self.approved, self.states, offers, continues=continues)
        refused = verdict.refused + updates.foreign_unfinished(self.states, self.approved)
        if packages.is_dpkg_interrupted() and not continues:
            refused.append(updates.cut_short())
        self.verdict = verdict._replace(refused=refused)

    def command(self, *options: str) -> list[str]:
        """Return the apt-get call for what is pending."""
        # It would leave new packages out without a word.
        only = [] if self.new_packages() else ["--only-upgrade"]
        command: list[str] = packages.install_command(
            self.verdict.pending,
            lock_timeout=self.parameters["lock_timeout"],
            options=[*only, *packages.through(self.parameters["proxy"]), *options],
        )
        return command

    def new_packages(self) -> list[str]:
        """Return what is pending and was not installed before."""
        new = {update.package for update in self.approved if not update.before}
        return sorted(new & self.verdict.pending.keys())

    def simulate(self) -> list[str]:
        """Return what apt would do other than install the pending versions."""
        simulated = packages.run_command(self.command("--simulate"))
        if simulated.rc != 0:
            return [f"apt refuses: {packages.error_lines(simulated.output)}"]
        # What is unpacked already is only configured, and apt announces no installation for it.
        unpacked = {
            name for name, version in self.verdict.pending.items() if self.version_of(name) == version
        }
        plan = packages.parse_simulation(simulated.output)
        differences: list[str] = packages.simulation_differences(
            self.verdict.pending, plan, may_be_missing=unpacked
        )
        return differences

    def fetch_chosen(self) -> list[str]:
        """Fetch the configuration files that were chosen; return in words why one cannot be placed."""
        decided = chosen_conffiles.as_decided(self.parameters["conffiles"], self.parameters["chosen"])
        self.chosen = chosen_conffiles.to_place(decided, self.verdict.pending)
        way = packages.through(self.parameters["proxy"])
        self.new_files, problems = chosen_conffiles.fetch(self.chosen, self.verdict.pending, way)
        named = {update.package for update in self.approved}
        strangers = [item for item in decided if item["choice"] == "new" and item["package"] not in named]
        return list(problems) + [
            f"{item['path']} is to be replaced, and its package {item['package']} is not updated"
            for item in strangers
        ]

    def install(self) -> packages.Finished:
        """Install what is pending, first finishing a transaction of this run that was cut short."""
        log, timeout = self.directory / "apply_updates.log", self.parameters["timeout"]
        if packages.is_dpkg_interrupted():
            host_unit.run_in_unit(UNIT, packages.CONFIGURE_COMMAND, log=log, timeout=timeout)
        packages.wait_for_archives(self.parameters["lock_timeout"])
        chosen_conffiles.place(self.new_files)
        finished = host_unit.run_in_unit(UNIT, self.command(), log=log, timeout=timeout)
        needed = updates.needed_by_others(self.new_packages()) if not finished.rc else []
        if needed:
            # They go one day with what needs them, as old kernels do; the others are there to stay.
            packages.run_command(["apt-mark", "auto", *needed])
        return finished

    def evidence(self, outcome: str, changes: list[dict[str, str]], log: str = "") -> dict[str, Any]:
        """Return the evidence of the role."""
        ours = {change["package"] for change in changes}
        return {
            "changes": changes,
            "already": [item for item in self.verdict.already if item["package"] not in ours],
            "refused": self.verdict.refused,
            "new_conffiles": [item["path"] for item in self.chosen],
            "outcome": outcome,
            "dpkg_audit": packages.dpkg_audit(),
            "seconds": round(time.monotonic() - self.began, 1),
            "log_tail": packages.log_tail(log),
        }


def apply(host: Host, *, check_mode: bool) -> tuple[dict[str, Any], str]:
    """Do the work; return the evidence and, when the host failed, why."""
    host.probe()
    done = host.changes_since_begun()
    if host.verdict.refused:
        return host.evidence("drift", done), updates.drift_message(host.verdict.refused)
    if not host.verdict.pending:
        if host.marker.is_left_open() and not check_mode:
            host.write_marker("applied")
        return host.evidence("applied", done), ""
    if host.parameters["reattach"]:
        return host.evidence("failed", done), left_undone(host)
    # apt cannot simulate inside a transaction cut short; the probe has shown that it is ours.
    differences = ([] if packages.is_dpkg_interrupted() else host.simulate()) or host.fetch_chosen()
    if differences:
        said = "; ".join(differences)
        return host.evidence("drift", [], said), f"Nothing installed: {said}"
    if check_mode:
        planned = [u for u in host.approved if u.package in host.verdict.pending]
        return host.evidence("not applied (check mode)", [_change(u) for u in planned]), ""
    return install_and_prove(host)


def left_undone(host: Host) -> str:
    """Say what is missing on a host that was lost during its work, and how far it had got."""
    names = ", ".join(f"{name} {version}" for name, version in sorted(host.verdict.pending.items()))
    return str(host.marker.left_undone(names))


def install_and_prove(host: Host) -> tuple[dict[str, Any], str]:
    """Install between two marks, then say what is in effect."""
    before, done = host.states, host.changes_since_begun()
    try:
        host.write_marker("begun")
        finished = host.install()
    except OSError as error:
        # A full disk: what could not be noted down is not begun.
        return host.evidence("failed", done), f"Nothing installed, the work could not be noted down: {error}"
    host.states = packages.package_states()
    now = updates.changes_between(before, host.states)
    problems = problems_after(host.approved, host.states, now, finished)
    problems += chosen_conffiles.not_in_effect(host.chosen)
    changes = updates.all_changes(host.changes_since_begun(), now)
    evidence = host.evidence("failed" if problems else "applied", changes, finished.output)
    if evidence["dpkg_audit"]:
        problems.append(f"dpkg --audit names {', '.join(evidence['dpkg_audit'])}")
    return updates.ended(host.write_marker, evidence, problems)


def _change(update: updates.Approved) -> dict[str, str]:
    return {"package": update.package, "from": update.before, "to": update.after}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "approved": {"type": "list", "elements": "dict", "required": True},
            "run": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "lock_timeout": {"type": "int", "required": True},
            "timeout": {"type": "int", "required": True},
            "proxy": {"type": "str", "default": ""},
            "reattach": {"type": "bool", "default": False},
            "conffiles": {"type": "list", "elements": "dict", "default": []},
            "chosen": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    if rpm_states.is_redhat(rpm_states.os_release()):
        dnf_python.require_dnf(module, {})
        call(
            module, rpm_states.read, lambda: redhat_install.apply(module.params, check_mode=module.check_mode)
        )
    elif updates.HAS_APT:
        call(
            module, packages.package_states, lambda: apply(Host(module.params), check_mode=module.check_mode)
        )
    else:
        module.fail_json(msg="python3-apt is missing on this host; nothing was installed.", evidence={})


def call(
    module: AnsibleModule, states: Callable[[], Any], work: Callable[[], tuple[dict[str, Any], str]]
) -> None:
    """Do the work once no other call is at it, and end the module with what came of it."""
    directory, timeout = Path(module.params["state_directory"]), module.params["timeout"]
    before = states()
    try:
        with host_unit.only_call(directory, timeout, make=not module.check_mode) as is_alone:
            if not is_alone or not host_unit.wait_for_end(UNIT, timeout):
                module.fail_json(msg=f"{UNIT} of an earlier call is still at work on this host.", evidence={})
            evidence, failure = work()
    except OSError as error:
        module.fail_json(msg=f"Nothing installed, the work could not be noted down: {error}", evidence={})
    would_change = evidence["outcome"] == "not applied (check mode)"
    changed = would_change or states() != before
    if failure:
        module.fail_json(msg=failure, changed=changed, evidence=evidence)
    module.exit_json(changed=changed, evidence=evidence)


if __name__ == "__main__":
    main()
