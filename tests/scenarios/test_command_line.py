"""Bad input at the command line: one clear error, an exit code of its own, nothing started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner import __version__

ROOT = Path(__file__).parent.parent.parent
SOP = ROOT / "sops" / "surakarta-system-update.yml"
ROSTER = """
office: Dinas Contoh
operator: pengelola
officials:
  - id: pengelola
    name: Nama Pengelola
    nip: "000000000000000001"
    positions: [Pengelola Sistem dan Jaringan]
    key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDXYhnVLbpTBBhUMuyoLGQF2v7Yt3ZlcWmNyZKq9xVQm
"""


@pytest.fixture(name="inventory")
def _inventory(tmp_path: Path) -> Path:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "hosts.yml").write_text("all: {hosts: {pc1: {}, pc2: {}}}\n", encoding="utf-8")
    (folder / "officials.yml").write_text(ROSTER.lstrip(), encoding="utf-8")
    return folder


def rawat(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"RAWAT_RUNS": str(tmp_path / "runs"), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "runner", *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=60,
    )


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = SOP.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "edited.yml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("next: 10", "next: 99", "row 9: leads to row 99, which does not exist"),
        ("pelaksana: kabid", "pelaksana: bupati", "row 4: unknown actor 'bupati'"),
        ("format: 1", "format: 1\nformat: 1", "duplicate key 'format'"),
        ("plan-updates.yml", "plan-udpates.yml", "row 2: there is no playbook 'plan-udpates.yml'"),
    ],
    ids=["missing target", "unknown actor", "duplicate key", "missing playbook"],
)
def test_broken_sop_is_refused_with_its_line(
    tmp_path: Path, inventory: Path, old: str, new: str, told: str
) -> None:
    file = edited(tmp_path, old, new)

    done = rawat(tmp_path, "run", str(file), "-i", str(inventory))

    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert done.returncode == 2
    assert line.startswith(f"error: {file.name}:")
    assert told in line
    assert not (tmp_path / "runs").exists()


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    file = edited(tmp_path, "next: 10", "next: 99")
    file.write_text(file.read_text(encoding="utf-8").replace("kabid\n", "bupati\n"), encoding="utf-8")

    done = rawat(tmp_path, "sop", "check", str(file))

    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 3


def test_position_that_nobody_holds_stops_the_start(tmp_path: Path, inventory: Path) -> None:
    done = rawat(tmp_path, "run", str(SOP), "-i", str(inventory))

    assert done.returncode == 2
    assert "row 3 waits for Analis Sistem Informasi dan Jaringan, but nobody holds" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_mistake_in_the_windows_is_named_with_its_line(tmp_path: Path, inventory: Path) -> None:
    file = inventory / "windows.yml"
    file.write_text('windows:\n  - {days: [sabtu], from: "8 malam", until: "05:00"}\n', encoding="utf-8")
    done = rawat(tmp_path, "run", str(SOP), "-i", str(inventory))
    assert done.returncode == 2
    assert "windows.yml:2: windows[0].from: expected a time such as 20:00, got '8 malam'" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("checkpoint: []\n", "archive.yml:1: checkpoint: is not a known key"),
        (
            "retention: {officials: no/such.yml, decides: A, witness: B}\n",
            "no/such.yml: cannot be read",
        ),
    ],
)
def test_mistake_in_the_settings_of_the_archive_is_named_before_anything_begins(
    tmp_path: Path, inventory: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    file = tmp_path / "archive.yml"
    file.write_text(said, encoding="utf-8")
    monkeypatch.setenv("RAWAT_ARCHIVE_SETTINGS", str(file))
    done = rawat(tmp_path, "run", str(SOP), "-i", str(inventory))
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "runs").exists()


def test_windows_are_no_inventory_of_ansible(tmp_path: Path, inventory: Path) -> None:
    (inventory / "windows.yml").write_text('windows: [{from: "20:00", until: "05:00"}]\n', encoding="utf-8")
    done = rawat(tmp_path, "run", str(SOP), "-i", str(inventory))
    assert "in the roster" in done.stderr  # what comes after the inventory and the windows were read


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", str(SOP), "-i", "no/such/folder"), "there is no inventory at no/such/folder"),
        (("sop", "check", str(SOP), "-i", "no/such/folder"), "there is no inventory at no/such/folder"),
        (
            ("sop", "render", str(SOP), "-i", "no/such/folder", "-o", "/tmp/x.pdf"),
            "there is no inventory at no/such/folder",
        ),
        (
            ("schedule", str(SOP), "-i", "no/such/folder", "--every", "weekly", "-o", "/tmp/no-units"),
            "there is no inventory at no/such/folder",
        ),
        (("run", "no-such.yml", "-i", "{inventory}"), "no-such.yml: cannot be read"),
        (
            ("run", str(SOP), "-i", "{inventory}", "--operator", "siapa"),
            "'siapa' is not in the roster of officials; there are pengelola",
        ),
        (("run", str(SOP), "-i", "{inventory}", "--limit", "pc9"), "pc9"),
        (("status", "2026-01-01-nothing"), "there is no run '2026-01-01-nothing'"),
        (("verify", "/proc/1/nothing"), "there is no run"),
    ],
    ids=[
        "inventory",
        "of a check",
        "of a paper",
        "of a schedule",
        "sop",
        "operator",
        "limit",
        "run",
        "archive",
    ],
)
def test_wrong_use_is_told_in_one_line(
    tmp_path: Path, inventory: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = rawat(tmp_path, *(argument.format(inventory=inventory) for argument in arguments))

    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1


def test_the_version_is_told(tmp_path: Path) -> None:
    done = rawat(tmp_path, "--version")
    assert (done.returncode, done.stdout) == (0, f"rawat {__version__}\n")


def test_nothing_but_rawat_shows_what_there_is(tmp_path: Path) -> None:
    done = rawat(tmp_path)
    assert "Usage:" in done.stdout + done.stderr
    assert "resume" in done.stdout + done.stderr


def test_printed_schema_is_the_committed_one(tmp_path: Path) -> None:
    done = rawat(tmp_path, "sop", "schema")

    assert done.stdout == (ROOT / "sops" / "sop.schema.json").read_text(encoding="utf-8")


def test_what_is_no_text_file_is_told_and_not_read_for_ever(tmp_path: Path, inventory: Path) -> None:
    done = rawat(tmp_path, "sop", "check", "/dev/zero")
    assert (done.returncode, "/dev/zero: is no file" in done.stderr) == (2, True), done.stderr
    (inventory / "officials.yml").write_bytes(b"office: Dinas \xff\n")
    done = rawat(tmp_path, "run", str(SOP), "-i", str(inventory))
    assert (done.returncode, "officials.yml: is not UTF-8 text" in done.stderr) == (2, True), done.stderr


def test_a_closed_input_is_no_terminal_and_an_old_terminal_gets_what_it_can_show(tmp_path: Path) -> None:
    command = f"exec {sys.executable} -m runner status <&-"
    environment = os.environ | {"RAWAT_RUNS": str(tmp_path / "runs\u2013b"), "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=environment, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False), done.stderr
    assert b"there is no run" in done.stderr
