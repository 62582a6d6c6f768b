"""What a host looks like before it is changed, read in one round trip and without touching it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils import mounted, rpm_states
from ansible.module_utils.asked_addresses import answer_of
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: record_baseline_probe
short_description: Read units, listening ports, addresses that answer and package versions of a host
description: Read-only. Everything a later test compares the host with, in one round trip.
options:
  packages:
    description: Packages whose installed version is wanted.
    type: list
    elements: str
    default: []
  urls:
    description: Addresses asked from the host itself.
    type: list
    elements: str
    default: []
  url_timeout:
    description: Seconds one address may take to answer.
    type: int
    default: 10
author: [Rawat contributors]
"""

UNIT_PROPERTIES = "Id,ActiveState,UnitFileState,FragmentPath,WantedBy,RequiredBy"
PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]+(:[a-z0-9-]+)?")
LISTENING = {"tcp": "0A", "udp": "07"}


def output_of(argv: list[str], accepted: tuple[int, ...] = (0,)) -> str:
    """Return what a command prints; an exit status outside ``accepted`` is an error."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, errors="replace")
    if done.returncode not in accepted:
        message = f"{argv[0]} ended with {done.returncode}: {done.stderr.strip()[:500]}"
        raise RuntimeError(message)
    return done.stdout


def blocks(text: str) -> list[dict[str, str]]:
    """Read the blank-line separated KEY=VALUE blocks of ``systemctl show``."""
    found = []
    for block in text.strip().split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines())
        found.append({key: value for key, _, value in pairs})
    return found


def is_expected_to_stay(unit: dict[str, str]) -> bool:
    """Tell services that must run again after a reboot from those that come and go by themselves."""
    name = unit.get("Id", "")
    if name.startswith(("user@", "user-runtime-dir@", "session-")):
        return False
    if unit.get("FragmentPath", "").startswith("/run/systemd/transient"):
        return False
    # A static unit that nothing wants was started on demand (D-Bus, socket) and ends when idle.
    wanted = unit.get("WantedBy") or unit.get("RequiredBy")
    return unit.get("UnitFileState") != "static" or bool(wanted)


def services() -> tuple[list[str], list[str]]:
    """Return the active services that have to stay, and the failed ones."""
    text = output_of(
        ["systemctl", "show", "--property", UNIT_PROPERTIES, "--state=active,reloading,failed", "*.service"]
    )
    units = [unit for unit in blocks(text) if unit.get("Id")]
    active = [u["Id"] for u in units if u.get("ActiveState") != "failed" and is_expected_to_stay(u)]
    failed = [u["Id"] for u in units if u.get("ActiveState") == "failed"]
    return sorted(active), sorted(failed)


def ephemeral_range() -> tuple[int, int]:
    """Return the ports the kernel hands out by itself: they differ after every start."""
    low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    return int(low), int(high)


def listening_ports() -> tuple[list[str], list[str]]:
    """Return the listening ports that are fixed, and those the kernel chose."""
    low, high = ephemeral_range()
    found: set[tuple[str, int]] = set()
    for protocol, state in LISTENING.items():
        for table in (Path(f"/proc/net/{protocol}"), Path(f"/proc/net/{protocol}6")):
            if not table.exists():
                continue
            rows = (line.split() for line in table.read_text(encoding="ascii").splitlines()[1:])
            found |= {(protocol, int(row[1].rpartition(":")[2], 16)) for row in rows if row[3] == state}
    fixed = [f"{protocol}/{port}" for protocol, port in sorted(found) if not low <= port <= high]
    chosen = [f"{protocol}/{port}" for protocol, port in sorted(found) if low <= port <= high]
    return fixed, chosen


def installed_versions(packages: list[str]) -> dict[str, str]:
    """Return the version of each package that is installed; names that are no package names are refused."""
    wrong = [name for name in packages if not PACKAGE_NAME.fullmatch(name)]
    if wrong:
        message = f"not a package name: {wrong[0]!r}"
        raise RuntimeError(message)
    if not packages:
        return {}
    if rpm_states.is_redhat(rpm_states.os_release()):
        found = rpm_states.read()
        return {
            name: ", ".join(sorted(rpm_states.versions(found, name))) for name in packages if name in found
        }
    # dpkg-query ends with 1 when one of the names is not installed: that is an answer, not an error.
    # A package of a foreign architecture is named with it, as in a plan.
    wanted = r"${Package}\t${Architecture}\t${db:Status-Status}\t${Version}\n"
    text = output_of(["dpkg-query", "--show", "--showformat", wanted, "--", *packages], accepted=(0, 1))
    own = {"all", output_of(["dpkg", "--print-architecture"]).strip()}
    rows = (line.split("\t") for line in text.splitlines())
    told = {
        name if architecture in own else f"{name}:{architecture}": version
        for name, architecture, status, version in rows
        if status == "installed"
    }
    return {name: version for name, version in told.items() if name in packages}


def baseline(packages: list[str], urls: list[str], url_timeout: int) -> dict[str, Any]:
    """Gather everything a later test compares the host with."""
    active, failed = services()
    ports, chosen = listening_ports()
    return {
        "units_active": active,
        "units_failed": failed,
        "ports": ports,
        "ports_not_compared": chosen,
        "urls": [answer_of(url, url_timeout) for url in urls],
        "mounts": mounted.told(),
        "kernel": os.uname().release,
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip(),
        "packages": installed_versions(packages),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "urls": {"type": "list", "elements": "str", "default": []},
            "url_timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    try:
        found = baseline(module.params["packages"], module.params["urls"], module.params["url_timeout"])
    except (OSError, RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
        module.fail_json(msg=f"the state of the host cannot be read: {error}")
    module.exit_json(changed=False, baseline=found)


if __name__ == "__main__":
    main()
