"""Runs changing work on the host as a transient systemd unit with a fixed name.

The unit outlives a cut link, a killed controller and a restarted sshd, and systemd refuses a second unit of
the same name: the work cannot run twice at once. Who finds it running waits for its end and probes the host.
A call whose controller is gone goes on as well, and may be just about to start its unit: calls wait for each
other by a lock that the kernel frees with the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ansible.module_utils.debian_packages import ENVIRONMENT, Finished, run_command

POLL_SECONDS = 0.2
_LOOK_SECONDS = 30.0
"""How often systemd is asked of a unit whose process is watched, whatever the kernel says of it."""
_LOCK, TURN = CALLS = ("work.lock", "turn.lock")
"""The locks of a call, and of one that does several roles' work and calls theirs."""
_RUNNING = {"active", "activating", "deactivating", "reloading"}


@contextmanager
def only_call(directory: Path, timeout: float, *, make: bool, lock_file: str = _LOCK) -> Iterator[bool]:
    """Keep other calls from working on the host; False when one that does is not over in time.

    Without `make` (check mode) a folder that is not there yet stays so: no call has ever worked here.
    """
    if make:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not directory.is_dir():
        yield True
        return
    lock = os.open(directory / lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield _is_locked(lock, timeout)
    finally:
        os.close(lock)


@contextmanager
def alone(directory: Path, timeout: float, *, make: bool) -> Iterator[None]:
    """Do the same, raising TimeoutError when another call is not over in time."""
    with only_call(directory, timeout, make=make) as is_alone:
        if not is_alone:
            raise TimeoutError("an earlier call is still at work on this host")
        yield


def _is_locked(lock: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True


def is_called(directory: Path, lock_file: str) -> bool:
    """Whether a call is at work on the host that `only_call` keeps the others from."""
    try:
        lock = os.open(directory / lock_file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _is_locked(lock, 0)
    finally:
        os.close(lock)


def unit_state(unit: str) -> dict[str, str]:
    """Return what systemd knows of the unit; a unit it has forgotten is `inactive` with result `success`.

    Nothing when systemd does not answer, as while it starts itself anew: then nothing is known of the unit.
    """
    shown = run_command(["systemctl", "show", unit, "--property=ActiveState,Result,ExecMainStatus,MainPID"])
    return dict(line.split("=", 1) for line in shown.output.splitlines() if "=" in line)


def is_running(unit: str) -> bool:
    """Whether the unit is at work."""
    return _is_at_work(unit_state(unit))


def _is_at_work(state: dict[str, str]) -> bool:
    # What is not known to have ended may be at work.
    return "ActiveState" not in state or state["ActiveState"] in _RUNNING


def wait_for_end(unit: str, timeout: float) -> bool:
    """Wait until the unit has ended; False when it is still at work after the time given.

    Its process is watched, which costs nothing: to ask systemd five times a second was a tenth of a patch.
    """
    deadline = time.monotonic() + timeout
    while _is_at_work(state := unit_state(unit)):
        left = deadline - time.monotonic()
        if left < 0:
            return False
        _watch(int(state.get("MainPID") or 0), min(left, _LOOK_SECONDS))
        time.sleep(POLL_SECONDS)
    return True


def _watch(process: int, seconds: float) -> None:
    """Wait for the end of a process, at most so long; not at all where the kernel cannot tell it."""
    if process <= 0 or not hasattr(os, "pidfd_open"):
        return
    try:
        told = os.pidfd_open(process)
    except OSError:
        return  # it has ended by now, or the kernel is too old
    try:
        asked = select.poll()
        asked.register(told, select.POLLIN)
        asked.poll(1000 * seconds)
    finally:
        os.close(told)


def forget_failure(unit: str) -> None:
    """Let systemd forget that the unit failed; a unit it does not know is left as it is."""
    run_command(["systemctl", "reset-failed", unit])


def run_in_unit(unit: str, argv: Sequence[str], *, log: Path, timeout: float) -> Finished:
    """Run a command as the named unit, its output kept in the log file, and wait for its end.

    Work still going after the timeout is left alone (killing dpkg breaks the host) and reported as rc 124.
    """
    written_before = log.stat().st_size if log.exists() else 0
    _create_private(log)
    # A failed unit of an earlier attempt keeps its name until it is forgotten.
    forget_failure(unit)
    started = run_command(_systemd_run(unit, argv, log))
    if started.rc != 0:
        return Finished(started.rc, f"E: systemd-run could not start {unit}: {started.output}")
    if not wait_for_end(unit, timeout):
        return Finished(
            124, f"{_read_from(log, written_before)}\nE: {unit} is still at work after {timeout:.0f} s"
        )
    state = _told(unit)
    succeeded = state.get("Result") == "success"
    rc = 0 if succeeded else int(state.get("ExecMainStatus") or 0) or 1
    # Its result is told in our evidence; left behind, it would count among the host's failed services.
    forget_failure(unit)
    return Finished(rc, _read_from(log, written_before))


def _told(unit: str) -> dict[str, str]:
    """Return the state of a unit that has ended, asking again while systemd does not answer."""
    deadline = time.monotonic() + _LOOK_SECONDS
    while not (state := unit_state(unit)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return state


def _systemd_run(unit: str, argv: Sequence[str], log: Path) -> list[str]:
    return [
        "systemd-run",
        f"--unit={unit}",
        "--quiet",
        f"--property=StandardOutput=append:{log}",
        f"--property=StandardError=append:{log}",
        # Processes that maintainer scripts start must not be killed with the unit.
        "--property=KillMode=process",
        *(f"--setenv={name}={value}" for name, value in ENVIRONMENT.items()),
        "--",
        *argv,
    ]


def _create_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600))


def _read_from(path: Path, offset: int) -> str:
    with path.open("rb") as log:
        log.seek(offset)
        return log.read().decode("utf-8", "replace")
