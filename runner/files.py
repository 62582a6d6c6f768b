"""Files that are written once: whole or not at all, private from birth, durable before we go on.

Whatever the disk refuses is a CannotRecordError that names the file and the reason; nothing is tried again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runner import errors

AGAIN = "the same command again, or 'rawat resume' where a run was begun"
"""What to do once the disk is mended: most files that are written belong to no run yet, or to none at all."""
MEBIBYTE = 1024 * 1024
# What one action of many hosts was seen to need at most is a tenth of this; the rest is for the journal, so
# that what was begun can still be told when the disk fills up meanwhile.
RESERVE = 64 * MEBIBYTE
# Evidence is capped at some hundred kB per host; Ansible's own traces of a host in .work/ are larger.
RESERVE_PER_HOST = 2 * MEBIBYTE


@contextmanager
def recording(path: Path) -> Iterator[None]:
    """Turn what the system refuses while ``path`` is made durable into the error that stops the run.

    Raises:
        CannotRecordError: naming the file, the reason and what to do.
    """
    try:
        yield
    except OSError as error:
        raise cannot_record(path, error.strerror or str(error)) from error


def cannot_record(path: Path, reason: str) -> errors.CannotRecordError:
    """Return the error that stops the run because ``path`` could not be written."""
    return errors.CannotRecordError(
        f"cannot write {path}: {reason}; nothing further was done",
        hint=f"free space or mend the disk, then {AGAIN}",
    )


def make_private_dir(path: Path) -> Path:
    """Create ``path`` (and its parents) with mode 0700, durably, and return it.

    Raises:
        CannotRecordError: when it cannot be made.
    """
    with recording(path):
        for missing in reversed([p for p in (path, *path.parents) if not p.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
            sync_dir(missing.parent)
    return path


def sync_dir(path: Path) -> None:
    """Make the names in folder ``path`` durable.

    Raises:
        CannotRecordError: when the disk did not take them.
    """
    with recording(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_once(path: Path, data: bytes) -> Path:
    """Write ``data`` to ``path`` atomically and durably with mode 0600.

    Raises:
        CannotRecordError: when the disk did not take it; a half-written file is never left at ``path``.
    """
    make_private_dir(path.parent)
    partial = _partial(path)
    try:
        with recording(path):
            partial.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(partial, flags, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
    except errors.CannotRecordError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync_dir(path.parent)
    return path


def remove_untold(path: Path) -> None:
    """Remove what a writer that was cut off left of a file that is not to be written any more.

    Raises:
        CannotRecordError: when it cannot be removed.
    """
    with recording(path):
        path.unlink(missing_ok=True)
        _partial(path).unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def require_trusted(path: Path) -> None:
    """Refuse a file of the office that anybody of this machine may have written, or put in its place.

    Who shares a group with its owner is trusted as he is.

    Raises:
        InputError: naming the file or the folder, and the command that mends it.
    """
    for each in (path, path.parent):
        try:
            mode = each.stat().st_mode
        except OSError:
            continue  # whoever reads it says that better
        # In a folder such as /tmp only the owner of a file replaces it.
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise errors.InputError(
                f"{each} can be written by everybody of this machine, so what is in it is not trusted",
                hint=f"look at what it says, then: chmod o-w {each}",
            )


def free_bytes(path: Path) -> int:
    """Return how much the file system of ``path`` (or of its nearest parent that exists) still takes.

    Raises:
        CannotRecordError: when it cannot be asked.
    """
    with recording(path):
        found = os.statvfs(next(p for p in (path, *path.parents) if p.exists()))
    return found.f_bavail * found.f_frsize


def require_reserve(path: Path, free: int, needed: int) -> None:
    """Raise CannotRecordError unless ``free`` bytes are enough to record what is about to be done."""
    if free < needed:
        raise errors.CannotRecordError(
            f"not enough space to record at {path}: {free / MEBIBYTE:.0f} MiB are free, "
            f"{needed / MEBIBYTE:.0f} MiB are needed; nothing was begun",
            hint=f"free space there, then {AGAIN}",
        )
