"""Which configuration files a rollback brings back, and which it leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from role_modules import shared

OLD, NEW, OTHER = ({"sha256": sign * 64, "mode": 0o644, "uid": 0, "gid": 0} for sign in "abc")
Found = dict[str, str | int] | str | None
recorded = shared("recorded_files")


def judged(
    before: Found, after: Found, met: Found, now: Found, *, owned: bool = False, shipped: bool = False
) -> str:
    """Return what becomes of one file: restore, left or nothing. None: the file is not there."""
    records = [{} if one is None else {"/etc/a": one} for one in (before, after, met, now)]
    verdict = recorded.judge(
        records[0],
        None if after == "not recorded" else records[1],
        records[2],
        records[3],
        owned={"/etc/a"} if owned else set(),
        as_shipped={"/etc/a"} if shipped else set(),
    )
    return "restore" if verdict.restore else "left" if verdict.left else "nothing"


@pytest.mark.parametrize(
    ("before", "after", "met", "now", "expected"),
    [
        pytest.param(OLD, NEW, NEW, NEW, "restore", id="the update changed it"),
        pytest.param(OLD, NEW, NEW, OTHER, "restore", id="and putting the package back changed it again"),
        pytest.param(OLD, None, None, None, "restore", id="the update removed it"),
        pytest.param(OLD, NEW, OTHER, OTHER, "left", id="somebody changed it since"),
        pytest.param(OLD, OLD, OTHER, OTHER, "nothing", id="not the update's: somebody's alone"),
        pytest.param(OLD, NEW, NEW, OLD, "nothing", id="back already"),
        pytest.param(None, NEW, NEW, NEW, "left", id="the update brought it"),
        pytest.param(None, None, OTHER, OTHER, "nothing", id="somebody made it since"),
    ],
)
def test_what_becomes_of_a_file(before: Found, after: Found, met: Found, now: Found, expected: str) -> None:
    assert judged(before, after, met, now) == expected


def test_an_update_that_broke_off_gives_back_only_what_its_packages_own() -> None:
    assert judged(OLD, "not recorded", NEW, NEW, owned=True) == "restore"
    assert judged(OLD, "not recorded", NEW, NEW) == "nothing"


def test_a_file_as_the_old_package_ships_it_was_changed_by_nobody() -> None:
    assert judged(OLD, NEW, OTHER, OTHER, shipped=True) == "restore"


def test_links_and_what_is_too_large_or_left_out_is_not_recorded(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("x")
    (tmp_path / "large").write_text("x" * 11)
    (tmp_path / "cache").write_text("x")
    (tmp_path / "link").symlink_to("good")
    os.mkfifo(tmp_path / "pipe")

    found = recorded.look([str(tmp_path)], [f"{tmp_path}/ca*"], 10, 10)

    assert list(found) == [str(tmp_path / "good")]
    with pytest.raises(recorded.TooMuchError, match="more than 0 files"):
        recorded.look([str(tmp_path)], [], 0, 10)


def test_a_record_is_private_and_reads_back(tmp_path: Path) -> None:
    path = recorded.file_of(str(tmp_path), "run", "before")
    recorded.write(path, {"/etc/a": OLD})

    assert recorded.read(path) == {"/etc/a": OLD}
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    path.write_text('{"/etc/a":')
    assert recorded.read(path) is None
