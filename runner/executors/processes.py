"""Starts an action's processes, finds them again and ends them, also those of a runner that was killed.

They are known by a mark in their environment, never by name: only what Rawat itself started is ended.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from runner import errors
from runner.files import write_once

MARK = "RAWAT_ACTION"
_GRACE_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.02


def mark(work: Path) -> str:
    """Return the environment value that marks the processes of the action with this scratch folder."""
    return str(work)


def marked(value: str) -> list[int]:
    """Return the ids of all living processes that carry the mark, or one below it (``value/...``)."""
    found = []
    wanted = f"{MARK}={value}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue  # gone meanwhile, or another user's
        if any(item == wanted or item.startswith(wanted + b"/") for item in _items(environment, wanted)):
            found.append(int(entry.name))
    return found


def _items(environment: bytes, wanted: bytes) -> list[bytes]:
    # Most processes do not even hold the text; only then is it worth looking closer.
    return environment.split(b"\0") if wanted in environment else []


def start(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a command under a warden, which ends it and all that it started when this process dies.

    Args:
        command: program and arguments.
        cwd: the folder it works in.
        environment: its whole environment, with a ``MARK`` in it that is this command's alone.
        log: the file that takes what it prints.

    Returns:
        The warden, which ends after the command with its exit code; closing its ``stdin`` ends both.
    """
    with write_once(log, b"").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "runner.executors.warden", *command],
            cwd=cwd,
            env={**environment},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # What it writes is private, whatever the operator's shell says of new files.
            umask=0o077,
        )


def ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process of ours, no longer than so many seconds; return whether it has ended."""
    if process.poll() is None:
        pidfd = os.pidfd_open(process.pid)
        try:
            select.select([pidfd], [], [], seconds)
        finally:
            os.close(pidfd)
    return process.poll() is not None


def end_marked(value: str) -> int:
    """End every marked process, first politely; return how many there were.

    Raises:
        StepFailedError: when one of them does not even end when it is killed.
    """
    deadline = time.monotonic() + _GRACE_SECONDS
    if first := marked(value):
        _signal(first, signal.SIGTERM)
        while marked(value) and time.monotonic() < deadline:
            time.sleep(0.1)
    return max(len(first), kill_marked(value))


def kill_marked(value: str) -> int:
    """Kill every marked process and wait until none is left; return how many there were.

    All are halted before the first is killed: one that sees another end must not go on to its next task.

    Raises:
        StepFailedError: when one of them does not end.
    """
    seen: set[int] = set()
    deadline = time.monotonic() + _GRACE_SECONDS
    # Twice: between two programs of one process its environment is empty for a moment.
    while left := marked(value) or _marked_later(value):
        if time.monotonic() > deadline:
            raise errors.StepFailedError(
                f"processes {left} of an earlier action on the hosts cannot be ended",
                hint="see with 'ps' what holds them; once they have gone, 'rawat resume'",
            )
        seen.update(left)
        _signal(left, signal.SIGSTOP)
        _signal(marked(value), signal.SIGKILL)
    return len(seen)


def _marked_later(value: str) -> list[int]:
    time.sleep(_LOOK_AGAIN_SECONDS)
    return marked(value)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
