#!/usr/bin/python3
"""Ansible module: brings configuration files back from the backup of a run, each proven by its digest."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import debian_packages, host_unit, package_records
from ansible.module_utils import recorded_files as recorded
from ansible.module_utils.back_up_host_repositories import RepositoryError
from ansible.module_utils.back_up_host_restic import REPOSITORY_ARGUMENTS, BackupError, Restic, opened
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: restore_files
short_description: Bring files back from a restic snapshot, when they are what was recorded
description:
  - Restores the files into a folder of its own, compares each with its recorded digest, and puts it in place.
  - Never raises; what went wrong stands in the evidence, because its task hides its output.
options:
  repository: {description: Repository without credentials., type: str, required: true}
  rest_user: {description: User of a REST repository., type: str, default: ""}
  rest_password: {description: Password of that user., type: str, default: ""}
  s3_credentials: {description: Content of an AWS credentials file., type: str, default: ""}
  sftp_key: {description: Private ssh key for an sftp server., type: str, default: ""}
  sftp_known_hosts: {description: The sftp server's host key., type: str, default: ""}
  password: {description: Password of the repository., type: str, required: true}
  private: {description: A fresh root-only folder in memory for the credentials., type: path, required: true}
  wanted: {description: The files with their recorded digest and mode and owner., type: dict, required: true}
  run: {description: Tag of the snapshot., type: str, required: true}
  host: {description: Name of the host in the repository., type: str, required: true}
  state_directory: {description: Root-only folder on the host., type: path, required: true}
  most_bytes: {description: Limit of one file., type: int, required: true}
  timeout: {description: Seconds for all of it., type: int, default: 600}
author: [Rawat contributors]
"""
EXAMPLES = r"""
- name: Bring files back
  restore_files:
    repository: rest:http://backup.example/web1/
    password: "{{ password }}"
    private: /run/rawat-restore-files.x
    wanted: "{{ found['restore'] }}"
    run: example-1
    host: web1
    state_directory: /var/lib/rawat
    most_bytes: 16777216
"""
RETURN = r"""
evidence: {type: dict, returned: always, description: Part of the evidence of the role restore_files}
"""


def newest_snapshot(restic: Restic, run: str, host: str) -> str:
    """Return the id of the newest snapshot of a run."""
    asked = ["snapshots", "--json", "--no-lock", "--tag", run, "--host", host]
    found = json.loads(restic.require("the snapshots cannot be listed", *asked))
    if not found:
        raise BackupError(f"the repository has no snapshot of this host with the tag {run}")
    return str(max(found, key=lambda one: one["time"])["id"])


def place(source: Path, target: Path, wanted: dict[str, Any]) -> None:
    """Put a restored file in place, in one step, with mode and owner as recorded."""
    descriptor, written = tempfile.mkstemp(prefix=".rawat-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file, source.open("rb") as content:
            shutil.copyfileobj(content, file)
            os.fchown(file.fileno(), wanted["uid"], wanted["gid"])
            os.fchmod(file.fileno(), wanted["mode"])
            file.flush()
            os.fsync(file.fileno())
        Path(written).replace(target)
    except BaseException:
        Path(written).unlink(missing_ok=True)
        raise


def bring_back(restic: Restic, parameters: dict[str, Any], evidence: dict[str, Any]) -> None:
    """Restore what is wanted, and note what came of each file."""
    wanted: dict[str, dict[str, Any]] = parameters["wanted"]
    evidence["snapshot"] = newest_snapshot(restic, parameters["run"], parameters["host"])
    folder = Path(tempfile.mkdtemp(prefix="restored-", dir=parameters["state_directory"]))
    try:
        includes = ["--include=" + literal(path) for path in wanted]
        restic.require(
            "restoring failed",
            "restore",
            "--no-lock",
            evidence["snapshot"],
            "--target",
            str(folder),
            *includes,
        )
        for path, recorded_as in wanted.items():
            found = recorded.look_at(folder / path.lstrip("/"), parameters["most_bytes"])
            if not recorded.as_recorded(found, recorded_as):
                reason = "the backup has another one than was there before the update" if found else NOT_THERE
                evidence["not_restored"].append({"path": path, "reason": reason})
                continue
            place(folder / path.lstrip("/"), Path(path), recorded_as)
            evidence["restored"].append(path)
    finally:
        shutil.rmtree(folder)


NOT_THERE = "the backup does not have it"


def literal(path: str) -> str:
    """Return a path as a pattern that means only itself."""
    return "".join(f"\\{sign}" if sign in "\\*?[]" else sign for sign in path)


def restart_units(paths: list[str]) -> list[str]:
    """Let the running services of the files' packages take the files up; return their names."""
    owners = {owner for path in paths for owner in package_records.owners_of(path)}
    files = {path for owner in owners for path in package_records.files_of(owner)}
    units = {Path(p).name for p in files if "/systemd/system/" in p and p.endswith(".service")}
    running = [u for u in sorted(units) if not debian_packages.run_command(["systemctl", "is-active", u]).rc]
    for unit in running:
        debian_packages.run_command(["systemctl", "restart", unit])
    return running


def main() -> None:
    """Run the module; whatever happens, the credentials leave the host with it."""
    module = AnsibleModule(
        argument_spec={
            **REPOSITORY_ARGUMENTS,
            "wanted": {"type": "dict", "required": True},
            "run": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "most_bytes": {"type": "int", "required": True},
            "timeout": {"type": "int", "default": 600},
        }
    )
    began = time.monotonic()
    evidence: dict[str, Any] = {"snapshot": "", "restored": [], "not_restored": [], "restarted": []}
    try:
        # A call whose link was cut goes on, and this one finds its work done.
        directory, timeout = Path(module.params["state_directory"]), module.params["timeout"]
        with host_unit.alone(directory, timeout, make=True), opened(module.params) as restic:
            bring_back(restic, module.params, evidence)
    except (BackupError, RepositoryError, OSError, ValueError, KeyError) as error:
        done = {*evidence["restored"], *(item["path"] for item in evidence["not_restored"])}
        evidence["not_restored"] += [
            {"path": path, "reason": str(error)} for path in module.params["wanted"] if path not in done
        ]
    evidence["restarted"] = restart_units(evidence["restored"])
    evidence["seconds"] = round(time.monotonic() - began, 1)
    module.exit_json(changed=bool(evidence["restored"]), evidence=evidence)


if __name__ == "__main__":
    main()
