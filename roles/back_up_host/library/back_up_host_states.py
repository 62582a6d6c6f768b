"""What a file backup alone would lose: the state of the packages, and databases that are being written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.module_utils import durable, rpm_states
from ansible.module_utils.back_up_host_databases import Databases, SavingError, about
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debian_packages import run_command

DOCUMENTATION = r"""
module: back_up_host_states
short_description: Save package states and dumps of databases where the backup will find them
description:
  - Writes version, selection and status of every package, and dumps of the databases of a host.
  - A dump that fails or is cut off fails the module, and no dump is left.
  - Does nothing when the same tag was already backed up and verified in the same repository.
options:
  directory:
    description: Where the files are written; root only.
    type: path
    required: true
  tag:
    description: Tag of the snapshot to come.
    type: str
    required: true
  repository:
    description: Repository of the snapshot to come, without credentials.
    type: str
    required: true
  package_database:
    description: Whether the folder in which dpkg or rpm keeps its records is told, to be backed up.
    type: bool
    default: true
  postgresql:
    description: Whether PostgreSQL clusters are dumped.
    type: bool
    default: true
  mariadb:
    description: Whether the databases of MariaDB are dumped.
    type: bool
    default: true
  mariadb_login_file:
    description: Option file on the host with the login for MariaDB; root's own when empty.
    type: path
    default: ""
  left_out:
    description: Names of databases that are not dumped.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds after which the dumps are given up.
    type: int
    default: 3600
author: [Rawat contributors]
"""

STATES = r"${binary:Package}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\n"

RPM_STATES = r"%{NAME}.%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\tinstall\tinstalled\n"


def states_command() -> list[str]:
    """Return the command that lists the packages, of this family of systems, in one form."""
    if rpm_states.is_redhat(rpm_states.os_release()):
        return ["rpm", "--query", "--all", "--queryformat", RPM_STATES]
    return ["dpkg-query", "--show", "--showformat", STATES]


def package_database() -> str:
    """Return the folder that dpkg or rpm keeps its records in."""
    if not rpm_states.is_redhat(rpm_states.os_release()):
        return "/var/lib/dpkg"
    # A link on the newer systems, and a link is no folder that could be backed up.
    return str(Path(run_command(["rpm", "--eval", "%{_dbpath}"]).output.strip()).resolve())


def write_if_different(path: Path, text: str) -> bool:
    """Write a root-only file in one step; leave one with the same content alone."""
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return False
    durable.write(path, text.encode())
    return True


def verified_before(directory: Path, tag: str, repository: str) -> dict[str, Any] | None:
    """Return what an earlier attempt recorded after verifying a snapshot of this tag, if it did."""
    marker = directory / "verified-snapshot.json"
    if not marker.exists():
        return None
    try:
        recorded: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        return None
    same = recorded.get("tag") == tag and recorded.get("evidence", {}).get("repository") == repository
    return recorded if same else None


def saved(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Save package states and databases and say what was saved."""
    directory = Path(params["directory"])
    before = verified_before(directory, params["tag"], params["repository"])
    if before:
        return {"changed": False, "verified_before": before}
    databases = Databases(params)
    states = databases.run(states_command())
    found = databases.found()
    counted = sum(1 for line in states.splitlines() if line.endswith("\tinstalled"))
    package_states = {"packages": counted, "sha256": hashlib.sha256(states.encode()).hexdigest()}
    told = {"package_states": package_states, "databases_left_out": params["left_out"]}
    if check_mode:
        told["databases"] = [about(one) for one in found]
        return {"changed": True, "about": told, "files": {}}
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "package-states.tsv"
    written = write_if_different(path, states)
    dumps = databases.dump_all(found, directory / "databases")
    return {
        "changed": written or bool(dumps),
        "about": told | {"databases": dumps},
        "files": {str(path): package_states["sha256"]} | {item["path"]: item["sha256"] for item in dumps},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "tag": {"type": "str", "required": True},
            "repository": {"type": "str", "required": True},
            "package_database": {"type": "bool", "default": True},
            "postgresql": {"type": "bool", "default": True},
            "mariadb": {"type": "bool", "default": True},
            "mariadb_login_file": {"type": "path", "default": ""},
            "left_out": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    try:
        result = saved(module.params, check_mode=module.check_mode)
    except (SavingError, OSError) as error:
        module.fail_json(msg=f"nothing was backed up: {error}")
    folders = [package_database()] if module.params["package_database"] else []
    module.exit_json(
        **{"verified_before": {}, "about": {}, "files": {}, "package_database": folders, **result}
    )


if __name__ == "__main__":
    main()
