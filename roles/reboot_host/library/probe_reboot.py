#!/usr/bin/python3
"""Ansible module: says whether a host needs a reboot and which boot it is in; changes nothing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils import rpm_states
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: probe_reboot
short_description: Say whether the host needs a reboot
description:
  - Reads the file that maintainer scripts leave when a reboot is required, asks which of the named packages
    were replaced since the host was booted, and reads the boot id; changes nothing.
options:
  packages: {type: list, elements: str, default: [], description: Packages whose update needs a reboot}
  marker: {type: str, default: "", description: Where it is kept that the host was told to restart}
author: Rawat
"""
EXAMPLES = """
- name: Probe the need of a reboot
  probe_reboot:
    packages: [libssl3]
"""
RETURN = """
required: {type: bool, returned: always, description: Whether the host needs a reboot}
because: {type: list, elements: str, returned: always, description: The packages that need it, sorted}
boot_id: {type: str, returned: always, description: Identifies the boot the host is in}
restarted:
  type: dict
  returned: always
  description: Null, or the boot_id and because of a marker of an earlier boot, and seconds until this boot
"""

REQUIRED = Path("/run/reboot-required")
REQUIRED_BY = Path("/run/reboot-required.pkgs")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def booted_at() -> float:
    """Return when the host's first process was started (in a container that is not the kernel's boot)."""
    ticks = int(Path("/proc/1/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    since_boot = ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


def replaced_since(moment: float, packages: Iterable[str]) -> set[str]:
    """Return the packages whose files were replaced after a moment."""
    if rpm_states.is_redhat(rpm_states.os_release()):
        found = rpm_states.read()
        return {name for name in packages if any(item.at > moment for item in found.get(name, []))}
    info = Path("/var/lib/dpkg/info")
    return {
        package
        for package in packages
        for path in [*info.glob(f"{package}.list"), *info.glob(f"{package}:*.list")]
        if path.stat().st_mtime > moment
    }


def restarted_since(marker: str, boot_id: str) -> dict[str, Any] | None:
    """Return in which earlier boot a restart was asked for, None when none was or the host is still in it."""
    if not marker or not Path(marker).exists():
        return None
    told = json.loads(Path(marker).read_text(encoding="utf-8"))
    if told["boot_id"] == boot_id:
        return None
    seconds = max(0, round(booted_at() - told["at"]))
    return {"boot_id": told["boot_id"], "because": told["because"], "seconds": seconds}


def probe(packages: Iterable[str], marker: str) -> dict[str, Any]:
    """Ask for the need of a reboot, for the boot id, and whether it was asked for in an earlier boot."""
    asked: set[str] = set()
    if REQUIRED.exists():
        named = REQUIRED_BY.read_text(encoding="utf-8", errors="replace") if REQUIRED_BY.exists() else ""
        asked = set(named.split()) or {str(REQUIRED)}
    asked |= replaced_since(booted_at(), packages)
    boot_id = BOOT_ID.read_text(encoding="ascii").strip()
    return {
        "required": bool(asked),
        "because": sorted(asked),
        "boot_id": boot_id,
        "restarted": restarted_since(marker, boot_id),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "marker": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **probe(module.params["packages"], module.params["marker"]))


if __name__ == "__main__":
    main()
