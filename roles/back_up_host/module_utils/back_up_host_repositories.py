"""The kinds of repositories a backup may go to: how each is reached, and what its refusals mean.

Secrets lie in root-only files of a private folder in memory; arguments and environment hold their paths only.
"""

from __future__ import annotations

import os
import re
import socket
import urllib.parse
from pathlib import Path

SFTP = re.compile(
    r"sftp:(?://)?(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*)"
    r"(?::(?P<port>\d+)(?=/))?[:/].+"
)
IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
LEAST_FREE = 0.05
"""Part of a backup disk that has to be free before anything is written."""

CAUSES = (
    (r"wrong password or no key found", "the password does not open the repository"),
    (r"no space left on device|disk quota exceeded|507 Insufficient|\bENOSPC\b",
     "the disk of the repository is full"),
    (r"Host key verification failed", "the backup server has another key than the known one"),
    (r"Permission denied \(|401 Unauthorized|InvalidAccessKeyId|signature we calculated|Access ?Denied",
     "the backup server does not let this host in"),
    (r"403 Forbidden", "the backup server forbids this"),
    (r"read-only file system", "the disk of the repository is read-only"),
    (r"locked exclusively", "somebody else works on the repository"),
    (r"Pack ID does not match|ciphertext verification failed|pack .* not found|does not exist in",
     "the data in the repository was changed or is missing"),
)  # fmt: skip


class RepositoryError(Exception):
    """The repository cannot be used as it is set up or as it is found."""


def kind_of(repository: str) -> str:
    """Return `rest`, `s3`, `sftp` or `local`."""
    head = repository.partition(":")[0]
    if head in {"rest", "s3", "sftp"}:
        return head
    if repository.startswith("/"):
        return "local"
    raise RepositoryError(
        f"{repository} is no repository this role knows: rest:..., s3:..., sftp:..., or the path of a disk"
    )


def server_of(repository: str) -> tuple[str, int] | None:
    """Return host and port of the server; None for a disk.

    Raises RepositoryError when the address has no host in it.
    """
    kind = kind_of(repository)
    if kind == "local":
        return None
    if kind == "sftp":
        parts = SFTP.fullmatch(repository)
        if not parts:
            raise RepositoryError(f"{repository} is not of the form sftp:user@host:path")
        return parts["host"], int(parts["port"] or 22)
    address = repository.removeprefix(f"{kind}:")
    # An S3 address may come without a scheme; https is meant then.
    url = urllib.parse.urlsplit(address if "://" in address else f"https://{address}")
    if not url.hostname:
        raise RepositoryError(f"{repository} names no server")
    return url.hostname, url.port or (443 if url.scheme == "https" else 80)


def require_server(repository: str) -> None:
    """Fail at once when nothing listens; restic itself would try again for minutes."""
    server = server_of(repository)
    if not server:
        return
    try:
        socket.create_connection(server, timeout=10).close()
    except OSError as error:
        raise RepositoryError(
            f"the backup server does not answer at {server[0]}:{server[1]}: {error}"
        ) from error


def sftp_command(repository: str, key: Path, known_hosts: Path) -> str:
    """Return the ssh command for restic: this key, these known hosts, nothing of the host's own settings."""
    parts = SFTP.fullmatch(repository)
    if not parts:
        raise RepositoryError(f"{repository} is not of the form sftp:user@host:path")
    options = {
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": os.devnull,
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": 10,
        "ServerAliveInterval": 5,
        "ServerAliveCountMax": 3,
    }
    words = ["ssh", "-F", "none", "-i", str(key), *(f"-o {name}={value}" for name, value in options.items())]
    words += ["-p", parts["port"]] if parts["port"] else []
    words += ["-l", parts["user"]] if parts["user"] else []
    return " ".join([*words, parts["host"], "-s", "sftp"])


def mounts(table: str) -> dict[str, tuple[str, str]]:
    """Return kind and source of the file system at each mount point, from the kernel's mountinfo."""
    found = {}
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        if right:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), left.split(" ")[4])
            found[point] = (right.split(" ")[0], right.split(" ")[1])
    return found


def mount_point(path: Path, points: dict[str, tuple[str, str]]) -> str:
    """Return the mount point that a path, there already or not, lies on."""
    resolved = path.resolve()
    return next(str(folder) for folder in (resolved, *resolved.parents) if str(folder) in points)


def device_of(point: str) -> int:
    """Return the number of the file system at a mount point."""
    return Path(point).stat().st_dev


def require_disk(repository: str, paths: list[str], table: str) -> None:
    """Make sure that a repository on a disk is on a disk of its own, which is there and has room.

    ``table`` is the kernel's mountinfo. An external disk that is not mounted leaves an empty folder behind.
    """
    points = mounts(table)
    point = mount_point(Path(repository), points)
    kind, source = points[point]
    if point == "/":
        raise RepositoryError(
            f"no disk is mounted at {repository} or above it: connect the backup disk and mount it"
        )
    if kind in IN_MEMORY:
        raise RepositoryError(f"{point} is memory ({kind}), not a disk: a backup there is lost at a reboot")
    for path in ["/", *paths]:
        other = mount_point(Path(path), points)
        if device_of(point) == device_of(other) or (kind, source) == points[other]:
            raise RepositoryError(
                f"{point} is the same file system as {path}: a backup has to lie on another disk"
            )
    room = os.statvfs(point)
    if room.f_flag & os.ST_RDONLY:
        raise RepositoryError(f"the backup disk at {point} is read-only")
    if room.f_bavail < LEAST_FREE * room.f_blocks:
        full = 100 - round(100 * room.f_bavail / max(1, room.f_blocks))
        raise RepositoryError(f"the backup disk at {point} is {full} % full: make room or take another")


def cause_of(complaint: str) -> str:
    """Return in a few words what restic's complaint comes to; empty when that is not known."""
    return next((words for pattern, words in CAUSES if re.search(pattern, complaint, re.IGNORECASE)), "")
