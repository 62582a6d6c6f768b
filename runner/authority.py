"""May hosts be changed now? Asked at the moment of acting, of the signed decisions themselves.

What the journal says is not enough: a chain of hashes keeps nobody from writing the whole journal anew. So
every record must be the one that had to come, every statement signed and about that very gate, and plan and
roles those that were decided on.
"""

from __future__ import annotations

import json
from typing import Any

from runner import errors, gates, signing
from runner.events import require_shape, signer_of
from runner.journal import Event
from runner.officials import Roster
from runner.record import Record
from runner.replay import replay
from runner.rosters import judged


def standing_decisions(now: Record, roles_sha256: str) -> list[tuple[Event, dict[str, Any]]]:
    """Return what was signed for the decisions on the plan that stands: each record with its statement.

    Args:
        now: the run as it stands.
        roles_sha256: the digest of the playbooks and roles that are about to act.

    Raises:
        VerificationError: when plan, statements, signatures or the way here are not what was decided.
        InputError: when playbooks or roles are not the ones that were decided on.
    """
    plan = now.state.plan
    if plan is None:
        raise errors.VerificationError("plans", "there is no plan to act on")
    decided_on = json.loads(now.folder.read(plan.named))
    if decided_on["roles_sha256"] != roles_sha256:
        raise errors.InputError(
            "the playbooks or roles have changed since the plan was decided on; nothing was started",
            hint="put them back as they were and 'rawat resume', or start a new run",
        )
    statements = _checked_statements(now)
    standing = gates.standing(now.sop, now.state).values()
    if not standing:
        raise errors.VerificationError(plan.path, "nobody has decided on this plan")
    signed = [record for made in standing for record in gates.signed_for(now.state, made)]
    return [(made, json.loads(statements[made["statement"]["path"]])) for made in signed]


def _checked_statements(now: Record) -> dict[str, bytes]:
    """Return every signed statement, once it is sure that the journal is what they say it is."""
    officials = {"path": now.folder.officials.name, "sha256": now.started["officials_sha256"]}
    snapshot = now.folder.read(officials)
    roster = Roster.from_snapshot(snapshot, officials["path"])
    statements = {
        event["roster"]["path"]: now.folder.read(event["roster"]) for event in now.state.roster_changes
    }
    for made, holds in judged(roster, now.events, statements.__getitem__):
        if "statement" not in made.fields:
            continue
        statement = now.folder.read(made["statement"])
        signature = now.folder.read(made["signature"])
        if not signing.is_signed_by(statement, signature, signer_of(made), holds.allowed_signers()):
            raise errors.VerificationError(made["signature"]["path"], "is not the decider's signature")
        if "scan" in made.fields:
            now.folder.read(made["scan"])
        statements[made["statement"]["path"]] = statement
    name = now.folder.journal.name
    for event in now.events:
        require_shape(event, name)
    replay(now.sop, roster, now.events, statements, name)
    return statements
