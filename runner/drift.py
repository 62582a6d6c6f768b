"""What differs between the plan that officials decided on and what hosts look like now. Pure.

Only what would be done differently counts: updates, packages that come with them, a reboot that nobody
approved, and what would be removed. The antivirus database does not: its newest signatures are what the row
is there for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from runner import plan as plans

Entry = dict[str, Any]
"""A host's entry in a plan."""
Difference = dict[str, Any]
"""``appeared`` and ``gone``: [update]; ``changed``: [{package, architecture, approved, found}], each of the
two {from, to}; ``new_packages`` and ``removals`` (ids): {approved, found} or null; ``reboot``: whether one is
now needed that was not approved."""


def between(approved: Entry, found: Entry, *, ours: bool = False) -> Difference | None:
    """Return how a host differs from what was approved for it, or None.

    Args:
        approved: the host's entry in the plan that was decided on.
        found: the same, made from what the host says now.
        ours: this run has begun to change the host: what is gone from the list was installed by it.
    """
    before, now = _by_package(approved), _by_package(found)
    changed = [
        {
            "package": package,
            "architecture": architecture,
            "approved": _versions(before[package, architecture]),
            "found": _versions(now[package, architecture]),
        }
        for package, architecture in before
        if (package, architecture) in now
        and _versions(before[package, architecture]) != _versions(now[package, architecture])
    ]
    come, come_now = _names(approved), _names(found)
    go, go_now = _ids(approved), _ids(found)
    difference = {
        "appeared": [update for key, update in now.items() if key not in before],
        "gone": [] if ours else [update for key, update in before.items() if key not in now],
        "changed": changed,
        "new_packages": {"approved": come, "found": come_now} if come != come_now and not ours else None,
        "removals": {"approved": go, "found": go_now} if go != go_now and not ours else None,
        "reboot": found["reboot"]["expected"] and not approved["reboot"]["expected"],
    }
    return difference if any(difference.values()) else None


def of_hosts(
    plan: dict[str, Any], evidence: Iterable[dict[str, Any]], ours: Collection[str]
) -> tuple[tuple[str, ...], dict[str, Difference]]:
    """Return which hosts are as the plan says, and how the others differ.

    A host that could not be asked is neither: its own role refuses whatever was not approved.

    Args:
        plan: the plan that was decided on.
        evidence: what the planning playbook found on the hosts now.
        ours: the hosts that this run has begun to change under that plan.
    """
    now = plans.make_plan("", "", plans.ActsBy("", {}), evidence)
    asked = {host: entry for host, entry in now["hosts"].items() if host in plan["hosts"]}
    differing = {
        host: difference
        for host, entry in asked.items()
        if (difference := between(plan["hosts"][host], entry, ours=host in ours))
    }
    return tuple(host for host in asked if host not in differing), differing


def of_plans(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Difference | str]:
    """Return how a new plan differs from one that was decided on before, host by host.

    A host that only one of them plans is told in a word: ``added`` or ``left out: <why>``.
    """
    told: dict[str, Difference | str] = {}
    for host, entry in new["hosts"].items():
        if host not in old["hosts"]:
            told[host] = "added"
        elif difference := between(old["hosts"][host], entry):
            told[host] = difference
    for host in old["hosts"]:
        if host not in new["hosts"]:
            told[host] = f"left out: {new['not_planned'].get(host, 'not in the new plan')}"
    return told


def _by_package(entry: Entry) -> dict[tuple[str, str], dict[str, Any]]:
    return {(update["package"], update["architecture"] or ""): update for update in entry["updates"]}


def _versions(update: dict[str, Any]) -> dict[str, Any]:
    return {"from": update["from"], "to": update["to"]}


def _names(entry: Entry) -> list[str]:
    return sorted(f"{item.get('package')} {item.get('to')}" for item in entry.get("new_packages") or [])


def _ids(entry: Entry) -> list[str]:
    return sorted(item["id"] for item in entry.get("removals") or [])
