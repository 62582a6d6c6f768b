"""A restic snapshot that is proven: data read back, a sample restored and compared."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils import durable
from ansible.module_utils.back_up_host_databases import SavingError, require_room
from ansible.module_utils.back_up_host_loading import load_some
from ansible.module_utils.back_up_host_repositories import (
    RepositoryError,
    kind_of,
    require_disk,
)
from ansible.module_utils.back_up_host_restic import (
    REPOSITORY_ARGUMENTS,
    BackupError,
    Restic,
    digest_of,
    opened,
)
from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTATION = r"""
module: back_up_host_snapshot
short_description: Make or find a restic snapshot and prove that it can be restored
description:
  - Initialises the repository when there is none, makes a snapshot, reads data back and restores a sample.
  - Never raises; what went wrong stands in C(problem), because its task hides its output.
options:
  repository: {description: Repository without credentials., type: str, required: true}
  rest_user: {description: User of a REST repository., type: str, default: ""}
  rest_password: {description: Password of that user., type: str, default: ""}
  s3_credentials: {description: Content of an AWS credentials file., type: str, default: ""}
  sftp_key: {description: Private ssh key for an sftp server., type: str, default: ""}
  sftp_known_hosts: {description: The sftp server's host key., type: str, default: ""}
  password: {description: Password of the repository., type: str, required: true}
  private: {description: A fresh root-only folder in memory for the credentials., type: path, required: true}
  directory: {description: Root-only folder of the saved states., type: path, required: true}
  paths: {description: What is backed up., type: list, elements: str, required: true}
  about: {description: Evidence of what was saved before., type: dict, default: {}}
  saved: {description: Saved files and their sha256., type: dict, default: {}}
  verified_before: {description: Record of an earlier attempt., type: dict, default: {}}
  host: {description: Name of the host in the repository., type: str, required: true}
  tag: {description: Tag of the snapshot., type: str, required: true}
  read_data_subset: {description: How much data is read back., type: str, default: "100%"}
  sample_files: {description: Files restored and compared., type: int, default: 20}
  sample_bytes: {description: Limit of the sample., type: int, default: 67108864}
  load_databases: {description: Dumps loaded per server., type: int, default: 0}
  load_bytes: {description: Largest dump that is loaded., type: int, default: 268435456}
  timeout: {description: Seconds for all of it., type: int, default: 3600}
author: [Rawat contributors]
"""

MEBIBYTE = 1024 * 1024
ABSENT = re.compile(r"does not exist|no such file or directory")
GLOB = re.compile(r"([\\*?\[\]])")


def require_paths(paths: list[str]) -> None:
    """Refuse paths that restic would leave out of the snapshot with no more than a warning."""
    for path in paths:
        if not path.startswith("/"):
            raise BackupError(f"{path} is no absolute path")
        if not os.path.lexists(path):
            raise BackupError(f"{path} does not exist on this host: take it out of back_up_host_paths")
        if Path(path).is_symlink():
            raise BackupError(f"{path} is a symbolic link: name what it points to")


def ensure_repository(restic: Restic, *, may_make: bool) -> bool:
    """Open the repository, or make it when there is none; return whether it was made."""
    status, _, complaint = restic.call("cat", "config", "--no-lock")
    if status == 0:
        return False
    if "unable to open config file" not in complaint or not ABSENT.search(complaint):
        said = " ".join(complaint.split())[-600:]
        raise BackupError(
            f"the repository does not open: {restic.cause_of(complaint) or 'restic says'} ({said})"
        )
    if not may_make:
        raise BackupError("the repository with the snapshot of this run is gone")
    restic.require("the repository cannot be made", "init")
    return True


def new_snapshot(restic: Restic, params: dict[str, Any]) -> dict[str, Any]:
    """Back up and return the snapshot; one that misses a file is an error (restic ends with 3)."""
    flags = ["--json", "--host", params["host"], "--tag", params["tag"]]
    text = restic.require("the snapshot is not complete", "backup", *flags, "--", *params["paths"])
    messages = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    summary = next(item for item in messages if item.get("message_type") == "summary")
    return {
        "snapshot": summary["snapshot_id"],
        "files": summary["total_files_processed"],
        "bytes": summary["total_bytes_processed"],
    }


def listing_of(restic: Restic, snapshot: str) -> tuple[str, dict[str, int]]:
    """Return the full id of a snapshot, and path and size of each file in it."""
    missing = "the snapshot is not in the repository, or cannot be read"
    lines = restic.require(missing, "ls", "--json", "--no-lock", snapshot).splitlines()
    nodes = [json.loads(line) for line in lines]
    # restic's ls leaves out an unknown snapshot with a warning, and ends with 0.
    found = [str(node["id"]) for node in nodes if node.get("struct_type") == "snapshot"]
    if len(found) != 1:
        raise BackupError(f"{missing}: {snapshot}")
    return found[0], {node["path"]: node.get("size", 0) for node in nodes if node.get("type") == "file"}


def unchanged_since(path: str, started: float, size: int | None = None) -> bool:
    """Tell whether a file on the host still is what the snapshot saw."""
    try:
        now = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(now.st_mode) and now.st_ctime < started and size in (None, now.st_size)


def sample_of(sizes: dict[str, int], started: float, params: dict[str, Any]) -> list[str]:
    """Choose files to restore: by chance, but the same ones for the same tag and host."""
    seed = f"{params['tag']}\n{params['host']}\n"
    by_chance = sorted(
        sizes, key=lambda path: hashlib.sha256((seed + path).encode(errors="replace")).digest()
    )
    chosen: list[str] = []
    total = 0
    for path in by_chance:
        fits = total + sizes[path] <= params["sample_bytes"]
        if len(chosen) < params["sample_files"] and fits and unchanged_since(path, started, sizes[path]):
            chosen.append(path)
            total += sizes[path]
    missing = [path for path in params["saved"] if path not in sizes]
    if missing:
        raise BackupError(f"{missing[0]} is not in the snapshot: is its folder in back_up_host_paths?")
    return sorted({*chosen, *params["saved"]})


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Give a root-only folder for restored files, and take it away again."""
    for left_over in parent.glob("restored-*"):
        shutil.rmtree(left_over)
    folder = Path(tempfile.mkdtemp(prefix="restored-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def restore_test(
    restic: Restic, snapshot: str, sample: dict[str, int], started: float, params: dict[str, Any]
) -> dict[str, Any]:
    """Restore a sample into an empty folder and compare it with the host."""
    if not sample:
        raise BackupError("no file of the snapshot can be compared with the host: nothing would be proven")
    saved = params["saved"]
    require_room(Path(params["directory"]), sum(sample.values()), "restore the sample")
    with temporary_folder(Path(params["directory"])) as folder:
        begun = time.monotonic()
        includes = ["--include=" + GLOB.sub(r"\\\1", path) for path in sample]
        restic.require(
            "restoring failed", "restore", "--no-lock", snapshot, "--target", str(folder), *includes
        )
        seconds = round(time.monotonic() - begun, 2)
        restored = {path: digest_of(folder / path.lstrip("/")) for path in sample}
        loaded = load_some(folder, params) if params["load_databases"] else []
    wanted = {path: saved.get(path) or digest_of(Path(path)) for path in sample}
    # A file that somebody changed since the snapshot proves nothing either way.
    compared = [path for path in sample if path in saved or unchanged_since(path, started)]
    different = [path for path in compared if restored[path] is None or restored[path] != wanted[path]]
    result = {"files": len(compared), "matched": len(compared) - len(different), "seconds": seconds}
    result |= {"loaded": loaded} if loaded else {}
    return result | ({"different": different[:20]} if different else {})


def proven(restic: Restic, params: dict[str, Any], evidence: dict[str, Any]) -> bool:
    """Make or find the snapshot and prove it, filling in the evidence; return whether anything was added."""
    begun = time.monotonic()
    require_paths(params["paths"])
    if kind_of(params["repository"]) == "local":
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        require_disk(params["repository"], params["paths"], table)
    evidence["tool"] = restic.require("restic does not run", "version").split(" compiled")[0]
    before = params["verified_before"]
    made = ensure_repository(restic, may_make=not before)
    started = before.get("started") or time.time()
    if before:
        evidence |= before["evidence"] | {"reused": True, "check": "not done", "restore_test": None}
        params["saved"] = before["saved"]
    else:
        evidence |= new_snapshot(restic, params)
    evidence["check"] = "failed"
    restic.require("the repository is damaged", "check", "--no-lock", read_option(params["read_data_subset"]))
    evidence["check"] = "ok"
    evidence["snapshot"], sizes = listing_of(restic, evidence["snapshot"])
    sample = {path: sizes[path] for path in sample_of(sizes, started, params)}
    evidence["restore_test"] = tested = restore_test(restic, evidence["snapshot"], sample, started, params)
    evidence["seconds"] = round(time.monotonic() - begun, 2)
    if tested["matched"] != tested["files"]:
        raise BackupError(f"restored differently from what was backed up: {tested['different'][0]}")
    if not before:
        record(Path(params["directory"]), params, started, evidence)
    return made or not before


def read_option(subset: str) -> str:
    """Return how restic is told what it reads back; restic 0.11 (Debian 11) knows no percentage."""
    return "--read-data" if subset == "100%" else f"--read-data-subset={subset}"


def record(directory: Path, params: dict[str, Any], started: float, evidence: dict[str, Any]) -> None:
    """Record the proven snapshot of this tag, so that a second run proves it again and makes no other."""
    marker = {"tag": params["tag"], "started": started, "saved": params["saved"], "evidence": evidence}
    marker["dumps_before"] = dumps_before(directory / "verified-snapshot.json")
    durable.write(directory / "verified-snapshot.json", json.dumps(marker, sort_keys=True).encode())


def dumps_before(path: Path) -> dict[str, Any]:
    """Return when the backup before was begun and how large its dumps were, for who compares the sizes."""
    try:
        marker = json.loads(path.read_text(encoding="utf-8"))
        sizes: dict[str, int] = {}
        for dump in marker["evidence"].get("databases", []):
            sizes[dump["engine"]] = sizes.get(dump["engine"], 0) + dump["bytes"]
        return {"started": float(marker["started"]), "bytes": sizes}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


ARGUMENTS: dict[str, dict[str, Any]] = {
    **REPOSITORY_ARGUMENTS,
    "directory": {"type": "path", "required": True},
    "paths": {"type": "list", "elements": "str", "required": True},
    "about": {"type": "dict", "default": {}},
    "saved": {"type": "dict", "default": {}},
    "verified_before": {"type": "dict", "default": {}},
    "host": {"type": "str", "required": True},
    "tag": {"type": "str", "required": True},
    "read_data_subset": {"type": "str", "default": "100%"},
    "sample_files": {"type": "int", "default": 20},
    "sample_bytes": {"type": "int", "default": 64 * MEBIBYTE},
    "load_databases": {"type": "int", "default": 0},
    "load_bytes": {"type": "int", "default": 256 * MEBIBYTE},
    "timeout": {"type": "int", "default": 3600},
}


def main() -> None:
    """Run the module; whatever happens, the credentials leave the host with it."""
    module = AnsibleModule(argument_spec=ARGUMENTS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))
    evidence = {name: module.params[name] for name in ("repository", "paths")} | module.params["about"]
    changed, problem = False, ""
    try:
        with opened(module.params) as restic:
            changed = proven(restic, module.params, evidence)
    except (BackupError, RepositoryError, SavingError, OSError, ValueError, KeyError, StopIteration) as error:
        problem = str(error) or error.__class__.__name__
    module.exit_json(changed=changed, problem=problem, evidence=evidence)


if __name__ == "__main__":
    main()
