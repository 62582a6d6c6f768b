"""Puts a run's start and its engine together from their parts, for the commands that begin and go on."""

from __future__ import annotations

from pathlib import Path

from runner import register, report, sealing, sop_check, template_check, verify
from runner.checkpoint import Chain
from runner.clock import SystemClock
from runner.engine import Engine, Tools
from runner.executors.connections import Connections
from runner.executors.playbook import PlaybookExecutor
from runner.executors.reattach import Reattaching
from runner.executors.verification import VerificationExecutor
from runner.inventory import read_inventory, require_inventory, variables_digests
from runner.office import look_of, notify_office, office_text, operator_of, roster_file, windows_of
from runner.officials import load_roster
from runner.own_machine import account
from runner.record import Record
from runner.screens import Screen
from runner.sop import Output
from runner.start import Start
from runner.workspace import RunFolder, Workspace


def start_of(
    workspace: Workspace,
    file: Path,
    inventory: Path,
    operator: str | None,
    *,
    limit: str | None = None,
    failure_budget: str = "0",
) -> Start:
    """Return what a run of a SOP file is started with; all that the office has written is judged here.

    Raises:
        InputError: naming what is wrong, before anything is begun.
    """
    require_inventory(inventory)
    officials = roster_file(inventory)
    roster = load_roster(officials)
    text = office_text(file)
    sop = sop_check.require_good(text, file.name, workspace.available())
    template_check.require_good(workspace, sop)
    start = Start(
        sop_text=text,
        sop_name=file.name,
        inventory=read_inventory(inventory, limit),
        roster=roster,
        operator=operator_of(roster, operator),
        failure_budget=failure_budget,
        windows=windows_of(inventory),
        look=look_of(roster, officials),
        account=account(),
    )
    notify_office(officials)
    _require_archive_settings(workspace)
    return start


def _require_archive_settings(workspace: Workspace) -> None:
    """Judge ``archive.yml``, which a run needs at its first gate and when it is sealed."""
    retention = sealing.settings_of(workspace).retention
    if retention is not None:
        load_roster(workspace.root / retention.officials)


def engine_of(workspace: Workspace, folder: RunFolder, screen: Screen) -> Engine:
    """Return the engine of a run, with the tools that every command gives it."""
    connections = Connections()
    tools = Tools(
        clock=SystemClock(),
        playbooks=Reattaching(PlaybookExecutor(workspace.root, connections)),
        suites=VerificationExecutor(connections),
        build_document=_build_document,
        check_run=verify.check_run,
        seal=lambda closed: sealing.seal(workspace, closed),
        checkpoint=lambda waiting: sealing.leave_checkpoint(workspace, waiting),
        register_head=lambda known: register.signed_head(workspace.archive, known),
        variables_digests=variables_digests,
        account=account(),
    )
    return Engine(workspace, folder, tools, screen)


def _build_document(  # noqa: PLR0917 - the engine's contract
    now: Record, output: Output, step: int, attempt: int, as_of: int, head: Chain
) -> tuple[Path, ...]:
    return report.build_document(
        now, output.document or "", output.version, step, attempt, as_of, now.folder.documents, head
    )
