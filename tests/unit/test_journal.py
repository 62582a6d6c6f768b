"""The journal: what is on the disk when, what is refused when it is read, one writer at a time."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from fakes import FixedClock, StepClock

from runner import errors, journal
from runner.canonical import canonical_json, sha256_hex
from runner.journal import FIRST_PREV, Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def fill(path: Path, count: int) -> list[bytes]:
    """Write ``count`` records and return the journal's lines."""
    book = Journal(path, StepClock())
    with book.lock():
        for number in range(1, count + 1):
            book.append("step_started", step=number, text="a — é")
    return path.read_bytes().splitlines(keepends=True)


# Writing ----------------------------------------------------------------------------------------------


def test_a_record_is_canonical_json_with_its_place_in_the_chain(path: Path) -> None:
    first, second = fill(path, 2)
    assert second == canonical_json(
        {
            "seq": 2,
            "prev": sha256_hex(first),
            "at": "2026-11-21T14:00:02.000000Z",
            "mono": 1_002_000_000_000,
            "boot": "boot-1",
            "event": "step_started",
            "step": 2,
            "text": "a — é",
        }
    )


def test_the_first_record_follows_nothing(path: Path) -> None:
    assert json.loads(fill(path, 1)[0])["prev"] == FIRST_PREV


def test_a_journal_is_private_from_birth(path: Path) -> None:
    old = os.umask(0)
    try:
        fill(path, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_read_is_what_was_appended(path: Path) -> None:
    book = Journal(path, StepClock())
    with book.lock():
        appended = [book.append("step_started", step=1), book.append("step_finished", step=1)]
    assert list(journal.read(path)) == appended


def test_a_record_is_on_the_disk_before_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    real_write, real_sync = os.write, os.fsync

    def write(descriptor: int, data: bytes) -> int:
        told.append("write")
        return real_write(descriptor, data)

    def sync(descriptor: int) -> None:
        told.append("fsync")
        real_sync(descriptor)

    fill(path, 1)
    book = Journal(path, FixedClock())
    with book.lock(), monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        patched.setattr(os, "fsync", sync)
        book.append("step_finished", step=1)
    assert told == ["write", "fsync"]


def test_nothing_is_appended_without_the_lock(path: Path) -> None:
    with pytest.raises(RuntimeError, match="lock"):
        Journal(path, FixedClock()).append("step_started", step=1)


def test_only_one_writer_at_a_time(path: Path) -> None:
    with (
        Journal(path, FixedClock()).lock(),
        pytest.raises(errors.InputError, match="another process is working on run"),
        Journal(path, FixedClock()).lock(),
    ):
        pass


def test_the_lock_is_free_again_after_an_error(path: Path) -> None:
    with pytest.raises(KeyError), Journal(path, FixedClock()).lock():
        raise KeyError
    assert len(fill(path, 1)) == 1


def test_a_writer_sees_what_another_appended_meanwhile(path: Path) -> None:
    book = Journal(path, FixedClock())
    with book.lock():
        pass
    fill(path, 2)
    with book.lock():
        assert book.append("step_finished", step=2).seq == 3


def test_a_fsync_that_fails_is_told_and_not_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(5, "Input/output error")

    book = Journal(path, FixedClock())
    with book.lock(), monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(errors.CannotRecordError, match="Input/output error; nothing further was done"):
            book.append("step_started", step=1)
    assert len(calls) == 1


def test_a_record_taken_only_in_part_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    book = Journal(path, FixedClock())
    with book.lock(), monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:10]))
        with pytest.raises(errors.CannotRecordError, match="only a part of the line"):
            book.append("step_started", step=1)


def test_a_journal_that_cannot_be_opened_cannot_record(tmp_path: Path) -> None:
    with (
        pytest.raises(errors.CannotRecordError, match="No such file or directory"),
        Journal(tmp_path / "gone" / "journal.jsonl", FixedClock()).lock(),
    ):
        pass


def test_a_journal_that_is_a_link_is_not_followed(tmp_path: Path, path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.CannotRecordError), Journal(path, FixedClock()).lock():
        pass


# A line that a crash cut off --------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 30, -1])
def test_a_torn_last_line_is_dropped_by_the_next_writer(path: Path, cut: int) -> None:
    lines = fill(path, 3)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:cut])
    with Journal(path, FixedClock()).lock():
        pass
    assert path.read_bytes() == b"".join(lines[:2])


def test_a_reader_leaves_a_torn_last_line_out_and_alone(path: Path) -> None:
    lines = fill(path, 3)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:-1])
    assert [event.seq for event in journal.read(path)] == [1, 2]
    assert path.read_bytes().endswith(lines[2][:-1])


# What does not fit the chain --------------------------------------------------------------------------


def refused(path: Path, lines: list[bytes]) -> str:
    path.write_bytes(b"".join(lines))
    with pytest.raises(errors.VerificationError) as caught:
        journal.read(path)
    return str(caught.value)


def test_an_altered_record_is_found_by_the_one_after_it(path: Path) -> None:
    lines = fill(path, 3)
    lines[0] = lines[0].replace(b'"step":1', b'"step":9')
    assert refused(path, lines) == "journal.jsonl:2: does not follow from the record before it"


def test_a_record_left_out_is_found(path: Path) -> None:
    lines = fill(path, 3)
    assert refused(path, [lines[0], lines[2]]) == "journal.jsonl:2: expected record 2, got 3"


def test_a_record_told_twice_is_found(path: Path) -> None:
    lines = fill(path, 2)
    assert refused(path, [lines[0], lines[0]]) == "journal.jsonl:2: expected record 2, got 1"


def test_records_in_another_order_are_found(path: Path) -> None:
    lines = fill(path, 3)
    assert refused(path, [lines[0], lines[2], lines[1]]) == "journal.jsonl:2: expected record 2, got 3"


def test_a_journal_without_its_beginning_is_found(path: Path) -> None:
    assert refused(path, fill(path, 3)[1:]) == "journal.jsonl:1: expected record 1, got 2"


@pytest.mark.parametrize(
    "line",
    [
        b'{"seq": 1}\n',
        b"[]\n",
        b"\n",
        b"not json\n",
        b'{"seq":1,"seq":1}\n',
        b"\xff\xfe\n",
        b'{"a":NaN}\n',
        b"[" * 100_000 + b"\n",
        b'{"seq":1}\n',
    ],
    ids=["spaces", "no object", "empty", "no JSON", "key twice", "no UTF-8", "NaN", "deep", "fields missing"],
)
def test_a_line_that_is_no_record_is_told_with_its_number(path: Path, line: bytes) -> None:
    assert refused(path, [line]).startswith("journal.jsonl:1: ")


def test_a_writer_refuses_a_journal_that_does_not_fit(path: Path) -> None:
    lines = fill(path, 3)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(errors.VerificationError), Journal(path, FixedClock()).lock():
        pass


def test_a_refused_journal_is_left_as_it_is(path: Path) -> None:
    lines = fill(path, 3)
    before = refused(path, [lines[0], lines[2]]) and path.read_bytes()
    with pytest.raises(errors.VerificationError), Journal(path, FixedClock()).lock():
        pass
    assert path.read_bytes() == before
