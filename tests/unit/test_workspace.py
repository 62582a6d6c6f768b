"""Which run is meant: the newest that was begun, or the one that is named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runner import errors
from runner.files import cannot_record, require_reserve
from runner.workspace import Workspace


@pytest.fixture(name="workspace")
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("RAWAT_RUNS", str(tmp_path / "runs"))
    return Workspace(tmp_path)


def make_run(workspace: Workspace, name: str, journal: bytes) -> None:
    (workspace.runs / name).mkdir(parents=True)
    (workspace.runs / name / "journal.jsonl").write_bytes(journal)


@pytest.mark.parametrize("journal", [b"", b'{"seq":1,"cut'])
def test_a_run_killed_before_its_first_record_is_not_the_newest(workspace: Workspace, journal: bytes) -> None:
    make_run(workspace, "one", b"{}\n")
    make_run(workspace, "two", journal)
    assert workspace.run_folder(None).name == "one"


def test_a_run_killed_before_its_first_record_is_named_as_never_begun(workspace: Workspace) -> None:
    make_run(workspace, "one", b"")
    with pytest.raises(errors.InputError, match="one was cut off before its first record: nothing was begun"):
        workspace.run_folder("one")


def test_a_run_that_is_not_there_is_told_as_such(workspace: Workspace) -> None:
    with pytest.raises(errors.InputError, match="there is no run 'one'"):
        workspace.run_folder("one")


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_no_run(workspace: Workspace, name: str) -> None:
    make_run(workspace, "one", b"{}\n")
    with pytest.raises(errors.InputError, match="the run is empty"):
        workspace.run_folder(name)


def test_of_a_folder_that_is_no_run_nobody_is_told_to_remove_it(workspace: Workspace, tmp_path: Path) -> None:
    make_run(workspace, "one", b"")
    archive = tmp_path / "archive" / "2026" / "one"
    archive.mkdir(parents=True)
    for folder in (archive, workspace.runs, tmp_path):
        with pytest.raises(errors.InputError, match="there is no run") as caught:
            workspace.run_folder(str(folder))
        assert "removed" not in caught.value.hint


def test_a_run_that_cannot_be_looked_at_is_not_one_that_is_not_there(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(workspace, "one", b"{}\n")
    real = Path.stat

    def refused(path: Path, **settings: bool) -> os.stat_result:
        if path.name == "journal.jsonl":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, **settings)

    monkeypatch.setattr(Path, "stat", refused)
    for ask in (workspace.run_folders, lambda: workspace.run_folder(None)):
        with pytest.raises(errors.InputError, match="it is not known which runs are open"):
            ask()


def test_to_go_on_with_a_run_is_advised_only_where_one_was_begun(tmp_path: Path) -> None:
    with pytest.raises(errors.CannotRecordError) as caught:
        require_reserve(tmp_path, 0, 1)
    for hint in (cannot_record(tmp_path / "sop.pdf", "no space").hint, caught.value.hint):
        assert hint.endswith("then the same command again, or 'rawat resume' where a run was begun")
