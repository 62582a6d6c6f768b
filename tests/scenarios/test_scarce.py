"""No file descriptor is left on the controller: a clear error, and the run goes on later. Row 10."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from unit.record_builder import APPROVED, make_keys, make_office

from runner import errors, journal, verify
from runner.engine import Closed


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
