"""Seals a closed run: a copy of its record as a BagIt bag, and an entry in the archive's register.

Everything in a bag comes from the run's own record, nothing from the clock or the machine, so that sealing
again gives the same bytes. After a crash at any point the run is sealed by sealing it again: the bag is built
beside its place and renamed into it when it is on the disk; the register is written last.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from runner import bag, errors, register
from runner.archive_key import key_beside
from runner.bag import PAYLOAD, TAG_MANIFEST, Enclosed
from runner.bag_check import check_bag, described
from runner.canonical import sha256_hex
from runner.clock import format_utc
from runner.description import folder_of
from runner.files import make_private_dir, sync_dir
from runner.register import Entry, Register
from runner.run_check import CheckedRun, checked_run
from runner.tree import list_tree
from runner.workspace import RunFolder


def seal(folder: RunFolder, archive_root: Path, key: Path | None = None) -> Path:
    """Return the archive of a closed run, having made it unless it is there already.

    Args:
        folder: of the run.
        archive_root: the archive; it is made when it is not there.
        key: the archive's own key, made when it is not there; without one, the key beside the archive.

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
        with register.held(archive_root, key or key_beside(archive_root)) as held:
            return _seal(run, archive_root, held)
    except OSError as error:
        where = error.filename or archive_root
        raise errors.CannotRecordError(
            f"cannot write the archive: {where}: {error.strerror}",
            hint="free space or mend the disk, then 'rawat archive' again",
        ) from error


def _seal(run: CheckedRun, archive_root: Path, held: Register) -> Path:
    said = described(run)
    folder = folder_of(said["archiving"])
    place = bag.place(run.state.run, folder)
    target = archive_root / place
    entry = held.entry(run.state.run)
    tags = bag.tag_files(run.sop, run.events, run.payload, Enclosed(said, held.signers, *_for_auditors()))
    sealed = (run.state.run, run.events[-1].digest)
    if entry and (entry.run, entry.journal_head) != sealed:
        raise errors.VerificationError(entry.where, f"names another archive of run {run.state.run}")
    if os.path.lexists(target):
        tagmanifest = _require_same(target, place, run, entry, held.signers)
    else:
        tagmanifest = tags[TAG_MANIFEST]
        if entry and entry.tagmanifest_sha256 != sha256_hex(tagmanifest):
            raise errors.VerificationError(
                entry.where,
                f"names a bag of run {run.state.run} that this version of Rawat, or this key, does not make; "
                "use those of that day",
            )
        _build(run, {**tags, bag.SIGNATURE: held.signature(tagmanifest)}, target)
    if entry is None:
        held.append(
            Entry,
            run=run.state.run,
            path=place,
            classification=folder,
            tagmanifest_sha256=sha256_hex(tagmanifest),
            journal_head=run.events[-1].digest,
            sealed_at=format_utc(run.events[-1].instant.at),
        )
    else:
        held.sign()
    return target


def _for_auditors() -> tuple[bytes, bytes]:
    """Return the script and the instructions that stand in every bag."""
    folder = Path(__file__).parent / "auditor"
    return (folder / bag.SCRIPT).read_bytes(), (folder / bag.GUIDE).read_bytes()


def _require_same(
    target: Path, place: str, run: CheckedRun, entry: register.Entry | None, signers: bytes
) -> bytes:
    """Return the tag manifest of the bag that is there, once it is sure that it is this run's."""
    try:
        there = check_bag(list_tree(target), entry, signers)
    except errors.VerificationError as error:
        raise errors.VerificationError(f"{place}/{error.path}", error.problem) from error
    if there.recorded != run.recorded:
        name = there.state.run
        raise errors.VerificationError(f"{place}/{TAG_MANIFEST}", f"is of another archive of run {name}")
    return (target / TAG_MANIFEST).read_bytes()


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
