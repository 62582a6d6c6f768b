#!/usr/bin/python3
"""Ansible module: tells which configuration files an update changed and its rollback did not bring back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils import package_records
from ansible.module_utils import recorded_files as recorded
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: find_changed_files
short_description: Tell which configuration files are not as they were before an update
description:
  - Compares with the records of the role record_files. Changes nothing.
options:
  packages: {type: list, elements: str, required: true, description: Packages of the update}
  run: {type: str, required: true, description: Names the folder on the host}
  state_directory: {type: path, required: true, description: Where the folders of runs are}
  most_bytes: {type: int, required: true, description: Limit of one file}
  why_not: {type: str, default: "", description: Why nothing will be brought back}
author: Rawat
"""
EXAMPLES = """
- name: Find what is to be brought back
  find_changed_files: {packages: [openssl], run: example-1, state_directory: /var/lib/rawat, most_bytes: 4096}
"""
RETURN = """
restore: {type: dict, returned: always, description: How each file was that is to be brought back}
left: {type: list, returned: always, description: Files that are not, with the reason}
not_restored: {type: list, returned: always, description: The files to be brought back, until they are}
recorded: {type: bool, returned: always, description: Whether there is a record of before}
"""


def find(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return what the module answers."""
    place, run = parameters["state_directory"], parameters["run"]
    before = recorded.read(recorded.file_of(place, run, "before"))
    if before is None:
        return {"restore": {}, "left": [], "not_restored": [], "recorded": False}
    after = recorded.read(recorded.file_of(place, run, "after"))
    met = recorded.read(recorded.file_of(place, run, "met"))
    owned = {path for package in parameters["packages"] for path in package_records.files_of(package)}
    watched = sorted(before.keys() | (after or {}).keys())
    seen = {path: recorded.look_at(Path(path), parameters["most_bytes"]) for path in watched}
    now = {path: found for path, found in seen.items() if found}
    shipped = package_records.shipped_configuration(parameters["packages"])
    verdict = recorded.judge(before, after, met or now, now, owned=owned, as_shipped=shipped)
    reason = parameters["why_not"] or "restoring failed"
    return {
        "restore": verdict.restore,
        "left": verdict.left,
        "not_restored": [{"path": path, "reason": reason} for path in verdict.restore],
        "recorded": True,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "required": True},
            "run": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "most_bytes": {"type": "int", "required": True},
            "why_not": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **find(module.params))


if __name__ == "__main__":
    main()
