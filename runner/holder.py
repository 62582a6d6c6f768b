"""Who holds the lock on a file, as the kernel tells it: nobody's word, and so never out of date.

The kernel frees such a lock when its holder dies, however it dies: a held one is held by a living process.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from runner import errors
from runner.display import display

_PROC = Path("/proc")
_SHOWN = 200
_PAUSE_SECONDS = 0.02


def take(descriptor: int, patience: float, refusal: Callable[[str], errors.RawatError]) -> None:
    """Take the lock on an open file, waiting up to ``patience`` seconds for whoever holds it.

    Raises:
        RawatError: what ``refusal`` makes of the words for who holds it still.
        OSError: when the lock cannot be asked for.
    """
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise refusal(held_by(descriptor)) from error
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def held_by(descriptor: int) -> str:
    """Return in words which process holds the lock on the open file: id, command, user and since when."""
    found = os.fstat(descriptor)
    try:
        locks = (_PROC / "locks").read_text(encoding="ascii")
    except OSError:
        return "the kernel does not tell which"
    pid = _holder(locks, found.st_dev, found.st_ino)
    if pid is None:
        return "it has ended just now, or is not to be seen from here"
    return _described(pid)


def is_held(path: Path) -> bool:
    """Tell whether a process holds the lock on a file; asked without opening it, which disturbs nobody."""
    found = path.stat()
    try:
        locks = (_PROC / "locks").read_text(encoding="ascii")
    except OSError:
        return True  # the kernel does not tell: nothing is said against whoever is at work
    return _holder(locks, found.st_dev, found.st_ino) is not None


def _holder(locks: str, device: int, inode: int) -> int | None:
    """Return the process that holds a whole-file lock, from the lines of /proc/locks.

    Some file systems show another device there than to ``stat``: then the inode alone has to do.
    """
    same_inode = []
    for line in locks.splitlines():
        # 1: FLOCK  ADVISORY  WRITE 708 08:02:2236457 0 EOF; a waiting process has "->" after the number
        fields = line.split()
        if len(fields) < 8 or fields[1] != "FLOCK":  # noqa: PLR2004 - the fields of such a line
            continue
        major, minor, number = fields[5].split(":")
        if int(number) != inode:
            continue
        if (int(major, 16), int(minor, 16)) == (os.major(device), os.minor(device)):
            return int(fields[4])
        same_inode.append(int(fields[4]))
    return same_inode[0] if len(same_inode) == 1 else None


def _described(pid: int) -> str:
    place = _PROC / str(pid)
    try:
        command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        user = _user(place.stat().st_uid)
        since = _started(place)
    except (OSError, ValueError, IndexError):
        return f"process {pid}, which has ended just now"
    shown = display(command, longest=_SHOWN)
    return f"process {pid} ({shown}) of user {user}, since {since:%Y-%m-%d %H:%M:%S} UTC"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _started(place: Path) -> datetime:
    # The name of the program, in brackets, may hold spaces and brackets of its own (proc(5)).
    after_name = (place / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    ticks = int(after_name[19])
    boot = next(
        int(line.split()[1])
        for line in (_PROC / "stat").read_text(encoding="ascii").splitlines()
        if line.startswith("btime")
    )
    return datetime.fromtimestamp(boot + ticks / os.sysconf("SC_CLK_TCK"), UTC)
