#!/usr/bin/python3
"""Ansible module: has a host boot from its root as it was before an update, by a snapshot."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils import mounted, root_volume
from ansible.module_utils import root_snapshot as snapshots
from ansible.module_utils import snapshot_rules as rules
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: return_to_snapshot
short_description: Have a host boot from its root as it was before an update
description:
  - Exchanges a btrfs root for a copy of the run's snapshot, or has LVM merge it.
  - Either comes into effect with a restart.
  - Says why not where the snapshot cannot bring the host back whole; then nothing is changed.
options:
  approved: {type: list, elements: dict, required: true, description: "Updates: package, from and to"}
  run: {type: str, required: true, description: Names the snapshot}
author: Rawat
"""
EXAMPLES = """
- name: Go back
  return_to_snapshot:
    approved: [{package: openssl, from: 3.0.16-1, to: 3.0.17-1}]
    run: example-1
"""
RETURN = """
restart: {type: bool, returned: always, description: Whether the host has to restart now}
evidence: {type: dict, returned: always, description: The evidence of the role return_to_snapshot}
"""

CHANGED_BOOT = "/boot was changed and is not part of the snapshot"
APART = "not part of the snapshot of the root, stays as it is"


def work(parameters: dict[str, Any], *, check_mode: bool) -> tuple[bool, dict[str, Any]]:
    """Return whether the host has to restart now, and the evidence."""
    run, mounts = parameters["run"], mounted.read()
    root = mounts["/"]
    outside = [{"path": place, "reason": APART} for place in snapshots.not_covered(mounts)]
    if root.kind != "btrfs":
        return on_lvm(parameters, outside, check_mode=check_mode)
    with snapshots.opened(root) as top:
        folder = snapshots.folder_of(top, run)
        told = snapshots.record_of(folder)
        if not (folder / snapshots.BEFORE).exists() or not told:
            return False, answer("no snapshot")
        if snapshots.is_exchanged(root, run):
            snapshots.boot_from(top, top / told["root"].lstrip("/"), top / root.root.lstrip("/"))
            return True, exchanged(root.root.lstrip("/"), outside, "exchanged")
        if snapshots.is_returned(top, run):
            left = f"{snapshots.FOLDER}/{run}/replaced-{len(list(folder.glob('replaced-*')))}"
            return False, exchanged(left, outside, "returned")
        if refused := why_not(parameters["approved"], root, told, check_mode=check_mode):
            return False, refused
        return True, exchanged(snapshots.exchange(top, root, run), outside, "exchanged")


def on_lvm(
    parameters: dict[str, Any], outside: list[dict[str, str]], *, check_mode: bool
) -> tuple[bool, dict[str, Any]]:
    """Return whether a host on LVM has to restart now, and the evidence."""
    if not root_volume.is_one():
        return False, answer("no snapshot")
    group, run = root_volume.of_root(), parameters["run"]
    state = root_volume.state(group, run)
    if state == "none":
        return False, answer("no snapshot")
    if state in {"exchanged", "returned"}:
        return state == "exchanged", exchanged(root_volume.replaced(group, run), outside, state)
    if refused := why_not_merged(parameters["approved"], group, run, check_mode=check_mode):
        return False, refused
    return True, exchanged(root_volume.go_back(group, run), outside, "exchanged")


def why_not_merged(
    approved: list[dict[str, Any]], group: root_volume.Group, run: str, *, check_mode: bool
) -> dict[str, Any] | None:
    """Return the evidence of a host that is not to go back by its snapshot of LVM, or nothing."""
    if rules.is_before(approved):
        return answer("nothing to undo")
    (before,) = group.of("before", run)
    if before.told("boot") != rules.boot_digest():
        return answer("not possible", CHANGED_BOOT)
    if before.is_full:
        return answer("not possible", "more was changed than the snapshot can hold")
    if reason := rules.apart() or root_volume.why_not(group, run, before.size):
        return answer("not possible", reason)
    return answer("not returned (check mode)") if check_mode else None


def why_not(
    approved: list[dict[str, Any]], root: mounted.Mount, told: dict[str, Any], *, check_mode: bool
) -> dict[str, Any] | None:
    """Return the evidence of a host that is not to go back by its snapshot, or nothing."""
    if rules.is_before(approved):
        return answer("nothing to undo")
    if told["boot"] != rules.boot_digest():
        return answer("not possible", CHANGED_BOOT)
    if told["root"] != root.root:
        return answer("not possible", "the root has another name than before the update")
    now = snapshots.look("return", "", 0, is_controller=False)
    if now["why_not"]:
        return answer("not possible", now["why_not"])
    return answer("not returned (check mode)") if check_mode else None


def is_pending(run: str) -> bool:
    """Whether the next start of the host takes it back, whatever is done until then."""
    root = mounted.read()["/"]
    if root.kind == "btrfs":
        return snapshots.is_exchanged(root, run)
    try:
        return root_volume.is_one() and root_volume.state(root_volume.of_root(), run) == "exchanged"
    except rules.SnapshotError:
        return False


def exchanged(replaced: str, outside: list[dict[str, str]], outcome: str) -> dict[str, Any]:
    """Return the evidence of an exchange: what it took back and what it leaves, for the people concerned."""
    since = f"what was written since the snapshot is no longer in effect; it lies in {replaced}"
    left = [{"path": "/", "reason": since}, *outside]
    return answer(outcome, replaced=replaced, not_undone=left)


def answer(outcome: str, reason: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the evidence of the role."""
    return {"outcome": outcome, "reason": reason, "replaced": "", "not_undone": [], **more}


def main() -> None:
    """Run the module; a rung that is not to be had leaves the host to the next one."""
    module = AnsibleModule(
        argument_spec={
            "approved": {"type": "list", "elements": "dict", "required": True},
            "run": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    began = time.monotonic()
    try:
        restart, evidence = work(module.params, check_mode=module.check_mode)
    except (rules.SnapshotError, OSError, KeyError) as error:
        restart, evidence = False, answer("not possible", str(error))
        if is_pending(module.params["run"]):
            # What the next rungs would do here is gone with the next start of the host.
            module.fail_json(
                msg=f"The host has to be restarted into its snapshot by hand: {error}", evidence=evidence
            )
    evidence["seconds"] = round(time.monotonic() - began, 1)
    module.exit_json(changed=restart, restart=restart, evidence=evidence)


if __name__ == "__main__":
    main()
