"""Which open run holds which hosts, told from the journals of all runs and from nothing else.

Rules:
1. A run holds its hosts from its start until it is closed; the recorded break of its lock frees them, and
   resuming takes them again. Time alone frees nothing.
2. Taking is done under one lock on the folder of the runs: of two runs that want a host, one gets it.
3. Two names are one host when they lead to the same address and port, and equal names are, unless both
   inventories give an address and the addresses differ (docs/adr/0020-who-holds-a-host.md).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner import errors, journal
from runner.canonical import sha256_hex
from runner.clock import format_utc
from runner.display import display
from runner.endpoints import address_of
from runner.files import make_private_dir, recording
from runner.holder import take
from runner.waves import in_natural_order
from runner.workspace import RunFolder, Workspace

_PATIENCE_SECONDS = 120.0
_TAIL = 64 * 1024
_SHOWN = 5


@dataclass(frozen=True)
class Holding:
    """An open run and the hosts it holds."""

    run: str
    operator: str
    row: int | None
    """Where the run stands; None before its first row, or when its journal is damaged further on."""
    since: str
    """UTC, as the journal writes it."""
    hosts: tuple[str, ...]
    addresses: dict[str, str]
    """Host -> ``address:port``, where the inventory gives one."""

    @property
    def words(self) -> str:
        """Return who holds, where and since when, for a person."""
        at = f"at row {self.row}" if self.row is not None else "before its first row"
        return (
            f"run {self.run} of {display(self.operator, longest=100)}, {at}, holding them since {self.since}"
        )


@contextmanager
def taking(workspace: Workspace) -> Iterator[None]:
    """Keep others from taking hosts meanwhile.

    Raises:
        InputError: when another process keeps us waiting for too long, naming it.
        CannotRecordError: when the lock cannot be opened.
    """
    make_private_dir(workspace.runs)
    path = workspace.hosts_lock
    with recording(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        take(
            descriptor,
            _PATIENCE_SECONDS,
            lambda who: errors.InputError(
                f"another process is starting a run, and does not come to an end: {who}",
                hint=f"end it if it hangs, then try again (the lock is on {path})",
            ),
        )
        yield
    finally:
        os.close(descriptor)


def require_free(
    workspace: Workspace, hosts: tuple[str, ...], addresses: Mapping[str, str], own: RunFolder | None = None
) -> None:
    """Refuse hosts that another open run holds; ``own`` is the run that wants them.

    Raises:
        InputError: naming the run, the hosts in common, its operator, where it stands and since when.
    """
    for holding in holdings(workspace, without=own):
        common = in_common(hosts, addresses, holding)
        if common:
            more = f" and {len(common) - _SHOWN} more" if len(common) > _SHOWN else ""
            named = ", ".join(display(host) for host in common[:_SHOWN]) + more
            raise errors.InputError(
                f"{holding.words} has {named} in common with this one; nothing was begun",
                hint=f"finish it with 'rawat resume {holding.run}', or, if nobody will, free its hosts with "
                f"'rawat break-lock {holding.run} --official ID --reason TEXT'",
            )


def in_common(hosts: tuple[str, ...], addresses: Mapping[str, str], other: Holding) -> tuple[str, ...]:
    """Return which of ``hosts`` the other run holds too, in natural order."""
    theirs = {other.addresses.get(host, address_of(host, {})) for host in other.hosts}
    names = set(other.hosts)
    return in_natural_order(
        host
        for host in hosts
        if addresses.get(host, address_of(host, {})) in theirs
        or (host in names and not (host in addresses and host in other.addresses))
    )


def holdings(workspace: Workspace, without: RunFolder | None = None) -> list[Holding]:
    """Return every open run that holds its hosts.

    Raises:
        InputError: when a journal does not even tell which hosts it is about.
    """
    found = []
    for folder in workspace.run_folders():
        if without is not None and folder.path.resolve() == without.path.resolve():
            continue
        holding = None if is_closed(folder.journal) else _holding(folder)
        if holding is not None:
            found.append(holding)
    return found


def ended(workspace: Workspace) -> tuple[str, ...]:
    """Return the digests of the first records of all runs that are closed, or whose hosts were freed by name.

    A digest is no other run's, as ids may be: another controller counts its runs of a day as well.
    """
    return tuple(sha256_hex(_first_line(folder)) for folder in workspace.run_folders() if _is_ended(folder))


def open_runs(workspace: Workspace) -> tuple[RunFolder, ...]:
    """Return all runs that are not closed, whoever holds their hosts."""
    return tuple(folder for folder in workspace.run_folders() if not is_closed(folder.journal))


def _is_ended(folder: RunFolder) -> bool:
    if is_closed(folder.journal):
        return True
    try:
        return bool(_first_line(folder)) and _holding(folder) is None
    except errors.InputError:
        return False


def _first_line(folder: RunFolder) -> bytes:
    with folder.journal.open("rb") as stream:
        line = stream.readline()
    return line if line.endswith(b"\n") else b""


def is_closed(path: Path) -> bool:
    """Tell whether a journal ends with the record that closes a run; reads its last lines only."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        tail = stream.read()
    lines = tail[: tail.rfind(b"\n") + 1].splitlines()
    try:
        return bool(lines) and json.loads(lines[-1])["event"] == "run_finished"
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _holding(folder: RunFolder) -> Holding | None:
    data = folder.journal.read_bytes()
    if b"\n" not in data:
        return None  # a start that was cut off: nothing was announced, so nothing was done
    try:
        started = json.loads(data[: data.index(b"\n")])
        hosts = tuple(started["inventory"]["hosts"])
        addresses = dict(started["inventory"].get("addresses", {}))
        operator, since = str(started["operator"]["name"]), str(started["at"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise errors.InputError(
            f"nobody can tell which hosts run {folder.name} holds: the first record of {folder.journal} "
            "cannot be read",
            hint="once it is sure that nothing works on its hosts, move its folder out of the runs",
        ) from error
    try:
        events = journal.read(folder.journal)
    except errors.VerificationError:
        return Holding(folder.name, operator, None, since, hosts, addresses)
    return _folded(Holding(folder.name, operator, None, since, hosts, addresses), events)


def _folded(holding: Holding, events: tuple[journal.Event, ...]) -> Holding | None:
    row, since, freed = None, holding.since, False
    for event in events:
        if event.name == "step_started":
            row = int(event["step"])
        elif event.name == "lock_broken":
            freed = True
        elif event.name == "run_resumed" and freed:
            freed, since = False, format_utc(event.instant.at)
    if freed:
        return None
    return Holding(holding.run, holding.operator, row, since, holding.hosts, holding.addresses)
