"""The register of the archive: ``register.jsonl``, one chained record per thing that was done to it.

A bag proves itself only against its own manifests, which whoever changes it can write anew. The register
says from outside which manifest was sealed. It is append-only, canonical JSON, each line carrying the
hash of the one before, as in a journal. How far it has come is signed by the archive's key after each record
(``register.head``), so that a line more, less or other shows; that all of it was put back to an earlier
day shows only against a checkpoint that has left the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from runner import archive_key, errors
from runner.bag import Fate, place
from runner.canonical import canonical_json, parse_canonical, sha256_hex
from runner.checkpoint import EMPTY, Chain, Checkpoint, require_prefix
from runner.checkpoint import parse as parse_checkpoint
from runner.events import Digest, File
from runner.files import make_private_dir, sync_dir, write_once
from runner.holder import take
from runner.journal import FIRST_PREV
from runner.tree import Tree

NAME = "register.jsonl"
HEAD = "register.head"
"""A checkpoint of the register, and after it in the same file the archive's signature."""
SIGNERS = "arsip.signers"
"""Every public key that the archive was ever signed with."""
FILES = (NAME, HEAD, SIGNERS)
# Copying a bag takes a while; who hangs longer than this is named instead of waited for.
_PATIENCE_SECONDS = 120.0
_Text = Annotated[str, Field(min_length=1)]
_Moment = Annotated[str, Field(pattern=r"^[0-9TZ:.-]+$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Record(_Model):
    no: Annotated[int, Field(ge=1)]
    prev: Digest

    @property
    def line(self) -> bytes:
        """Return the record as it stands in the register."""
        return canonical_json(self.model_dump())

    @property
    def where(self) -> str:
        """Return the name of this record for messages."""
        return f"{NAME}:{self.no}"


class Entry(_Record):
    """A run was sealed."""

    event: Literal["sealed"] = "sealed"
    run: _Text
    path: _Text
    """Where the archive stands, relative to the register's folder."""
    classification: str
    """The folder that the office's classification gives it; "" without one."""
    tagmanifest_sha256: Digest
    journal_head: Digest
    """SHA-256 of the last line of the run's journal."""
    sealed_at: _Moment
    """Time of that line."""

    @property
    def at(self) -> str:
        """Return the moment the record tells of."""
        return self.sealed_at


class Kept(_Model):
    """A sealed run as a decision names it."""

    run: _Text
    tagmanifest_sha256: Digest


class Decided(_Record):
    """It was decided, signed by two officials, what becomes of sealed runs whose time is over."""

    event: Literal["retention_decided"] = "retention_decided"
    fate: Fate
    runs: Annotated[list[Kept], Field(min_length=1)]
    files: Annotated[list[File], Field(min_length=1)]
    """The statement and its signatures, the keys they are checked with, and the Berita Acara."""
    at: _Moment


class Removed(_Record):
    """The payload of a sealed run was removed, as record ``decision`` says; its manifests stay."""

    event: Literal["removed"] = "removed"
    run: _Text
    decision: Annotated[int, Field(ge=1)]
    at: _Moment


Line = Entry | Decided | Removed
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="event")])


def sealed(lines: Sequence[Line]) -> list[Entry]:
    """Return the records of sealed runs."""
    return [line for line in lines if isinstance(line, Entry)]


def to_remove(lines: Sequence[Line]) -> dict[str, Decided]:
    """Return the runs whose destruction was decided, each with its decision."""
    destroyed = [line for line in lines if isinstance(line, Decided) and line.fate == "musnah"]
    return {kept.run: line for line in destroyed for kept in line.runs}


def removed(lines: Sequence[Line]) -> set[str]:
    """Return the runs whose payload is gone as was decided."""
    return {line.run for line in lines if isinstance(line, Removed)}


def parse(data: bytes) -> list[Line]:
    """Return the records of a register.

    Raises:
        VerificationError: naming the first line that does not fit.
    """
    if data and not data.endswith(b"\n"):
        last = data.count(b"\n") + 1
        raise errors.VerificationError(f"{NAME}:{last}", "the line is cut off")
    lines: list[Line] = []
    prev = FIRST_PREV
    for number, text in enumerate(data.splitlines(keepends=True), start=1):
        try:
            line = _LINE.validate_python(parse_canonical(text))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise errors.VerificationError(f"{NAME}:{number}", f"{first['loc']}: {first['msg']}") from error
        except ValueError as error:
            raise errors.VerificationError(f"{NAME}:{number}", "not canonical JSON") from error
        if line.line != text:
            raise errors.VerificationError(line.where, "says more than a record of its kind")
        _require_chained(line, number, prev)
        _require_fit(line, lines)
        lines.append(line)
        prev = sha256_hex(text)
    return lines


def _require_chained(line: Line, number: int, prev: str) -> None:
    where = f"{NAME}:{number}"
    if line.no != number:
        raise errors.VerificationError(where, f"expected record {number}, got {line.no}")
    if line.prev != prev:
        raise errors.VerificationError(
            where, f"does not follow from line {number - 1}: one of them was changed"
        )


def _require_fit(line: Line, before: Sequence[Line]) -> None:
    known = {entry.run: entry for entry in sealed(before)}
    gone = to_remove(before)
    if isinstance(line, Entry):
        leads_out = {"", ".", ".."} & {*line.path.split("/")}
        if line.path != place(line.run, line.classification) or leads_out:
            raise errors.VerificationError(line.where, "has a path that is not the one of its run")
        if line.run in known:
            raise errors.VerificationError(line.where, "names a run that was named before")
    elif isinstance(line, Decided):
        for kept in line.runs:
            entry = known.get(kept.run)
            if entry is None or entry.tagmanifest_sha256 != kept.tagmanifest_sha256 or kept.run in gone:
                raise errors.VerificationError(line.where, "decides on an archive that is not there")
    elif line.run not in gone or gone[line.run].no != line.decision or line.run in removed(before):
        raise errors.VerificationError(line.where, "removes what nobody decided to remove")


def tree_of(root: Path) -> Tree:
    """Return the register's own files as a tree that nothing else of the archive is read through."""
    return Tree(root, dict.fromkeys(FILES, 0), frozenset())


def head_of(lines: Sequence[Line]) -> str:
    """Return the digest that the next record of a register carries."""
    return sha256_hex(lines[-1].line) if lines else FIRST_PREV


def digests(lines: Sequence[Line]) -> list[str]:
    """Return the digest of each record."""
    return [sha256_hex(line.line) for line in lines]


def checkpoint(lines: Sequence[Line], signers: bytes) -> Checkpoint:
    """Return how far a register has come; ``signers`` are the archive's public keys."""
    chain = Chain(records=len(lines), head=head_of(lines))
    at = lines[-1].at if lines else ""
    return Checkpoint(archive=chain, signers=sha256_hex(signers), run=None, at=at)


class Register:
    """The register of one archive, held by this process; ``key`` is the archive's own."""

    def __init__(self, descriptor: int, root: Path, key: Path) -> None:
        self._descriptor = descriptor
        self._root = root
        self._key = key
        size = os.fstat(descriptor).st_size
        data = os.pread(descriptor, size, 0)
        whole, torn = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
        # What a crash cut off was told to nobody and goes; a whole record whose line end was damaged stays.
        self.lines = parse(whole if b"}" not in torn[:-1] else data)
        if torn:
            os.ftruncate(descriptor, len(whole))
            os.fsync(descriptor)
        self._require_own()

    @property
    def signers(self) -> bytes:
        """Return every public key of the archive, this one's among them."""
        path = self._root / SIGNERS
        known = path.read_bytes() if path.exists() else b""
        lines = archive_key.require_signers(known, SIGNERS) if known else ()
        line = archive_key.signers_line(self._key)
        return known if line in lines else known + line

    def entry(self, run: str) -> Entry | None:
        """Return the record of a sealed run, if there is one."""
        return next((entry for entry in sealed(self.lines) if entry.run == run), None)

    def append(self, kind: type[_Record], **fields: Any) -> Line:  # noqa: ANN401 - the fields of that record
        """Add a record, sign how far the register has come, and return it once both are durable."""
        record = kind.model_validate({**fields, "no": len(self.lines) + 1, "prev": head_of(self.lines)})
        text = record.line
        line = _LINE.validate_python(parse_canonical(text))
        _require_fit(line, self.lines)
        if os.write(self._descriptor, text) != len(text):
            raise OSError(28, "only a part of the line was taken")
        os.fsync(self._descriptor)
        self.lines.append(line)
        self.sign()
        return line

    def signature(self, data: bytes) -> bytes:
        """Return the archive's signature over ``data``."""
        return archive_key.sign(data, self._key)

    def sign(self) -> None:
        """Sign how far the register has come, unless that was done; after a crash it is still to do."""
        signers = self.signers
        said = checkpoint(self.lines, signers).data
        head = self._root / HEAD
        # Its signature was checked when the register was taken in hand.
        if head.exists() and head.read_bytes().startswith(said):
            return
        # The keys first: a head is never there before the keys that it is checked with.
        write_once(self._root / SIGNERS, signers)
        write_once(head, said + archive_key.sign(said, self._key))

    def _require_own(self) -> None:
        """Refuse to add to a register that is not the one whose head was signed: nothing is laundered."""
        if not self.lines or (len(self.lines) == 1 and not (self._root / HEAD).exists()):
            return
        require_head(tree_of(self._root), self.lines, may_be_behind=True)


def require_head(tree: Tree, lines: Sequence[Line], *, may_be_behind: bool = False) -> None:
    """Require that the register is as long as its signed head says, and ends with that very record.

    A crash may leave the head one record behind, which the next sealing mends.

    Raises:
        VerificationError: naming what does not fit.
    """
    signers = tree.read(SIGNERS)
    archive_key.require_signers(signers, SIGNERS)
    head = signed_checkpoint(tree.read(HEAD), HEAD, signers)
    known = archive_key.beginnings(signers)[0 if may_be_behind else -1 :]
    if head.run is not None or head.signers not in known:
        raise errors.VerificationError(HEAD, f"is not about {NAME} and {SIGNERS}")
    require_prefix(head.archive, digests(lines), NAME, HEAD)
    if head.archive.records < len(lines) - int(may_be_behind):
        raise errors.VerificationError(
            f"{NAME}:{head.archive.records + 1}",
            f"is not covered by {HEAD}: a crash, or a line added by hand",
        )
    if head.archive.records and head.at != lines[head.archive.records - 1].at:
        raise errors.VerificationError(HEAD, "tells another time than the record it is about")


def signed_checkpoint(data: bytes, name: str, signers: bytes) -> Checkpoint:
    """Return a checkpoint once its signature, which follows it in the same file, was checked.

    Raises:
        VerificationError: when it is none, or no key of the archive signed it.
    """
    said, signature = data[: data.find(b"\n") + 1], data[data.find(b"\n") + 1 :]
    found = parse_checkpoint(said, name)
    if not archive_key.is_signed(said, signature, signers):
        raise errors.VerificationError(name, "is not signed with a key of the archive")
    return found


def signed_head(archive: Path, known: Chain = EMPTY) -> Chain:
    """Return how far the register has come as its signed head says; no archive yet is an empty one.

    Args:
        archive: the archive's folder.
        known: how far it had come before.

    Raises:
        VerificationError: when the register does not hold, or has not come as far as is known.
    """
    tree = tree_of(archive)
    is_there = (archive / NAME).exists()
    # The head is read first: while another run is sealed, the register may only be further.
    said = tree.read(HEAD) if (archive / HEAD).exists() else None
    data = tree.read(NAME) if is_there else b""
    lines = parse(data[: data.rfind(b"\n") + 1])
    if said is None and len(lines) > 1:
        raise errors.VerificationError(HEAD, "is missing")
    head = signed_checkpoint(said, HEAD, tree.read(SIGNERS)).archive if said is not None else EMPTY
    require_prefix(head, digests(lines), NAME, HEAD)
    require_prefix(known, digests(lines)[: head.records], NAME, "an earlier document of this run")
    return head


@contextmanager
def held(archive: Path, key: Path) -> Iterator[Register]:
    """Hold the register of the archive at ``archive``, waiting for a process that seals right now.

    Raises:
        InputError: when that process keeps us waiting for too long, naming it.
        VerificationError: when the register does not fit its own chain, or its signed head.
    """
    make_private_dir(archive)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(archive / NAME, flags, 0o600)
    try:
        take(descriptor, _PATIENCE_SECONDS, _kept_waiting)
        sync_dir(archive)
        sync_dir(archive.parent)
        yield Register(descriptor, archive, archive_key.require_key(key))
    finally:
        os.close(descriptor)


def _kept_waiting(holder: str) -> errors.InputError:
    return errors.InputError(
        f"another process is sealing a run, and does not come to an end: {holder}",
        hint="end it if it hangs, then 'rawat archive' again",
    )
