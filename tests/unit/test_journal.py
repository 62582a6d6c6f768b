"""The journal: what is on the disk when, what is refused when it is read, one writer at a time."""

from __future__ import annotations

import errno
import json
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import FixedClock, StepClock

from runner import errors, holder, journal
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


# Who holds the lock -----------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from runner.clock import SystemClock
from runner.journal import Journal
with Journal(Path(sys.argv[1]), SystemClock()).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Give another process that holds the journal, until its input ends."""
    script = path.with_name("holder.py")
    script.write_text(HOLDER)
    # Relative: a command is shown only up to a length, and the folder's name may be long.
    command = [sys.executable, script.name, path.name, "a\x1b[2J"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=path.parent) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def refusal(path: Path) -> str:
    with pytest.raises(errors.InputError) as caught, Journal(path, FixedClock()).lock():
        pass
    return str(caught.value)


def test_the_holder_is_named_by_process_command_user_and_time(
    path: Path, other: subprocess.Popen[str]
) -> None:
    said = refusal(path)
    assert f"is working on run {path.parent.name}: process {other.pid} (" in said
    user = pwd.getpwuid(os.getuid()).pw_name
    assert f"holder.py {path.name} a" in said
    assert f"[2J) of user {user}, since 20" in said
    assert "\x1b" not in said


def test_the_death_of_the_holder_frees_the_run(path: Path, other: subprocess.Popen[str]) -> None:
    refusal(path)
    other.kill()
    other.wait()
    with Journal(path, FixedClock()).lock():
        pass


@pytest.mark.parametrize(
    ("locks", "told"),
    [
        ("", "it has ended just now, or is not to be seen from here"),
        ("1: POSIX  ADVISORY  WRITE {pid} {dev}:{inode} 0 EOF\n", "it has ended just now"),
        ("1: FLOCK  ADVISORY  WRITE {pid} {dev}:{other} 0 EOF\n", "it has ended just now"),
        ("1: FLOCK  ADVISORY  WRITE {pid} 00:99:{inode} 0 EOF\n", "process {pid} ("),
        ("1: FLOCK  ADVISORY  WRITE 4194305 {dev}:{inode} 0 EOF\n", "process 4194305, which has ended"),
        ("1: -> FLOCK  ADVISORY  WRITE {pid} {dev}:{inode} 0 EOF\n", "it has ended just now"),
    ],
    ids=["none", "another kind", "another file", "another device", "dead meanwhile", "one that waits"],
)
def test_what_the_kernel_says_is_read_with_care(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: str, told: str
) -> None:
    found = tmp_path.stat()
    names = {
        "pid": os.getpid(),
        "dev": f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}",
        "inode": found.st_ino,
        "other": found.st_ino + 1,
    }
    (tmp_path / "locks").write_text(locks.format(**names))
    (tmp_path / "stat").write_text("cpu 0\nbtime 1700000000\n")
    for entry in ("self", str(os.getpid())):
        (tmp_path / entry).symlink_to(f"/proc/{entry}")
    monkeypatch.setattr(holder, "_PROC", tmp_path)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert holder.held_by(descriptor).startswith(told.format(**names))
    finally:
        os.close(descriptor)


def test_a_machine_without_a_list_of_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "_PROC", tmp_path)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert holder.held_by(descriptor) == "the kernel does not tell which"
    finally:
        os.close(descriptor)


def test_a_user_without_a_name_is_told_by_number() -> None:
    assert holder._user(4_000_000) == "4000000"


def test_whether_a_process_is_at_work_is_told_without_disturbing_it(path: Path) -> None:
    fill(path, 1)
    told = [holder.is_held(path)]
    with Journal(path, FixedClock()).lock():
        told.append(holder.is_held(path))
    assert [*told, holder.is_held(path)] == [False, True, False]


def test_where_the_kernel_tells_of_no_locks_a_run_is_taken_to_be_at_work(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, 1)
    monkeypatch.setattr(holder, "_PROC", path.with_name("none"))
    assert holder.is_held(path)


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


NUMBERS = [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_after_a_failed_append_nothing_more_is_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """Whatever is wrong with the disk: a clear error, and not one byte more from this process."""
    fill(path, 1)
    book = Journal(path, FixedClock())

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with book.lock():
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            with pytest.raises(errors.CannotRecordError, match=os.strerror(number)) as caught:
                book.append("step_started", step=1)
        before = path.read_bytes()
        with pytest.raises(errors.CannotRecordError, match="an earlier record"):
            book.append("step_started", step=1)
    with pytest.raises(errors.CannotRecordError, match="an earlier record"), book.lock():
        pass
    assert (caught.value.exit_code, path.read_bytes()) == (6, before)


def test_the_name_of_a_new_journal_is_on_the_disk_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    book = Journal(path, FixedClock())
    with book.lock(), monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(errors.CannotRecordError, match=f"{path.parent}: Input/output error"):
            book.append("run_started")
    with pytest.raises(errors.CannotRecordError, match="an earlier record"), book.lock():
        pass


@pytest.mark.parametrize("call", ["pread", "fstat"])
def test_a_journal_that_cannot_be_read_for_writing_cannot_record(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    fill(path, 1)

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(errors.CannotRecordError, match="Input/output"), Journal(path, StepClock()).lock():
            pass


def test_a_journal_is_read_whole_even_in_small_pieces(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path, 3)
    real = os.pread
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", lambda file, size, at: real(file, min(size, 100), at))
        book = Journal(path, FixedClock())
        with book.lock():
            assert len(book.events) == 3


def test_a_journal_that_cannot_be_opened_cannot_record(tmp_path: Path) -> None:
    with (
        pytest.raises(errors.CannotRecordError, match="No such file or directory; nothing further"),
        Journal(tmp_path / "gone" / "journal.jsonl", FixedClock()).lock(),
    ):
        pass


def test_a_journal_that_is_a_link_is_not_followed(tmp_path: Path, path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.CannotRecordError), Journal(path, FixedClock()).lock():
        pass


# A line that a crash cut off --------------------------------------------------------------------------


def tear(path: Path, cut: int) -> tuple[bytes, bytes]:
    """Write three records, cut the last one; return the whole lines and what is left of the last."""
    lines = fill(path, 3)
    whole, torn = b"".join(lines[:2]), lines[2][:cut]
    path.write_bytes(whole + torn)
    return whole, torn


@pytest.mark.parametrize("cut", [1, 30, 200, -1])
def test_the_next_writer_puts_a_record_in_the_place_of_a_torn_last_line(path: Path, cut: int) -> None:
    whole, torn = tear(path, cut)
    book = Journal(path, StepClock())
    with book.lock():
        assert (book.events[-1].name, book.events[-1].fields) == ("torn_line_dropped", {"bytes": len(torn)})
        book.append("step_finished", step=3)
    lines = path.read_bytes().splitlines(keepends=True)
    assert b"".join(lines[:2]) == whole
    assert [event.name for event in journal.read(path)][2:] == ["torn_line_dropped", "step_finished"]
    assert [event.name for event in book.events] == [event.name for event in journal.read(path)]


@pytest.mark.parametrize("size", [1, 50, 150, 5000])
def test_bytes_that_are_no_text_at_all_are_a_torn_line_too(path: Path, size: int) -> None:
    """After a power cut some file systems leave zeros where nothing was written yet."""
    whole = b"".join(fill(path, 2))
    path.write_bytes(whole + b"\0" * size)
    with Journal(path, StepClock()).lock():
        pass
    assert journal.read(path)[-1].fields == {"bytes": size}


@pytest.mark.parametrize("size", [10, 2000])
def test_a_crash_while_a_torn_line_is_dropped_leaves_one_to_drop(
    path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """At every call: either the torn line still stands there, or the record of it does."""
    whole = b"".join(fill(path, 2))
    torn = b'{"' + b"x" * size
    for call in ("write", "ftruncate", "fsync", "none"):
        path.write_bytes(whole + torn)

        def fail(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patched:
            if call != "none":
                patched.setattr(os, call, fail)
                with pytest.raises(errors.CannotRecordError), Journal(path, StepClock()).lock():
                    pass
        left = journal.torn_bytes(path)
        dropped = [event.name for event in journal.read(path)].count("torn_line_dropped")
        assert left or dropped
        with Journal(path, StepClock()).lock():
            pass
        assert (journal.torn_bytes(path), journal.read(path)[-1].name) == (0, "torn_line_dropped")


def test_a_crash_while_a_torn_line_is_dropped_harms_nothing_wherever_that_line_was_torn(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the torn line then stands behind the record of it, and may look like anything."""
    parts = [{"host": f"pc{at:02d}", "sha256": f"{at:064x}", "seconds": 1234567890 + at} for at in range(12)]
    whole = b"".join(fill(path, 2))
    book = Journal(path, StepClock())
    with book.lock():
        book.append("action_finished", step=1, parts=parts, disturbed=[], note='1, "2", {3}')
    torn = path.read_bytes()[len(whole) :]
    assert len(torn) > 1000

    for size in range(1, len(torn)):
        path.write_bytes(whole + torn[:size])
        with monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", _fail)
            with pytest.raises(errors.CannotRecordError), Journal(path, StepClock()).lock():
                pass
        with Journal(path, StepClock()).lock():
            pass
        assert (journal.torn_bytes(path), journal.read(path)[-1].name) == (0, "torn_line_dropped"), size


def _fail(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_record_of_a_torn_line_that_is_taken_only_in_part_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tear(path, 30)
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:10]))
        with pytest.raises(errors.CannotRecordError, match="only a part"), Journal(path, StepClock()).lock():
            pass
    with Journal(path, StepClock()).lock():
        pass
    assert journal.read(path)[-1].name == "torn_line_dropped"


def test_a_run_whose_first_record_was_cut_off_was_never_begun(path: Path) -> None:
    path.write_bytes(fill(path, 1)[0][:50])
    with pytest.raises(errors.VerificationError, match="never begun"), Journal(path, FixedClock()).lock():
        pass


@pytest.mark.parametrize("end", [b"\0", b" ", b"x", b"{"])
def test_a_whole_record_with_something_else_than_its_line_end_is_refused(path: Path, end: bytes) -> None:
    """No crash leaves that: somebody may have relied on this record."""
    lines = fill(path, 3)
    damaged = b"".join(lines)[:-1] + end
    path.write_bytes(damaged)
    with pytest.raises(errors.VerificationError, match=r"journal.jsonl:3: a whole record .* damaged"):
        journal.read(path)
    with pytest.raises(errors.VerificationError, match="damaged"), Journal(path, FixedClock()).lock():
        pass
    assert path.read_bytes() == damaged


def test_a_torn_line_in_the_middle_is_refused(path: Path) -> None:
    lines = fill(path, 3)
    assert refused(path, [lines[0], lines[1][:40], lines[2]]).startswith("journal.jsonl:2: ")
    assert refused(path, [lines[0], lines[1][:40] + b"\n", lines[2]]).startswith("journal.jsonl:2: ")


def test_a_torn_last_line_is_told_with_its_number_and_length(path: Path) -> None:
    _, torn = tear(path, 40)
    assert journal.torn_bytes(path) == len(torn)
    with pytest.raises(errors.VerificationError, match=r"journal.jsonl:3: .* after 40 bytes"):
        list(journal.parse(path.read_bytes(), path.name))


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
