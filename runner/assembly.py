"""Puts the engine of a run together from its parts, for the commands that go on with one."""

from __future__ import annotations

from pathlib import Path

from runner import register, report, sealing, verify
from runner.checkpoint import Chain
from runner.clock import SystemClock
from runner.engine import Engine, Tools
from runner.executors.connections import Connections
from runner.executors.playbook import PlaybookExecutor
from runner.executors.reattach import Reattaching
from runner.executors.verification import VerificationExecutor
from runner.inventory import variables_digests
from runner.own_machine import account
from runner.record import Record
from runner.screens import Screen
from runner.sop import Output
from runner.workspace import RunFolder, Workspace


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
