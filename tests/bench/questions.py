"""The twelve facts that every side of the check has to find, and how their answers are compared."""

from __future__ import annotations

import json
from typing import Any

# What check_host's probe reads by itself, asked in a shell. Without pipes: Ansible's `command` runs them too.
QUESTIONS = {
    "system": "cat /etc/os-release",
    "boot": "cat /proc/sys/kernel/random/boot_id",
    "load": "cat /proc/loadavg",
    "memory": "cat /proc/meminfo",
    "processes": "ps -eo stat=",
    "kernel": "uname -r",
    "units": "systemctl list-units --state=failed --plain --no-legend --no-pager",
    "reboot": "find /run -maxdepth 1 -name reboot-required",
    "disks": "df --block-size=1 --output=target,size /",
    "ports": "ss --no-header --listening --numeric --tcp",
    "journal": "journalctl --quiet --no-pager --boot --since=-24h --priority=3 --lines=1000 --output=json"
    " --output-fields=_SYSTEMD_UNIT,SYSLOG_IDENTIFIER",
    "packages": "dpkg --audit",
}
Facts = dict[str, Any]


def of_commands(said: dict[str, str]) -> Facts:
    """Return the facts that the commands' answers tell."""
    release = dict(line.split("=", 1) for line in said["system"].splitlines() if "=" in line)
    memory = dict(line.split(":", 1) for line in said["memory"].splitlines() if ":" in line)
    return {
        "system": release["VERSION_ID"].strip('"'),
        "boot": said["boot"].strip(),
        "load": len(said["load"].split()[:3]),
        "memory": int(memory["MemTotal"].split()[0]) * 1024,
        "processes": sum(1 for line in said["processes"].splitlines() if line.startswith("Z")),
        "kernel": said["kernel"].strip(),
        "units": sorted(line.split()[0] for line in said["units"].splitlines() if line.strip()),
        "reboot": bool(said["reboot"].strip()),
        "disks": int(said["disks"].split()[-1]),
        "ports": sorted(
            {int(line.split()[3].rpartition(":")[2]) for line in said["ports"].splitlines() if line}
        ),
        "journal": len(said["journal"].splitlines()),
        "packages": not said["packages"].strip(),
    }


def of_probe(facts: Facts) -> Facts:
    """Return the same facts out of what check_host's probe tells."""
    root = next(item for item in facts["disks"]["items"] if item["place"] == "/")
    ports = (item["port"].split("/") for item in facts["ports"]["items"])
    return {
        "system": facts["system"]["version"],
        "boot": facts["boot"]["boot_id"],
        "load": len([facts["load"][name] for name in ("1", "5", "15")]),
        "memory": facts["memory"]["total"],
        "processes": len(facts["processes"]["zombies"]["items"]),
        "kernel": facts["kernel"]["running"],
        "units": sorted(facts["units"]["items"]),
        "reboot": facts["reboot"]["required"],
        "disks": root["bytes"],
        "ports": sorted({int(number) for protocol, number in ports if protocol == "tcp"}),
        "journal": facts["journal"]["count"],
        "packages": not facts["packages"]["items"],
    }


def of_probe_text(text: str) -> Facts:
    """Return the facts out of the line that the probe prints."""
    mark = "RAWAT-CHECK "
    line = next(line for line in text.splitlines() if line.startswith(mark))
    return of_probe(json.loads(line[len(mark) :])["facts"])
