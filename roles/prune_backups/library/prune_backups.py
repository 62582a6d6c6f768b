#!/usr/bin/python3
"""Ansible module: removes exactly the approved snapshots of a host, and has the repository checked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.module_utils import host_unit
from ansible.module_utils.back_up_host_repositories import RepositoryError
from ansible.module_utils.back_up_host_restic import BackupError, opened
from ansible.module_utils.back_up_host_retention import RETENTION_ARGUMENTS, remove
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: prune_backups
short_description: Remove approved snapshots
description:
  - Looks again first, and removes nothing when one of them may not go.
  - Never raises; what went wrong stands in C(problem), because its task hides its output.
options:
  repository: {description: Repository without credentials., type: str, required: true}
  rest_user: {description: User of a REST repository., type: str, default: ""}
  rest_password: {description: Password of that user., type: str, default: ""}
  s3_credentials: {description: Content of an AWS credentials file., type: str, default: ""}
  sftp_key: {description: Private ssh key for an sftp server., type: str, default: ""}
  sftp_known_hosts: {description: The sftp server's host key., type: str, default: ""}
  password: {description: Password of the repository., type: str, required: true}
  private: {description: A fresh root-only folder in memory for the credentials., type: path, required: true}
  directory: {description: Where the record of the proven snapshot lies., type: path, required: true}
  host: {description: Name of the host in the repository., type: str, required: true}
  policy: {description: What is kept., type: dict, required: true}
  open_runs: {description: Runs whose snapshots are kept., type: list, elements: str, required: true}
  keep_tags: {description: Other tags whose snapshots are kept., type: list, elements: str, required: true}
  approved: {description: Ids of the snapshots to remove., type: list, elements: str, required: true}
  action: {description: The part of the run; a second call tells what went., type: str, default: ""}
  timeout: {description: Seconds for all of it., type: int, default: 3600}
author: [Rawat contributors]
"""
EXAMPLES = r"""
- name: Remove approved snapshots
  prune_backups:
    repository: rest:http://backup.example/web1/
    password: "{{ password }}"
    private: /run/rawat-retention.x
    directory: /var/backups/rawat
    host: web1
    policy: {daily: 14, monthly: 24}
    open_runs: []
    keep_tags: []
    approved: []
"""
RETURN = r"""
problem: {type: str, returned: always, description: What went wrong; empty when nothing did}
evidence: {type: dict, returned: always, description: The evidence of the role prune_backups}
"""


def main() -> None:
    """Run the module; whatever happens, the credentials leave the host with it."""
    approved = {"type": "list", "elements": "str", "required": True}
    module = AnsibleModule(
        argument_spec={**RETENTION_ARGUMENTS, "approved": approved, "action": {"type": "str", "default": ""}},
        supports_check_mode=True,
    )
    began = time.monotonic()
    evidence: dict[str, Any] = {"approved": 0, "pending": 0, "removed": [], "refused": [], "check": ""}
    problem = ""
    try:
        # A call whose link was cut goes on: two of them would not know who removed what.
        directory, timeout = Path(module.params["directory"]), module.params["timeout"]
        alone = host_unit.alone(directory, timeout, make=not module.check_mode)
        with alone, opened(module.params) as restic:
            remove(restic, {**module.params, "check_mode": module.check_mode}, evidence)
    except (BackupError, RepositoryError, OSError, ValueError, KeyError) as error:
        problem = str(error) or error.__class__.__name__
    evidence["seconds"] = round(time.monotonic() - began, 1)
    changed = bool(evidence["removed"]) or (module.check_mode and bool(evidence["pending"]))
    module.exit_json(changed=changed, problem=problem, evidence=evidence)


if __name__ == "__main__":
    main()
