#!/usr/bin/python3
"""Ansible module: all that belongs to the update of a host, one module after another in one process.

Each of them is the module of its own role, with the arguments that it has there. As tasks of their own they
cost a Python, the libraries and a connection each on the host, and some thirty processes on the controller.
The first that fails ends it: what the ones before it did is published, and nothing after it is begun.
A call whose controller is gone goes on to its end; another one waits for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils import (
    debian_packages,
    dnf_python,
    host_unit,
    install_updates,
    probe_reboot,
    record_files,
    rpm_states,
    save_packages,
    take_snapshot,
    update_antivirus_database,
)
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: update_in_turn
short_description: Keep what is there, install what is approved, and look at what came of it
description:
  - Runs the modules of the roles save_packages, record_files, take_snapshot, apply_updates, record_files,
    update_antivirus and reboot_host in this order, in one process, until one fails.
options:
  approved: {type: list, elements: dict, required: true, description: "Updates: package, from and to"}
  run: {type: str, required: true, description: Identifies the run on the host}
  state_directory: {type: path, required: true, description: Where marker and log are kept on the host}
  wait: {type: int, required: true, description: Seconds to wait for an earlier call that goes on alone}
  reattach: {type: bool, required: true, description: "Join work begun earlier, and begin none"}
  save_packages: {type: dict, required: true, description: What this module is given besides}
  record_files: {type: dict, required: true, description: What this module is given besides}
  take_snapshot: {type: dict, required: true, description: What this module is given besides}
  install_updates: {type: dict, required: true, description: What this module is given besides}
  update_antivirus: {type: dict, required: true, description: What this module is given besides}
  probe_reboot: {type: dict, required: true, description: What this module is given besides}
  reboot_approved: {type: bool, required: true, description: Whether the host may be rebooted}
author: Rawat
"""
EXAMPLES = """
- name: Update the host
  update_in_turn:
    approved: [{package: openssl, from: 3.0.16-1, to: 3.0.17-1}]
    run: example-1
    state_directory: /var/lib/rawat
    wait: 3600
    reattach: false
    save_packages: {reserve_bytes: 67108864}
    record_files: {paths: [/etc], left_out: [], most_files: 20000, most_bytes: 16777216}
    take_snapshot: {planned: false, keep_days: 7}
    install_updates: {lock_timeout: 600, timeout: 3600}
    update_antivirus: {required: false}
    probe_reboot: {packages: [openssl]}
    reboot_approved: false
"""
RETURN = """
evidence: {type: dict, returned: always, description: What each role publishes, by its name}
"""

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# It ended without an answer to build on: nothing is claimed, and a probe has to tell.
_NOTHING = {"changes": [], "already": [], "refused": [], "outcome": "failed", "dpkg_audit": [], "seconds": 0}


class Ended(Exception):  # noqa: N818 - it is no error that a module has come to its end
    """A module has come to its end; it carries the result."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(result.get("msg", ""))
        self.result = result


class Part(AnsibleModule):  # type: ignore[misc]  # ansible-core ships no types
    """What a module takes for its own: it is given its arguments here, and its result stays here."""

    def __init__(self, given: dict[str, Any], **spec: object) -> None:
        self._given = given
        super().__init__(**spec)

    def _load_params(self) -> None:
        self.params = dict(self._given)

    def exit_json(self, **result: object) -> None:
        """End with a good result."""
        raise Ended(result)

    def fail_json(self, msg: str, **result: object) -> None:
        """End with a failure."""
        raise Ended({**result, "msg": str(msg), "failed": True})


class Step(NamedTuple):
    """One module in its place."""

    module: Any
    publishes: str
    """The name under which its evidence is published; "" for what is no evidence yet."""
    given: dict[str, Any]


def steps(given: dict[str, Any]) -> Iterator[Step]:
    """Return the modules in their order; work that is only joined keeps nothing, for it has begun already."""
    run = {name: given[name] for name in ("run", "state_directory")}
    approved = {"approved": given["approved"]}
    record = {**run, **given["record_files"]}
    if not given["reattach"]:
        yield Step(save_packages, "save_packages", {**run, **approved, **given["save_packages"]})
        yield Step(record_files, "record_files", {**record, "moment": "before"})
        # The last before the change: going back by it takes back whatever was written later.
        yield Step(take_snapshot, "take_snapshot", {"run": run["run"], **approved, **given["take_snapshot"]})
    work = {**run, **approved, "reattach": given["reattach"]}
    yield Step(install_updates, "apply_updates", {**work, **given["install_updates"]})
    # Which files the update changed: those, and no others, are brought back with it.
    yield Step(record_files, "record_files", {**record, "moment": "after"})
    yield Step(update_antivirus_database, "update_antivirus", given["update_antivirus"])
    yield Step(probe_reboot, "", given["probe_reboot"])


def done(step: Step, *, check_mode: bool) -> dict[str, Any]:
    """Run a module to its end and return its result; what it did not foresee is a failure."""
    step.module.AnsibleModule = partial(Part, {**step.given, "_ansible_check_mode": check_mode})
    try:
        step.module.main()
    except Ended as end:
        return end.result
    except Exception as error:  # noqa: BLE001 - what was done before it is told all the same
        return {
            "failed": True,
            "msg": f"{step.module.__name__.rpartition('.')[2]}: unexpected failure: {error!r}",
        }
    return {"failed": True, "msg": f"{step.module.__name__.rpartition('.')[2]} ended without a result"}


def no_reboot(found: dict[str, Any], *, approved: bool) -> dict[str, Any]:
    """Return what the role reboot_host publishes where nothing is left for it to do, else nothing."""
    if found["restarted"] or (approved and found["required"]):
        return {}
    told = {
        "required": found["required"],
        "approved": approved,
        "asked": False,
        "rebooted": False,
        "seconds": 0,
    }
    boots = {"boot_id_before": found["boot_id"], "boot_id_after": found["boot_id"]}
    return {"reboot_host": {**told, **boots, "because": found["because"]}}


def form_problem(given: dict[str, Any]) -> str:
    """Return why the updates are not approved in a form that can be installed, "" when they are."""
    wanted = ("package", "from", "to")
    names = [update.get("package") for update in given["approved"]]
    proxies = [str(given[part].get("proxy", "")) for part in ("save_packages", "install_updates")]
    if not all(debian_packages.PROXY.fullmatch(proxy) for proxy in proxies):
        # It is not repeated: it may hold a password.
        return "The proxy is not of the form http://cache.example:3142 (no user, no password, no path)."
    whole = all(isinstance(update.get(name), str) for update in given["approved"] for name in wanted)
    if _RUN.fullmatch(given["run"]) and whole and len({*names}) == len(names):
        return ""
    return (
        "The updates are not approved in a form that can be installed: they need a run id of letters, digits,"
        " dots and dashes, and package, from and to for each package, each package once."
    )


def main() -> None:
    """Run the module."""
    needed = {"required": True}
    parts = (
        "save_packages",
        "record_files",
        "take_snapshot",
        "install_updates",
        "update_antivirus",
        "probe_reboot",
    )
    module = AnsibleModule(
        argument_spec={
            "approved": {"type": "list", "elements": "dict", **needed},
            "run": {"type": "str", **needed},
            "state_directory": {"type": "path", **needed},
            "wait": {"type": "int", **needed},
            "reattach": {"type": "bool", **needed},
            "reboot_approved": {"type": "bool", **needed},
            **{part: {"type": "dict", **needed} for part in parts},
        },
        supports_check_mode=True,
    )
    if problem := form_problem(module.params):
        module.fail_json(msg=problem, evidence={})
    if rpm_states.is_redhat(rpm_states.os_release()):
        # Before anything is begun: it starts this module again under dnf's Python.
        dnf_python.require_dnf(module, {})
    directory, wait = Path(module.params["state_directory"]), module.params["wait"]
    try:
        alone = host_unit.only_call(directory, wait, make=not module.check_mode, lock_file=host_unit.TURN)
        with alone as is_alone:
            if not is_alone:
                said = "An earlier call for the update is still at work on this host."
                module.fail_json(msg=said, evidence={"apply_updates": {}})
            do_all(module)
    except OSError as error:
        said = f"Nothing installed, the work could not be noted down: {error}"
        module.fail_json(msg=said, evidence={"apply_updates": {}})


def do_all(module: AnsibleModule) -> None:
    """Do one module after another, and end this one with what came of them."""
    evidence: dict[str, Any] = {}
    changed, result = False, {}
    for step in steps(module.params):
        result = done(step, check_mode=module.check_mode)
        changed = changed or bool(result.get("changed"))
        if "evidence" in result:
            evidence[step.publishes] = result["evidence"]
        elif step.publishes == "apply_updates":
            evidence[step.publishes] = {**_NOTHING, "log_tail": f"no evidence: {result['msg']}"}
        if result.get("failed"):
            module.fail_json(msg=result["msg"], changed=changed, evidence=evidence)
    evidence.update(no_reboot(result, approved=module.params["reboot_approved"]))
    module.exit_json(changed=changed, evidence=evidence)


if __name__ == "__main__":
    main()
