"""The lock on the host itself: one run changes it at a time, whichever controller it comes from.

Rules:
1. The lock is a file that names its holder; it is written whole, on the disk, before the first change.
2. Time alone never frees it. The same run comes in again; another one is refused and told who holds the host.
3. A lock is taken over only on proof: the controller that wrote it says that the run was closed, or that an
   official freed its hosts, and nothing of ours is at work here. What was taken over is kept beside it.
4. Beside it lies a little room in reserve. On a disk without a free block it is spent, so that what makes
   room again can be noted down; it is laid by again once there is plenty.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils import durable
from ansible.module_utils.debian_packages import run_command
from ansible.module_utils.host_unit import CALLS, is_called

UNREADABLE = "of a lock file that cannot be read"
_LOCK, _GUARD, _HISTORY = "lock.json", "lock.guard", "lock-history.jsonl"
_RESERVE, _RESERVE_BYTES, _PLENTY_BYTES = "reserve", 256 * 1024, 16 * 1024 * 1024
Claim = dict[str, Any]
"""``run``, ``started`` (digest of the run's first record), ``controller``, ``operator``, ``since``."""


def take(
    directory: Path, claim: Claim, ended: list[str], *, check_mode: bool
) -> tuple[Claim | None, Claim | None]:
    """Take the host; return (who holds it instead, whose dead lock was taken over)."""
    if not check_mode:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not directory.is_dir():
        return None, None
    try:
        taken = _take(directory, claim, ended, check_mode=check_mode)
    except OSError as error:
        if error.errno != errno.ENOSPC or check_mode or not spend_reserve(directory):
            raise
        taken = _take(directory, claim, ended, check_mode=check_mode)
    if not check_mode:
        lay_by_reserve(directory)
    return taken


def _take(
    directory: Path, claim: Claim, ended: list[str], *, check_mode: bool
) -> tuple[Claim | None, Claim | None]:
    with _guarded(directory):
        holder = read(directory)
        if holder is not None and _is_same(holder, claim):
            return None, None
        if holder is not None and (holder.get("started") not in ended or at_work(directory)):
            return holder, None
        if not check_mode:
            if holder is not None:
                remember(directory, {"lock": holder, "taken_over_by": claim})
            durable.write(directory / _LOCK, json.dumps(claim, sort_keys=True).encode() + b"\n")
        return None, holder


def release(directory: Path, claim: Claim) -> str:
    """Give the host back; return why it stays locked, or an empty string."""
    if not directory.is_dir():
        return ""
    with _guarded(directory):
        holder = read(directory)
        if holder is None or not _is_same(holder, claim):
            return ""
        busy = at_work(directory)
        if busy:
            return f"{', '.join(busy)} is still at work"
        (directory / _LOCK).unlink()
        durable.sync(directory)
        lay_by_reserve(directory)
        return ""


def break_by_name(directory: Path, run: str, word: Claim, *, check_mode: bool) -> tuple[Claim | None, str]:
    """Remove the lock of ``run`` on a person's word, which is kept; return (the lock, why it stays)."""
    if not directory.is_dir():
        return None, ""
    with _guarded(directory):
        holder = read(directory)
        if holder is None:
            return None, ""
        if holder.get("run") not in {run, UNREADABLE}:
            return holder, f"it is held by {described(holder)}"
        busy = at_work(directory)
        if busy:
            return holder, f"{', '.join(busy)} is still at work"
        if not check_mode:
            remember(directory, {"lock": holder, "broken_by": word})
            (directory / _LOCK).unlink()
            durable.sync(directory)
        return holder, ""


def read(directory: Path) -> Claim | None:
    """Return the lock; one that cannot be read is held by somebody who cannot be named."""
    try:
        held = json.loads((directory / _LOCK).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {"run": UNREADABLE}
    return held if isinstance(held, dict) else {"run": UNREADABLE}


def described(holder: Claim) -> str:
    """Return in words who holds the host."""
    told = {
        name: str(holder.get(name) or "unknown")[:200] for name in ("run", "operator", "controller", "since")
    }
    return f"run {told['run']} of {told['operator']}, controller {told['controller']}, since {told['since']}"


def at_work(directory: Path) -> list[str]:
    """Return what of ours works on this host now: units, and a call that has or needs none."""
    calls = ["a call of an earlier try"] if any(is_called(directory, name) for name in CALLS) else []
    return units_at_work() + calls


def units_at_work() -> list[str]:
    """Return the units of ours that work on this host now, or that systemd does not answer."""
    shown = run_command(
        [
            "systemctl",
            "list-units",
            "rawat-*.service",
            "--plain",
            "--no-legend",
            "--state=active,activating,deactivating",
        ]
    )
    if shown.rc != 0:
        return ["systemd does not answer: something"]
    return [line.split()[0] for line in shown.output.splitlines() if line.startswith("rawat-")]


def lay_by_reserve(directory: Path) -> None:
    """Put some room aside where there is plenty; a host that cannot is held all the same."""
    reserve = directory / _RESERVE
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        told = os.statvfs(directory)
        if told.f_bavail * told.f_frsize < _PLENTY_BYTES or reserve.exists():
            return
        descriptor = os.open(reserve, flags, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _RESERVE_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        reserve.unlink(missing_ok=True)


def spend_reserve(directory: Path) -> bool:
    """Give the room in reserve free; whether there was any."""
    try:
        (directory / _RESERVE).unlink()
    except FileNotFoundError:
        return False
    durable.sync(directory)
    return True


def remember(directory: Path, what: Claim) -> None:
    """Keep a line about a lock that somebody else's word ended."""
    path = directory / _HISTORY
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, json.dumps(what, sort_keys=True).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    durable.sync(directory)


def _is_same(holder: Claim, claim: Claim) -> bool:
    return (holder.get("run"), holder.get("started")) == (claim["run"], claim["started"])


@contextmanager
def _guarded(directory: Path) -> Iterator[None]:
    """Judge and write as one; the kernel frees this with the process that holds it."""
    guard = os.open(directory / _GUARD, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        os.close(guard)
