#!/usr/bin/python3
"""Ansible module: records by digest how configuration files are before, after and at a rollback."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils import recorded_files as recorded
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: record_files
short_description: Record how configuration files are before or after an update
description:
  - Writes digests, modes and owners of regular files into the run's folder on the host, and no contents.
  - Only that of after is written anew: a call that is made again must not take the new for the old.
options:
  moment: {type: str, required: true, choices: [before, after, met], description: Which record it is}
  paths: {type: list, elements: str, required: true, description: Folders that are looked at}
  left_out: {type: list, elements: str, required: true, description: Patterns of files that are not}
  run: {type: str, required: true, description: Names the folder on the host}
  state_directory: {type: path, required: true, description: Where the folders of runs are}
  most_files: {type: int, required: true, description: Limit of files}
  most_bytes: {type: int, required: true, description: Limit of one file}
author: Rawat
"""
EXAMPLES = """
- name: Record the configuration files
  record_files:
    moment: before
    paths: [/etc]
    left_out: [/etc/ld.so.cache]
    run: example-1
    state_directory: /var/lib/rawat
    most_files: 20000
    most_bytes: 16777216
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role record_files}
"""

MOST_TOLD = 100


def record(parameters: dict[str, Any], *, check_mode: bool) -> tuple[bool, dict[str, Any]]:
    """Record the moment; return whether a file was written, and the evidence."""
    began = time.monotonic()
    place, run = parameters["state_directory"], parameters["run"]
    path = recorded.file_of(place, run, parameters["moment"])
    old = recorded.read(path)
    before = recorded.read(recorded.file_of(place, run, "before"))
    if parameters["moment"] != "after" and old is not None:
        found, changed = old, False
    else:
        limits = parameters["most_files"], parameters["most_bytes"]
        found = recorded.look(parameters["paths"], parameters["left_out"], *limits)
        changed = found != old
    if changed and not check_mode:
        recorded.write(path, found)
        if parameters["moment"] == "after":
            # What a rollback met before this update is no news any more.
            recorded.file_of(place, run, "met").unlink(missing_ok=True)
    other = recorded.changed_between(before, found) if before and parameters["moment"] == "after" else []
    return changed, {
        "moment": parameters["moment"],
        "files": len(found),
        "changed": other[:MOST_TOLD],
        "changed_files": len(other),
        "problem": "",
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the module."""
    names = {"type": "list", "elements": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "moment": {"type": "str", "required": True, "choices": ["before", "after", "met"]},
            "paths": names,
            "left_out": names,
            "run": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "most_files": {"type": "int", "required": True},
            "most_bytes": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        changed, evidence = record(module.params, check_mode=module.check_mode)
    except (OSError, recorded.TooMuchError) as error:
        # Without a record no file can be brought back by itself; that stops no update, and is told.
        moment = module.params["moment"]
        nothing = {"moment": moment, "files": 0, "changed": [], "changed_files": 0, "seconds": 0}
        module.exit_json(changed=False, evidence={**nothing, "problem": str(error)})
    module.exit_json(changed=changed, evidence=evidence)


if __name__ == "__main__":
    main()
