#!/usr/bin/python3
"""Ansible module: takes a snapshot of a root on btrfs or LVM before an update; removes old ones by rule."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils import mounted, root_volume
from ansible.module_utils import root_snapshot as snapshots
from ansible.module_utils import snapshot_rules as rules
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: take_snapshot
short_description: Take a snapshot of the root before an update
description:
  - Takes it where the plan says so, and fails when it cannot be had any more.
  - Removes what ended runs left, when it lies there long enough.
options:
  approved: {type: list, elements: dict, required: true, description: "Updates: package, from and to"}
  planned: {type: bool, required: true, description: Whether the plan says that one is taken}
  run: {type: str, required: true, description: Names the snapshot}
  room_bytes: {type: int, default: 0, description: "Of LVM: how much of what changes it can hold"}
  started: {type: str, default: "", description: Digest of the first record of the run}
  ended: {type: list, elements: str, default: [], description: Such digests of runs that have ended}
  keep_days: {type: int, required: true, description: Days that a snapshot stays in any case}
author: Rawat
"""
EXAMPLES = """
- name: Take a snapshot
  take_snapshot:
    approved: [{package: openssl, from: 3.0.16-1, to: 3.0.17-1}]
    planned: true
    run: example-1
    keep_days: 7
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role take_snapshot}
"""


def work(parameters: dict[str, Any], *, check_mode: bool) -> tuple[bool, dict[str, Any]]:
    """Take the snapshot and sweep; return whether anything was changed, and the evidence."""
    began = time.monotonic()
    evidence: dict[str, Any] = {
        "taken": False, "subvolume": "", "place": "", "removed": [], "kept": [], "problem": "",
    }  # fmt: skip
    root = mounted.read()["/"]
    if not parameters["planned"] and root.kind != "btrfs" and not root_volume.is_one():
        return False, {**evidence, "seconds": 0}
    act = on_btrfs if root.kind == "btrfs" else on_lvm
    made, swept, place = act(parameters, check_mode=check_mode)
    if parameters["planned"]:
        subvolume = root.root if root.kind == "btrfs" else ""
        evidence |= {"taken": not check_mode, "subvolume": subvolume, "place": place}
    evidence["removed"] = [{"run": kept.run, "days": kept.days} for kept in swept if kept.is_removed]
    evidence["kept"] = [{"run": kept.run, "days": kept.days} for kept in swept if not kept.is_removed]
    evidence["seconds"] = round(time.monotonic() - began, 1)
    return made or bool(evidence["removed"]), evidence


def on_btrfs(parameters: dict[str, Any], *, check_mode: bool) -> tuple[bool, list[rules.Kept], str]:
    """Return whether a snapshot was made, what other runs left, and where the snapshot lies."""
    root, run, made = mounted.read()["/"], parameters["run"], False
    with snapshots.opened(root) as top:
        swept = snapshots.sweep(top, run, parameters["ended"], parameters["keep_days"], is_check=check_mode)
        if parameters["planned"] and not check_mode:
            fresh = rules.is_before(parameters["approved"])
            made = snapshots.take(top, root, run, parameters["started"], is_fresh=fresh)
    return made, swept, f"{snapshots.FOLDER}/{run}/{snapshots.BEFORE}"


def on_lvm(parameters: dict[str, Any], *, check_mode: bool) -> tuple[bool, list[rules.Kept], str]:
    """Return whether a snapshot was made, what other runs left, and which volume it is.

    Raises:
        rules.SnapshotError: among others, when the root is not on LVM (any more).
    """
    group, run, made = root_volume.of_root(), parameters["run"], False
    keep = (parameters["ended"], parameters["keep_days"])
    swept = root_volume.sweep(group, run, *keep, is_check=check_mode)
    if parameters["planned"] and not check_mode:
        fresh, room = rules.is_before(parameters["approved"]), parameters["room_bytes"]
        # Looked at again: room that was promised to this run may come from what was swept.
        group = root_volume.of_root()
        if fresh and (why_not := root_volume.why_not(group, run, room)):
            raise rules.SnapshotError(why_not)
        made = root_volume.take(group, run, parameters["started"], is_fresh=fresh, room_bytes=room)
    return made, swept, f"{group.root.group}/{root_volume.NAME}{run}"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "approved": {"type": "list", "elements": "dict", "required": True},
            "planned": {"type": "bool", "required": True},
            "run": {"type": "str", "required": True},
            "room_bytes": {"type": "int", "default": 0},
            "started": {"type": "str", "default": ""},
            "ended": {"type": "list", "elements": "str", "default": []},
            "keep_days": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        changed, evidence = work(module.params, check_mode=module.check_mode)
    except (rules.SnapshotError, OSError) as error:
        nothing = {"taken": False, "subvolume": "", "place": "", "removed": [], "kept": [], "seconds": 0}
        evidence = {**nothing, "problem": str(error)}
        if module.params["planned"]:
            module.fail_json(
                msg=f"The snapshot that was approved cannot be taken, so nothing is changed: {error}. "
                "Mend that, or plan and decide again.",
                evidence=evidence,
            )
        module.exit_json(changed=False, evidence=evidence)
    module.exit_json(changed=changed, evidence=evidence)


if __name__ == "__main__":
    main()
