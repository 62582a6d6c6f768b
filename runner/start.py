"""Starts a run: judges SOP, roster and hosts, makes the run's folder, writes the journal's first record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from runner import __version__, errors, record
from runner.canonical import sha256_hex
from runner.clock import Clock
from runner.files import make_private_dir, write_once
from runner.inventory import Inventory
from runner.journal import Journal
from runner.officials import Official, Roster
from runner.sop import Sop, parse_sop, sop_digest
from runner.workspace import RunFolder, Workspace


@dataclass(frozen=True)
class Start:
    """What a run is started with."""

    sop_text: str
    sop_name: str
    inventory: Inventory
    roster: Roster
    operator: Official
    failure_budget: int = 0


def start_run(workspace: Workspace, clock: Clock, start: Start) -> RunFolder:
    """Create the folder of a new run with its first record.

    Raises:
        InputError: when the SOP or the roster does not allow a run.
    """
    sop = parse_sop(start.sop_text, start.sop_name, workspace.available())
    _require_officials(sop, start)
    now = clock.now()
    folder = _new_folder(workspace, sop, now.at.astimezone(ZoneInfo(start.roster.timezone)))
    write_once(folder.sop, start.sop_text.encode())
    roster = start.roster.snapshot()
    write_once(folder.officials, roster)
    write_once(folder.allowed_signers, start.roster.allowed_signers())
    journal = Journal(folder.journal, clock)
    with journal.lock():
        journal.append(
            "run_started",
            format=record.FORMAT,
            run=folder.name,
            sop={"id": sop.id, "name": start.sop_name, "sha256": sop_digest(start.sop_text)},
            inventory={
                "path": _path_in(workspace.root, start.inventory.path),
                "hosts": list(start.inventory.hosts),
                "groups": start.inventory.groups,
            },
            officials_sha256=sha256_hex(roster),
            operator=start.operator.person(),
            office=start.roster.office,
            timezone=start.roster.timezone,
            failure_budget=start.failure_budget,
            assumptions=[assumption.model_dump() for assumption in sop.assumptions],
            versions={
                "rawat": __version__,
                "roles": workspace.roles_digest(),
                "templates": workspace.templates_digest(),
            },
        )
    return folder


def _require_officials(sop: Sop, start: Start) -> None:
    """Refuse to start what could never be finished: a gate that nobody but the operator may decide."""
    for step in sop.steps:
        if step.decision is None or step.decision.by != "official" or step.pelaksana is None:
            continue
        position = sop.actors[step.pelaksana]
        holders = start.roster.holders(position)
        deciders = [o for o in holders if o.id != start.operator.id and o.nip != start.operator.nip]
        if not deciders:
            who = "nobody holds" if not holders else f"only the operator {start.operator.id!r} holds"
            raise errors.InputError(
                f"row {step.no} waits for {position}, but {who} that position in the roster",
                hint="complete officials.yml beside the inventory, or choose another --operator",
            )


def _new_folder(workspace: Workspace, sop: Sop, day: datetime) -> RunFolder:
    make_private_dir(workspace.runs)
    for number in range(1, 10_000):
        path = workspace.runs / f"{day:%Y-%m-%d}-{sop.id}-{number}"
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return RunFolder(path.resolve())
    raise errors.InputError(f"{workspace.runs} holds too many runs of this day")


def _path_in(root: Path, path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
