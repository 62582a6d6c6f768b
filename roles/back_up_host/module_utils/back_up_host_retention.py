"""Which snapshots of a host a retention policy lets go of, and which are kept whatever it says.

Kept are always: the newest snapshot, the newest one that was proven by a restore, those of open runs, and
those that the office names. Only what restic itself would forget under the policy is ever proposed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ansible.module_utils import durable
from ansible.module_utils.back_up_host_restic import REPOSITORY_ARGUMENTS, BackupError, Restic

PERIODS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
FORBIDDEN = re.compile(r"\b403\b|forbid|append-only", re.IGNORECASE)
APPEND_ONLY = (
    "nothing was removed: the server is append-only, it takes backups and lets nobody remove one; "
    "give the address by which its administrator may prune (retention_repository in the inventory)"
)
ID = re.compile(r"[0-9a-f]{64}")
_NOTE = "removing-snapshots.json"
_NAMES: dict[str, Any] = {"type": "list", "elements": "str", "required": True}
RETENTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    **REPOSITORY_ARGUMENTS,
    "directory": {"type": "path", "required": True},
    "host": {"type": "str", "required": True},
    "policy": {"type": "dict", "required": True},
    "open_runs": _NAMES,
    "keep_tags": _NAMES,
    "timeout": {"type": "int", "default": 3600},
}
"""What a module is told that proposes or prunes."""


def policy_flags(policy: dict[str, Any]) -> list[str]:
    """Return restic's options for a policy: last, hourly ... yearly as counts, within as a duration."""
    unknown = sorted({*policy} - {*PERIODS, "within"})
    if unknown:
        raise BackupError(f"the policy does not know {unknown[0]}: name last, hourly, daily, weekly, "
                          "monthly, yearly or within")  # fmt: skip
    flags = [f"--keep-{name}={int(policy[name])}" for name in PERIODS if int(policy.get(name) or 0) > 0]
    if policy.get("within"):
        if not re.fullmatch(r"(\d+[ymdh])+", str(policy["within"])):
            raise BackupError(f"{policy['within']!r} is no duration: such as 30d or 1y6m")
        flags.append(f"--keep-within={policy['within']}")
    if not flags:
        raise BackupError("the policy keeps nothing: it needs at least one count or a duration")
    return flags


def proven_snapshot(directory: str) -> str:
    """Return the newest snapshot that was proven, by the record on the host; "" when there is none."""
    try:
        record = json.loads((Path(directory) / "verified-snapshot.json").read_text(encoding="utf-8"))
        return str(record["evidence"]["snapshot"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def look(restic: Restic, params: dict[str, Any]) -> dict[str, Any]:
    """Return what the policy would let go of and what is kept, newest first. Changes nothing."""
    asked = ["forget", "--dry-run", "--no-lock", "--json", "--host", params["host"], "--group-by", "host"]
    output = restic.require("the snapshots cannot be listed", *asked, *policy_flags(params["policy"]))
    groups = json.loads(output.splitlines()[0]) if output.strip() else []
    return judged(groups, proven_snapshot(params["directory"]), params["open_runs"], params["keep_tags"])


def judged(
    groups: list[dict[str, Any]], proven: str, open_runs: Collection[str], keep_tags: Collection[str]
) -> dict[str, Any]:
    """Return what may go and what stays, of restic's answer about one host."""
    forgettable = {one["id"] for group in groups for one in group.get("remove") or []}
    every = [one for group in groups for kind in ("keep", "remove") for one in group.get(kind) or []]
    every.sort(key=lambda one: one["time"], reverse=True)
    keep, remove = [], []
    for at, one in enumerate(every):
        told = {"id": one["id"], "time": _whole_seconds(one["time"]), "tags": one.get("tags") or []}
        why = (
            _why_kept(one, at, proven, open_runs, keep_tags)
            if one["id"] in forgettable
            else "the policy keeps it"
        )
        (keep if why else remove).append({**told, "reason": why} if why else told)
    return {"snapshots": len(every), "keep": keep, "removals": remove, "proven": proven}


def _whole_seconds(time: str) -> str:
    """Return restic's time of a snapshot without its fractions; its distance from UTC stays."""
    return re.sub(r"\.[0-9]+", "", time)


def _why_kept(
    one: dict[str, Any], at: int, proven: str, open_runs: Collection[str], keep_tags: Collection[str]
) -> str:
    tags = {*(one.get("tags") or [])}
    if at == 0:
        return "it is the newest one"
    if proven and one["id"].startswith(proven):
        return "it is the newest one that was proven by a restore"
    if tags & {*open_runs}:
        return "an open run refers to it"
    return "the office keeps it" if tags & {*keep_tags} else ""


def remove(restic: Restic, params: dict[str, Any], evidence: dict[str, Any]) -> None:
    """Remove exactly the approved snapshots, or nothing; then have the repository checked."""
    before = look(restic, params)
    there = {one["id"] for one in (*before["keep"], *before["removals"])}
    wrong = [one for one in params["approved"] if not ID.fullmatch(one)]
    protected = {one["id"]: one["reason"] for one in before["keep"]}
    refused = [f"{one}: not the whole id of a snapshot" for one in wrong]
    refused += [f"{one[:8]}: {protected[one]}" for one in params["approved"] if one in protected]
    pending = [one for one in params["approved"] if one in there]
    note = read_note(params)
    before_this = [one for one in note.get("begun", []) if one in params["approved"] and one not in there]
    evidence |= {"approved": len(params["approved"]), "pending": len(pending), "refused": refused}
    evidence["removed"] = before_this
    if refused:
        raise BackupError(f"nothing was removed, it is not as approved: {'; '.join(refused)}")
    if params["check_mode"] or (not pending and (note.get("is_done") or not before_this)):
        evidence["check"] = "ok" if note.get("is_done") else ""
        return
    write_note(params, [*before_this, *pending])
    if pending:
        forget(restic, params, evidence, pending)
    restic.require("what the snapshots held cannot be freed", "prune")
    restic.require("the repository is damaged", "check")
    evidence["check"] = "ok"
    write_note(params, evidence["removed"], is_done=True)
    left = {one["id"] for group in ("keep", "removals") for one in look(restic, params)[group]}
    if left != there - {*pending}:
        raise BackupError("other snapshots are there now than those that were to stay: a person has to look")


def forget(restic: Restic, params: dict[str, Any], evidence: dict[str, Any], pending: list[str]) -> None:
    """Remove snapshots; the evidence tells which are gone, also when not all of them are."""
    try:
        restic.require("the snapshots cannot be removed", "forget", *pending)
    except BackupError as error:
        # restic removes one after another: what went before it was refused is gone, and told.
        left = look(restic, params)
        still = {one["id"] for group in ("keep", "removals") for one in left[group]}
        evidence["removed"] = evidence["removed"] + [one for one in pending if one not in still]
        nothing = not evidence["removed"] and FORBIDDEN.search(str(error))
        raise BackupError(APPEND_ONLY if nothing else str(error)) from error
    evidence["removed"] = evidence["removed"] + pending


def read_note(params: dict[str, Any]) -> dict[str, Any]:
    """Return what an earlier call for the same action noted down before it removed anything."""
    try:
        note = json.loads((Path(params["directory"]) / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    mine = isinstance(note, dict) and bool(params["action"]) and note.get("action") == params["action"]
    return note if mine else {}


def write_note(params: dict[str, Any], begun: list[str], *, is_done: bool = False) -> None:
    """Note down what is about to be removed: a call whose answer was lost is told by the next one."""
    note = {"action": params["action"], "begun": begun, "is_done": is_done}
    durable.write(Path(params["directory"]) / _NOTE, json.dumps(note, sort_keys=True).encode() + b"\n")
