#!/usr/bin/python3
"""Ansible module: tells whether services, ports, addresses and mounts of a host are as before an update."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils import debian_packages, mounted
from ansible.module_utils.asked_addresses import answer_of
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: compare_baseline
short_description: Compare a host with its state before an update
description:
  - Asks services, ports, addresses and mounts until they are as before or the patience is over. Read-only.
options:
  baseline: {type: dict, required: true, description: The evidence of the role record_baseline}
  patience: {type: int, required: true, description: Seconds a service may take to come up}
author: Rawat
"""
EXAMPLES = """
- name: Compare
  compare_baseline: {baseline: {units_active: [ssh.service]}, patience: 20}
"""
RETURN = """
different: {type: list, returned: always, description: What is not as before}
"""

SERVER_ERROR = 500
MOUNTED = {
    "gone": "is not mounted any more",
    "other kind": "is another kind of file system now",
    "read-only": "is mounted read-only now",
}


def inactive_units(units: list[str]) -> list[str]:
    """Return the services that are not active."""
    if not units:
        return []
    states = debian_packages.run_command(["systemctl", "is-active", "--", *units]).output.split()
    if len(states) != len(units):
        return ["systemctl does not tell of every service"]
    now = {unit: states[at] for at, unit in enumerate(units)}
    return [f"{unit} is {state}" for unit, state in now.items() if state not in {"active", "reloading"}]


def newly_failed(before: list[str]) -> list[str]:
    """Return the services that have failed since."""
    asked = [
        "systemctl",
        "list-units",
        "--type=service",
        "--state=failed",
        "--plain",
        "--no-legend",
        "--full",
    ]
    listed = debian_packages.run_command(asked)
    if listed.rc != 0:
        return ["systemctl does not tell which services have failed"]
    now = {line.split()[0] for line in listed.output.splitlines() if line.strip()}
    return [f"{unit} has failed" for unit in sorted(now - set(before))]


def closed_ports(ports: list[str]) -> list[str]:
    """Return the ports on which nothing listens any more."""
    told = debian_packages.run_command(
        ["ss", "--no-header", "--listening", "--numeric", "--tcp", "--udp"]
    ).output
    rows = (line.split() for line in told.splitlines())
    now = {f"{row[0]}/{row[4].rpartition(':')[2]}" for row in rows if row}
    return [f"{port} is closed" for port in ports if port not in now]


def wrong_answers(urls: list[dict[str, Any]]) -> list[str]:
    """Return the addresses that answer otherwise than before, or with an error of the server."""
    told = [(item["url"], item["status"], answer_of(item["url"])["status"]) for item in urls]
    return [f"{url} answers {now}" for url, was, now in told if now != was or not 0 < now < SERVER_ERROR]


def wrong_mounts(mounts: list[dict[str, Any]]) -> list[str]:
    """Return the file systems that are mounted no more, or otherwise than before."""
    return [f"{place} {MOUNTED[what]}" for place, what in mounted.differences(mounts, mounted.told())]


def differences(baseline: dict[str, Any]) -> list[str]:
    """Return all that is not as before."""
    units = sorted({*baseline.get("units_active", []), *baseline.get("units_required", [])})
    return [
        *inactive_units(units),
        *newly_failed(baseline.get("units_failed", [])),
        *closed_ports(baseline.get("ports", [])),
        *wrong_answers(baseline.get("urls", [])),
        *wrong_mounts(baseline.get("mounts", [])),
    ]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "baseline": {"type": "dict", "required": True},
            "patience": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    deadline = time.monotonic() + module.params["patience"]
    while (different := differences(module.params["baseline"])) and time.monotonic() < deadline:
        time.sleep(1)
    module.exit_json(changed=False, different=different)


if __name__ == "__main__":
    main()
