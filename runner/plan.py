"""The plan: the exact changes proposed, host by host, made from the evidence of a plan action. Pure.

A host's entry is what its roles published: the role that lists updates publishes ``updates`` (package,
from, to, kind, cves), ``antivirus`` and ``reboot``; one that lists what is to be removed publishes
``removals`` (id, time, tags). Only what a decision is about goes in, so that two looks at an unchanged host
give the same digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_DECIDED_ON = (
    "updates", "new_packages", "held", "kept_back", "conffiles", "antivirus", "reboot", "snapshot",
)  # fmt: skip
_PROPOSED = frozenset({"updates", "removals"})
_UPDATE_FIELDS = ("package", "source", "architecture", "from", "to", "kind", "origin", "label", "codename")


class ActsBy(NamedTuple):
    """What a plan is acted by, beside what it names itself."""

    roles_sha256: str
    """The digest of playbooks, roles, suites and ansible.cfg."""
    variables_sha256: Mapping[str, str]
    """Host -> digest of what the inventory says of it."""


def make_plan(
    run: str, sop_sha256: str, acts_by: ActsBy, evidence: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    """Return the plan of a run from the evidence of its hosts.

    What it will be acted by is decided on as well.
    """
    hosts: dict[str, Any] = {}
    not_planned: dict[str, str] = {}
    for item in evidence:
        told = (r for r in item["results"].values() if isinstance(r, dict) and _PROPOSED & r.keys())
        probed = next(told, None)
        if item["status"] == "ok" and probed is not None and not _is_readable(probed):
            not_planned[item["host"]] = "failed: its list of updates cannot be read"
        elif item["status"] == "ok" and probed is not None:
            hosts[item["host"]] = _entry(probed)
        else:
            failure = item["failure"] or {"message": "no list of updates came back"}
            not_planned[item["host"]] = f"{item['status']}: {failure['message']}"
    return {
        "format": 1,
        "run": run,
        "sop_sha256": sop_sha256,
        "roles_sha256": acts_by.roles_sha256,
        "variables_sha256": dict(acts_by.variables_sha256),
        "hosts": hosts,
        "not_planned": not_planned,
    }


def _is_readable(probed: dict[str, Any]) -> bool:
    """Tell whether what came from a host has the shape of a list of updates: one odd host stops no other."""
    updates, removals = probed.get("updates", []), probed.get("removals", [])
    blocks = [probed.get("reboot"), probed.get("antivirus"), probed.get("snapshot")]
    return (
        isinstance(updates, list)
        and all(isinstance(update, dict) and _is_update(update) for update in updates)
        and isinstance(removals, list)
        and all(isinstance(removal, dict) and _is_removal(removal) for removal in removals)
        and all(block is None or isinstance(block, dict) for block in blocks)
    )


def _is_update(update: dict[str, Any]) -> bool:
    words = [update.get(field) for field in ("package", "from", "to", "kind")]
    return all(isinstance(word, str) for word in words) and isinstance(update.get("architecture"), str | None)


def _is_removal(removal: dict[str, Any]) -> bool:
    tags = removal.get("tags", [])
    words = [removal.get("id"), removal.get("time"), *(tags if isinstance(tags, list) else [None])]
    return all(isinstance(word, str) for word in words)


def _entry(probed: dict[str, Any]) -> dict[str, Any]:
    entry = {key: probed.get(key) for key in _DECIDED_ON}
    updates = [_update(update) for update in probed.get("updates", [])]
    entry["updates"] = sorted(updates, key=lambda u: (u["package"], u["architecture"] or ""))
    removals = [
        {"id": one["id"], "time": one["time"], "tags": one.get("tags", [])}
        for one in probed.get("removals", [])
    ]
    entry["removals"] = sorted(removals, key=lambda one: (one["time"], one["id"]))
    reboot = probed.get("reboot") or {}
    entry["reboot"] = {"expected": bool(reboot.get("expected")), "because": reboot.get("because", [])}
    # What is not sound before the change is for the official to know, and nothing of the plan heals it.
    unsound = probed.get("dpkg_audit")
    entry["dpkg_audit"] = [str(line) for line in unsound] if isinstance(unsound, list) else []
    return entry


def _update(probed: dict[str, Any]) -> dict[str, Any]:
    named = {field: probed.get(field) for field in _UPDATE_FIELDS}
    return {**named, "cves": probed.get("cves", []), "reboot": probed.get("reboot", False)}


def hosts_to_change(plan: dict[str, Any]) -> list[str]:
    """Return the hosts on which the plan proposes to do something."""
    return [
        host
        for host, entry in plan["hosts"].items()
        if entry["updates"] or entry.get("removals") or has_antivirus_update(entry)
    ]


def has_antivirus_update(entry: dict[str, Any]) -> bool:
    """Tell whether the host's antivirus database is behind what its mirror offers."""
    return bool(entry.get("antivirus") and entry["antivirus"].get("update_pending"))
