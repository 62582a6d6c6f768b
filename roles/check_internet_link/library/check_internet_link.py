#!/usr/bin/python
"""Ansible module: tells how good the line out of the office is, seen from the controller. Changes nothing.

Echoes are asked of the targets that the office names, of its gateway when it names none, and names of its own
name server. Nothing else is contacted.
"""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import echoes, names
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: check_internet_link
short_description: Tell how good the line out of the office is
options:
  targets: {type: list, elements: str, default: [], description: Who is asked, the gateway when empty}
  count: {type: int, default: 20, description: How many echoes each is asked for}
  names: {type: list, elements: str, default: [], description: Names that have to be resolved}
  resolver: {type: str, default: "", description: Address of the name server, the system's when empty}
author: Rawat
"""
EXAMPLES = """
- name: Look at the line
  check_internet_link: {targets: [192.0.2.1], names: [www.example.go.id]}
"""
RETURN = """
facts: {type: dict, returned: always, description: What was measured}
"""

_ROUTES = Path("/proc/net/route")
_UP_AND_GATEWAY = 0x3
_NAME_SECONDS = 6
_FIELDS = 4


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of the line."""
    gateway = gateway_in(_ROUTES.read_text("ascii") if _ROUTES.exists() else "")
    targets = wanted["targets"] or ([gateway] if gateway else [])
    return {
        "gateway": gateway,
        "echoes": [{"target": target, **echoes.ask(target, wanted["count"])} for target in targets],
        "names": [looked_up(name, wanted["resolver"]) for name in wanted["names"]],
    }


def gateway_in(routes: str) -> str:
    """Return the default gateway that the kernel's table of routes names; empty when there is none."""
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > _FIELDS and fields[1] == "00000000":
            flags = int(fields[3], 16)
            if flags & _UP_AND_GATEWAY == _UP_AND_GATEWAY:
                return socket.inet_ntoa(struct.pack("<L", int(fields[2], 16)))
    return ""


def looked_up(name: str, resolver: str) -> dict[str, Any]:
    """Return what the name server says of a name, and how long it took."""
    began = time.monotonic()
    said = names.look_up_within(name, ("A", "AAAA"), resolver, _NAME_SECONDS)
    return {"name": name, **said, "milliseconds": round((time.monotonic() - began) * 1000, 1)}


def main() -> None:
    """Measure and leave."""
    module = AnsibleModule(
        argument_spec={
            "targets": {"type": "list", "elements": "str", "default": []},
            "count": {"type": "int", "default": 20},
            "names": {"type": "list", "elements": "str", "default": []},
            "resolver": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    module.get_bin_path("ping", required=True)
    try:
        names.resolver_at(wanted["resolver"], 1)
    except ValueError as error:
        module.fail_json(msg=f"the name server {wanted['resolver']} is not ADDRESS or ADDRESS:PORT: {error}")
    module.exit_json(changed=False, facts=measure(wanted))


if __name__ == "__main__":
    main()
