"""A record of another format, older or newer, is refused by every command in one line and left as it is."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from runner import archive, bag, cli, errors, verify
from runner.run_check import checked_run
from scenarios.forgery import chained, read_journal
from scenarios.office import Office

OLD = Path(__file__).parents[1] / "data" / "run-format-1" / "2026-11-21-contoh-arsip-1"
COMMANDS = [
    ["status"],
    ["status", "--json"],
    ["resume"],
    ["decide", "--outcome", "setuju", "--official", "kepala"],
    ["documents"],
    ["archive"],
    ["verify"],
    ["break-lock", "--official", "kepala", "--reason", "why"],
]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a run that waits at a gate, as version 0.1.0 left it in format 1."""
    return Path(shutil.copytree(OLD, tmp_path / "runs" / OLD.name))


@pytest.fixture
def newer(contoh: Office, tmp_path: Path) -> Path:
    """Return a run of a later version: another format, with events and fields that nobody here knows."""
    folder = contoh.start()
    contoh.go_on(folder, {})
    records = read_journal(folder.path)
    records[0] |= {"format": 3, "versions": {"rawat": "9.0"}, "inventory": ["other", "shape"]}
    records.append({**records[-1], "event": "weather_seen", "sky": "blue"})
    copy = Path(shutil.copytree(folder.path, tmp_path / "runs" / folder.name))
    (copy / "journal.jsonl").write_bytes(chained(records))
    return copy


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def told(
    run: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Return what a command says of the run, having ended with exit code 2 and left it as it was."""
    before = content(run)
    monkeypatch.setenv("RAWAT_RUNS", str(run.parent))
    monkeypatch.setenv("RAWAT_ARCHIVE", str(run.parent.parent / "archive"))
    monkeypatch.setattr(sys, "argv", ["rawat", command[0], run.name, *command[1:]])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, content(run)) == (2, before)
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command[:2]) for command in COMMANDS])
def test_an_older_record_is_refused_by_every_command(
    old: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(old, command, monkeypatch, capsys)
    assert f"the record of {old.name} is of format 1, this Rawat reads format 2; nothing was done" in said
    assert "use the version of Rawat that made it: 0.1.0" in said


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command[:2]) for command in COMMANDS])
def test_a_newer_record_is_refused_by_every_command(
    newer: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(newer, command, monkeypatch, capsys)
    assert "is of format 3, this Rawat reads format 2" in said
    assert "use the version of Rawat that made it: 9.0" in said


def test_a_sealed_record_of_another_format_is_refused_too(old: Path, tmp_path: Path) -> None:
    """Its bytes are as they were sealed, so it is not damaged; what it says is for its own version."""
    bagged = tmp_path / "2026" / old.name
    bagged.mkdir(parents=True)
    shutil.copytree(old, bagged / "data")
    payload = sorted(str(path.relative_to(bagged)) for path in (bagged / "data").rglob("*") if path.is_file())
    (bagged / bag.BAGIT).write_bytes(bag.BAGIT_TEXT)
    (bagged / bag.BAG_INFO).write_text("Rawat-Version: 0.1.0\n")
    for name, listed in (
        (bag.MANIFEST, payload),
        (bag.TAG_MANIFEST, [bag.BAG_INFO, bag.BAGIT, bag.MANIFEST]),
    ):
        lines = [f"{hashlib.sha256((bagged / path).read_bytes()).hexdigest()}  {path}\n" for path in listed]
        (bagged / name).write_text("".join(lines))
    with pytest.raises(errors.InputError, match="is of format 1, this Rawat reads format 2"):
        verify.verify(bagged)


def test_an_old_open_run_still_holds_its_hosts(old: Path, contoh: Office) -> None:
    """Before an upgrade it was started over web1 and db1; until it is closed nobody else touches them."""
    shutil.copytree(old, contoh.workspace.runs / old.name)
    with pytest.raises(
        errors.InputError, match=f"run {old.name} of Nama petugas, at row 2, .* has web1, db1|db1, web1"
    ):
        contoh.start()


def test_a_format_that_is_no_number_is_damage(old: Path) -> None:
    records = read_journal(old)
    records[0]["format"] = "1"
    (old / "journal.jsonl").write_bytes(chained(records))
    with pytest.raises(errors.VerificationError, match="run_started: format"):
        checked_run(archive.RunFolder(old))
