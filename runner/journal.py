"""The journal of a run: append-only, canonical JSON lines, each carrying the hash of the one before.

Rules:
1. A line is on the disk (fsync) before the act it announces. An error while writing is never retried:
   after a failed fsync the kernel may have dropped the data, so the process ends (CannotRecordError).
2. One writer at a time: ``Journal.lock`` holds a lock on the file while a process works on the run.
3. A last line without its newline was cut off by a crash before it was acknowledged; it is dropped when
   the journal is opened for writing. Anything else that does not fit the chain is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import errors
from runner.canonical import canonical_json, parse_canonical, sha256_hex
from runner.clock import Clock, Instant, format_utc, parse_utc
from runner.files import sync_dir

FIRST_PREV = "0" * 64
_COMMON = frozenset({"seq", "prev", "at", "mono", "boot", "event"})


@dataclass(frozen=True)
class Event:
    """One line of the journal."""

    seq: int
    name: str
    instant: Instant
    fields: dict[str, Any]
    digest: str
    """SHA-256 of the line, newline included: the next line's ``prev``."""

    def __getitem__(self, field: str) -> Any:  # noqa: ANN401 - a field holds any JSON
        return self.fields[field]


class Journal:
    """Appends to one journal file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._descriptor: int | None = None
        self._events: list[Event] = []

    @property
    def events(self) -> tuple[Event, ...]:
        """Return what has been read and appended so far."""
        return tuple(self._events)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process, having read what others appended meanwhile.

        Raises:
            InputError: when another process works on this run.
            VerificationError: when the file does not fit its own chain.
        """
        try:
            descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise errors.CannotRecordError(f"cannot open {self.path}: {error.strerror}") from error
        try:
            _take(descriptor, self.path)
            _drop_torn_line(descriptor)
            self._events = list(parse(self.path.read_bytes(), self.path.name))
            self._descriptor = descriptor
            yield
        finally:
            self._descriptor = None
            os.close(descriptor)

    def append(self, event: str, **fields: Any) -> Event:  # noqa: ANN401 - a field holds any JSON
        """Write one line and return it once it is durable.

        Raises:
            CannotRecordError: when it could not be written; the run must stop.
        """
        if self._descriptor is None:
            raise RuntimeError("the journal is appended to only while its lock is held")
        with _uninterrupted():
            return self._append(self._descriptor, event, fields)

    def _append(self, descriptor: int, event: str, fields: dict[str, Any]) -> Event:
        instant = self._clock.now()
        line = canonical_json(
            {
                **fields,
                "seq": len(self._events) + 1,
                "prev": self._events[-1].digest if self._events else FIRST_PREV,
                "at": format_utc(instant.at),
                "mono": instant.mono,
                "boot": instant.boot,
                "event": event,
            }
        )
        _write(descriptor, line, self.path)
        if not self._events:
            sync_dir(self.path.parent)
        # Through the reader's door, so that what is folded now is what will be folded after a restart.
        written = _event(line, len(self._events) + 1, self._events[-1].digest if self._events else FIRST_PREV)
        self._events.append(written)
        return written


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back: a line is on the disk and counted here, or it is neither."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise errors.InputError(
            f"another process is working on run {path.parent.name}",
            hint="wait for it, or end it; 'rawat status' shows where the run stands",
        ) from error


def _drop_torn_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, size, 0)
    whole = data.rfind(b"\n") + 1
    if whole != size:
        os.ftruncate(descriptor, whole)
        os.fsync(descriptor)


def _write(descriptor: int, line: bytes, path: Path) -> None:
    try:
        whole = os.write(descriptor, line) == len(line)
        os.fsync(descriptor)
    except OSError as error:
        raise _cannot_record(path, error.strerror) from error
    if not whole:
        raise _cannot_record(path, "only a part of the line was taken")


def _cannot_record(path: Path, reason: str | None) -> errors.CannotRecordError:
    return errors.CannotRecordError(
        f"cannot write {path}: {reason}; nothing further was done",
        hint="free space or mend the disk, then 'rawat resume'",
    )


def read(path: Path) -> tuple[Event, ...]:
    """Read and check a journal without locking it.

    Raises:
        VerificationError: naming the first line that does not fit.
    """
    data = path.read_bytes()
    return tuple(parse(data[: data.rfind(b"\n") + 1], path.name))


def parse(data: bytes, name: str) -> Iterator[Event]:
    """Check the chain of a journal's bytes and yield its events.

    Raises:
        VerificationError: naming the first line that does not fit.
    """
    prev = FIRST_PREV
    if data and not data.endswith(b"\n"):
        raise errors.VerificationError(name, "the last line is cut off")
    for seq, line in enumerate(data.splitlines(keepends=True), start=1):
        try:
            event = _event(line, seq, prev)
        except KeyError as error:
            raise errors.VerificationError(f"{name}:{seq}", f"a record without {error}") from error
        except (ValueError, TypeError) as error:
            raise errors.VerificationError(f"{name}:{seq}", str(error)) from error
        prev = event.digest
        yield event


def _event(line: bytes, seq: int, prev: str) -> Event:
    data = parse_canonical(line)
    if not isinstance(data, dict):
        raise TypeError("not a record")
    if data["seq"] != seq:
        raise ValueError(f"expected record {seq}, got {data['seq']}")
    if data["prev"] != prev:
        raise ValueError("does not follow from the record before it")
    instant = Instant(parse_utc(data["at"]), data["mono"], data["boot"])
    fields = {key: value for key, value in data.items() if key not in _COMMON}
    return Event(seq, data["event"], instant, fields, sha256_hex(line))
