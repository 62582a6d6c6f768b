"""Breaks a host's network on purpose, and mends it again; what a cable, a switch or a firewall does wrong.

Everything but the cable itself is done inside the host's network namespace, so it is gone with the lab.
"""

from __future__ import annotations

from lab.command import is_successful, run
from lab.layout import HostPlan, Lab

ALL = 100
TABLE = "inet faults"
RULES = """\
table inet faults {{
    chain incoming {{
        type filter hook input priority -10; policy accept;
        {incoming}
    }}
    chain outgoing {{
        type filter hook output priority -10; policy accept;
        {outgoing}
    }}
}}
"""


def cut_cable(lab: Lab, plan: HostPlan) -> None:
    """Take the link of a host down."""
    run(["ip", "link", "set", lab.veth(plan), "down"])


def drop_packets(lab: Lab, plan: HostPlan, percent: int) -> None:
    """Lose so many of a host's packets at random, both ways; all of them is a half-open connection."""
    # nft takes no number that the random one cannot have.
    verdict = f"numgen random mod 100 < {percent} drop" if percent < ALL else "drop"
    _filter(lab, plan, incoming=verdict, outgoing=verdict)


def refuse_ssh(lab: Lab, plan: HostPlan) -> None:
    """Answer every connection to the host's sshd as a closed port does."""
    _filter(lab, plan, incoming="tcp dport 22 reject with tcp reset", outgoing="")


def swallow(lab: Lab, plan: HostPlan) -> None:
    """Send what the host says to the controller into a black hole."""
    _in_host(lab, plan, ["ip", "route", "replace", "blackhole", f"{lab.controller}/32"])


def slow_down(lab: Lab, plan: HostPlan, kilobits: int) -> None:
    """Let the host send no more than so many kilobits in a second."""
    shape = ["rate", f"{kilobits}kbit", "burst", "4kb", "latency", "800ms"]
    _in_host(lab, plan, ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", *shape])


def mend(lab: Lab, plan: HostPlan) -> None:
    """Take back every fault of a host's network, whichever there are."""
    run(["ip", "link", "set", lab.veth(plan), "up"])
    machine = lab.machine(plan)
    for undo in (
        ["nft", "delete", "table", *TABLE.split()],
        ["ip", "route", "delete", "blackhole", f"{lab.controller}/32"],
        ["tc", "qdisc", "delete", "dev", "eth0", "root"],
    ):
        # What was never broken cannot be taken back; that is no error.
        is_successful(["ip", "netns", "exec", machine, *undo])


def _filter(lab: Lab, plan: HostPlan, *, incoming: str, outgoing: str) -> None:
    is_successful(["ip", "netns", "exec", lab.machine(plan), "nft", "delete", "table", *TABLE.split()])
    rules = RULES.format(incoming=incoming, outgoing=outgoing)
    run(["ip", "netns", "exec", lab.machine(plan), "nft", "-f", "-"], stdin=rules)


def _in_host(lab: Lab, plan: HostPlan, command: list[str]) -> None:
    run(["ip", "netns", "exec", lab.machine(plan), *command])
