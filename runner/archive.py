"""Seals a closed run: a copy of its record as a BagIt bag, and an entry in the archive's register.

Everything in a bag comes from the run's own record, nothing from the clock or the machine, so that sealing
again gives the same bytes. After a crash at any point the run is sealed by sealing it again: the bag is built
beside its place and renamed into it when it is on the disk; the register is written last.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from runner import bag, errors, register, verify
from runner.bag import PAYLOAD, TAG_MANIFEST
from runner.canonical import sha256_hex
from runner.clock import format_utc
from runner.files import make_private_dir, sync_dir
from runner.register import Register
from runner.run_check import CheckedRun, checked_run
from runner.workspace import RunFolder


def seal(folder: RunFolder, archive_root: Path) -> Path:
    """Return the archive of a closed run, having made it unless it is there already.

    Raises:
        InputError: when the run is not closed.
        VerificationError: when the run, an archive that is there already, or the register is not as recorded.
        CannotRecordError: when the disk did not take it; sealing again goes on.
    """
    run = checked_run(folder)
    if run.state.finished is None:
        raise errors.InputError(
            f"run {run.state.run} is not closed", hint="'rawat resume' goes on with it; then seal it"
        )
    try:
        with register.held(archive_root) as held:
            return _seal(run, archive_root, held)
    except OSError as error:
        where = error.filename or archive_root
        raise errors.CannotRecordError(
            f"cannot write the archive: {where}: {error.strerror}",
            hint="free space or mend the disk, then 'rawat archive' again",
        ) from error


def _seal(run: CheckedRun, archive_root: Path, held: Register) -> Path:
    place = bag.place(run.state.run)
    target = archive_root / place
    tags = bag.tag_files(run.sop, run.events, run.payload)
    sealed = (run.state.run, sha256_hex(tags[TAG_MANIFEST]), run.events[-1].digest)
    entry = held.entry(run.state.run)
    if entry and (entry.run, entry.tagmanifest_sha256, entry.journal_head) != sealed:
        raise errors.VerificationError(entry.where, f"names another archive of run {run.state.run}")
    if os.path.lexists(target):
        _require_same(target, place, tags[TAG_MANIFEST], entry)
    else:
        _build(run, tags, target)
    if entry is None:
        name, tagmanifest, head = sealed
        held.append(name, place, tagmanifest, head, format_utc(run.events[-1].instant.at))
    return target


def _require_same(target: Path, place: str, tagmanifest: bytes, entry: register.Entry | None) -> None:
    try:
        there = verify.check_bag(target, entry)
    except errors.VerificationError as error:
        raise errors.VerificationError(f"{place}/{error.path}", error.problem) from error
    if (target / TAG_MANIFEST).read_bytes() != tagmanifest:
        name = there.state.run
        raise errors.VerificationError(f"{place}/{TAG_MANIFEST}", f"is of another archive of run {name}")


def _build(run: CheckedRun, tags: dict[str, bytes], target: Path) -> None:
    make_private_dir(target.parent)
    partial = target.with_name(f".{target.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(mode=0o700)
    files = [*tags, *(f"{PAYLOAD}/{path}" for path in run.recorded)]
    for folder in sorted({parent for path in files for parent in Path(path).parents} - {Path()}):
        (partial / folder).mkdir(mode=0o700)
    for name, data in tags.items():
        _write(partial / name, data)
    for path, digest in run.recorded.items():
        data = run.tree.read(path)
        if sha256_hex(data) != digest:
            raise errors.VerificationError(path, "was changed while the run was sealed")
        _write(partial / PAYLOAD / path, data)
    _make_durable(partial)
    partial.rename(target)
    sync_dir(target.parent)
    sync_dir(target.parent.parent)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def _make_durable(tree: Path) -> None:
    # Only when all is written, so that the disk can take many files at once.
    for folder, _, files in os.walk(tree, topdown=False):
        for name in files:
            descriptor = os.open(Path(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_dir(Path(folder))
