"""How the configuration files of a host were before and after an update, by digest; and which to bring back.

The records lie in the run's folder on the host, root-only. They hold digests, modes and owners, no contents.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Record = dict[str, Any]
"""path -> {sha256, mode, uid, gid} of each regular file."""

_PIECE = 1024 * 1024
SOMEBODY = "it was changed again after the update, by somebody or by a program: it stays as it is"


class TooMuchError(Exception):
    """More or larger files than are looked at."""


class Verdict(NamedTuple):
    """Which files are to be brought back, and which are not, with the reason."""

    restore: Record
    left: list[dict[str, str]]


def file_of(state_directory: str, run: str, moment: str) -> Path:
    """Return where a record is kept: `before` or `after` the update, or as a rollback `met` the files."""
    return Path(state_directory) / run / f"files-{moment}.json"


def read(path: Path) -> Record | None:
    """Return a record, None when there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(path: Path, record: Record) -> None:
    """Write a record beside the old one, then put it in place."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = path.with_suffix(".new")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(record, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)


def look(paths: Sequence[str], left_out: Sequence[str], most_files: int, most_bytes: int) -> Record:
    """Return the record of the host as it is now; links are not followed."""
    record: Record = {}
    for path in _regular_files(paths, left_out):
        if len(record) == most_files:
            raise TooMuchError(f"more than {most_files} files lie below {', '.join(paths)}")
        if found := look_at(path, most_bytes):
            record[str(path)] = found
    return record


def look_at(path: Path, most_bytes: int) -> Record | None:
    """Return the record of one file, None when it is none or too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as content:
        about = os.fstat(content.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_size > most_bytes:
            return None
        digest = hashlib.sha256()
        while piece := content.read(_PIECE):
            digest.update(piece)
    return {
        "sha256": digest.hexdigest(),
        "mode": stat.S_IMODE(about.st_mode),
        "uid": about.st_uid,
        "gid": about.st_gid,
    }


def _regular_files(paths: Sequence[str], left_out: Sequence[str]) -> Iterator[Path]:
    for top in paths:
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)  # noqa: PTH118 - thousands of them
                if not any(fnmatch.fnmatchcase(path, pattern) for pattern in left_out):
                    yield Path(path)


def changed_between(before: Record, after: Record) -> list[str]:
    """Return the files that are other, new or gone."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def judge(
    before: Record,
    after: Record | None,
    met: Record,
    now: Record,
    *,
    owned: Collection[str],
    as_shipped: Collection[str],
) -> Verdict:
    """Tell which files of the record are to be brought back.

    Args:
        before: how the files were before the update.
        after: how they were right after it; None when the update broke off before that was looked at.
        met: how the rollback met them: what is other than after the update by then was changed by somebody.
        now: how they are, after the packages were put back.
        owned: files that belong to the packages of the update.
        as_shipped: files that are as the package brings them that is installed now: nobody changed those.
    """
    restore: Record = {}
    left: list[dict[str, str]] = []
    for path in changed_between(before, now):
        if path not in before:
            if path in owned or (after is not None and path in after):
                left.append({"path": path, "reason": "the update brought it, and it is not taken away"})
            continue
        is_ours = path in owned if after is None else before[path] != after.get(path)
        is_as_left = after is None or met.get(path) == after.get(path) or path in as_shipped
        if is_ours and is_as_left:
            restore[path] = before[path]
        elif is_ours:
            left.append({"path": path, "reason": SOMEBODY})
    return Verdict(restore, left)


def as_recorded(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Tell whether a file has the contents of a record."""
    return found is not None and found["sha256"] == wanted["sha256"]
