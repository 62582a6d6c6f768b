"""The judge of runs, archives and the register: names the first thing that is not as the record says.

A run: every file that the journal names is there and unchanged and nothing else is, the journal is a chain
of records in the only order the SOP allows, and every decision carries the signature of the official who
might make it. An archive: its bag is whole and sealed as the register says, and the run in it holds. The
register: its chain, its signed head, every archive it names, and nothing else beside them. Checkpoints from
elsewhere tell whether any of it was put back to an earlier day.

Reads only, never follows a link, and trusts nothing that it reads.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner import bag, errors, register
from runner.bag import PAYLOAD, TAG_MANIFEST
from runner.bag_check import (
    check_bag,
    require_registered_manifest,
    require_signature,
    require_tag_files,
)
from runner.checkpoint import Chain, require_prefix
from runner.display import display
from runner.dispositions import require_decided
from runner.holder import held_by
from runner.outside import (
    Archive,
    Held,
    Outside,
    held_against,
    known_officials,
    known_signers,
    require_known_keys,
    require_known_officials,
)
from runner.register import Decided, Entry, Line
from runner.run_check import JOURNAL, OFFICIALS, SIGNERS, SOP, CheckedRun, checked_run
from runner.tree import Tree, list_tree, require_real_folders
from runner.workspace import RunFolder


@dataclass(frozen=True)
class Verified:
    """What was looked at and found to be as recorded."""

    kind: Literal["run", "archive", "removed", "register"]
    """``removed``: an archive whose payload was destroyed on an official's decision; its manifests hold."""
    run: str
    """The run, or for a register how many archives it names."""
    records: int
    files: int
    decisions: int
    held: Held
    """What of elsewhere it was held against."""
    registered: bool = False
    """An archive that its register names; without the register, a bag proves itself only against itself."""


def verify(path: Path, outside: Outside | None = None) -> Verified:
    """Check the run, the archive or the register at ``path``.

    Raises:
        InputError: when there is none, or a checkpoint says nothing about it.
        VerificationError: naming the first thing that is wrong.
    """
    outside = outside or Outside()
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links in the way here are the caller's choice
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise errors.InputError(f"{path} cannot be read: {error.strerror}") from error
    if register.NAME in names:
        return _verify_register(path, outside)
    is_run = names & {JOURNAL, SOP, OFFICIALS, SIGNERS} and not names & {*bag.TAG_FILES, TAG_MANIFEST}
    if is_run:
        if outside.signers is not None:
            raise errors.InputError(
                "--signers are the keys of an archive, and this is a run",
                hint="leave it out, or give the archive",
            )
        with _undisturbed(path):
            run = checked_run(RunFolder(path))
        require_known_officials(run, known_officials(outside))
        held = held_against(outside, None, [run])
        return Verified(
            "run",
            run.state.run,
            len(run.events),
            len(run.recorded),
            len(run.state.decisions),
            held,
        )
    if names & {*bag.TAG_FILES, TAG_MANIFEST, PAYLOAD}:
        return _verify_bag(path, outside)
    raise errors.InputError(
        f"{path} is neither a run nor an archive nor a register",
        hint="give a folder such as runs/RUN, archive/YEAR/RUN, or archive",
    )


def check_run(folder: RunFolder) -> None:
    """Check a run, closed or not.

    Raises:
        VerificationError: naming the first thing that is wrong, by its path in the run folder.
    """
    checked_run(folder)


@contextmanager
def _undisturbed(path: Path) -> Iterator[None]:
    """Keep writers out while a run is read; without a journal to lock there is nothing to wait for."""
    try:
        descriptor = os.open(path / JOURNAL, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield  # the check itself tells what is the matter with the journal
        return
    try:
        _share(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _share(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise errors.InputError(
            f"another process is working on run {path.name}: {held_by(descriptor)}", hint="try again later"
        ) from error


def _verify_bag(path: Path, outside: Outside) -> Verified:
    archive = _archive_above(path, outside)
    entry = _entry_of(path, archive) if archive else None
    root = archive.root if archive else path.parent
    require_real_folders(root, path.relative_to(root).as_posix())
    if archive is not None and entry is not None and entry.run in register.removed(archive.lines):
        _check_remains(list_tree(path), entry, archive)
        held = held_against(outside, archive, [])
        return Verified("removed", entry.run, 0, len(bag.OWN_FILES), 0, held, registered=True)
    signers = archive.signers if archive else known_signers(outside)
    run = check_bag(list_tree(path), entry, signers)
    require_known_officials(run, known_officials(outside), PAYLOAD)
    if archive is not None and entry is not None:
        _require_printed(run, entry, archive)
    held = held_against(outside, archive, [run])
    files = len(run.recorded) + len(bag.OWN_FILES)
    decisions = len(run.state.decisions)
    return Verified("archive", run.state.run, len(run.events), files, decisions, held, entry is not None)


def _verify_register(root: Path, outside: Outside) -> Verified:
    archive = _read_archive(root, outside)
    entries = register.sealed(archive.lines)
    removed = register.removed(archive.lines)
    _require_no_strangers(root, entries, archive.lines)
    runs: list[CheckedRun] = []
    for entry in entries:
        try:
            tree = list_tree(root / entry.path)
            if entry.run in removed:
                _check_remains(tree, entry, archive)
            else:
                runs.append(check_bag(tree, entry, archive.signers))
                require_known_officials(runs[-1], known_officials(outside), PAYLOAD)
                _require_printed(runs[-1], entry, archive)
        except errors.VerificationError as error:
            # What is wrong in the register is told by its own name, all else by its place in the archive.
            where = error.path if error.path.startswith(register.NAME) else f"{entry.path}/{error.path}"
            raise errors.VerificationError(where, error.problem) from error
    held = held_against(outside, archive, runs)
    files = sum(len(run.recorded) for run in runs) + len(entries) * (len(bag.OWN_FILES))
    decisions = sum(len(run.state.decisions) for run in runs)
    return Verified(
        "register", str(len(entries)), len(archive.lines), files, decisions, held, registered=True
    )


def _require_printed(run: CheckedRun, entry: Entry, archive: Archive) -> None:
    """Require that before the run was sealed the register had come as far as its documents print."""
    before = register.digests(archive.lines)[: entry.no - 1]
    for event in run.events:
        if event.name == "document_written":
            document = event["files"][0]["path"]
            require_prefix(Chain.model_validate(event["archive"]), before, register.NAME, document)


def _check_remains(tree: Tree, entry: Entry, archive: Archive) -> None:
    """Check what is left of an archive that was destroyed: everything but the payload, as it was sealed."""
    for name in bag.OWN_FILES:
        tree.require(name)
    folders = {str(parent) for name in bag.OWN_FILES for parent in Path(name).parents}
    strangers = sorted((tree.files.keys() | tree.folders) - {*bag.OWN_FILES, *folders})
    if strangers:
        is_payload = strangers[0].split("/")[0] == PAYLOAD
        problem = "is still there, and the register says it was removed"
        raise errors.VerificationError(
            strangers[0], problem if is_payload else "is no part of an archive that was destroyed"
        )
    require_tag_files(tree, entry)
    require_registered_manifest(entry, tree)
    require_signature(tree, archive.signers)


# The register -----------------------------------------------------------------------------------------


def _archive_above(path: Path, outside: Outside) -> Archive | None:
    """Return the archive that the bag at ``path`` stands in, None when no register stands above it."""
    # Year and run; or year, classification and run.
    for root in list(path.parents)[1:3]:
        if os.path.lexists(root / register.NAME):
            return _read_archive(root, outside)
    return None


def _read_archive(root: Path, outside: Outside) -> Archive:
    tree = register.tree_of(root)
    lines = register.parse(tree.read(register.NAME))
    signers = tree.read(register.SIGNERS)
    require_known_keys(signers, outside)
    register.require_head(tree, lines)
    for line in lines:
        if isinstance(line, Decided):
            files = Tree(root, dict.fromkeys((file.path for file in line.files), 0), frozenset())
            require_decided(line, files.read, known_officials(outside))
    return Archive(root, lines, signers)


def _entry_of(path: Path, archive: Archive) -> Entry:
    entries = register.sealed(archive.lines)
    place = path.relative_to(archive.root).as_posix()
    for entry in entries:
        if entry.path == place:
            return entry
    for entry in entries:
        if entry.run == path.name:
            raise errors.VerificationError(entry.where, f"does not name this archive, {display(place)}")
    raise errors.VerificationError(register.NAME, f"does not name {display(place)}")


def _require_no_strangers(root: Path, entries: Sequence[Entry], lines: Sequence[Line]) -> None:
    """Require that nothing stands in the archive that the register does not know."""
    bags = {entry.path for entry in entries}
    folders = {str(parent) for path in bags for parent in Path(path).parents} - {"."}
    files = {*register.FILES}
    files |= {file.path for line in lines if isinstance(line, Decided) for file in line.files}
    folders |= {str(parent) for path in files for parent in Path(path).parents} - {"."}
    for folder in sorted(folders):
        require_real_folders(root, folder)
    for folder in ("", *sorted(folders)):
        for found in sorted(os.scandir(root / folder), key=lambda found: found.name):
            path = f"{folder}/{found.name}".lstrip("/")
            if path not in bags | folders | files:
                raise errors.VerificationError(
                    display(path),
                    "is named by nothing in the register; 'rawat archive' finishes what a crash left",
                )
    for path in sorted(bags):
        require_real_folders(root, path)
