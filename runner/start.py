"""Starts a run: judges SOP, roster and hosts, makes the run's folder, writes the journal's first record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from runner import __version__, errors, filled, holds
from runner.canonical import sha256_hex
from runner.clock import Clock, Instant
from runner.display import display
from runner.earlier_reports import earlier_trends
from runner.earlier_runs import find_owed
from runner.events import FORMAT
from runner.files import (
    RESERVE,
    RESERVE_PER_HOST,
    free_bytes,
    make_private_dir,
    recording,
    require_reserve,
    sync_dir,
    write_once,
)
from runner.inventory import Inventory
from runner.journal import Journal
from runner.kinds import SERVICES, computers
from runner.office_settings import OfficeLook
from runner.officials import Official, Roster
from runner.run_numbers import next_number
from runner.sop import Sop, Step, sop_digest
from runner.sop_check import Staff, can_be_filled, require_good, vacancy
from runner.waves import BUDGET
from runner.windows import Windows, closed
from runner.workspace import RunFolder, Workspace


@dataclass(frozen=True)
class Start:
    """What a run is started with."""

    sop_text: str
    sop_name: str
    inventory: Inventory
    roster: Roster
    operator: Official
    failure_budget: str = "0"
    windows: Windows | None = None
    look: OfficeLook = field(default_factory=OfficeLook)
    """What ``office.yml`` said."""
    account: str = ""
    """The account of this machine that it is started under."""


def start_run(
    workspace: Workspace, clock: Clock, start: Start, free: Callable[[Path], int] = free_bytes
) -> RunFolder:
    """Create the folder of a new run with its first record; ``free`` tells the space a path still has.

    Raises:
        InputError: when the SOP or the roster does not allow a run, or an open run holds one of the hosts.
        CannotRecordError: when the disk does not take it, or has too little space for a run.
    """
    now = clock.now()
    sop, start = require_startable(workspace, start, now)
    needed = RESERVE + len(start.inventory.hosts) * RESERVE_PER_HOST
    for path in (workspace.runs, workspace.archive):
        require_reserve(path, free(path), needed)
    with holds.taking(workspace):
        holds.require_free(workspace, start.inventory.hosts, start.inventory.addresses)
        return _begin(workspace, clock, start, sop)


def require_startable(workspace: Workspace, start: Start, now: Instant) -> tuple[Sop, Start]:
    """Return the SOP and what of a start its rows work on, when a run can be begun and come to its end.

    Raises:
        InputError: when the SOP, the roster, the hosts, the budget or the windows do not allow a run.
    """
    sop = require_good(start.sop_text, start.sop_name, workspace.available())
    if not sop.is_about_services:
        start = _with_computers_only(start)
    if BUDGET.match(start.failure_budget) is None:
        raise errors.InputError(
            f"the failure budget is {display(start.failure_budget)!r}",
            hint="expected a number of hosts such as 3, or a share of the planned hosts such as 10%",
        )
    shut = closed(start.windows, ZoneInfo(start.roster.timezone), now.at)
    if shut is not None and shut.opens is None:
        raise errors.InputError(
            "the maintenance windows never open long enough for a change to begin",
            hint="compare min_minutes, windows and freeze in windows.yml beside the inventory",
        )
    _require_officials(sop, start, start.roster.day(now.at))
    return sop, start


def _with_computers_only(start: Start) -> Start:
    """A run neither holds nor reports on the services that no row of its SOP works on."""
    inventory = start.inventory
    hosts = computers(inventory.hosts, inventory.groups)
    if not hosts:
        raise errors.InputError(
            f"{start.sop_name} works on computers, and the inventory leaves none",
            hint=f"hosts in the groups {', '.join(SERVICES)} are services; see docs/writing-a-sop.md",
        )
    groups = {name: [host for host in members if host in hosts] for name, members in inventory.groups.items()}
    kept = {name: members for name, members in groups.items() if members}
    addresses = {host: inventory.addresses[host] for host in hosts if host in inventory.addresses}
    return replace(start, inventory=replace(inventory, hosts=hosts, groups=kept, addresses=addresses))


def _begin(workspace: Workspace, clock: Clock, start: Start, sop: Sop) -> RunFolder:
    earlier = find_owed(workspace, sop.id, start.inventory.hosts)
    day = clock.now().at.astimezone(ZoneInfo(start.roster.timezone))
    folder = _new_folder(workspace, sop, day)
    write_once(folder.sop, start.sop_text.encode())
    roster = start.roster.snapshot()
    write_once(folder.officials, roster)
    write_once(folder.allowed_signers, start.roster.allowed_signers())
    look = start.look.snapshot()
    write_once(folder.office, look)
    trends = earlier_trends(workspace, sop.id, start.roster.office).snapshot()
    write_once(folder.trends, trends)
    number = next_number(workspace, start.roster.office, day.year)
    journal = Journal(folder.journal, clock)
    with journal.lock():
        journal.append(
            "run_started",
            format=FORMAT,
            run=folder.name,
            sop={"id": sop.id, "name": start.sop_name, "sha256": sop_digest(start.sop_text)},
            inventory={
                "path": _path_in(workspace.root, start.inventory.path),
                "hosts": list(start.inventory.hosts),
                "groups": start.inventory.groups,
                "controllers": list(start.inventory.controllers),
                "addresses": start.inventory.addresses,
            },
            officials_sha256=sha256_hex(roster),
            office_sha256=sha256_hex(look),
            trends_sha256=sha256_hex(trends),
            number=number,
            operator=start.operator.person(),
            office=start.roster.office,
            timezone=start.roster.timezone,
            failure_budget=start.failure_budget,
            windows=None if start.windows is None else start.windows.recorded(),
            owed=[asdict(owed) for owed in earlier.owed],
            owed_unread=list(earlier.unread),
            signing=start.look.settings.signatures.recorded,
            assumptions=[assumption.model_dump() for assumption in sop.assumptions],
            versions={
                "rawat": __version__,
                "roles": workspace.roles_digest(),
                "templates": workspace.templates_digest(),
            },
            account=start.account,
        )
    return folder


def _require_officials(sop: Sop, start: Start, today: date) -> None:
    """Refuse to start what could never be finished: a gate that nobody but the operator may ever decide."""
    operator = start.operator
    if not operator.valid.includes(today):
        raise errors.InputError(
            f"{operator.name} is an official {operator.valid.days()}, not on {today}",
            hint="mend 'valid' in officials.yml beside the inventory, or choose another --operator",
        )
    for step in sop.steps:
        if why := vacancy(sop, step, Staff(start.roster, operator, today)):
            raise errors.InputError(
                why, hint="complete officials.yml beside the inventory, or choose another --operator"
            )
    _require_own_forms(sop, start, today)


def _require_own_forms(sop: Sop, start: Start, today: date) -> None:
    """Refuse to start where a form would stand for somebody else's word without his signature."""
    for step in sop.steps:
        if step.action is None or step.action.form is None or filled.is_signed(sop, step):
            continue
        fillers = filled.Fillers(sop, start.roster, start.operator.person(), today)
        refused = fillers.refusal(step, start.operator.id)
        if refused:
            raise errors.InputError(
                f"row {step.no} has a form that nobody signs, so it is the operator's own: {refused}",
                hint="choose the --operator who does that row, or give the row a decision by its pelaksana",
            )


def warnings(sop: Sop, roster: Roster, operator: Official, today: date) -> list[str]:
    """Return a line for every gate that nobody may decide today, though somebody may on a later day."""
    return [
        f"row {step.no} waits for {' and '.join(positions)}, and nobody may decide there today ({today}); "
        "see the dates in officials.yml"
        for step, positions in _awaited_positions(sop)
        if not can_be_filled([roster.holders(position, today) for position in positions], operator)
    ]


def empty_groups(sop: Sop, inventory: Inventory) -> list[str]:
    """Return a line for every group of waves in which the inventory, or what is left of it, has no host."""
    told = []
    for step in sop.steps:
        waves = step.action.waves if step.action else None
        for group in [waves.first, *waves.then] if waves else []:
            if not inventory.groups.get(group):
                first = group == waves.first if waves else False
                what = "no host is tried before all others" if first else "nothing of it comes in its turn"
                told.append(f"row {step.no}: no host is in the inventory's group {group!r}, so {what}")
    return told


def _awaited_positions(sop: Sop) -> Iterator[tuple[Step, list[str]]]:
    for step in sop.steps:
        positions = [sop.actors[actor] for actor in sop.seats(step)]
        if positions:
            yield step, positions


def _new_folder(workspace: Workspace, sop: Sop, day: datetime) -> RunFolder:
    make_private_dir(workspace.runs)
    with recording(workspace.runs):
        for number in range(1, 10_000):
            path = workspace.runs / f"{day:%Y-%m-%d}-{sop.id}-{number}"
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                continue
            sync_dir(workspace.runs)
            return RunFolder(path.resolve())
    raise errors.InputError(f"{workspace.runs} holds too many runs of this day")


def _path_in(root: Path, path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
