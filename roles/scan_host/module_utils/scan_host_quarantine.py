"""Moves a file into quarantine so that nothing of it is lost and nothing else is ever moved in its place.

Rules kept here: no link is followed on the way; what is moved is the very file that was scanned (device,
number and time of change are the same), else nothing is; its record is on disk before it is moved; nothing is
deleted unless a copy of the same digest is on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

_PIECE = 1024 * 1024
_CROSS_DEVICE = 18


class QuarantineError(Exception):
    """The file was not moved."""


class Seen(NamedTuple):
    """What tells a file from another in its place, as it was when it was listed for the scan."""

    device: int
    number: int
    changed: int
    size: int


def seen(about: os.stat_result) -> Seen:
    """Return what tells this file from another."""
    return Seen(about.st_dev, about.st_ino, about.st_ctime_ns, about.st_size)


def open_quarantine(folder: Path) -> int:
    """Return a descriptor of the root-only folder, made when it is not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    about = os.fstat(descriptor)
    if about.st_uid != os.geteuid() or about.st_mode & 0o077:
        os.close(descriptor)
        raise QuarantineError(f"{folder} is open to others: it has to be root's own, mode 0700")
    return descriptor


def open_parent(path: str) -> int:
    """Return a descriptor of a file's folder, reached without following a link."""
    current = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    for part in PurePosixPath(path).parts[1:-1]:
        try:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
        finally:
            os.close(current)
        current = deeper
    return current


def move(path: str, was: Seen, folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Move a file into quarantine and return its record; raises QuarantineError when it stays where it is."""
    name = PurePosixPath(path).name
    try:
        quarantine, parent = open_quarantine(folder), open_parent(path)
    except OSError as error:
        raise QuarantineError(f"its folder cannot be reached: {error.strerror}") from error
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError as error:
        os.close(quarantine)
        os.close(parent)
        raise QuarantineError(f"it cannot be opened: {error.strerror}") from error
    try:
        now = os.fstat(file)
        if not stat.S_ISREG(now.st_mode) or seen(now) != was:
            raise QuarantineError("it changed since it was scanned: scan again")
        record = _record(path, now, _digest(file), about)
        _write(quarantine, f"{record['id']}.json", json.dumps(record, sort_keys=True).encode())
        _take(name, parent, quarantine, file, record)
        return record
    finally:
        for descriptor in (file, parent, quarantine):
            os.close(descriptor)


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the files that are in quarantine, in the order in which they came."""
    found = []
    for about in sorted(folder.glob("*.json")):
        try:
            record = json.loads(about.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        # A record without its file: the move was not done.
        if isinstance(record, dict) and (folder / str(record.get("id"))).is_file():
            found.append(record)
    return sorted(found, key=lambda record: (record.get("moved_at", 0), record["path"]))


def _record(path: str, now: os.stat_result, digest: str, about: dict[str, Any]) -> dict[str, Any]:
    unique = hashlib.sha256(f"{path}\n{now.st_dev}\n{now.st_ino}\n{now.st_ctime_ns}".encode()).hexdigest()
    mode = f"{stat.S_IMODE(now.st_mode):04o}"
    return {
        **about, "id": unique[:16], "path": path, "sha256": digest, "size": now.st_size, "mode": mode,
        "uid": now.st_uid, "gid": now.st_gid, "other_names": now.st_nlink - 1,
        "restore": f"install -o {now.st_uid} -g {now.st_gid} -m {mode} {unique[:16]} {shlex.quote(path)}",
    }  # fmt: skip


def _digest(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    digest = hashlib.sha256()
    while piece := os.read(file, _PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _write(folder: int, name: str, content: bytes) -> None:
    target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    with os.fdopen(target, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.fsync(folder)


def _take(name: str, parent: int, quarantine: int, file: int, record: dict[str, Any]) -> None:
    kept = str(record["id"])
    try:
        os.rename(name, kept, src_dir_fd=parent, dst_dir_fd=quarantine)
    except OSError as error:
        if error.errno != _CROSS_DEVICE:
            raise QuarantineError(f"it cannot be moved: {error.strerror}") from error
        _copy(name, parent, quarantine, file, record)
        return
    if not _is_same(kept, quarantine, file):
        # Somebody put another file there in this very moment: that one goes back where it was.
        os.rename(kept, name, src_dir_fd=quarantine, dst_dir_fd=parent)
        raise QuarantineError("another file took its place: scan again")
    # Only now, through the descriptor: whoever could run it no longer can.
    os.fchown(file, os.geteuid(), os.getegid())
    os.fchmod(file, 0o400)
    os.fsync(quarantine)
    os.fsync(parent)


def _copy(name: str, parent: int, quarantine: int, file: int, record: dict[str, Any]) -> None:
    """Take a file from another disk: copied and proven first, then its name is taken away."""
    os.lseek(file, 0, os.SEEK_SET)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    target = os.open(str(record["id"]), flags, 0o400, dir_fd=quarantine)
    with os.fdopen(target, "w+b") as kept:
        try:
            while piece := os.read(file, _PIECE):
                kept.write(piece)
            kept.flush()
            os.fsync(target)
            _require_copy(target, record)
        except BaseException:
            os.unlink(str(record["id"]), dir_fd=quarantine)
            raise
    aside = f".rawat-{record['id']}"
    os.rename(name, aside, src_dir_fd=parent, dst_dir_fd=parent)
    if not _is_same(aside, parent, file):
        os.rename(aside, name, src_dir_fd=parent, dst_dir_fd=parent)
        raise QuarantineError("another file took its place: scan again")
    os.unlink(aside, dir_fd=parent)
    os.fsync(parent)


def _require_copy(target: int, record: dict[str, Any]) -> None:
    if _digest(target) != record["sha256"]:
        raise QuarantineError("it changed while it was copied: scan again")


def _is_same(name: str, folder: int, file: int) -> bool:
    here, there = os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(file)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
