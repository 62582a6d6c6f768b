#!/usr/bin/python3
"""Ansible module: takes a read-only snapshot of a btrfs root before an update; removes old ones by rule."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils import mounted
from ansible.module_utils import root_snapshot as snapshots
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: take_snapshot
short_description: Take a read-only snapshot of the root before an update
description:
  - Takes it where the plan says so, and fails when it cannot be had any more.
  - Removes what ended runs left, when it lies there long enough.
options:
  approved: {type: list, elements: dict, required: true, description: "Updates: package, from and to"}
  planned: {type: bool, required: true, description: Whether the plan says that one is taken}
  run: {type: str, required: true, description: Names the folder of the snapshot}
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
    began, run = time.monotonic(), parameters["run"]
    evidence: dict[str, Any] = {
        "taken": False, "subvolume": "", "place": "", "removed": [], "kept": [], "problem": "",
    }  # fmt: skip
    root = mounted.read()["/"]
    if not parameters["planned"] and root.kind != "btrfs":
        return False, {**evidence, "seconds": 0}
    made = False
    with snapshots.opened(root) as top:
        swept = snapshots.sweep(top, run, parameters["ended"], parameters["keep_days"], is_check=check_mode)
        if parameters["planned"]:
            fresh = snapshots.is_before(parameters["approved"])
            if not check_mode:
                made = snapshots.take(top, root, run, parameters["started"], is_fresh=fresh)
            evidence |= {"taken": not check_mode, "subvolume": root.root,
                         "place": f"{snapshots.FOLDER}/{run}/{snapshots.BEFORE}"}  # fmt: skip
    evidence["removed"] = [{"run": kept.run, "days": kept.days} for kept in swept if kept.is_removed]
    evidence["kept"] = [{"run": kept.run, "days": kept.days} for kept in swept if not kept.is_removed]
    evidence["seconds"] = round(time.monotonic() - began, 1)
    return made or bool(evidence["removed"]), evidence


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "approved": {"type": "list", "elements": "dict", "required": True},
            "planned": {"type": "bool", "required": True},
            "run": {"type": "str", "required": True},
            "started": {"type": "str", "default": ""},
            "ended": {"type": "list", "elements": "str", "default": []},
            "keep_days": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        changed, evidence = work(module.params, check_mode=module.check_mode)
    except (snapshots.SnapshotError, OSError) as error:
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
