"""What earlier runs measured on hosts, of whichever SOP: what a forecast is made from.

A run whose record does not hold, or is too large to be read on the way, says nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from runner import errors, journal
from runner.canonical import sha256_hex
from runner.journal import Event
from runner.workspace import RunFolder, Workspace

DATABASES = "databases"
MOST_RUNS = 12
"""A year of monthly runs."""
_LONGEST_JOURNAL = 20_000_000
_LARGEST_EVIDENCE = 10_000_000
_NAME = re.compile(r"^(\d{4}-\d\d-\d\d)-.+-(\d+)$")

Measured = dict[str, dict[str, list[list[float]]]]
"""Host -> place of a file system, or ``DATABASES`` -> [[seconds since 1970, bytes], ...], oldest first."""


def measured_before(workspace: Workspace, hosts: Collection[str], *, own: str) -> Measured:
    """Return how large things on ``hosts`` were in earlier runs; ``own`` is the run that asks."""
    measured: Measured = {}
    for folder in reversed(_newest(workspace, own)):
        try:
            found = list(_found(folder, hosts))
        except (errors.VerificationError, OSError, ValueError, LookupError, TypeError, RecursionError):
            continue
        for host, place, point in found:
            measured.setdefault(host, {}).setdefault(place, []).append(point)
    return measured


def _newest(workspace: Workspace, own: str) -> list[RunFolder]:
    named = (
        (match[1], int(match[2]), path)
        for path in (workspace.runs.iterdir() if workspace.runs.is_dir() else ())
        if path.name != own and (match := _NAME.match(path.name))
    )
    return [RunFolder(path) for _, _, path in sorted(named, reverse=True)[:MOST_RUNS]]


def _found(folder: RunFolder, hosts: Collection[str]) -> Iterator[tuple[str, str, list[float]]]:
    if folder.journal.stat().st_size > _LONGEST_JOURNAL:
        return
    left = set(hosts)
    for event, host, entry in _entries(folder, hosts):
        sizes = _sizes(folder, entry) if host in left else None
        if sizes is not None:
            # A run has seldom more than one check of a host, and hours apart.
            left.remove(host)
            at = event.instant.at.timestamp()
            yield from ((host, place, [at, size]) for place, size in sizes.items())


def _sizes(folder: RunFolder, entry: dict[str, str]) -> dict[str, float] | None:
    """Return what a file of evidence tells of sizes; None when it is no check, or not what was recorded."""
    path = folder.path / entry["path"]
    data = path.read_bytes() if path.stat().st_size <= _LARGEST_EVIDENCE else b""
    if sha256_hex(data) != entry["sha256"]:
        return None
    results = json.loads(data)["results"]
    if computer := results.get("check_host"):
        disks = computer["facts"].get("disks", {"items": []})["items"]
        return {str(disk["place"]): float(disk["used"]) for disk in disks if "used" in disk}
    # A server that was down or let nobody in told no sizes.
    if (database := results.get("check_database")) and "databases" in database["facts"]:
        return {DATABASES: float(sum(each["bytes"] for each in database["facts"]["databases"]))}
    return None


def _entries(folder: RunFolder, hosts: Collection[str]) -> Iterator[tuple[Event, str, dict[str, Any]]]:
    for event in journal.read(folder.journal):
        if event.name == "action_finished" and event["kind"] == "playbook":
            for entry in event["evidence"]:
                host = entry["path"].rpartition("/")[2].removesuffix(".json")
                if host in hosts:
                    yield event, host, entry
