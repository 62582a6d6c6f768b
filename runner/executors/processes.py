"""Finds and ends the processes that an action started, also those of a runner that was killed.

They are known by a mark in their environment, never by name: only what Rawat itself started is ended.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

MARK = "RAWAT_ACTION"
_GRACE_SECONDS = 10.0


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


def end_marked(value: str) -> int:
    """End every marked process, first politely; return how many there were."""
    first = marked(value)
    if not first:
        return 0
    deadline = time.monotonic() + _GRACE_SECONDS
    _signal(first, signal.SIGTERM)
    while (left := marked(value)) and time.monotonic() < deadline:
        time.sleep(0.1)
    _signal(left, signal.SIGKILL)
    return len(first)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
