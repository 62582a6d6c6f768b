#!/usr/bin/python3
"""Ansible module: takes the lock on the host for a run, or gives it back. The rules are in host_lock."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.module_utils import host_lock
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: hold_host_lock
short_description: Take or give back the lock on this host
description:
  - Takes the host for a run, or refuses and names who holds it.
  - Gives it back when nothing of ours is at work on it.
options:
  state: {type: str, choices: [held, released], required: true, description: What is wanted}
  run: {type: str, required: true, description: The run that wants the host}
  started: {type: str, required: true, description: Digest of the first record of that run}
  controller: {type: str, default: "", description: Who the controller is}
  operator: {type: str, default: "", description: Who operates the run}
  ended: {type: list, elements: str, default: [], description: Digests of runs that are over}
  state_directory: {type: path, required: true, description: Where the lock is kept on the host}
author: Rawat
"""
EXAMPLES = """
- name: Take the host
  hold_host_lock: {state: held, run: example-1, started: "", state_directory: /var/lib/rawat}
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role hold_host}
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["held", "released"], "required": True},
            "run": {"type": "str", "required": True},
            "started": {"type": "str", "required": True},
            "controller": {"type": "str", "default": ""},
            "operator": {"type": "str", "default": ""},
            "ended": {"type": "list", "elements": "str", "default": []},
            "state_directory": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    claim: dict[str, Any] = {name: given[name] for name in ("run", "started", "controller", "operator")}
    claim["since"] = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: UP017 - the host's Python
    directory = Path(given["state_directory"])
    if given["state"] == "released":
        kept = "" if module.check_mode else host_lock.release(directory, claim)
        module.exit_json(changed=not kept, evidence={"outcome": "kept" if kept else "released", "why": kept})
    try:
        holder, before = host_lock.take(directory, claim, given["ended"], check_mode=module.check_mode)
    except OSError as error:
        # Most often not one block is left, for root either: somebody has to make room by hand first.
        why = f"The lock could not be noted down in {directory} ({error.strerror})"
        module.fail_json(msg=f"{why}; nothing was done on this host.")
    evidence = {"outcome": "locked" if holder else "held", "holder": holder, "taken_over": before}
    if holder:
        told = host_lock.described(holder)
        module.fail_json(msg=f"This host is locked by {told}; nothing was done on it.", evidence=evidence)
    module.exit_json(changed=True, evidence=evidence)


if __name__ == "__main__":
    main()
