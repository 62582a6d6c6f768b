"""The judge of runs and archives: names the first thing that is not as the record says.

A run: every file that the journal names is there and unchanged and nothing else is, the journal is a chain
of records in the only order the SOP allows, and every decision carries the signature of the official who
might make it. An archive: its bag is whole and sealed as the register says, and the run in it holds.

Reads only, never follows a link, and trusts nothing that it reads.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner import bag, errors, journal, register
from runner.bag import MANIFEST, PAYLOAD, TAG_MANIFEST
from runner.canonical import sha256_hex
from runner.clock import format_utc
from runner.display import display
from runner.holder import held_by
from runner.run_check import JOURNAL, OFFICIALS, SIGNERS, SOP, CheckedRun, checked_run, closed_run
from runner.tree import Tree, list_tree
from runner.workspace import RunFolder


@dataclass(frozen=True)
class Verified:
    """What was looked at and found to be as recorded."""

    kind: Literal["run", "archive"]
    run: str
    records: int
    files: int
    decisions: int
    registered: bool = False
    """An archive that its register names; without the register, a bag proves itself only against itself."""


def verify(path: Path) -> Verified:
    """Check the run or the archive at ``path``.

    Raises:
        InputError: when there is neither.
        VerificationError: naming the first thing that is wrong.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links in the way here are the caller's choice
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise errors.InputError(f"{path} cannot be read: {error.strerror}") from error
    is_run = names & {JOURNAL, SOP, OFFICIALS, SIGNERS} and not names & {*bag.TAG_FILES, TAG_MANIFEST}
    if is_run:
        with _undisturbed(path):
            run = checked_run(RunFolder(path))
        return Verified("run", run.state.run, len(run.events), len(run.recorded), len(run.state.decisions))
    if names & {*bag.TAG_FILES, TAG_MANIFEST, PAYLOAD}:
        return _verify_archive(path)
    raise errors.InputError(
        f"{path} is neither a run nor an archive",
        hint="give a folder such as runs/RUN or archive/YEAR/RUN",
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


def _verify_archive(path: Path) -> Verified:
    entry = _entry_of(path)
    run = check_bag(path, entry)
    files = len(run.recorded) + len(bag.TAG_FILES) + 1
    decisions = len(run.state.decisions)
    return Verified("archive", run.state.run, len(run.events), files, decisions, entry is not None)


def check_bag(path: Path, entry: register.Entry | None) -> CheckedRun:
    """Check the bag at ``path`` in itself, and against its entry in the register where there is one.

    Raises:
        VerificationError: naming the first thing that is wrong, by its path in the bag.
    """
    tree = list_tree(path)
    for name in (*bag.TAG_FILES, TAG_MANIFEST):
        tree.require(name)
    if PAYLOAD not in tree.folders:
        raise errors.VerificationError(PAYLOAD, "is missing")
    _require_tag_files(tree, entry)
    _require_payload(tree)
    run = _sealed_run(tree)
    _require_info(tree, run)
    if entry is not None:
        _require_registered(entry, tree, run)
    return run


def _require_tag_files(tree: Tree, entry: register.Entry | None) -> None:
    """Find the damaged one among the tag manifest and the files it covers."""
    listed = bag.parse_manifest(tree.read(TAG_MANIFEST), TAG_MANIFEST)
    if listed.keys() != set(bag.TAG_FILES):
        raise errors.VerificationError(
            TAG_MANIFEST, f"does not list {', '.join(bag.TAG_FILES)} and nothing else"
        )
    for name, digest in listed.items():
        if tree.sha256(name) != digest:
            raise _contradiction(tree, name, entry)
    if tree.read(bag.BAGIT) != bag.BAGIT_TEXT:
        raise errors.VerificationError(bag.BAGIT, "is not the declaration of a BagIt 1.0 bag in UTF-8")


def _contradiction(tree: Tree, name: str, entry: register.Entry | None) -> errors.VerificationError:
    if entry is not None:
        as_sealed = tree.sha256(TAG_MANIFEST) == entry.tagmanifest_sha256
    else:
        as_sealed = not _is_as_sealed(tree, name)
    if as_sealed:
        return errors.VerificationError(name, f"is not the file that {TAG_MANIFEST} lists")
    register_says = f"is not the one that {entry.where} names and " if entry is not None else ""
    return errors.VerificationError(TAG_MANIFEST, f"{register_says}contradicts {name}")


def _is_as_sealed(tree: Tree, name: str) -> bool:
    """Tell whether a tag file is what sealing the run in the bag would write."""
    try:
        run = _sealed_run(tree)
        return tree.read(name) == bag.tag_files(run.sop, run.events, run.payload)[name]
    except errors.VerificationError:
        return False


def _require_payload(tree: Tree) -> None:
    listed = bag.parse_manifest(tree.read(MANIFEST), MANIFEST)
    expected = {*listed, *bag.TAG_FILES, TAG_MANIFEST}
    for path in sorted(expected ^ tree.files.keys()):
        problem = "is missing" if path in expected else f"is not listed in {MANIFEST}"
        raise errors.VerificationError(display(path), problem)
    folders = {str(parent) for path in listed for parent in Path(path).parents} - {"."}
    for path in sorted(tree.folders - folders):
        raise errors.VerificationError(path, "is a folder without a listed file")
    for path, digest in listed.items():
        if tree.sha256(path) != digest:
            raise errors.VerificationError(
                path, f"is not the file that {MANIFEST} lists{_first_bad(tree, path)}"
            )


def _first_bad(tree: Tree, path: str) -> str:
    """Return which record of a damaged journal is the first that does not fit, to save a search."""
    if path != f"{PAYLOAD}/{JOURNAL}":
        return ""
    try:
        list(journal.parse(tree.read(path), path))
    except errors.VerificationError as error:
        return f" ({error})"
    return ""


def _sealed_run(tree: Tree) -> CheckedRun:
    try:
        return closed_run(tree.within(PAYLOAD))
    except errors.VerificationError as error:
        raise errors.VerificationError(f"{PAYLOAD}/{error.path}", error.problem) from error


def _require_info(tree: Tree, run: CheckedRun) -> None:
    said = bag.parse_info(tree.read(bag.BAG_INFO), bag.BAG_INFO)
    for label, value in bag.bag_info(run.sop, run.events, run.payload).items():
        if said.get(label) != value:
            raise errors.VerificationError(bag.BAG_INFO, f"{label} does not fit the run in {PAYLOAD}/")


# The register -----------------------------------------------------------------------------------------


def _entry_of(path: Path) -> register.Entry | None:
    """Return the register's entry of the bag at ``path``, None when no register stands above it."""
    root = path.parent.parent
    if not os.path.lexists(root / register.NAME):
        return None
    entries = register.parse(Tree(root, {register.NAME: 0}, frozenset()).read(register.NAME))
    if entries:
        _require_last(root, path, entries[-1])
    place = f"{path.parent.name}/{path.name}"
    for entry in entries:
        if entry.path == place:
            return entry
    for entry in entries:
        if entry.run == path.name:
            raise errors.VerificationError(entry.where, f"does not name this archive, {display(place)}")
    raise errors.VerificationError(register.NAME, f"does not name {display(place)}")


def _require_last(root: Path, path: Path, last: register.Entry) -> None:
    """Hold the register's last entry, which no later one protects, against the archive it names."""
    if ".." in Path(last.path).parts or Path(last.path).is_absolute():
        raise errors.VerificationError(last.where, "names a path outside the archive")
    place = root / last.path
    if place == path or not place.is_dir() or _fits(last, place):
        return
    try:
        check_bag(place, None)
    except errors.VerificationError:
        return  # that archive is damaged, which is told when it is verified
    raise errors.VerificationError(last.where, f"does not fit the archive {display(last.path)}")


def _fits(entry: register.Entry, place: Path) -> bool:
    """Tell whether an entry has the digests of the archive at ``place``, without checking that archive."""
    tree = Tree(place, {TAG_MANIFEST: 0, f"{PAYLOAD}/{JOURNAL}": 0}, frozenset())
    try:
        lines = tree.read(f"{PAYLOAD}/{JOURNAL}").splitlines(keepends=True)
        sealed = tree.sha256(TAG_MANIFEST) == entry.tagmanifest_sha256
        started, last = json.loads(lines[0]), json.loads(lines[-1])
        head = (started["run"], sha256_hex(lines[-1]), last["at"])
    except (errors.VerificationError, ValueError, LookupError, TypeError, RecursionError):
        return False
    return sealed and (entry.run, entry.journal_head, entry.sealed_at) == head


def _require_registered(entry: register.Entry, tree: Tree, run: CheckedRun) -> None:
    if tree.sha256(TAG_MANIFEST) != entry.tagmanifest_sha256:
        head, sealed = run.events[-1].digest, bag.tag_files(run.sop, run.events, run.payload)
        if entry.journal_head == head and tree.read(TAG_MANIFEST) == sealed[TAG_MANIFEST]:
            # The bag is in every byte what sealing this journal gives: it is the register that was changed.
            raise errors.VerificationError(entry.where, f"does not name the {TAG_MANIFEST} of this archive")
        raise errors.VerificationError(TAG_MANIFEST, f"is not the one that {entry.where} names")
    head_of_run = (run.state.run, run.events[-1].digest, format_utc(run.events[-1].instant.at))
    if (entry.run, entry.journal_head, entry.sealed_at) != head_of_run:
        raise errors.VerificationError(entry.where, "does not fit the journal of this archive")
