"""What the lab asks of the kernel for many hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import ImpossibleHereError
from lab.requirements import make_room

# A number of the kernel's that nobody may write, root neither.
FIXED = Path("/proc/sys/kernel/ngroups_max")


def test_the_limit_is_raised_for_many_hosts_and_told(tmp_path: Path) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text("128\n")
    told: list[str] = []
    make_room(30, told.append, limit)
    assert limit.read_text() == "304\n"
    assert told == ["raising fs.inotify.max_user_instances to 304, for 30 hosts"]


def test_a_limit_that_is_high_enough_is_left_alone(tmp_path: Path) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text("8192\n")
    told: list[str] = []
    make_room(100, told.append, limit)
    assert limit.read_text() == "8192\n"
    assert told == []


def test_a_machine_that_does_not_let_us_is_told_with_what_to_do() -> None:
    with pytest.raises(ImpossibleHereError, match=r"^10000 hosts need .*=80064, which cannot be set here"):
        make_room(10_000, lambda _: None, FIXED)
