"""Row 24: locks that dead or strange clients left in the backup's repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from field import LAB, Field, Figure, Results

from lab.layout import state_folder

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(1800)]

REPOSITORY = state_folder(LAB) / "backups" / "web1"


def back_up(field: Field) -> Results:
    return field.act("backup-hosts.yml", ["web1"])


def locks() -> set[Path]:
    """Return the locks in the repository; a file still being written is none."""
    return {path for path in (REPOSITORY / "locks").iterdir() if "-tmp-" not in path.name}


def leave_lock(field: Field, command: str) -> Path:
    """Kill a client that has just locked the repository, and return the lock it left, the only one."""
    for earlier in locks():
        earlier.unlink()
    password = field.inventory / "secrets" / "restic_password"
    with subprocess.Popen(
        [
            *("restic", "--no-cache", "-r", str(REPOSITORY), "-p", str(password)),
            *command.split(),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as client:
        while not (new := locks()):
            assert client.poll() is None, "the client ended before it was killed"
        client.kill()
    return new.pop()


def test_lock_of_a_killed_backup_holds_nobody_up(field: Field, figure: Figure) -> None:
    """A shared lock of a killed client: the next backup is made and proven, the lock is not touched."""
    field.fresh("web1")
    assert back_up(field)["web1"].status == "ok"
    lock = leave_lock(field, "backup --stdin")
    field.ssh("web1", "rm -rf /var/backups/rawat/*")

    result = back_up(field)["web1"]

    figure(24, lock="shared", status=result.status, lock_still_there=lock.exists())
    assert result.status == "ok", result.failure
    assert lock.exists()


def test_exclusive_lock_is_not_broken_whoever_held_it(field: Field, figure: Figure) -> None:
    """Nobody can prove from here that its holder is dead: the backup fails in restic's own words."""
    field.fresh("web1")
    assert back_up(field)["web1"].status == "ok"
    lock = leave_lock(field, "prune")
    field.ssh("web1", "rm -rf /var/backups/rawat/*")

    result = back_up(field)["web1"]

    figure(24, lock="exclusive", status=result.status, lock_still_there=lock.exists())
    assert result.status == "failed"
    assert result.failure
    assert "locked exclusively" in result.failure.message
    assert lock.exists()
    lock.unlink()
    assert back_up(field)["web1"].status == "ok"
