"""What earlier runs of a SOP left to be done: read newest first, and no further than there is need.

The newest run that holds a host says whether that host is owed. A run's first record tells its hosts; only
a run that is the newest for some host is read whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from runner import errors, journal
from runner.owed import OwedHost, owed_hosts
from runner.waves import in_natural_order
from runner.workspace import RunFolder, Workspace

_LONGEST_RECORD = 50_000_000


@dataclass(frozen=True)
class Earlier:
    """What is still owed, and which runs could not be asked."""

    owed: tuple[OwedHost, ...]
    unread: tuple[str, ...]


def find_owed(workspace: Workspace, sop: str, hosts: Iterable[str]) -> Earlier:
    """Return which of ``hosts`` the newest earlier runs of the SOP with this id left owed."""
    open_hosts = set(hosts)
    found: dict[str, OwedHost] = {}
    unread: list[str] = []
    for folder in _newest_first(workspace, sop):
        if not open_hosts:
            break
        try:
            mine = open_hosts & _hosts_of(folder)
            events = journal.read(folder.journal) if mine else ()
            owed = owed_hosts(events, abandoned=True)
        except (errors.VerificationError, OSError, ValueError, LookupError, TypeError):
            # A record that does not hold says nothing, neither that a host is owed nor that it is not.
            unread.append(folder.name)
            continue
        found |= {each.host: each for each in owed if each.host in mine}
        open_hosts -= mine
    return Earlier(tuple(found[host] for host in in_natural_order(found)), tuple(unread))


def _newest_first(workspace: Workspace, sop: str) -> list[RunFolder]:
    named = re.compile(rf"^(\d{{4}}-\d\d-\d\d)-{re.escape(sop)}-(\d+)$")
    found = [
        (match[1], int(match[2]), path)
        for path in (workspace.runs.iterdir() if workspace.runs.is_dir() else ())
        if (match := named.match(path.name))
    ]
    return [RunFolder(path) for _, _, path in sorted(found, reverse=True)]


def _hosts_of(folder: RunFolder) -> set[str]:
    return set(_first_record(folder)["inventory"]["hosts"])


def _first_record(folder: RunFolder) -> dict[str, Any]:
    with folder.journal.open("rb") as stream:
        first: dict[str, Any] = json.loads(stream.readline(_LONGEST_RECORD))
    return first
