"""The journal of a run: append-only, canonical JSON lines, each carrying the hash of the one before.

Rules:
1. A line is on the disk (fsync) before the act it announces. An error while writing is never retried:
   after a failed fsync the kernel may have dropped the data. The process ends (CannotRecordError), and this
   journal takes nothing more from it.
2. One writer at a time: ``Journal.lock`` holds a lock on the file while a process works on the run. The
   kernel frees it when that process dies, and says who holds it.
3. A last line without its newline was cut off by a crash before anybody relied on it. Who next writes puts
   the record ``torn_line_dropped`` in its place. Anything else that does not fit the chain is refused.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import errors
from runner.canonical import canonical_json, parse_canonical, sha256_hex
from runner.clock import Clock, Instant, format_utc, parse_utc
from runner.files import cannot_record, recording, sync_dir
from runner.holder import take

FIRST_PREV = "0" * 64
LAST = "run_finished"
"""The event after which a journal grows no more."""
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
        self._failed = False

    @property
    def events(self) -> tuple[Event, ...]:
        """Return what has been read and appended so far."""
        return tuple(self._events)

    @contextlib.contextmanager
    def lock(self, patience: float = 0.0) -> Iterator[None]:
        """Hold the run for this process, having read what others appended meanwhile.

        Who holds it now is waited for up to ``patience`` seconds.

        Raises:
            InputError: when another process works on this run, naming it.
            VerificationError: when the file does not fit its own chain.
            CannotRecordError: when the file cannot be opened, or an append to it has failed before.
        """
        self._require_sound()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with recording(self.path):
            descriptor = os.open(self.path, flags, 0o600)
        try:
            with recording(self.path):
                take(
                    descriptor,
                    patience,
                    lambda who: errors.InputError(
                        f"another process is working on run {self.path.parent.name}: {who}",
                        hint="wait for it, or end it; 'rawat status' shows where the run stands",
                    ),
                )
                data = _read(descriptor)
            whole, torn = split_torn(data, self.path.name)
            self._events = parse_all(whole, self.path.name)
            if torn:
                self._drop(torn, len(whole))
            self._descriptor = descriptor
            yield
        finally:
            self._descriptor = None
            # What had to be on the disk was synced; an error of closing tells nothing more.
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def append(
        self,
        event: str,
        *,
        instant: Instant | None = None,
        **fields: Any,  # noqa: ANN401 - a field holds any JSON
    ) -> Event:
        """Write one line and return it once it is durable.

        The moment is now, or the ``instant`` on which the caller judged that the act may be begun.

        Raises:
            CannotRecordError: when it could not be written; the run must stop.
        """
        if self._descriptor is None:
            raise RuntimeError("the journal is appended to only while its lock is held")
        with _uninterrupted(), self._ending_on_failure():
            return self._append(self._descriptor, event, instant or self._clock.now(), fields)

    def _append(self, descriptor: int, event: str, instant: Instant, fields: dict[str, Any]) -> Event:
        line = self._line(event, instant, fields)
        if os.write(descriptor, line) != len(line):
            raise cannot_record(self.path, "only a part of the line was taken")
        os.fsync(descriptor)
        if not self._events:
            sync_dir(self.path.parent)
        return self._take_in(line)

    def _drop(self, torn: bytes, at: int) -> None:
        """Put the record of it in the place of a torn last line.

        The record is written over the torn line before the rest of that is cut off: after a crash in between
        the file ends in a torn line again, and nothing is dropped unsaid.
        """
        if not self._events:
            raise errors.VerificationError(self.path.name, "holds no record: the run was never begun")
        if self._events[-1].name == LAST:
            # Nothing is appended to a closed run, so no crash leaves this: its last record stays the last.
            where = f"{self.path.name}:{len(self._events) + 1}"
            raise errors.VerificationError(where, f"{len(torn)} bytes stand after the run's last record")
        with _uninterrupted(), self._ending_on_failure():
            line = self._line("torn_line_dropped", self._clock.now(), {"bytes": len(torn)})
            # Opened once more: what is appended to by its mode cannot be written over.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.lseek(descriptor, at, os.SEEK_SET)
                if os.write(descriptor, line) != len(line):
                    raise cannot_record(self.path, "only a part of the line was taken")
                os.ftruncate(descriptor, at + len(line))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._take_in(line)

    def _line(self, event: str, instant: Instant, fields: dict[str, Any]) -> bytes:
        return canonical_json(
            {
                **fields,
                "seq": len(self._events) + 1,
                "prev": self._head,
                "at": format_utc(instant.at),
                "mono": instant.mono,
                "boot": instant.boot,
                "event": event,
            }
        )

    @property
    def _head(self) -> str:
        return self._events[-1].digest if self._events else FIRST_PREV

    def _take_in(self, line: bytes) -> Event:
        # Through the reader's door, so that what is folded now is what will be folded after a restart.
        written = _event(line, len(self._events) + 1, self._head)
        self._events.append(written)
        return written

    @contextlib.contextmanager
    def _ending_on_failure(self) -> Iterator[None]:
        """Let nothing more be written once a write has failed: what is on the disk is not known any more."""
        self._require_sound()
        try:
            with recording(self.path):
                yield
        except errors.CannotRecordError:
            self._failed = True
            raise

    def _require_sound(self) -> None:
        if self._failed:
            raise cannot_record(self.path, "an earlier record of this process could not be written")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back: a line is on the disk and counted here, or it is neither.

    By the handler, not by a mask: whichever thread the kernel gives the signal to, Python acts on it in the
    main thread, amid this line.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            signal.raise_signal(signal.SIGINT)


def _read(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    data = b""
    while len(data) < size and (piece := os.pread(descriptor, size - len(data), len(data))):
        data += piece
    return data


def split_torn(data: bytes, name: str) -> tuple[bytes, bytes]:
    """Return the whole lines of a journal's bytes, and what a crash left of a last one.

    What a crash left while a torn line was dropped is the end of that line, so it may begin with a number,
    a word or a part of a record: only a record itself tells of damage.

    Raises:
        VerificationError: when the rest is a whole record and more: no crash leaves that, it was damaged.
    """
    end = data.rfind(b"\n") + 1
    whole, rest = data[:end], data[end:]
    text = rest.decode("utf-8", "replace")
    try:
        found, used = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return whole, rest
    if used != len(text) and isinstance(found, dict) and {"seq", "prev"} <= found.keys():
        where = f"{name}:{len(whole.splitlines()) + 1}"
        raise errors.VerificationError(where, "a whole record without its line end, and more: damaged")
    return whole, rest


def read(path: Path) -> tuple[Event, ...]:
    """Read and check a journal without locking it, leaving out a torn last line.

    Raises:
        VerificationError: naming the first line that does not fit.
    """
    return tuple(parse_all(split_torn(path.read_bytes(), path.name)[0], path.name))


def torn_bytes(path: Path) -> int:
    """Return how long the torn last line of a journal is, 0 when it ends as it should."""
    return len(split_torn(path.read_bytes(), path.name)[1])


def parse(data: bytes, name: str) -> Iterator[Event]:
    """Check the chain of a journal's bytes and yield its events.

    Raises:
        VerificationError: naming the first line that does not fit; a torn last line too.
    """
    prev = FIRST_PREV
    whole, torn = split_torn(data, name)
    if torn:
        raise errors.VerificationError(
            f"{name}:{len(whole.splitlines()) + 1}",
            f"the last line is torn: a crash cut it off after {len(torn)} bytes; 'rawat resume' drops it",
        )
    for seq, line in enumerate(data.splitlines(keepends=True), start=1):
        try:
            event = _event(line, seq, prev)
        except KeyError as error:
            raise errors.VerificationError(f"{name}:{seq}", f"a record without {error}") from error
        except (ValueError, TypeError) as error:
            raise errors.VerificationError(f"{name}:{seq}", str(error)) from error
        prev = event.digest
        yield event


def parse_all(data: bytes, name: str) -> list[Event]:
    """Return all events of a journal's bytes, as ``parse`` checks them; faster than one by one.

    Raises:
        VerificationError: as ``parse``.
    """
    # Records hold no cycles: looking for some among ever more of them takes as long as reading them.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return list(parse(data, name))
    finally:
        if collecting:
            gc.enable()


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
