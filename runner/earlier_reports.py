"""What sealed runs of the same office and SOP said in their newest document: read out of the archive.

A bag counts whose journal ends as the register says, and whose document is the one that the journal names.
What does not hold says nothing; ``rawat verify`` tells what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from runner import errors, journal
from runner.canonical import sha256_hex
from runner.trends import MOST_RUNS, Trends, trends_of
from runner.workspace import RunFolder, Workspace

_REGISTER = "register.jsonl"
_LARGEST = 50_000_000


def earlier_trends(workspace: Workspace, sop: str, office: str) -> Trends:
    """Return what the newest sealed runs of this SOP and office came to, oldest first."""
    found: list[dict[str, Any]] = []
    for entry in reversed(list(_sealed(workspace))):
        if len(found) == MOST_RUNS:
            break
        try:
            said = _newest_document(workspace, entry, sop, office)
            if said is not None:
                trends_of([said])  # of a shape that is known, or it says nothing
                found.append(said)
        except (errors.RawatError, ValidationError, OSError, ValueError, LookupError, TypeError):
            continue
    return trends_of(sorted(found, key=lambda said: (str(said["made_at"]), str(said["run"]))))


def _sealed(workspace: Workspace) -> Iterator[dict[str, Any]]:
    try:
        lines = (workspace.archive / _REGISTER).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if isinstance(entry, dict) and entry.get("event", "sealed") == "sealed":
            yield entry


def _newest_document(
    workspace: Workspace, entry: dict[str, Any], sop: str, office: str
) -> dict[str, Any] | None:
    folder = RunFolder(workspace.archive / entry["path"] / "data")
    if folder.journal.stat().st_size > _LARGEST:
        return None
    data = folder.journal.read_bytes()
    lines = data.splitlines(keepends=True)
    if sha256_hex(lines[-1]) != entry["journal_head"]:
        return None
    # Its first record says whose run it was; most of an office's runs are of another SOP.
    started = next(journal.parse(lines[0], folder.journal.name))
    if (started["sop"]["id"], started["office"]) != (sop, office):
        return None
    events = tuple(journal.parse_all(data, folder.journal.name))
    written = [event for event in events if event.name == "document_written"]
    if not written or (folder.path / written[-1]["files"][0]["path"]).stat().st_size > _LARGEST:
        return None
    said: dict[str, Any] = json.loads(folder.read(written[-1]["files"][0]))
    return said
