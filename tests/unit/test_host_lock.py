"""The lock on the host itself, as the module keeps it in its folder; no host is needed for that."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import role_modules

OURS = {"run": "run-1", "started": "a" * 64, "controller": "one-1", "operator": "petugas", "since": "now"}
# Another controller counts its runs of the day as well: the same id, another run.
OTHERS = {**OURS, "started": "b" * 64, "controller": "two-2", "operator": "kepala"}


@pytest.fixture(name="lock")
def _lock(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = role_modules.shared("host_lock")
    monkeypatch.setattr(found, "units_at_work", list)
    return found


def take(lock: ModuleType, folder: Path, claim: dict[str, Any], ended: tuple[str, ...] = ()) -> Any:  # noqa: ANN401
    return lock.take(folder, claim, list(ended), check_mode=False)


def test_a_free_host_is_taken_and_says_by_whom(lock: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "rawat"
    assert take(lock, folder, OURS) == (None, None)
    assert json.loads((folder / "lock.json").read_text()) == OURS
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "lock.json")]
    assert modes == [0o700, 0o600]


def test_the_same_run_comes_in_again(lock: ModuleType, tmp_path: Path) -> None:
    take(lock, tmp_path, OURS)
    assert take(lock, tmp_path, {**OURS, "since": "later"}) == (None, None)
    assert lock.read(tmp_path)["since"] == "now"


def test_another_run_is_told_who_holds_the_host(lock: ModuleType, tmp_path: Path) -> None:
    take(lock, tmp_path, OURS)
    holder, _ = take(lock, tmp_path, OTHERS)
    assert lock.described(holder) == "run run-1 of petugas, controller one-1, since now"
    assert lock.read(tmp_path) == OURS


def test_only_the_holder_gives_the_host_back(lock: ModuleType, tmp_path: Path) -> None:
    take(lock, tmp_path, OURS)
    assert lock.release(tmp_path, OTHERS) == ""
    assert lock.read(tmp_path) == OURS
    assert lock.release(tmp_path, OURS) == ""
    assert lock.read(tmp_path) is None
    assert lock.release(tmp_path / "never", OURS) == ""


def test_a_host_on_which_work_goes_on_is_not_given_back(
    lock: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(lock, tmp_path, OURS)
    monkeypatch.setattr(lock, "units_at_work", lambda: ["rawat-apply-updates.service"])
    assert lock.release(tmp_path, OURS) == "rawat-apply-updates.service is still at work"
    assert lock.read(tmp_path) == OURS


def test_the_lock_of_a_run_that_is_over_is_taken_over_and_kept_in_mind(
    lock: ModuleType, tmp_path: Path
) -> None:
    take(lock, tmp_path, OURS)
    assert take(lock, tmp_path, OTHERS, (OURS["started"],)) == (None, OURS)
    assert lock.read(tmp_path) == OTHERS
    (line,) = (tmp_path / "lock-history.jsonl").read_text().splitlines()
    assert json.loads(line) == {"lock": OURS, "taken_over_by": OTHERS}


def test_a_dead_run_s_lock_is_not_taken_over_while_its_work_goes_on(
    lock: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(lock, tmp_path, OURS)
    monkeypatch.setattr(lock, "units_at_work", lambda: ["rawat-apply-updates.service"])
    assert take(lock, tmp_path, OTHERS, (OURS["started"],)) == (OURS, None)


def test_an_old_lock_is_as_good_as_a_new_one(lock: ModuleType, tmp_path: Path) -> None:
    take(lock, tmp_path, {**OURS, "since": "1990-01-01T00:00:00Z"})
    os.utime(tmp_path / "lock.json", (0, 0))
    assert take(lock, tmp_path, OTHERS)[0]["run"] == "run-1"


@pytest.mark.parametrize("left", [b"", b"rubbish", b"[]", b'{"run": 1', b"[" * 100_000])
def test_a_lock_that_cannot_be_read_is_held(lock: ModuleType, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "lock.json").write_bytes(left)
    holder, _ = take(lock, tmp_path, OURS, ("a" * 64,))
    assert "of a lock file that cannot be read" in lock.described(holder)


def test_check_mode_writes_nothing(lock: ModuleType, tmp_path: Path) -> None:
    assert lock.take(tmp_path / "new", OURS, [], check_mode=True) == (None, None)
    assert not (tmp_path / "new").exists()
    take(lock, tmp_path, OURS)
    assert lock.take(tmp_path, OTHERS, [], check_mode=True) == (OURS, None)
    assert lock.take(tmp_path, OTHERS, [OURS["started"]], check_mode=True) == (None, OURS)
    assert lock.read(tmp_path) == OURS


def test_of_many_runs_at_once_one_gets_the_host(lock: ModuleType, tmp_path: Path) -> None:
    """Also when the lock that stands there is dead: it is taken over once."""
    for before in (None, {**OURS, "run": "dead", "started": "d" * 64}):
        folder = tmp_path / str(before is None)
        if before:
            take(lock, folder, before)
        pids = []
        for number in range(20):
            pid = os.fork()
            if not pid:
                claim = {**OURS, "run": f"r{number}", "started": f"{number:064d}"}
                os._exit(0 if take(lock, folder, claim, ("d" * 64,))[0] is None else 1)
            pids.append(pid)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        assert codes.count(0) == 1


WORD = {"statement": "said", "signature": "signed"}


def test_a_persons_word_removes_one_runs_lock_and_is_kept(lock: ModuleType, tmp_path: Path) -> None:
    take(lock, tmp_path, OURS)
    assert lock.break_by_name(tmp_path, "another", WORD, check_mode=False)[1].startswith(
        "it is held by run run-1"
    )
    assert lock.break_by_name(tmp_path, "run-1", WORD, check_mode=True) == (OURS, "")
    assert lock.read(tmp_path) == OURS
    assert lock.break_by_name(tmp_path, "run-1", WORD, check_mode=False) == (OURS, "")
    assert lock.read(tmp_path) is None
    assert json.loads((tmp_path / "lock-history.jsonl").read_text()) == {"lock": OURS, "broken_by": WORD}
    assert lock.break_by_name(tmp_path, "run-1", WORD, check_mode=False) == (None, "")
    assert lock.break_by_name(tmp_path / "never", "run-1", WORD, check_mode=False) == (None, "")


def test_a_lock_that_cannot_be_read_is_removed_by_name_too(lock: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_bytes(b"rubbish")
    assert lock.break_by_name(tmp_path, "run-1", WORD, check_mode=False)[1] == ""
    assert lock.read(tmp_path) is None


def test_a_persons_word_does_not_free_a_host_at_work(
    lock: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(lock, tmp_path, OURS)
    monkeypatch.setattr(lock, "units_at_work", lambda: ["rawat-apply-updates.service"])
    assert "still at work" in lock.break_by_name(tmp_path, "run-1", WORD, check_mode=False)[1]
    assert lock.read(tmp_path) == OURS


@pytest.mark.parametrize("name", ["work.lock", "turn.lock"])
def test_a_call_that_has_no_unit_is_at_work_too(lock: ModuleType, tmp_path: Path, name: str) -> None:
    dead = {**OURS, "run": "dead", "started": "d" * 64}
    take(lock, tmp_path, dead)
    with (tmp_path / name).open("w") as call:
        fcntl.flock(call, fcntl.LOCK_EX)
        assert take(lock, tmp_path, OURS, ("d" * 64,))[0] == dead
        assert lock.release(tmp_path, dead) == "a call of an earlier try is still at work"
    assert lock.release(tmp_path, dead) == ""


def full_disk(lock: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no room for a lock as long as the reserve takes it."""
    write = lock.durable.write

    def refuse(path: Path, data: bytes) -> None:
        if not (path.parent / "spent").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    spend = lock.spend_reserve

    def note(folder: Path) -> bool:
        is_spent: bool = spend(folder)
        if is_spent:
            (folder / "spent").touch()
        return is_spent

    monkeypatch.setattr(lock.durable, "write", refuse)
    monkeypatch.setattr(lock, "spend_reserve", note)


def test_room_in_reserve_lets_a_full_host_be_taken_and_is_laid_by_again(
    lock: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(lock, tmp_path, OURS)
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 256 * 1024
    assert lock.release(tmp_path, OURS) == ""
    with monkeypatch.context() as full:
        full_disk(lock, full)
        full.setattr(lock, "lay_by_reserve", lambda _: None)
        assert take(lock, tmp_path, OURS) == (None, None)
        assert (lock.read(tmp_path), (tmp_path / "reserve").exists()) == (OURS, False)
    assert (lock.release(tmp_path, OURS), (tmp_path / "reserve").exists()) == ("", True)


def test_a_full_host_without_a_reserve_is_not_taken(
    lock: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(lock, monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        take(lock, tmp_path, OURS)
    assert lock.read(tmp_path) is None


def test_a_small_disk_gives_nothing_into_the_reserve(
    lock: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PLENTY_BYTES", 2**62)
    take(lock, tmp_path, OURS)
    assert not (tmp_path / "reserve").exists()
