#!/usr/bin/python3
"""Ansible module: has the machine that Rawat runs on restart in a moment, when Rawat has ended.

The order kept here: the marker with the boot id is on the disk, then the restart is begun as a named
transient unit with a delay.
Whoever finds the marker of an earlier boot knows that the machine has restarted since.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from ansible.module_utils import durable, host_unit
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.debian_packages import run_command

DOCUMENTATION = """
module: restart_controller
short_description: Have the machine that Rawat runs on restart in a moment
description:
  - Writes a marker with the boot id, then starts a transient timer that restarts the machine.
options:
  marker: {type: path, required: true, description: Where the marker is kept}
  delay: {type: int, required: true, description: Seconds until the restart}
  because: {type: list, elements: str, default: [], description: The packages that need it}
author: Rawat
"""
EXAMPLES = """
- name: Restart the controller
  restart_controller:
    marker: /var/lib/rawat/example-1/reboot-7-1-3-reboot.json
    delay: 10
"""
RETURN = """
delay: {type: int, returned: always, description: Seconds until the restart}
"""

UNIT = "rawat-reboot"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def write_marker(marker: Path, because: list[str]) -> None:
    """Put on the disk in which boot the restart was asked for, when, and why."""
    marker.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = {
        "boot_id": BOOT_ID.read_text(encoding="ascii").strip(),
        "at": time.time(),
        "because": because,
    }
    durable.write(marker, json.dumps(told).encode() + b"\n")


def start_restart(delay: int) -> str:
    """Start the timer of the restart, unless it waits already; return what went wrong, or nothing."""
    if host_unit.is_running(f"{UNIT}.timer") or host_unit.is_running(f"{UNIT}.service"):
        return ""
    host_unit.forget_failure(f"{UNIT}.service")
    options = [f"--unit={UNIT}", "--quiet", f"--on-active={delay}", "--timer-property=AccuracySec=100ms"]
    started = run_command(["systemd-run", *options, "--", "systemctl", "reboot"])
    return started.output if started.rc else ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "marker": {"type": "path", "required": True},
            "delay": {"type": "int", "required": True},
            "because": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if not module.check_mode:
        write_marker(Path(module.params["marker"]), module.params["because"])
        problem = start_restart(module.params["delay"])
        if problem:
            module.fail_json(msg=f"the restart could not be started: {problem}")
    module.exit_json(changed=True, delay=module.params["delay"])


if __name__ == "__main__":
    main()
