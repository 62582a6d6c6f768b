"""What is kept to go back with: only whole files count, and a control file is built again as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from role_modules import shared


def keep(folder: Path, package: str, version: str, content: bytes) -> Path:
    saved = shared("saved_packages")
    digest = hashlib.sha256(content).hexdigest()
    file = folder / f"{digest[:16]}.deb"
    file.write_bytes(content)
    index = saved.read_index(folder)
    index[package] = {"version": version, "file": file.name, "sha256": digest}
    saved.write_index(folder, index)
    return file


def test_a_kept_file_counts_only_whole_and_in_the_version_asked_for(tmp_path: Path) -> None:
    saved = shared("saved_packages")
    good = keep(tmp_path, "good", "1", b"as saved")
    keep(tmp_path, "flipped", "1", b"before").write_bytes(b"behind")
    keep(tmp_path, "gone", "1", b"gone").unlink()
    linked = keep(tmp_path, "linked", "1", b"elsewhere")
    linked.rename(tmp_path / "moved")
    linked.symlink_to(tmp_path / "moved")

    wanted = dict.fromkeys(("good", "flipped", "gone", "linked", "never"), "1")
    assert saved.whole_files(tmp_path, wanted) == {"good": good}
    assert saved.whole_files(tmp_path, {"good": "2"}) == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": '])
def test_an_index_that_was_cut_off_keeps_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "saved.json").write_text(content)

    assert shared("saved_packages").whole_files(tmp_path, {"a": "1"}) == {}


def test_a_path_in_the_index_leads_nowhere_else(tmp_path: Path) -> None:
    saved, folder = shared("saved_packages"), tmp_path / "packages"
    folder.mkdir()
    outside = keep(tmp_path, "x", "1", b"outside")
    entry = {"version": "1", "file": f"../{outside.name}", "sha256": hashlib.sha256(b"outside").hexdigest()}
    saved.write_index(folder, {"x": entry})

    assert saved.whole_files(folder, {"x": "1"}) == {}


def test_a_package_with_a_file_comes_out_of_it_and_the_others_from_their_sources() -> None:
    command = shared("debian_packages").install_command(
        {"a": "1", "b": "2"}, lock_timeout=1, files={"a": Path("/kept/a.deb")}
    )

    assert command[-2:] == ["/kept/a.deb", "b=2"]


def test_the_record_of_dpkg_becomes_the_control_file_again() -> None:
    status = (
        "Package: tool\nStatus: install ok installed\nVersion: 1-1\nConffiles:\n /etc/a 0cc1\n /etc/b 92eb\n"
        "Description: a tool\n that works\nConfig-Version: 1-1\n"
    )

    assert shared("save_packages_repack").control_of(status) == (
        "Package: tool\nVersion: 1-1\nDescription: a tool\n that works\n"
    )
