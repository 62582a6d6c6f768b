"""What a scanner tells is believed of listed files only, and only the very file that was scanned is moved."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
from pathlib import Path

import pytest
from role_modules import module, shared

scan = module("scan_host", "scan_paths")
quarantine = shared("scan_host_quarantine")


def listed(path: Path) -> object:
    return quarantine.seen(path.lstat())


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    path = folder / "it's sick.exe"
    path.write_bytes(b"sick")
    path.chmod(0o4755)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


def test_what_is_moved_can_be_given_back_and_nobody_can_run_it(sick: Path, store: Path) -> None:
    record = quarantine.move(str(sick), listed(sick), store, {"signature": "Eicar"})

    kept = store / record["id"]
    assert not sick.exists()
    assert (kept.read_bytes(), kept.stat().st_mode & 0o7777) == (b"sick", 0o400)
    assert (store.stat().st_mode & 0o777, record["mode"], record["path"]) == (0o700, "4755", str(sick))
    assert record["sha256"] == hashlib.sha256(b"sick").hexdigest()
    written = json.loads((store / f"{record['id']}.json").read_text())
    assert written == record
    command = shlex.split(written["restore"])
    assert command == ["install", "-o", str(os.geteuid()), "-g", str(record["gid"]), "-m", "4755",
                       record["id"], str(sick)]  # fmt: skip


def test_a_file_that_changed_since_it_was_scanned_stays(sick: Path, store: Path) -> None:
    before = listed(sick)
    sick.write_bytes(b"another")

    with pytest.raises(quarantine.QuarantineError, match="changed since it was scanned"):
        quarantine.move(str(sick), before, store, {})

    assert sick.read_bytes() == b"another"
    assert list(store.glob("*")) == []


def test_no_link_is_followed_on_the_way(sick: Path, store: Path, tmp_path: Path) -> None:
    before = listed(sick)
    (tmp_path / "link").symlink_to(sick.parent)
    with pytest.raises(quarantine.QuarantineError, match="folder cannot be reached"):
        quarantine.move(str(tmp_path / "link" / sick.name), before, store, {})

    other = sick.with_name("moved")
    sick.rename(other)
    sick.symlink_to(other)
    with pytest.raises(quarantine.QuarantineError, match="cannot be opened"):
        quarantine.move(str(sick), before, store, {})

    assert other.read_bytes() == b"sick"


def test_a_file_put_there_in_the_moment_of_moving_goes_back(
    sick: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = listed(sick), os.rename

    def race(source: str, target: str, **places: int) -> None:
        monkeypatch.setattr(os, "rename", rename)
        sick.rename(sick.with_name("aside"))
        sick.write_bytes(b"innocent")
        rename(source, target, **places)

    monkeypatch.setattr(os, "rename", race)
    with pytest.raises(quarantine.QuarantineError, match="another file took its place"):
        quarantine.move(str(sick), before, store, {})

    assert sick.read_bytes() == b"innocent"
    assert [path.suffix for path in store.iterdir()] == [".json"]


def test_from_another_disk_a_file_is_copied_and_proven_first(
    sick: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = listed(sick), os.rename

    def other_disk(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if src_dir_fd != dst_dir_fd:
            raise OSError(errno.EXDEV, "another disk")
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", other_disk)
    record = quarantine.move(str(sick), before, store, {})

    assert (store / record["id"]).read_bytes() == b"sick"
    assert list(sick.parent.iterdir()) == []


def test_a_quarantine_that_others_can_look_into_is_not_used(sick: Path, store: Path) -> None:
    store.mkdir(mode=0o755)

    with pytest.raises(quarantine.QuarantineError, match="mode 0700"):
        quarantine.move(str(sick), listed(sick), store, {})

    assert sick.exists()


def test_a_scanner_is_believed_of_listed_files_only() -> None:
    said = (
        "/srv/a: Eicar FOUND\n/srv/b: name: Eicar FOUND\n/etc/passwd: Eicar FOUND\n"
        "/srv/c: OK\nLibClamAV Warning: /srv/c\n/srv/d: Access denied. ERROR\n"
    )
    names = dict.fromkeys(("/srv/a", "/srv/b: name", "/srv/c", "/srv/d"), None)

    assert scan.found_in(said, scan.CLAMAV_FOUND, names) == {"/srv/a": "Eicar", "/srv/b: name": "Eicar"}


def test_a_second_call_for_the_same_part_tells_what_the_first_moved(sick: Path, store: Path) -> None:
    about = {"signature": "Eicar", "run": "run-1", "action": "6-1-1", "moved_at": 1}
    record = quarantine.move(str(sick), listed(sick), store, about)
    given = {"quarantine": True, "run": "run-1", "action": "6-1-1", "directory": str(store)}

    (told,) = scan.moved_before(given)

    assert (told["path"], told["signature"], told["moved"]) == (str(sick), "Eicar", True)
    assert (told["id"], told["sha256"]) == (record["id"], record["sha256"])
    assert scan.moved_before({**given, "action": "7-1-1"}) == []
    assert scan.moved_before({**given, "quarantine": False}) == []
    (store / record["id"]).unlink()
    assert scan.moved_before(given) == []


def test_what_is_not_scanned_is_counted(tmp_path: Path) -> None:
    for name, size in (("a", 1), ("b", 1), ("large", 99), ("left", 1), ("odd\nname", 1)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "link").symlink_to("a")
    parameters = {"paths": [str(tmp_path), "/no/such"], "left_out": [f"{tmp_path}/le*"], "most_files": 1,
                  "most_bytes": 10, "directory": str(tmp_path / "quarantine")}  # fmt: skip

    found = scan.Listed(parameters)

    assert list(found.files) == [str(tmp_path / "a")]
    assert found.skipped == {"too many": 2, "too large": 1, "no such folder": 1}


LOCAL = "LocalSocket /var/run/clamav/clamd.ctl\n"
MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    ("settings", "version", "most"),
    [
        (f"{LOCAL}MaxFileSize 25M\nMaxScanSize 100M\nStreamMaxLength 5M", "ClamAV 1.4.3/6/x", 25 * MEBIBYTE),
        (f"{LOCAL}MaxFileSize 25M\nMaxScanSize 10m", "ClamAV 1.4.3/6/x", 10 * MEBIBYTE),
        ("MaxFileSize 25M\nStreamMaxLength 512K", "ClamAV 1.4.3/6/x", 512 * 1024),
        ("MaxFileSize 25M\nMaxFileSize 1000", "ClamAV 1.4.3/6/x", 1000),
        (LOCAL, "ClamAV 1.4.3/6/x", 100 * MEBIBYTE),
        (LOCAL, "ClamAV 0.103.10/6/x", 25 * MEBIBYTE),
        (LOCAL, "", 25 * MEBIBYTE),
        (f"{LOCAL}MaxFileSize 0\nMaxScanSize 0", "ClamAV 1.4.3/6/x", (1 << 31) - 1),
    ],
)
def test_the_largest_file_that_clamd_scans(settings: str, version: str, most: int) -> None:
    parsed = shared("clamav_database").parse_configuration(settings)

    assert scan.clamd_most_bytes(parsed, version) == most


def test_a_file_that_clamd_passes_over_makes_the_scan_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What clamd does not look at is not clean, whatever the role's own limit allows."""
    folder, settings = tmp_path / "files", tmp_path / "clamd.conf"
    folder.mkdir()
    (folder / "small").write_bytes(b"x" * 1024)
    (folder / "large").write_bytes(b"x" * 1025)
    settings.write_text(f"{LOCAL}MaxFileSize 1K\n")
    finished = shared("debian_packages").Finished(0, "")
    monkeypatch.setattr(shared("clamav_database"), "CLAMD_CONF", settings)
    monkeypatch.setattr(scan.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(scan.debian_packages, "run_command", lambda _: finished)
    monkeypatch.setattr(scan.host_unit, "run_in_unit", lambda *_, **__: finished)
    monkeypatch.setattr(scan.host_unit, "is_running", lambda _: False)
    parameters = {
        "paths": [str(folder)], "left_out": [], "most_files": 9, "most_bytes": 100 * MEBIBYTE, "seconds": 9,
        "command": [], "pattern": "", "quarantine": False, "directory": str(tmp_path / "quarantine"),
        "run": "run-1", "action": "", "state_directory": str(tmp_path / "state"),
    }  # fmt: skip

    evidence = scan.scan(parameters, check=False)

    assert (evidence["files"], evidence["skipped"]) == (1, {"too large": 1})
    assert not evidence["complete"]
    assert (tmp_path / "state" / "run-1" / "scan_host.list").read_text() == f"{folder}/small\n"
