"""What a verifier brings along from elsewhere, and holding registers and runs against it.

What a judge finds in an archive is only as old as its newest record and only as true as the keys beside it.
Checkpoints and paper tell how far register and runs had come, and known keys tell whose word a signature is:
none of it can be changed by whoever writes the archive.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner import archive_key, errors, register, signing
from runner.checkpoint import Chain, Checkpoint, RunChain, require_prefix
from runner.display import display
from runner.events import signer_of
from runner.journal import FIRST_PREV
from runner.register import Line
from runner.run_check import JOURNAL, CheckedRun

_PRINTED = re.compile(r"([1-9][0-9]{0,8}):([0-9a-f]{16,64})")
CHECKPOINT = ".checkpoint"
"""How the name of a checkpoint's file ends."""


@dataclass(frozen=True)
class Outside:
    """What the verifier brings along: earlier checkpoints, and public keys as he knows them."""

    checkpoints: tuple[Path, ...] = ()
    signers: Path | None = None
    """The keys of the archive."""
    officials: Path | None = None
    """The keys of the officials, as ``ssh-keygen -Y verify`` reads them."""
    printed: tuple[str, ...] = ()
    """What footers of documents on paper say of the register: number of records, colon, short digest."""


@dataclass(frozen=True)
class Archive:
    """An archive whose register was checked."""

    root: Path
    lines: Sequence[Line]
    signers: bytes


@dataclass(frozen=True)
class Held:
    """What register and runs were held against."""

    checkpoints: int = 0
    """How many checkpoints and footers; none that knows a run which was not there to be held against it."""
    unsealed: tuple[RunChain, ...] = ()
    """Runs that checkpoints know and the register does not name, each as far as it was known."""


def known_signers(outside: Outside) -> bytes | None:
    """Return the archive's keys as the verifier knows them, None where he brought none.

    Raises:
        InputError: when the file cannot be read.
    """
    return _read_given(outside.signers) if outside.signers else None


def _read_given(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise errors.InputError(f"{path} cannot be read: {error.strerror}") from error


def require_known_keys(signers: bytes, outside: Outside) -> None:
    """Require that an archive has no other keys than those that the verifier knows, if he brought any.

    Raises:
        VerificationError: when there is another.
    """
    given = known_signers(outside)
    if given is None:
        return
    known = archive_key.require_signers(given, str(outside.signers))
    if not set(archive_key.require_signers(signers, register.SIGNERS)) <= set(known):
        raise errors.VerificationError(register.SIGNERS, f"holds a key that is not in {outside.signers}")


def known_officials(outside: Outside) -> bytes | None:
    """Return the officials' keys as the verifier knows them, None where he brought none.

    Raises:
        InputError: when the file cannot be read.
    """
    return _read_given(outside.officials) if outside.officials else None


def require_known_officials(run: CheckedRun, known: bytes | None, folder: str = "") -> None:
    """Require that every statement of a run is signed with a key by which its signer is known.

    Args:
        run: a run that holds.
        known: the officials' keys as the verifier knows them; without them anybody's own count.
        folder: where the run stands in what is judged, for the message.

    Raises:
        VerificationError: naming the first signature by another key.
    """
    if known is None:
        return
    for event in run.events:
        if "statement" not in event.fields:
            continue
        statement, signature = (event[part]["path"] for part in ("statement", "signature"))
        signer = signer_of(event)
        if not signing.is_signed_by(run.tree.read(statement), run.tree.read(signature), signer, known):
            where = f"{folder}/{signature}" if folder else signature
            raise errors.VerificationError(where, f"is not by a key that is known of {display(signer)}")


def held_against(outside: Outside, archive: Archive | None, runs: Sequence[CheckedRun]) -> Held:
    """Hold register and runs against the checkpoints; return what they were held against.

    A run that the register does not name may be open, and its folder elsewhere: that is told, and no damage.

    Raises:
        InputError: when a checkpoint says nothing about what is to be checked.
        VerificationError: naming the first thing that is not as a checkpoint knows it.
    """
    files = [file for given in outside.checkpoints for file in _files_of(given)]
    sealed = {entry.run for entry in register.sealed(archive.lines)} if archive else set()
    unsealed: dict[str, RunChain] = {}
    count = len(outside.printed)
    for file in files:
        found = _checkpoint(file, outside, archive)
        about = [run for run in runs if found.run and run.state.run == found.run.run]
        if archive is None and not about:
            raise errors.InputError(
                f"{file} says nothing about what is to be checked",
                hint="check the whole archive with it, or the run that it names",
            )
        if archive is not None:
            require_prefix(found.archive, register.digests(archive.lines), register.NAME, file.name)
            _require_same_keys(found, archive, file)
        for run in about:
            if found.run:
                require_prefix(found.run, [event.digest for event in run.events], JOURNAL, file.name)
        if found.run is None or about or found.run.run in sealed:
            count += 1
        elif found.run.run not in unsealed or found.run.records > unsealed[found.run.run].records:
            unsealed[found.run.run] = found.run
    for text in outside.printed:
        _require_on_paper(text, archive)
    return Held(count, tuple(unsealed.values()))


def _require_on_paper(text: str, archive: Archive | None) -> None:
    """Hold the register against what a footer on paper says of it."""
    if archive is None:
        raise errors.InputError(
            "without its register, nothing can be held against what a footer prints",
            hint="check the folder of all archives",
        )
    found = _PRINTED.fullmatch(text.replace(".", ""))
    if found is None:
        raise errors.InputError(
            f"{display(text)!r} is not what a footer says of the register",
            hint="its number of records and the digest after it, as in 12:3fa9c2d81e07b544",
        )
    count, digest = int(found[1]), found[2]
    known = register.digests(archive.lines)
    if len(known) >= count and known[count - 1].startswith(digest):
        return
    # Of a digest cut short the rest is not known; zeros stand for it where there is none to compare.
    head = digest.ljust(len(FIRST_PREV), "0")
    require_prefix(Chain(records=count, head=head), known, register.NAME, f"the footer that says {text}")


def _files_of(given: Path) -> list[Path]:
    if not given.is_dir():
        return [given]
    files = sorted(path for path in given.iterdir() if path.name.endswith(CHECKPOINT))
    if not files:
        raise errors.InputError(f"{given} holds no checkpoint", hint=f"its files end with {CHECKPOINT}")
    return files


def _checkpoint(file: Path, outside: Outside, archive: Archive | None) -> Checkpoint:
    """Return a checkpoint, its signature checked with the keys that lie beside it."""
    beside = file.with_name(register.SIGNERS)
    signers = known_signers(outside) or (_read_given(beside) if beside.exists() else None)
    if signers is None and archive is not None:
        signers = archive.signers
    if signers is None:
        raise errors.InputError(
            f"the signature of {file} cannot be checked: {register.SIGNERS} is not beside it",
            hint="give the archive's public keys with --signers FILE",
        )
    return register.signed_checkpoint(_read_given(file), file.name, signers)


def _require_same_keys(found: Checkpoint, archive: Archive, file: Path) -> None:
    """Require that the archive still has the keys of then, in their order: keys are only ever added."""
    if found.signers not in archive_key.beginnings(archive.signers):
        raise errors.VerificationError(
            register.SIGNERS, f"does not begin with the keys that {file.name} knows"
        )
