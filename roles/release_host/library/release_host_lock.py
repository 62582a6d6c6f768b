#!/usr/bin/python3
"""Ansible module: removes the lock of one run from this host on a person's word, and keeps that word here."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils import host_lock
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: release_host_lock
short_description: Remove the lock of one run from this host
description:
  - Removes the lock on a person's word and keeps that word on the host.
  - Refuses while a unit of ours is at work here, and when another run holds the host.
options:
  run: {type: str, required: true, description: The run whose lock is removed}
  word: {type: dict, required: true, description: What was signed and the signature}
  state_directory: {type: path, required: true, description: Where the lock is kept on the host}
author: Rawat
"""
EXAMPLES = """
- name: Free the host
  release_host_lock: {run: example-1, word: {statement: "...", signature: "..."}, state_directory: /var/lib/x}
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role release_host}
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "run": {"type": "str", "required": True},
            "word": {"type": "dict", "required": True},
            "state_directory": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    lock, kept = host_lock.break_by_name(
        Path(given["state_directory"]), given["run"], given["word"], check_mode=module.check_mode
    )
    outcome = "kept" if kept else "freed" if lock else "not locked"
    evidence = {"outcome": outcome, "lock": lock}
    if kept:
        module.fail_json(msg=f"The lock on this host stays: {kept}.", evidence=evidence)
    module.exit_json(changed=lock is not None, evidence=evidence)


if __name__ == "__main__":
    main()
