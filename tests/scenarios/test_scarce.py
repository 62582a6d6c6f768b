"""Nothing is left of files, processes or memory: a clear error, and the run goes on later. Row 10."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from unit.record_builder import APPROVED, make_keys, make_office

from runner import errors, journal, verify
from runner.engine import Closed

OTHER = pwd.getpwnam("games").pw_uid
"""A user with no process on this machine: the limit of processes counts them all, and does not bind root."""
ENDED, REFUSED = 0, 6


@pytest.fixture(scope="module", name="keys")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("office") / "keys")


@contextmanager
def open_files(number: int) -> Iterator[None]:
    """Let this process open no more than ``number`` files with the lowest free numbers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    # New files get the lowest free numbers; those from the limit on are refused.
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("number", range(0, 10, 3))
def test_without_file_descriptors_the_run_stops_and_goes_on_later(
    number: int, keys: Path, tmp_path: Path
) -> None:
    office = make_office(tmp_path / "tree", keys)
    folder = office.start()
    try:
        with open_files(number):
            office.go_on(folder, APPROVED)
        stopped = False
    except (errors.RawatError, OSError):
        stopped = True
    before = [event.digest for event in journal.read(folder.journal)]

    if stopped:
        assert isinstance(office.go_on(folder, APPROVED, resumed=True), Closed)

    assert [event.digest for event in journal.read(folder.journal)][: len(before)] == before
    verify.check_run(folder)
    assert stopped or number > 2


@pytest.fixture(name="place")
def _place() -> Iterator[Path]:
    """Give a folder that another user can reach, which pytest's own are not."""
    place = Path(tempfile.mkdtemp(prefix="rawat-scarce-"))
    yield place
    shutil.rmtree(place)


def limited(work: Callable[[], object], limit: int, most: int) -> int:
    """Do ``work`` in a process of another user with a limit; return how it ended."""

    def child() -> None:
        os.setgroups([])
        os.setgid(OTHER)
        os.setuid(OTHER)
        resource.setrlimit(limit, (most, most))
        try:
            work()
        except (errors.RawatError, OSError, MemoryError, AssertionError):
            # The last is the test office's: a decision was refused, as when ssh-keygen could not be started.
            os._exit(REFUSED)
        os._exit(ENDED)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode in {ENDED, REFUSED}, process.exitcode
    return process.exitcode


def own_all(place: Path) -> None:
    for path in (place, *place.rglob("*")):
        os.chown(path, OTHER, OTHER)


@pytest.mark.parametrize("most", [1, 2])
def test_without_processes_the_run_stops_and_goes_on_later(most: int, place: Path) -> None:
    require_intact(place, resource.RLIMIT_NPROC, most, refused=most == 1)


@pytest.mark.parametrize("mebibytes", [1, 8, 64])
def test_without_memory_the_run_stops_and_goes_on_later(mebibytes: int, place: Path) -> None:
    require_intact(place, resource.RLIMIT_AS, mebibytes * 1024**2, refused=mebibytes == 1)


def require_intact(place: Path, limit: int, most: int, *, refused: bool) -> None:
    """Let a run go on under a limit: whatever became of it, the record is whole, and it ends without one."""
    office = make_office(place / "tree", make_keys(place / "keys"))
    folder = office.start()
    own_all(place)

    ended = limited(lambda: office.go_on(folder, APPROVED), limit, most)

    before = [event.digest for event in journal.read(folder.journal)]
    assert ended == REFUSED or not refused
    if ended == REFUSED:
        assert isinstance(office.go_on(folder, APPROVED, resumed=True), Closed)
    assert [event.digest for event in journal.read(folder.journal)][: len(before)] == before
    verify.check_run(folder)
