"""The lab's network: a bridge, a namespace and a cable per host, and a firewall around it all.

Hosts reach each other and the lab's services on the bridge address, and nothing else.
"""

from __future__ import annotations

import json

from lab.command import is_successful, run
from lab.layout import (
    ANTIVIRUS_PORT,
    BACKUP_PORT,
    CHANNEL_PORT,
    MIRROR_PORT,
    HostPlan,
    Lab,
    firewall_table,
    machine_name,
)

PORTS = (CHANNEL_PORT, ANTIVIRUS_PORT, MIRROR_PORT, BACKUP_PORT)
FIREWALL = """\
table inet {table} {{
    chain incoming {{
        type filter hook input priority filter; policy accept;
        iifname != "{bridge}" return
        ct state established,related accept
        ip daddr {controller} tcp dport {{ {ports} }} accept
        ip daddr {controller} icmp type echo-request accept
        reject
    }}
    chain passing {{
        type filter hook forward priority filter; policy accept;
        iifname "{bridge}" oifname != "{bridge}" reject
        oifname "{bridge}" iifname != "{bridge}" reject
    }}
}}
"""


def build(lab: Lab) -> None:
    """Make the bridge, its firewall and every host's namespace and cable."""
    ip(
        [
            f"link add {lab.bridge} type bridge",
            # Found again by this text, also when the lab's state folder is lost.
            f"link set {lab.bridge} alias {alias(lab.name)}",
            f"address add {lab.controller}/24 dev {lab.bridge}",
            f"link set {lab.bridge} up",
        ]
    )
    run(["nft", "-f", "-"], stdin=firewall(lab))
    for plan in lab.hosts:
        connect(lab, plan)


def firewall(lab: Lab) -> str:
    """Return the firewall rules of a lab."""
    return FIREWALL.format(
        table=firewall_table(lab.name),
        bridge=lab.bridge,
        controller=lab.controller,
        ports=", ".join(str(port) for port in PORTS),
    )


def connect(lab: Lab, plan: HostPlan) -> None:
    """Make a host's network namespace and its cable to the bridge."""
    machine, veth = lab.machine(plan), lab.veth(plan)
    ip(
        [
            f"netns add {machine}",
            f"link add {veth} type veth peer name eth0 netns {machine}",
            f"link set {veth} alias {alias(lab.name)} master {lab.bridge} up",
        ]
    )
    ip(
        [
            "link set lo up",
            f"address add {lab.address(plan)}/24 dev eth0",
            "link set eth0 up",
        ],
        machine,
    )


def ip(lines: list[str], machine: str = "") -> None:
    """Run `ip` commands, in a host's namespace when it is named."""
    where = ["-netns", machine] if machine else []
    run(["ip", *where, "-batch", "-"], stdin="\n".join(lines) + "\n")


def alias(name: str) -> str:
    """Return the text that marks a device as a lab's."""
    return f"rawat-lab:{name}"


def links(name: str) -> list[str]:
    """Return the network devices of a lab, the bridge included."""
    found = json.loads(run(["ip", "-json", "link", "show"]) or "[]")
    return [link["ifname"] for link in found if link.get("ifalias") == alias(name)]


def namespaces(name: str) -> list[str]:
    """Return the network namespaces of a lab."""
    found = json.loads(run(["ip", "-json", "netns", "list"]) or "[]")
    prefix = machine_name(name, "")
    return [space["name"] for space in found if space["name"].startswith(prefix)]


def has_firewall(name: str) -> bool:
    """Tell whether a lab's firewall table is there."""
    return is_successful(["nft", "list", "table", "inet", firewall_table(name)])


def remove(name: str) -> None:
    """Remove everything of a lab's network, as far as it is there."""
    for space in namespaces(name):
        run(["ip", "netns", "delete", space])
    for link in links(name):
        # A cable is gone with its namespace, a moment later; both ways it must be gone.
        is_successful(["ip", "link", "delete", link])
    if has_firewall(name):
        run(["nft", "delete", "table", "inet", firewall_table(name)])
