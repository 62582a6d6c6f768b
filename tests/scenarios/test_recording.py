"""What cannot be recorded is not done: no space, a disk that refuses, a line that a crash cut off."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from runner import errors, files, journal, timing, verify
from runner.engine import Waiting
from runner.workspace import RunFolder
from scenarios.office import Office, events_of

MIB = 1024 * 1024
APPROVED = {2: ["disetujui"]}


def test_what_stands_after_a_run_s_last_record_is_refused_not_healed(
    closed_run: RunFolder, surakarta: Office
) -> None:
    """Nothing is appended to a closed run, so no crash leaves half a line there."""
    whole = closed_run.journal.read_bytes()
    closed_run.journal.write_bytes(whole + b'{"at"')
    with pytest.raises(errors.VerificationError, match="5 bytes stand after the run's last record"):
        surakarta.go_on(closed_run, {}, resumed=True)
    assert closed_run.journal.read_bytes() == whole + b'{"at"'


def test_a_run_is_not_started_without_the_space_to_record_it(contoh: Office) -> None:
    contoh.free_bytes = 73 * MIB
    with pytest.raises(errors.CannotRecordError, match=r"runs: 73 MiB are free, 74 MiB are needed") as caught:
        contoh.start()
    assert (caught.value.exit_code, contoh.workspace.runs.exists()) == (6, False)


def test_nothing_is_begun_on_hosts_when_the_space_has_run_out(contoh: Office) -> None:
    """The check comes before the announcement: nothing stands in the journal that was not done."""
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.decide(folder, "disetujui", "kabid")
    done = len(contoh.playbooks.done)
    contoh.free_bytes = 64 * MIB
    with pytest.raises(
        errors.CannotRecordError, match="64 MiB are free, 66 MiB are needed; nothing was begun"
    ):
        contoh.go_on(folder, {}, resumed=True)
    assert (len(contoh.playbooks.done), journal.read(folder.journal)[-1].name) == (done, "step_started")

    contoh.free_bytes = 1 << 40
    contoh.go_on(folder, {}, resumed=True)
    assert len(contoh.playbooks.done) > done


def test_the_archives_file_system_is_looked_at_too(contoh: Office) -> None:
    folder = contoh.start()
    asked: list[Path] = []
    engine = contoh.engine(folder)

    def free(path: Path) -> int:
        asked.append(path)
        return 0 if path == contoh.workspace.archive else 1 << 40

    object.__setattr__(engine._tools, "free_bytes", free)
    with pytest.raises(errors.CannotRecordError, match="archive: 0 MiB are free"):
        engine.run()
    assert asked == [folder.path, contoh.workspace.archive]


def test_free_space_is_asked_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    told = os.statvfs(tmp_path)
    free = files.free_bytes(tmp_path / "not" / "there")
    assert abs(free - told.f_bavail * told.f_frsize) < 1024 * MIB


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE])
@pytest.mark.parametrize("call", ["open", "fsync", "write", "mkdir", "replace"])
def test_a_run_that_cannot_record_stops_before_the_next_act(
    contoh: Office, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """From some moment on the disk takes nothing: the act under way is not told, and no other is begun."""
    folder = contoh.start()

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "x")

    with monkeypatch.context() as patched:
        contoh.playbooks.before = lambda _request: patched.setattr(os, call, fail)
        with pytest.raises(errors.CannotRecordError, match=os.strerror(number)) as caught:
            contoh.go_on(folder, APPROVED)
    assert (caught.value.exit_code, len(contoh.playbooks.done)) == (6, 1)
    assert "rawat resume" in caught.value.hint

    contoh.playbooks.before = lambda _request: None
    contoh.go_on(folder, APPROVED, resumed=True)
    assert events_of(folder, "run_finished") == [{"outcome": "completed", "step": 4, "reason": ""}]


def test_no_half_written_file_takes_space_after_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(errors.CannotRecordError, match="No space left"):
        files.write_once(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


# A torn last line -------------------------------------------------------------------------------------


def test_a_run_with_a_torn_line_goes_on_and_says_what_was_dropped(contoh: Office) -> None:
    """Torn at every record: the run comes to its end, and verifies."""
    whole = contoh.start()
    contoh.go_on(whole, APPROVED)
    count = len(journal.read(whole.journal))
    for kept in range(1, count):
        office = contoh.copy(contoh.root.with_name(f"torn-{kept}"))
        folder = office.workspace.run_folder(whole.name)
        lines = folder.journal.read_bytes().splitlines(keepends=True)
        torn = lines[kept][: (1, 40, -1)[kept % 3]]
        folder.journal.write_bytes(b"".join(lines[:kept]) + torn)
        office.go_on(folder, APPROVED, resumed=True)
        events = journal.read(folder.journal)
        assert (events[kept].name, events[kept]["bytes"]) == ("torn_line_dropped", len(torn))
        assert events[-1].name == "run_finished"
        verify.check_run(folder)


def test_time_in_which_nobody_was_at_work_after_a_crash_is_waiting_time(contoh: Office) -> None:
    folder = contoh.start()
    contoh.playbooks.before = lambda _request: (_ for _ in ()).throw(SystemExit)
    with pytest.raises(SystemExit):
        contoh.go_on(folder, {})
    with folder.journal.open("ab") as stream:
        stream.write(b'{"at":"20')
    contoh.clock.advance(3600)
    contoh.playbooks.before = lambda _request: None
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Waiting)
    first = timing.step_times(contoh.sop, journal.read(folder.journal))[0]
    assert (first.waiting >= 3600, first.work < 60) == (True, True)


def test_a_torn_line_cannot_be_told_after_the_end(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, APPROVED)
    book = journal.Journal(folder.journal, contoh.clock)
    with book.lock():
        book.append("torn_line_dropped", bytes=3)
    with pytest.raises(errors.VerificationError, match=r"torn_line_dropped .* is out of order"):
        verify.check_run(folder)


def test_a_torn_decision_leaves_the_gate_open_for_the_next(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    with folder.journal.open("ab") as stream:
        stream.write(b'{"at":"2026')
    contoh.decide(folder, "disetujui", "kabid")
    names = [json.loads(line)["event"] for line in folder.journal.read_bytes().splitlines()]
    assert names[-3:] == ["gate_opened", "torn_line_dropped", "decision_made"]
    contoh.go_on(folder, {}, resumed=True)
    verify.check_run(folder)
