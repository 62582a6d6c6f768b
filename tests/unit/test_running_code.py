"""Which update leaves programs running old code, told from /proc-like folders."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import role_modules


@pytest.fixture(scope="module", name="running_code")
def _running_code() -> ModuleType:
    return role_modules.shared("running_code")


def process(proc: Path, pid: int, parent: int, program: str, *libraries: str) -> None:
    """Write what the kernel tells of a process."""
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "exe").symlink_to(program)
    name = Path(program).name
    (folder / "stat").write_text(f"{pid} ({name}) S {parent} 0 0\n", encoding="ascii")
    rows = [f"7f00-7f01 r-xp 00000000 08:01 42 {path}\n" for path in (program, *libraries)]
    (folder / "maps").write_text("".join(rows) + "7f02-7f03 rw-p 00000000 00:00 0\n", encoding="ascii")


@pytest.fixture(name="programs")
def _programs(running_code: ModuleType, tmp_path: Path) -> dict[str, set[str]]:
    process(tmp_path, 1, 0, "/usr/lib/systemd/systemd", "/usr/lib/x86_64-linux-gnu/libssl.so.3")
    process(tmp_path, 30, 1, "/usr/sbin/clamd", "/usr/lib/x86_64-linux-gnu/libclamav.so.12")
    process(tmp_path, 40, 1, "/usr/sbin/sshd")
    process(tmp_path, 41, 40, "/usr/sbin/sshd")
    process(tmp_path, 42, 41, "/usr/bin/python3.11", "/usr/lib/x86_64-linux-gnu/libexpat.so.1")
    (tmp_path / "self").mkdir()
    found: dict[str, set[str]] = running_code.code_by_program(tmp_path)
    return found


def test_library_of_the_init_system_is_left_running(
    running_code: ModuleType, programs: dict[str, set[str]]
) -> None:
    assert running_code.is_left_running(["/lib/x86_64-linux-gnu/libssl.so.3"], [], programs)


def test_library_that_nothing_runs_is_not(running_code: ModuleType, programs: dict[str, set[str]]) -> None:
    assert not running_code.is_left_running(["/usr/lib/x86_64-linux-gnu/libperl.so.5.36"], [], programs)


def test_library_of_a_service_that_is_restarted_with_it_is_not(
    running_code: ModuleType, programs: dict[str, set[str]]
) -> None:
    library, restarted = ["/usr/lib/x86_64-linux-gnu/libclamav.so.12"], ["/usr/sbin/clamd"]

    assert running_code.is_left_running(library, [], programs)
    assert not running_code.is_left_running(library, restarted, programs)


def test_logins_do_not_count(running_code: ModuleType, programs: dict[str, set[str]]) -> None:
    assert not running_code.is_left_running(["/usr/lib/x86_64-linux-gnu/libexpat.so.1"], [], programs)


def test_replaced_file_is_still_the_file(running_code: ModuleType) -> None:
    assert running_code.mapped_code("7f-80 r-xp 0 08:01 42 /usr/lib/libz.so.1 (deleted)\n") == {
        "/lib/libz.so.1"
    }


def test_service_is_told_by_its_unit_file(running_code: ModuleType) -> None:
    assert running_code.ships_a_service(["/usr/bin/x", "/lib/systemd/system/x.service"])
    assert not running_code.ships_a_service(["/usr/bin/x", "/etc/x.conf"])


def test_programs_that_run_replaced_files_are_named(running_code: ModuleType, tmp_path: Path) -> None:
    process(
        tmp_path, 1, 0, "/usr/lib/systemd/systemd", "/usr/lib/libssl.so.3 (deleted)", "/usr/lib/libc.so.6"
    )
    process(tmp_path, 30, 1, "/usr/sbin/clamd (deleted)", "/tmp/ffi (deleted)", "/memfd:x (deleted)")
    process(tmp_path, 31, 1, "/usr/sbin/cron", "/usr/lib/libc.so.6")
    process(tmp_path, 40, 1, "/usr/sbin/sshd")
    process(tmp_path, 41, 40, "/usr/sbin/sshd", "/usr/lib/libssl.so.3 (deleted)")
    assert running_code.old_code(tmp_path) == (
        {"/usr/lib/systemd/systemd": {"/usr/lib/libssl.so.3"}, "/usr/sbin/clamd": {"/usr/sbin/clamd"}},
        0,
    )
