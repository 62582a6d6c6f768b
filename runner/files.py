"""Files that are written once: whole or not at all, private from birth, durable before we go on."""

from __future__ import annotations

import os
from pathlib import Path

from runner import errors


def make_private_dir(path: Path) -> Path:
    """Create ``path`` (and its parents) with mode 0700 and return it."""
    for missing in reversed([p for p in (path, *path.parents) if not p.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    return path


def sync_dir(path: Path) -> None:
    """Make the names in folder ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
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
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
        sync_dir(path.parent)
    except OSError as error:
        raise errors.CannotRecordError(
            f"cannot write {path}: {error.strerror}",
            hint="free space or mend the disk, then 'rawat resume'",
        ) from error
    return path
