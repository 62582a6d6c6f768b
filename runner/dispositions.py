"""Carries a decision about archives whose time is over into the register: signed, minuted, and then done.

In this order, each on the disk before the next: statement, signatures and Berita Acara; the record of the
decision; the removal, where one was decided; the record of the removal. A crash in between is finished by
``finish``, which is asked before anything else is decided.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from runner import bag, errors, register, retention, signing
from runner.bag import Fate
from runner.canonical import canonical_json, parse_canonical, sha256_hex
from runner.clock import format_utc
from runner.display import display
from runner.files import make_private_dir, sync_dir, write_once
from runner.register import Decided, Register, Removed
from runner.retention import Due, Parties
from runner.tree import Tree, name_problem

FOLDER = "retention"
Minutes = Callable[[Mapping[str, Any]], Mapping[str, bytes]]
"""Makes the Berita Acara of what was signed: file name -> content."""


@dataclass(frozen=True)
class Decision:
    """What two officials are about to sign."""

    fate: Fate
    dues: Sequence[Due]
    parties: Parties
    keys: tuple[Path, Path]
    """Of who decides, and of the witness."""
    reason: str


def decide(root: Path, key: Path, decision: Decision, at: datetime, minutes: Minutes) -> Decided:
    """Sign a decision, write its Berita Acara and record both; remove nothing yet.

    Raises:
        DecisionRefusedError: when a key is not its official's; nothing was recorded.
        VerificationError: when the register does not hold.
    """
    with register.held(root, key) as held:
        head = register.head_of(held.lines)
        said = retention.statement(
            decision.fate, decision.dues, decision.parties, decision.reason, head=head, at=format_utc(at)
        )
        signers = retention.signers(decision.parties)
        files = {
            "statement.json": canonical_json(said),
            "signers": signers,
            **_signed(said, decision, signers),
        }
        files |= minutes(said)
        folder = make_private_dir(root / FOLDER / str(len(held.lines) + 1))
        for left in folder.iterdir():
            left.unlink()  # of a decision that a crash cut off before it was recorded
        named = [_named(root, write_once(folder / name, data)) for name, data in sorted(files.items())]
        line = held.append(Decided, fate=decision.fate, runs=said["runs"], files=named, at=format_utc(at))
    if not isinstance(line, Decided):
        raise TypeError(line.event)
    return line


def finish(root: Path, key: Path, at: datetime) -> list[str]:
    """Remove the payload of every archive whose destruction was decided; return their runs."""
    done = []
    with register.held(root, key) as held:
        removed = register.removed(held.lines)
        for run, decided in register.to_remove(held.lines).items():
            if run not in removed:
                _remove(root, held, run)
                held.append(Removed, run=run, decision=decided.no, at=format_utc(at))
                done.append(run)
    return done


def _remove(root: Path, held: Register, run: str) -> None:
    entry = held.entry(run)
    if entry is None:
        raise errors.VerificationError(register.NAME, f"names no archive of {run}")
    payload = root / entry.path / bag.PAYLOAD
    if payload.is_symlink():
        raise errors.VerificationError(f"{entry.path}/{bag.PAYLOAD}", "is a symbolic link")
    if payload.exists():
        shutil.rmtree(payload)
        sync_dir(payload.parent)


def _signed(said: Mapping[str, Any], decision: Decision, signers: bytes) -> dict[str, bytes]:
    """Return both signatures; each asks for its own passphrase at the terminal."""
    statement = canonical_json(said)
    found = {}
    who = (decision.parties.decides, decision.parties.witness)
    for role, official, key in zip(("decides", "witness"), who, decision.keys, strict=True):
        signature = signing.signature_of(statement, key, retention.NAMESPACE)
        if not signing.is_signed_by(statement, signature, official.id, signers, retention.NAMESPACE):
            raise errors.DecisionRefusedError(
                f"the key {key} is not the key of {official.name} in the roster",
                hint="nothing was recorded; sign with that official's own key",
            )
        found[f"{role}.sig"] = signature
    return found


def _named(root: Path, path: Path) -> dict[str, str]:
    return {"path": path.relative_to(root).as_posix(), "sha256": sha256_hex(path.read_bytes())}


def papers_of(root: Path, number: int) -> dict[str, bytes]:
    """Return the papers of a recorded decision, file name -> content, once register and papers were checked.

    Args:
        root: the archive's folder.
        number: of the decision's record in the register.

    Raises:
        VerificationError: naming the first thing that is not as it was recorded.
    """
    tree = register.tree_of(root)
    lines = register.parse(tree.read(register.NAME))
    register.require_head(tree, lines)
    line = lines[number - 1] if 0 < number <= len(lines) else None
    if not isinstance(line, Decided):
        raise errors.VerificationError(f"{register.NAME}:{number}", "is no decision about archives")
    files = Tree(root, dict.fromkeys((file.path for file in line.files), 0), frozenset())
    require_decided(line, files.read)
    return {PurePosixPath(file.path).name: files.read(file.path) for file in line.files}


def require_decided(
    line: Decided, read: Callable[[str], bytes], known_officials: bytes | None = None
) -> None:
    """Require that the files of a recorded decision are as they were, and signed by two persons.

    Args:
        line: the record of the decision.
        read: returns the content of a file of the archive.
        known_officials: keys by which officials are known; without them those beside the decision count.

    Raises:
        VerificationError: naming the first that is not.
    """
    folder = f"{FOLDER}/{line.no}"
    for file in line.files:
        inside, _, name = file.path.rpartition("/")
        if inside != folder or name_problem(name):
            raise errors.VerificationError(
                line.where, f"names {display(file.path)}, which is not in {folder}/"
            )
        if sha256_hex(read(file.path)) != file.sha256:
            raise errors.VerificationError(file.path, "is not the file that the register names")
    statement, signers = read(f"{folder}/statement.json"), read(f"{folder}/signers")
    said = _statement(statement, f"{folder}/statement.json")
    recorded = {
        "fate": line.fate,
        "runs": [kept.model_dump() for kept in line.runs],
        "decided": line.at,
        "head": line.prev,
    }
    if {key: said.get(key) for key in recorded} != recorded or said.get("decides") == said.get("witness"):
        raise errors.VerificationError(f"{folder}/statement.json", f"is not what {line.where} says")
    for role in ("decides", "witness"):
        signature = read(f"{folder}/{role}.sig")
        if not signing.is_signed_by(statement, signature, str(said[role]), signers, retention.NAMESPACE):
            raise errors.VerificationError(
                f"{folder}/{role}.sig", "is not a signature of who is named in the statement"
            )
        if known_officials is not None and not signing.is_signed_by(
            statement, signature, str(said[role]), known_officials, retention.NAMESPACE
        ):
            raise errors.VerificationError(
                f"{folder}/{role}.sig", f"is not by a key that is known of {display(str(said[role]))}"
            )


def _statement(data: bytes, path: str) -> dict[str, Any]:
    try:
        return dict(parse_canonical(data))
    except (ValueError, TypeError) as error:
        raise errors.VerificationError(path, "is not a statement") from error
