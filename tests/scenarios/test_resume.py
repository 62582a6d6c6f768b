"""Resuming after anything: a crash after any line of the journal, an interrupt, a full or broken disk."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner import errors, journal
from runner.canonical import sha256_hex
from runner.engine import Closed, Waiting
from runner.executors import processes
from runner.executors.base import ActionRequest
from runner.journal import Journal
from runner.verify import check_run
from runner.workspace import RunFolder
from scenarios.conftest import SURAKARTA_APPROVED, MakeOffice
from scenarios.office import Decisions, Office, parts_finished, rows_finished

# A crash after every line of the journal --------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """A run that was gone through to the end once, to be cut after any of its lines."""

    office: Office
    folder: RunFolder
    decisions: Decisions
    lines: list[bytes]


@dataclass(frozen=True)
class Resumed:
    """The run cut after its ``kept``-th line, and what resuming it came to."""

    kept: int
    office: Office
    folder: RunFolder
    end: Closed | Waiting | Exception

    def __str__(self) -> str:
        last = json.loads(self.folder.journal.read_bytes().splitlines()[self.kept - 1])
        return f"crash after line {self.kept}, {last['event']} of row {last.get('step')}"


def tell(office: Office, plan: int, test: int, decisions: Decisions) -> Told:
    """Go through a run with much in it: a host out of reach, one that fails its tests, work sent back."""
    script(office, plan, test)
    folder = office.start()
    closed = office.go_on(folder, decisions)
    assert isinstance(closed, Closed)
    return Told(office, folder, decisions, folder.journal.read_bytes().splitlines(keepends=True))


def script(office: Office, plan: int, test: int) -> None:
    office.playbooks.answer(plan, "1", {"file1": "unreachable"})
    office.suites.answer(test, "1", {"web2": "failed"})


def cut(told: Told, tree: Path, kept: int, *, torn: bool) -> Office:
    """Return the office as a crash left it after ``kept`` lines of the journal.

    ``torn``: half a line stands after them, and the files of the lost lines are there. Otherwise those
    files are gone, as after a power cut.
    """
    office = told.office.copy(tree)
    folder = RunFolder(office.workspace.runs / told.folder.name)
    if not torn:
        for path in set(files_of(told.lines)) - set(files_of(told.lines[:kept])):
            (folder.path / path).unlink()
    rest = told.lines[kept] if torn and kept < len(told.lines) else b""
    folder.journal.write_bytes(b"".join(told.lines[:kept]) + rest[: len(rest) // 2])
    return office


def files_of(lines: list[bytes]) -> Iterator[str]:
    """Yield every file that lines of a journal name."""
    for path, _ in digests_of([json.loads(line) for line in lines]):
        yield path


def digests_of(value: object) -> Iterator[tuple[str, str]]:
    """Yield (path, sha256) wherever both stand together."""
    if isinstance(value, dict):
        if {"path", "sha256"} <= set(value):
            yield value["path"], value["sha256"]
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from digests_of(item)


def resume_all(told: Told, tree: Path, plan: int, test: int, *, torn: bool) -> Iterator[Resumed]:
    for kept in range(1, len(told.lines) + 1):
        office = cut(told, tree / str(kept), kept, torn=torn)
        script(office, plan, test)
        folder = RunFolder(office.workspace.runs / told.folder.name)
        try:
            yield Resumed(kept, office, folder, office.go_on(folder, told.decisions, resumed=True))
        except Exception as error:  # noqa: BLE001 - told by the test, with the line it happened after
            yield Resumed(kept, office, folder, error)


Runs = tuple[Told, list[Resumed]]


@pytest.fixture(
    scope="module",
    params=[
        "contoh, later files gone",
        "contoh, torn line, later files there",
        "surakarta, later files gone",
    ],
)
def runs(
    request: pytest.FixtureRequest, quick_dir: Path, root: Path, data: Path, make_office: MakeOffice
) -> Iterator[Runs]:
    """Return a run told to its end, and what it came to after a crash at each of its lines."""
    tree = Path(tempfile.mkdtemp(dir=quick_dir))
    if request.param.startswith("contoh"):
        sop, plan, test = data / "contoh-pemeriksaan.yml", 1, 4
        decisions: Decisions = {2: ["periksa ulang", "disetujui"]}
    else:
        sop, plan, test = root / "sops" / "surakarta-system-update.yml", 2, 8
        decisions = {**SURAKARTA_APPROVED, 10: ["perlu perbaikan", "sesuai"]}
    told = tell(make_office(tree / "told", sop), plan, test, decisions)
    yield told, list(resume_all(told, tree, plan, test, torn="torn" in request.param))
    shutil.rmtree(tree)


def test_after_any_crash_the_run_closes(runs: Runs) -> None:
    told, resumed = runs
    ends = {str(run): run.end for run in resumed}
    assert {crash: end for crash, end in ends.items() if not isinstance(end, Closed)} == {}
    assert len(ends) == len(told.lines)


def test_after_any_crash_the_rows_are_the_same(runs: Runs) -> None:
    told, resumed = runs
    expected = rows_finished(told.folder)
    assert {
        str(run): rows_finished(run.folder) for run in resumed if rows_finished(run.folder) != expected
    } == {}


def test_after_any_crash_the_work_is_the_same(runs: Runs) -> None:
    told, resumed = runs
    expected = parts_finished(told.folder)
    assert {
        str(run): parts_finished(run.folder) for run in resumed if parts_finished(run.folder) != expected
    } == {}


def test_after_any_crash_no_line_is_lost_and_so_no_decision(runs: Runs) -> None:
    told, resumed = runs
    lost = [
        str(r)
        for r in resumed
        if not r.folder.journal.read_bytes().startswith(b"".join(told.lines[: r.kept]))
    ]
    assert lost == []


def test_after_any_crash_every_file_is_what_the_journal_says(runs: Runs) -> None:
    _, resumed = runs
    wrong = [
        f"{run}: {path}"
        for run in resumed
        for event in journal.read(run.folder.journal)
        for path, sha256 in digests_of(event.fields)
        if sha256_hex((run.folder.path / path).read_bytes()) != sha256
    ]
    assert wrong == []


def test_after_any_crash_the_record_passes_the_check_of_an_auditor(runs: Runs) -> None:
    told, resumed = runs
    check_run(told.folder)
    wrong = {}
    for run in resumed[::3]:  # the check takes longer than the run; the files are compared at every line
        try:
            check_run(run.folder)
        except errors.VerificationError as error:
            wrong[str(run)] = str(error)
    assert wrong == {}


def test_after_any_crash_no_part_that_ended_is_done_again(runs: Runs) -> None:
    told, resumed = runs
    again = []
    for run in resumed:
        ended = {
            (event["step"], event["attempt"], event["part"])
            for event in map(json.loads, told.lines[: run.kept])
            if event["event"] == "action_finished"
        }
        asked = [*run.office.playbooks.done, *run.office.suites.done]
        again += [f"{run}: {part}" for *part, _ in asked if tuple(part) in ended]
    assert again == []


def test_a_crash_before_the_first_line_leaves_no_run(contoh: Office) -> None:
    folder = contoh.start()
    folder.journal.write_bytes(folder.journal.read_bytes()[:50])
    with pytest.raises(errors.VerificationError, match=r"journal\.jsonl: holds no record"):
        contoh.engine(folder)


# Stopped on purpose -----------------------------------------------------------------------------------


def interrupt(_request: ActionRequest) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_during_an_action_is_recorded(contoh: Office) -> None:
    folder = contoh.start()
    contoh.playbooks.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        contoh.go_on(folder, {})
    assert [event.name for event in journal.read(folder.journal)][-2:] == [
        "action_started",
        "run_interrupted",
    ]


def test_after_ctrl_c_the_same_attempt_goes_on(contoh: Office) -> None:
    folder = contoh.start()
    contoh.playbooks.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        contoh.go_on(folder, {})
    contoh.playbooks.before = lambda _request: None
    contoh.go_on(folder, {}, resumed=True)
    assert [(step, attempt) for step, attempt, _, _ in contoh.playbooks.done] == [(1, 1), (1, 1)]


def test_every_try_of_a_part_gets_a_scratch_folder_of_its_own(contoh: Office) -> None:
    folder = contoh.start()
    contoh.playbooks.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        contoh.go_on(folder, {})
    contoh.playbooks.before = lambda _request: None
    contoh.go_on(folder, {}, resumed=True)
    assert len({request.work for request in contoh.playbooks.requests}) == 2


def test_ctrl_c_while_a_line_is_written_leaves_a_journal_that_fits(
    contoh: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = contoh.start()
    real = os.fsync

    def sync_then_interrupt(descriptor: int) -> None:
        real(descriptor)
        if Path(f"/proc/self/fd/{descriptor}").readlink() == folder.journal:
            monkeypatch.setattr(os, "fsync", real)
            os.kill(os.getpid(), signal.SIGINT)

    contoh.playbooks.before = lambda _request: monkeypatch.setattr(os, "fsync", sync_then_interrupt)
    # The kernel gives the signal to any thread: one that is masked does not keep it from this process.
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            contoh.go_on(folder, {})
    finally:
        over.set()
        thread.join()
    told = [event.name for event in journal.read(folder.journal)]
    assert told[-3:] == ["action_started", "action_finished", "run_interrupted"]


def test_a_run_that_another_process_works_on_is_not_resumed(contoh: Office) -> None:
    folder = contoh.start()
    with (
        Journal(folder.journal, contoh.clock).lock(),
        pytest.raises(errors.InputError, match="another process"),
    ):
        contoh.go_on(folder, {}, resumed=True)


def test_resume_beside_a_living_runner_leaves_its_processes_alone(contoh: Office) -> None:
    folder = contoh.start()
    mark = {processes.MARK: processes.mark(folder.work / "1-1-1-1")}
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], env={**os.environ, **mark}, stdin=subprocess.PIPE
    )
    try:
        with Journal(folder.journal, contoh.clock).lock(), pytest.raises(errors.InputError):
            contoh.go_on(folder, {}, resumed=True)
        assert child.poll() is None
    finally:
        child.communicate(b"\n")


def test_resume_ends_what_a_killed_runner_left_working(contoh: Office) -> None:
    folder = contoh.start()
    mark = {processes.MARK: processes.mark(folder.work / "1-1-1-1")}
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], env={**os.environ, **mark}, stdin=subprocess.PIPE
    )
    try:
        contoh.go_on(folder, {}, resumed=True)
        assert child.wait(timeout=10) < 0
    finally:
        child.kill()
        child.communicate()


# Cannot record means do not act -----------------------------------------------------------------------


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow past ``size`` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 100])
def test_when_the_disk_takes_no_more_nothing_is_acted_on(contoh: Office, room: int) -> None:
    folder = contoh.start()
    engine = contoh.engine(folder)
    with file_size_limit(folder.journal.stat().st_size + room), pytest.raises(errors.CannotRecordError):
        engine.run()
    assert contoh.playbooks.requests == []


def test_after_room_was_made_the_run_goes_on(contoh: Office) -> None:
    folder = contoh.start()
    engine = contoh.engine(folder)
    with file_size_limit(folder.journal.stat().st_size + 100), pytest.raises(errors.CannotRecordError):
        engine.run()
    assert isinstance(contoh.go_on(folder, {2: ["disetujui"]}, resumed=True), Closed)


class Disk:
    """Counts the fsyncs of this process and fails the n-th, as a broken disk would."""

    def __init__(self, fail: int) -> None:
        self.count = 0
        self.failed = False
        self._fail = fail
        self._real = os.fsync

    def fsync(self, descriptor: int) -> None:
        self.count += 1
        if self.count == self._fail:
            self.failed = True
            raise OSError(5, "Input/output error")
        self._real(descriptor)


def test_any_fsync_that_fails_ends_the_process_before_anything_more_is_done(
    quick_dir: Path, data: Path, make_office: MakeOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    acted_on = []
    for number in range(1, 1000):
        office = make_office(quick_dir / f"disk-{number}", data / "contoh-pemeriksaan.yml")
        office.hosts = ("web1", "db1")
        folder = office.start()
        disk = Disk(number)

        def note(request: ActionRequest, disk: Disk = disk) -> None:
            if disk.failed:
                acted_on.append((disk.count, request.step, request.part))

        office.playbooks.before = office.suites.before = note
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", disk.fsync)
            try:
                office.go_on(folder, {2: ["disetujui"]})
            except errors.CannotRecordError:
                assert disk.failed
        shutil.rmtree(office.root)
        if not disk.failed:
            break  # the whole run was gone through without the failure: every position has been tried
    assert number > 50
    assert acted_on == []
