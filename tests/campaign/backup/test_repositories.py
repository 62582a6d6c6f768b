"""Repositories as offices have them, from real servers: proven, or refused in words of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from backup_field import LAB, SECRET, BackupField, S3Server, credentials, sentence

from lab import processes
from lab.processes import Unit

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

DISK = "/mnt/cadangan"


def proven(played: Any) -> dict[str, Any]:  # noqa: ANN401 - how a playbook went
    assert played.failures == {}, played.failures
    found: dict[str, Any] = played.evidence["svc1"]["back_up_host"]
    assert found["check"] == "ok"
    assert found["restore_test"]["matched"] == found["restore_test"]["files"] > 20
    return found


# S3 ---------------------------------------------------------------------------------------------------


def test_s3_with_damage_and_wrong_keys(field: BackupField, s3: S3Server) -> None:
    proven(field.back_up("2026-11-21-s3-1", **s3.inputs()))
    packs = sorted(
        (s3.folder / "cadangan" / "svc1" / "data").glob("*/*"), key=lambda file: file.stat().st_size
    )
    content = packs[-1].read_bytes()
    wrong = s3.inputs(credentials(field.folder / "wrong", "bukan-" + SECRET))

    refused = field.back_up("2026-11-21-s3-2", **wrong)
    flipped = bytearray(content)
    flipped[len(flipped) // 2] ^= 1
    packs[-1].write_bytes(flipped)
    damaged = field.back_up("2026-11-21-s3-1", **s3.inputs())
    packs[-1].unlink()
    missing = field.back_up("2026-11-21-s3-1", **s3.inputs())

    assert sentence(refused) == "the repository does not open: the backup server does not let this host in"
    assert "bukan-" + SECRET not in refused.output
    for played in (damaged, missing):
        assert sentence(played).startswith("the repository is damaged")
        assert played.evidence["svc1"]["back_up_host"]["check"] == "failed"


# sftp -------------------------------------------------------------------------------------------------


def sftp(field: BackupField, known_hosts: Path | None = None) -> dict[str, Any]:
    return {
        "back_up_host_repository": f"sftp:root@{field.address('svc2')}:/srv/cadangan/svc1",
        "back_up_host_rest_user": "",
        "back_up_host_sftp_key_file": field.inventory / "keys" / "ssh_lab",
        "back_up_host_sftp_known_hosts_file": known_hosts or field.inventory / "known_hosts",
    }


def test_sftp_with_another_host_s_key_and_another_login(field: BackupField) -> None:
    proven(field.back_up("2026-11-21-sftp-1", **sftp(field)))
    key = field.host("svc1").check_output("cat /etc/ssh/ssh_host_ed25519_key.pub")
    other = field.folder / "known_hosts"
    other.write_text(f"{field.address('svc2')} {key}\n")
    login = sftp(field) | {"back_up_host_sftp_key_file": field.inventory / "keys" / "kabid"}
    stranger = field.folder / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    login["back_up_host_sftp_key_file"] = stranger

    changed = field.back_up("2026-11-21-sftp-2", **sftp(field, other))
    refused = field.back_up("2026-11-21-sftp-2", **login)

    assert "the backup server has another key than the known one" in sentence(changed)
    assert "the backup server does not let this host in" in sentence(refused)


def test_an_sftp_server_that_hangs_is_given_up(field: BackupField) -> None:
    proven(field.back_up("2026-11-21-sftp-3", **sftp(field)))
    processes.freeze(Unit(LAB, "svc2"))

    played = field.back_up("2026-11-21-sftp-4", **sftp(field), back_up_host_timeout=20)
    processes.thaw(Unit(LAB, "svc2"))

    assert played.failures["svc1"]
    assert "was not done in time" in sentence(played) or "does not open" in sentence(played)
    assert field.host("svc1").check_output("ls /run | grep -c rawat || true") == "0"
    proven(field.back_up("2026-11-21-sftp-5", **sftp(field)))


# A disk -----------------------------------------------------------------------------------------------


@contextmanager
def external_disk(field: BackupField) -> Iterator[None]:
    """Connect and mount a disk of 64 MiB with a real file system."""
    image = field.folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    command = ["losetup", "--find", "--show", str(image)]
    device = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    number = device.removeprefix("/dev/loop")
    host = field.host("svc1")
    try:
        # A container may mount what it sees, and it sees no disks: the node is made for it.
        script = f"mkdir -p {DISK}; mknod /dev/cadangan b 7 {number}; mount /dev/cadangan {DISK}"
        subprocess.run(["nsenter", "--target", leader(), "--mount", "--pid", "sh", "-ec", script], check=True)
        yield
    finally:
        host.run(f"umount {DISK}; rm -f /dev/cadangan")
        subprocess.run(["losetup", "--detach", device], check=False)


def leader() -> str:
    """Return the process that is the first host's init, as seen from here."""
    space = f"/run/netns/rawat-{LAB}.svc1"
    pids = subprocess.run(["ip", "netns", "pids", space.rpartition("/")[2]], capture_output=True, text=True,
                          check=True).stdout.split()  # fmt: skip
    return min(pids, key=int)


def test_a_disk_of_its_own(field: BackupField) -> None:
    inputs = {"back_up_host_repository": f"{DISK}/svc1", "back_up_host_rest_user": ""}
    host = field.host("svc1")
    with external_disk(field):
        proven(field.back_up("2026-11-21-disk-1", **inputs))
        host.check_output(f"fallocate -l 35M {DISK}/penuh")
        host.check_output("dd if=/dev/urandom of=/etc/besar bs=1M count=30 status=none")
        filling = field.back_up("2026-11-21-disk-2", **inputs)
        host.check_output(f"rm /etc/besar; dd if=/dev/zero of={DISK}/penuh bs=1M status=none || true")
        full = field.back_up("2026-11-21-disk-3", **inputs)
        host.check_output(f"rm {DISK}/penuh")
    away = field.back_up("2026-11-21-disk-4", **inputs)

    assert "the disk of the repository is full" in sentence(filling), filling.failures
    assert "% full: make room or take another" in full.failures["svc1"]
    assert "no disk is mounted at" in away.failures["svc1"]
    assert not host.file(f"{DISK}/svc1").exists


# Append-only ------------------------------------------------------------------------------------------


def test_nothing_can_be_taken_out_of_an_append_only_repository(field: BackupField) -> None:
    """What a host that was broken into, with the password and the login of its backup, can do."""
    found = proven(field.back_up("2026-11-21-rest-1"))
    secrets = field.inventory / "secrets"
    password = (secrets / "restic_rest_svc1").read_text().strip()
    address = f"rest:http://svc1:{password}@{field.lab.controller}:8810/svc1/"
    command = ["restic", "--no-cache", "-r", address, "-p", str(secrets / "restic_password")]

    done = subprocess.run(
        [*command, "forget", found["snapshot"]], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert [file.name for file in (field.rest_repository / "snapshots").iterdir()].count(
        found["snapshot"]
    ) == 1
