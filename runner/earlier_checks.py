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

MOST_RUNS = 12
"""A year of monthly runs."""
_LONGEST_JOURNAL = 20_000_000
_LARGEST_EVIDENCE = 10_000_000
_NAME = re.compile(r"^(\d{4}-\d\d-\d\d)-.+-(\d+)$")

Measured = dict[str, dict[str, list[list[float]]]]
"""Host -> place of a file system -> [[seconds since 1970, bytes used], ...], oldest first."""


def disks_before(workspace: Workspace, hosts: Collection[str], *, own: str) -> Measured:
    """Return how full the disks of ``hosts`` were in earlier runs; ``own`` is the run that asks."""
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
        disks = _disks(folder, entry) if host in left else None
        if disks is not None:
            # A run has seldom more than one check of a host, and hours apart.
            left.remove(host)
            at = event.instant.at.timestamp()
            yield from ((host, str(d["place"]), [at, float(d["used"])]) for d in disks if "used" in d)


def _disks(folder: RunFolder, entry: dict[str, str]) -> list[dict[str, Any]] | None:
    """Return what a file of evidence tells of disks; None when it is no check, or not what was recorded."""
    path = folder.path / entry["path"]
    data = path.read_bytes() if path.stat().st_size <= _LARGEST_EVIDENCE else b""
    if sha256_hex(data) != entry["sha256"]:
        return None
    check = json.loads(data)["results"].get("check_host")
    return list(check["facts"]["disks"]["items"]) if check else None


def _entries(folder: RunFolder, hosts: Collection[str]) -> Iterator[tuple[Event, str, dict[str, Any]]]:
    for event in journal.read(folder.journal):
        if event.name == "action_finished" and event["kind"] == "playbook":
            for entry in event["evidence"]:
                host = entry["path"].rpartition("/")[2].removesuffix(".json")
                if host in hosts:
                    yield event, host, entry
