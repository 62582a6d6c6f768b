"""At every gate a checkpoint leaves the machine, and by it an archive that was put back is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from runner import archive, errors, journal, record, sealing, verify
from runner.archive_settings import Place, parse_archive_settings
from runner.engine import Engine, Waiting
from runner.outside import Outside
from runner.source import SourceError
from runner.workspace import RunFolder
from scenarios.office import Office

SFTP = """\
#!/bin/sh
# Stands for sftp and its server: notes how it was called, and does what the batch says below $HOME/host.
echo "$@" >> "$HOME/calls"
cd "$HOME/host" || exit 255
while read -r what from to; do
  from=$(echo "$from" | tr -d '"'); to=$(echo "$to" | tr -d '"')
  case $what in
    -get) cp "$from" "$to" 2>/dev/null || true ;;
    put) cp "$from" "$to" || exit 1 ;;
    rm) rm -f "$from" ;;
    rename) [ ! -e "$to" ] && mv "$from" "$to" || exit 1 ;;
    *) exit 1 ;;
  esac
done
"""


def engine_of(office: Office, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, settings: str) -> Engine:
    """Return an engine whose checkpoints go as the office's archive.yml says."""
    (office.root / "archive.yml").write_text(settings, encoding="utf-8")
    monkeypatch.delenv("RAWAT_ARCHIVE", raising=False)
    engine = office.engine(folder)
    leave = lambda waiting: sealing.leave_checkpoint(office.workspace, waiting)  # noqa: E731 - as the program
    object.__setattr__(engine._tools, "checkpoint", leave)
    return engine


def points(place: Path) -> Sequence[Path]:
    return sorted(place.glob("*.checkpoint"))


def test_at_a_gate_a_checkpoint_of_run_and_register_has_left(
    contoh: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "second-disk"
    place.mkdir()
    folder = contoh.start()
    stop = engine_of(contoh, folder, monkeypatch, f"checkpoints:\n  - directory: {place}\n").run()

    assert isinstance(stop, Waiting)
    (point,) = points(place)
    events = journal.read(folder.journal)
    said = json.loads(point.read_bytes().splitlines()[0])
    assert {"run": folder.name, "records": len(events), "head": events[-1].digest} == said["run"]
    assert events[-1].name == "gate_opened"
    assert verify.verify(folder.path, Outside((place,))).held.checkpoints == 1
    # The keys of an archive say nothing of a run: whoever gives them is not to think that they were asked.
    with pytest.raises(errors.InputError, match="--signers are the keys of an archive"):
        verify.verify(folder.path, Outside((place,), signers=place))


def test_a_journal_rewritten_since_its_gate_is_not_what_the_checkpoint_knows(
    contoh: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "second-disk"
    place.mkdir()
    other = contoh.copy(tmp_path / "other")
    folder = contoh.start()
    engine_of(contoh, folder, monkeypatch, f"checkpoints:\n  - directory: {place}\n").run()
    shutil.rmtree(folder.path)
    made_up = other.start()
    other.go_on(made_up, {})
    shutil.copytree(made_up.path, folder.path)

    assert verify.verify(folder.path).kind == "run"
    with pytest.raises(errors.VerificationError, match=r"^journal.jsonl:\d+: is another record than the one"):
        verify.verify(folder.path, Outside((place,)))


def test_the_same_checkpoint_is_written_once_and_nothing_is_written_over(
    contoh: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "second-disk"
    place.mkdir()
    folder = contoh.start()
    engine = engine_of(contoh, folder, monkeypatch, f"checkpoints:\n  - directory: {place}\n")
    engine.run()
    before = {path: (path.read_bytes(), path.stat().st_ino) for path in place.iterdir()}
    engine.run()

    assert before == {path: (path.read_bytes(), path.stat().st_ino) for path in place.iterdir()}


@pytest.mark.parametrize("lost", ["directory: /nonexistent/mount", "host: rawat@localhost"])
def test_a_place_out_of_reach_stops_the_run_at_its_gate(
    contoh: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sftp").write_text("#!/bin/sh\necho 'no route to host' >&2\nexit 255\n")
    (programs / "sftp").chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    folder = contoh.start()
    engine = engine_of(contoh, folder, monkeypatch, f"checkpoints:\n  - {lost}\n")

    with pytest.raises(errors.CannotRecordError, match="the checkpoint did not get to") as caught:
        engine.run()
    assert (caught.value.exit_code, "rawat resume" in caught.value.hint) == (6, True)
    # The gate is open all the same; nothing behind it was begun.
    assert journal.read(folder.journal)[-1].name == "gate_opened"


def test_a_host_gets_it_by_sftp_whole_or_not_at_all(
    contoh: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, home = tmp_path / "programs", tmp_path / "home"
    (home / "host" / "points").mkdir(parents=True)
    programs.mkdir()
    (programs / "sftp").write_text(SFTP)
    (programs / "sftp").chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(home))
    folder = contoh.start()
    settings = "checkpoints:\n  - host: rawat@arsip.example\n    folder: points\n"
    engine = engine_of(contoh, folder, monkeypatch, settings)
    engine.run()
    engine.run()

    assert [path.name for path in points(home / "host" / "points")] == [
        path.name for path in (home / "host" / "points").iterdir() if path.name != "arsip.signers"
    ]
    assert verify.verify(folder.path, Outside((home / "host" / "points",))).held.checkpoints == 1
    called = (home / "calls").read_text()
    assert "-oBatchMode=yes -oStrictHostKeyChecking=yes" in called
    assert "-- rawat@arsip.example" in called


@pytest.mark.parametrize("by", ["directory", "sftp"])
def test_keys_that_were_exchanged_there_are_told_and_not_written_over(
    contoh: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    programs, place = tmp_path / "programs", tmp_path / "home" / "host" / "points"
    place.mkdir(parents=True)
    programs.mkdir()
    (programs / "sftp").write_text(SFTP)
    (programs / "sftp").chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    to = f"directory: {place}" if by == "directory" else "host: rawat@arsip.example\n    folder: points"
    folder = contoh.start()
    engine = engine_of(contoh, folder, monkeypatch, f"checkpoints:\n  - {to}\n")
    engine.run()
    (place / "arsip.signers").write_text("x\n")
    with pytest.raises(
        errors.CannotRecordError, match=r"it holds another arsip\.signers than this archive's"
    ):
        engine.run()
    assert (place / "arsip.signers").read_text() == "x\n"


def test_after_sealing_a_checkpoint_of_the_register_leaves(
    contoh: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: RunFolder
) -> None:
    place = tmp_path / "second-disk"
    place.mkdir()
    engine_of(contoh, closed, monkeypatch, f"checkpoints:\n  - directory: {place}\n")
    sealed = sealing.seal(contoh.workspace, closed)

    assert len(points(place)) == 1
    assert verify.verify(sealed, Outside((place,))).held.checkpoints == 1
    assert verify.verify(contoh.workspace.archive, Outside((place,))).kind == "register"


@pytest.fixture(name="closed")
def _closed(contoh: Office) -> RunFolder:
    folder = contoh.start()
    contoh.go_on(folder, {2: ["disetujui"]})
    if record.load(folder).state.finished is None:
        contoh.engine(folder).stop("kabid", "Selesai lebih awal")
    shutil.rmtree(contoh.workspace.archive)  # what the fake archive made
    return folder


def test_an_archive_without_register_cannot_be_held_against_a_checkpoint_of_another(
    contoh: Office, tmp_path: Path, closed: RunFolder
) -> None:
    sealed = archive.seal(closed, contoh.workspace.archive)
    alone = Path(shutil.copytree(sealed, tmp_path / "stick" / "a" / "b" / sealed.name))
    head = contoh.workspace.archive / "register.head"
    shutil.copy(head, tmp_path / "x.checkpoint")
    with pytest.raises(errors.InputError, match="cannot be checked"):
        verify.verify(alone, Outside((tmp_path / "x.checkpoint",)))
    shutil.copy(contoh.workspace.archive / "arsip.signers", tmp_path)
    with pytest.raises(errors.InputError, match="says nothing about what is to be checked"):
        verify.verify(alone, Outside((tmp_path / "x.checkpoint",)))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("checkpoints:\n  - directory: mnt/x\n", 2),
        ("checkpoints:\n  - {directory: /mnt/x, host: a}\n", 2),
        ("checkpoints:\n  - host: -oProxyCommand=sh\n", 2),
        ("checkpoints:\n  - {host: a, folder: '../x'}\n", 2),
        ("checkpoints:\n  - {host: a, folder: 'x\"y'}\n", 2),
        ("retention: {officials: x.yml, decides: A, witness: A}\n", 1),
        ("backup: yes\n", 1),
    ],
)
def test_settings_that_cannot_be_meant_are_named_with_their_line(text: str, line: int) -> None:
    with pytest.raises(SourceError, match=f"archive.yml:{line}: "):
        parse_archive_settings(text, "archive.yml")


def test_the_settings_that_the_page_shows_are_good_ones(root: Path) -> None:
    page = (root / "docs" / "archive.md").read_text(encoding="utf-8")
    shown = page.split("```yaml\n")[1].split("```")[0]
    assert [place.name for place in parse_archive_settings(shown, "archive.yml").checkpoints] == [
        Place(directory="/mnt/arsip-kedua/rawat").name,
        "rawat@arsip.dinas.example:checkpoints",
    ]
