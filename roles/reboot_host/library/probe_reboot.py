#!/usr/bin/python3
"""Ansible module: says whether a Debian host asks for a reboot and which boot it is in; changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: probe_reboot
short_description: Say whether the host asks for a reboot
description:
  - Reads the file that maintainer scripts leave when a reboot is required, and the boot id; changes nothing.
author: Rawat
"""
EXAMPLES = """
- name: Probe the need of a reboot
  probe_reboot: {}
"""
RETURN = """
required: {type: bool, returned: always, description: Whether the host asks for a reboot}
because: {type: list, elements: str, returned: always, description: The packages that asked for it, sorted}
boot_id: {type: str, returned: always, description: Identifies the boot the host is in}
"""

REQUIRED = Path("/run/reboot-required")
REQUIRED_BY = Path("/run/reboot-required.pkgs")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def probe() -> dict[str, Any]:
    """Read the three files."""
    required = REQUIRED.exists()
    asked = (
        set(REQUIRED_BY.read_text(encoding="utf-8", errors="replace").split())
        if REQUIRED_BY.exists()
        else set()
    )
    return {
        "required": required,
        "because": sorted(asked or {str(REQUIRED)}) if required else [],
        "boot_id": BOOT_ID.read_text(encoding="ascii").strip(),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, **probe())


if __name__ == "__main__":
    main()
