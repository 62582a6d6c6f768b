"""Checks one bag: in itself, against its entry in the register, and against the keys of its archive.

In this order: every name; the tag manifest and what it covers; the payload; the run in it; what the bag says
of itself; the register's entry; the archive's signature. It names the first thing that is wrong.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runner import archive_key, bag, errors, journal, register, signing
from runner.bag import MANIFEST, PAYLOAD, TAG_MANIFEST
from runner.canonical import canonical_json, sha256_hex
from runner.clock import format_utc
from runner.description import description
from runner.display import display
from runner.events import require_format
from runner.register import Entry
from runner.run_check import JOURNAL, CheckedRun, closed_run
from runner.tree import Tree

_OFFICE = "office.json"
# More than the first record of a journal over 1,000 hosts needs.
_FIRST = 10_000_000


def check_bag(tree: Tree, entry: Entry | None, signers: bytes | None) -> CheckedRun:
    """Check a bag and return the run in it.

    Args:
        tree: the bag.
        entry: what the register says of it, where there is a register.
        signers: the archive's public keys from outside the bag, where there are any.

    Raises:
        VerificationError: naming the first thing that is wrong, by its path in the bag.
    """
    _require_known_format(tree)
    for name in bag.OWN_FILES:
        tree.require(name)
    if PAYLOAD not in tree.folders:
        raise errors.VerificationError(PAYLOAD, "is missing")
    require_tag_files(tree, entry)
    _require_payload(tree)
    run = _sealed_run(tree)
    _require_description(tree, run)
    if entry is not None:
        _require_registered(entry, tree, run)
    require_signature(tree, signers)
    return run


def _require_known_format(tree: Tree) -> None:
    """Refuse the bag of another format as such: what is missing or more in it is no damage."""
    path = f"{PAYLOAD}/{JOURNAL}"
    if path not in tree.files or MANIFEST not in tree.files:
        return
    if f"{tree.sha256(path)}  {path}\n".encode() not in tree.read(MANIFEST):
        return  # not as it was sealed, so what it says of its format counts for nothing
    try:
        first = next(journal.parse(tree.read(path)[:_FIRST].splitlines(keepends=True)[0], path))
    except (errors.VerificationError, IndexError):
        return  # damage, which is told where it is looked for
    require_format(first, str(first.fields.get("run")))


def described(run: CheckedRun) -> dict[str, Any]:
    """Return what the archive of a run says of itself."""
    plans = [json.loads(run.tree.read(e["path"])) for e in run.events if e.name == "plan_made"]
    return description(run.sop, run.events, plans, _archiving(run))


def _archiving(run: CheckedRun) -> dict[str, Any]:
    """Return what the office said of its archives when the run began, {} where it said nothing."""
    if _OFFICE not in run.recorded:
        return {}
    try:
        return dict(json.loads(run.tree.read(_OFFICE))["settings"]["archive"])
    except (ValueError, LookupError, TypeError) as error:
        raise errors.VerificationError(_OFFICE, "does not say how the office archives") from error


def require_tag_files(tree: Tree, entry: Entry | None) -> None:
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


def _contradiction(tree: Tree, name: str, entry: Entry | None) -> errors.VerificationError:
    if entry is not None:
        as_sealed = tree.sha256(TAG_MANIFEST) == entry.tagmanifest_sha256
    else:
        as_sealed = signing.is_signature_on(
            tree.read(TAG_MANIFEST), tree.read(bag.SIGNATURE), archive_key.NAMESPACE
        )
    if as_sealed:
        return errors.VerificationError(name, f"is not the file that {TAG_MANIFEST} lists")
    register_says = f"is not the one that {entry.where} names and " if entry is not None else ""
    return errors.VerificationError(TAG_MANIFEST, f"{register_says}contradicts {name}")


def _require_payload(tree: Tree) -> None:
    listed = bag.parse_manifest(tree.read(MANIFEST), MANIFEST)
    expected = {*listed, *bag.OWN_FILES}
    for path in sorted(expected ^ tree.files.keys()):
        problem = "is missing" if path in expected else f"is not listed in {MANIFEST}"
        raise errors.VerificationError(display(path), problem)
    folders = {str(parent) for path in expected for parent in Path(path).parents} - {"."}
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
        journal.parse_all(tree.read(path), path)
    except errors.VerificationError as error:
        return f" ({error})"
    return ""


def _sealed_run(tree: Tree) -> CheckedRun:
    try:
        return closed_run(tree.within(PAYLOAD))
    except errors.VerificationError as error:
        raise errors.VerificationError(f"{PAYLOAD}/{error.path}", error.problem) from error


def _require_description(tree: Tree, run: CheckedRun) -> None:
    said = bag.parse_info(tree.read(bag.BAG_INFO), bag.BAG_INFO)
    for label, value in bag.bag_info(run.sop, run.events, run.payload).items():
        if said.get(label) != value:
            raise errors.VerificationError(bag.BAG_INFO, f"{label} does not fit the run in {PAYLOAD}/")
    if tree.read(bag.DESCRIPTION) != canonical_json(described(run)):
        raise errors.VerificationError(bag.DESCRIPTION, f"does not fit the run in {PAYLOAD}/")


def _require_registered(entry: Entry, tree: Tree, run: CheckedRun) -> None:
    require_registered_manifest(entry, tree)
    head_of_run = (run.state.run, run.events[-1].digest, format_utc(run.events[-1].instant.at))
    if (entry.run, entry.journal_head, entry.sealed_at) != head_of_run:
        raise errors.VerificationError(entry.where, "does not fit the journal of this archive")


def require_registered_manifest(entry: Entry, tree: Tree) -> None:
    """Require that the tag manifest is the one that the register names.

    Raises:
        VerificationError: naming the tag manifest.
    """
    if sha256_hex(tree.read(TAG_MANIFEST)) != entry.tagmanifest_sha256:
        raise errors.VerificationError(TAG_MANIFEST, f"is not the one that {entry.where} names")


def require_signature(tree: Tree, signers: bytes | None) -> None:
    """Require the archive's signature over the tag manifest, by a key that the archive knows.

    Raises:
        VerificationError: when there is none.
    """
    own = tree.read(bag.SIGNERS)
    lines = archive_key.require_signers(own, bag.SIGNERS)
    if signers is not None and not set(lines) <= set(archive_key.require_signers(signers, register.SIGNERS)):
        raise errors.VerificationError(bag.SIGNERS, "holds a key that is not the archive's")
    if not archive_key.is_signed(tree.read(TAG_MANIFEST), tree.read(bag.SIGNATURE), own):
        raise errors.VerificationError(bag.SIGNATURE, f"is not the archive's signature on {TAG_MANIFEST}")
