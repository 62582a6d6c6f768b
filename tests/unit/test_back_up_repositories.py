"""Repositories of a backup: what is a server, what is a disk, and what a refusal of restic comes to."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path
from types import ModuleType

import pytest
import role_modules

ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"
DISK = "33 22 8:17 / {} rw,relatime - {} {} rw"


@pytest.fixture(name="module", scope="module")
def _module() -> ModuleType:
    return role_modules.shared("back_up_host_repositories")


@pytest.mark.parametrize(
    ("repository", "server"),
    [
        ("rest:https://cadangan.contoh/web1/", ("cadangan.contoh", 443)),
        ("rest:http://192.0.2.7:8000/web1/", ("192.0.2.7", 8000)),
        ("rest:https://[2001:db8::1]:8000/x", ("2001:db8::1", 8000)),
        ("s3:https://s3.contoh/ember/web1", ("s3.contoh", 443)),
        ("s3:s3.contoh/ember", ("s3.contoh", 443)),
        ("s3:http://192.0.2.7:9000/ember", ("192.0.2.7", 9000)),
        ("sftp:simpan@192.0.2.7:/srv/web1", ("192.0.2.7", 22)),
        ("sftp://simpan@cadangan.contoh:2222//srv/web1", ("cadangan.contoh", 2222)),
        ("/mnt/disk/web1", None),
    ],
)
def test_the_server_of_a_repository(
    module: ModuleType, repository: str, server: tuple[str, int] | None
) -> None:
    assert module.server_of(repository) == server


@pytest.mark.parametrize(
    "repository",
    ["", "web1", "b2:x", "rclone:x:y", "sftp:", "sftp:-oProxyCommand=x:/srv", "sftp:a@-x:/srv",
     "sftp:a b@h:/x",
     "sftp:u@h", "rest:", "s3:", "relative/path", "local:x", "sftp:u@h;id:/x"],
)  # fmt: skip
def test_what_is_no_repository_is_refused(module: ModuleType, repository: str) -> None:
    with pytest.raises(module.RepositoryError):
        module.server_of(repository)


def test_the_sftp_command_uses_its_own_key_and_known_hosts_only(module: ModuleType) -> None:
    command = shlex.split(
        module.sftp_command("sftp://simpan@cadangan.contoh:2222//srv", Path("/k"), Path("/h"))
    )

    assert command[:5] == ["ssh", "-F", "none", "-i", "/k"]
    assert {"UserKnownHostsFile=/h", "StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(command)
    assert command[-7:] == ["-p", "2222", "-l", "simpan", "cadangan.contoh", "-s", "sftp"]


def test_a_server_that_does_not_listen_is_told_at_once(module: ModuleType) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(module.RepositoryError, match=f"does not answer at 127.0.0.1:{port}"):
        module.require_server(f"rest:http://127.0.0.1:{port}/web1/")


def table(*lines: str) -> str:
    return "\n".join([ROOT, *lines]) + "\n"


def test_mount_points_come_with_kind_and_source(module: ModuleType) -> None:
    told = module.mounts(table(DISK.format("/mnt/disk\\040luar", "ext4", "/dev/sdb1"), "", "no mount at all"))
    assert told == {"/": ("ext4", "/dev/sda1"), "/mnt/disk luar": ("ext4", "/dev/sdb1")}
    assert module.mount_point(Path("/mnt/disk luar/web1/later"), told) == "/mnt/disk luar"
    assert module.mount_point(Path("/mnt/disk"), told) == "/"


def test_a_disk_that_is_not_mounted_is_no_disk(module: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(module.RepositoryError, match="no disk is mounted"):
        module.require_disk(str(tmp_path / "web1"), ["/etc"], table())


def test_memory_is_no_disk(module: ModuleType, tmp_path: Path) -> None:
    lines = table(DISK.format(tmp_path, "tmpfs", "tmpfs"))
    with pytest.raises(module.RepositoryError, match="is memory"):
        module.require_disk(f"{tmp_path}/web1", ["/etc"], lines)


def test_the_host_s_own_disk_mounted_once_more_is_no_other_disk(module: ModuleType, tmp_path: Path) -> None:
    lines = table(DISK.format(tmp_path, "ext4", "/dev/sda1"))
    with pytest.raises(module.RepositoryError, match="is the same file system as /"):
        module.require_disk(f"{tmp_path}/web1", ["/etc"], lines)


def test_another_volume_of_the_host_s_own_disk_is_no_other_disk(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each subvolume of btrfs has a device number of its own; the disk is one."""
    lines = table(DISK.format(tmp_path, "ext4", "/dev/sda1"))
    other_disk(monkeypatch, module, tmp_path)
    with pytest.raises(module.RepositoryError, match="is the same file system as /"):
        module.require_disk(f"{tmp_path}/web1", ["/etc"], lines)


def other_disk(monkeypatch: pytest.MonkeyPatch, module: ModuleType, place: Path, **room: int) -> None:
    """Let a folder seem to lie on a disk of its own with so much room."""
    numbers = {"f_bavail": 50, "f_blocks": 100, "f_flag": 0} | room
    monkeypatch.setattr(module, "device_of", lambda point: 2 if point == str(place) else 1)
    values = [1, 1, numbers["f_blocks"], 50, numbers["f_bavail"], 1, 1, 1, numbers["f_flag"], 255]
    monkeypatch.setattr(module.os, "statvfs", lambda _: os.statvfs_result(values))


@pytest.mark.parametrize(
    ("room", "said"),
    [({"f_bavail": 4}, "is 96 % full"), ({"f_bavail": 0}, "is 100 % full"), ({"f_flag": 1}, "is read-only")],
)
def test_a_disk_without_room_is_told_before_anything_is_written(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: dict[str, int], said: str
) -> None:
    lines = table(DISK.format(tmp_path, "ext4", "/dev/sdb1"))
    with monkeypatch.context() as patch:
        other_disk(patch, module, tmp_path, **room)
        with pytest.raises(module.RepositoryError, match=said):
            module.require_disk(f"{tmp_path}/web1", ["/etc"], lines)
    with monkeypatch.context() as patch:
        other_disk(patch, module, tmp_path)
        module.require_disk(f"{tmp_path}/web1", ["/etc"], lines)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("Fatal: wrong password or no key found", "the password does not open the repository"),
        ("Save(<data/1>): write /mnt/x: no space left on device", "the disk of the repository is full"),
        ("Host key verification failed.\nunable to start the sftp session", "another key than the known one"),
        ("root@192.0.2.7: Permission denied (publickey).", "does not let this host in"),
        ("unexpected HTTP response (401): 401 Unauthorized", "does not let this host in"),
        ("Stat: The request signature we calculated does not match", "does not let this host in"),
        ("unexpected HTTP response (403): 403 Forbidden", "the backup server forbids this"),
        ("Fatal: repository is already locked exclusively", "somebody else works"),
        ("Pack ID does not match, want 1234, got 5678", "changed or is missing"),
        ("something nobody has seen before", ""),
        ("", ""),
        ("\x1b[31m\x00" * 1000, ""),
    ],
)  # fmt: skip
def test_each_refusal_comes_to_a_cause_of_its_own(module: ModuleType, said: str, cause: str) -> None:
    assert (cause in module.cause_of(said), bool(module.cause_of(said))) == (True, bool(cause))


@pytest.mark.parametrize("tells_it_itself", [True, False])
def test_what_ssh_said_is_asked_for_when_restic_did_not_pass_it_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tells_it_itself: bool
) -> None:
    """Restic ends as soon as its ssh does, now and then before it has read what that said."""
    restic = role_modules.shared("back_up_host_restic")
    asked = tmp_path / "asked"
    refusing = f"sh -c 'touch {asked}; echo Host key verification failed. >&2; exit 255'"
    monkeypatch.setattr(restic, "sftp_command", lambda *_: refusing)
    login = {"sftp_key": "key", "sftp_known_hosts": "known", "s3_credentials": "", "rest_user": ""}
    given = {**login, "repository": "sftp:backup@192.0.2.7:/srv/web1", "rest_password": "", "password": "x"}
    found = restic.Restic({**given, "private": str(tmp_path), "timeout": 60})
    said = "Fatal: unable to start the sftp session, error: EOF"
    complaint = f"subprocess ssh: Host key verification failed.\n{said}" if tells_it_itself else said

    assert found.cause_of(complaint) == "the backup server has another key than the known one"
    assert asked.exists() != tells_it_itself


def test_everything_is_read_back_in_words_that_old_programs_know() -> None:
    """The program of Debian 11 refuses a percentage, also that of everything."""
    snapshot = role_modules.module("back_up_host", "back_up_host_snapshot")

    told = [snapshot.read_option(subset) for subset in ("100%", "10%", "1/10")]

    assert told == ["--read-data", "--read-data-subset=10%", "--read-data-subset=1/10"]
