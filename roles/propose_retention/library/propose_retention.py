#!/usr/bin/python3
"""Ansible module: tells which snapshots of a host a retention policy lets go of; changes nothing."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.back_up_host_repositories import RepositoryError
from ansible.module_utils.back_up_host_restic import BackupError, opened
from ansible.module_utils.back_up_host_retention import RETENTION_ARGUMENTS, look
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: propose_retention
short_description: Tell which snapshots a policy lets go of
description:
  - Asks restic what it would forget, and keeps what is never let go of.
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
  timeout: {description: Seconds for all of it., type: int, default: 3600}
author: [Rawat contributors]
"""
EXAMPLES = r"""
- name: Tell which snapshots a policy lets go of
  propose_retention:
    repository: rest:http://backup.example/web1/
    password: "{{ password }}"
    private: /run/rawat-retention.x
    directory: /var/backups/rawat
    host: web1
    policy: {daily: 14, monthly: 24}
    open_runs: []
    keep_tags: []
"""
RETURN = r"""
problem: {type: str, returned: always, description: What went wrong; empty when nothing did}
evidence: {type: dict, returned: always, description: The evidence of the role propose_retention}
"""


def main() -> None:
    """Run the module; whatever happens, the credentials leave the host with it."""
    module = AnsibleModule(argument_spec=RETENTION_ARGUMENTS, supports_check_mode=True)
    began = time.monotonic()
    evidence: dict[str, Any] = {"snapshots": 0, "keep": [], "removals": [], "proven": ""}
    problem = ""
    try:
        with opened(module.params) as restic:
            evidence |= look(restic, module.params)
    except (BackupError, RepositoryError, OSError, ValueError, KeyError) as error:
        problem = str(error) or error.__class__.__name__
    evidence["seconds"] = round(time.monotonic() - began, 1)
    module.exit_json(changed=False, problem=problem, evidence=evidence)


if __name__ == "__main__":
    main()
