"""The register of the archive: ``register.jsonl``, one chained record per sealed run.

A bag proves itself only against its own manifests, which whoever changes it can write anew. The register
says from outside which manifest was sealed. It is append-only, canonical JSON, each line carrying the
hash of the one before, as in a journal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner import errors
from runner.bag import place
from runner.canonical import canonical_json, parse_canonical, sha256_hex
from runner.events import Digest
from runner.files import make_private_dir, sync_dir
from runner.holder import take
from runner.journal import FIRST_PREV

NAME = "register.jsonl"
# Copying a bag takes a while; who hangs longer than this is named instead of waited for.
_PATIENCE_SECONDS = 120.0


class Entry(BaseModel):
    """One record of the register."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    no: Annotated[int, Field(ge=1)]
    run: Annotated[str, Field(min_length=1)]
    path: Annotated[str, Field(min_length=1)]
    """Where the archive stands, relative to the register's folder."""
    tagmanifest_sha256: Digest
    journal_head: Digest
    """SHA-256 of the last line of the run's journal."""
    sealed_at: str
    """Time of that line."""
    prev: Digest

    @property
    def line(self) -> bytes:
        """Return the record as it stands in the register."""
        return canonical_json(self.model_dump())

    @property
    def where(self) -> str:
        """Return the name of this record for messages."""
        return f"{NAME}:{self.no}"


def parse(data: bytes) -> list[Entry]:
    """Return the records of a register.

    Raises:
        VerificationError: naming the first line that does not fit.
    """
    if data and not data.endswith(b"\n"):
        last = data.count(b"\n") + 1
        raise errors.VerificationError(f"{NAME}:{last}", "the line is cut off")
    entries: list[Entry] = []
    prev = FIRST_PREV
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        try:
            entry = Entry.model_validate(parse_canonical(line))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise errors.VerificationError(f"{NAME}:{number}", f"{first['loc']}: {first['msg']}") from error
        except ValueError as error:
            raise errors.VerificationError(f"{NAME}:{number}", "not canonical JSON") from error
        _require_fit(entry, number, prev, entries)
        entries.append(entry)
        prev = sha256_hex(line)
    return entries


def _require_fit(entry: Entry, number: int, prev: str, before: list[Entry]) -> None:
    where = f"{NAME}:{number}"
    if entry.no != number:
        raise errors.VerificationError(where, f"expected record {number}, got {entry.no}")
    if entry.prev != prev:
        raise errors.VerificationError(
            where, f"does not follow from line {number - 1}: one of them was changed"
        )
    if entry.path != place(entry.run):
        raise errors.VerificationError(where, "has a path that is not the one of its run")
    if any(entry.run == other.run for other in before):
        raise errors.VerificationError(where, "names a run that was named before")


class Register:
    """The register of one archive, held by this process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        size = os.fstat(descriptor).st_size
        data = os.pread(descriptor, size, 0)
        whole, torn = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
        # What a crash cut off was told to nobody and goes; a whole record whose line end was damaged stays.
        self.entries = parse(whole if b"}" not in torn[:-1] else data)
        if torn:
            os.ftruncate(descriptor, len(whole))
            os.fsync(descriptor)

    def entry(self, run: str) -> Entry | None:
        """Return the record of a run, if there is one."""
        return next((entry for entry in self.entries if entry.run == run), None)

    def append(
        self, run: str, path: str, tagmanifest_sha256: str, journal_head: str, sealed_at: str
    ) -> Entry:
        """Add a record and return it once it is durable."""
        entry = Entry(
            no=len(self.entries) + 1,
            run=run,
            path=path,
            tagmanifest_sha256=tagmanifest_sha256,
            journal_head=journal_head,
            sealed_at=sealed_at,
            prev=sha256_hex(self.entries[-1].line) if self.entries else FIRST_PREV,
        )
        if os.write(self._descriptor, entry.line) != len(entry.line):
            raise OSError(28, "only a part of the line was taken")
        os.fsync(self._descriptor)
        self.entries.append(entry)
        return entry


@contextmanager
def held(archive: Path) -> Iterator[Register]:
    """Hold the register of the archive at ``archive``, waiting for a process that seals right now.

    Raises:
        InputError: when that process keeps us waiting for too long, naming it.
        VerificationError: when the register does not fit its own chain.
    """
    make_private_dir(archive)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(archive / NAME, flags, 0o600)
    try:
        take(descriptor, _PATIENCE_SECONDS, _kept_waiting)
        sync_dir(archive)
        sync_dir(archive.parent)
        yield Register(descriptor)
    finally:
        os.close(descriptor)


def _kept_waiting(holder: str) -> errors.InputError:
    return errors.InputError(
        f"another process is sealing a run, and does not come to an end: {holder}",
        hint="end it if it hangs, then 'rawat archive' again",
    )
