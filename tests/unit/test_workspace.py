"""Which run is meant: the newest that was begun, or the one that is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import errors
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
