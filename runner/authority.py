"""May hosts be changed now? Asked at the moment of acting, of the signed decisions themselves.

What the journal says is not enough: a chain of hashes keeps nobody from writing the whole journal anew. So
every record must be the one that had to come, every statement signed and about that very gate, and plan and
roles those that were decided on.
"""

from __future__ import annotations

import json
from typing import Any

from runner import conffiles, cures, errors, gates, signing
from runner.events import signer_of
from runner.journal import Event
from runner.officials import Roster
from runner.plan import ActsBy
from runner.record import Record, parsed_plan
from runner.replay import Replayed
from runner.rosters import judged
from runner.waves import in_natural_order


def standing_decisions(
    now: Record, acts_by: ActsBy, replayed: Replayed
) -> list[tuple[Event, dict[str, Any]]]:
    """Return what was signed for the decisions on the plan that stands: each record with its statement.

    Args:
        now: the run as it stands.
        acts_by: what is about to act, with the variables of the hosts that are about to be changed.
        replayed: what this process has replayed of the journal so far; goes on to its end.

    Raises:
        VerificationError: when plan, statements, signatures or the way here are not what was decided.
        InputError: when what acts, or the inventory of these hosts, is not what was decided on.
    """
    plan = now.state.plan
    if plan is None:
        raise errors.VerificationError("plans", "there is no plan to act on")
    decided_on = parsed_plan(now.folder.read(plan.named))
    _require_unchanged(decided_on, acts_by)
    statements = _checked_statements(now, replayed)
    standing = gates.standing(now.sop, now.state).values()
    if not standing:
        raise errors.VerificationError(plan.path, "nobody has decided on this plan")
    signed = [record for made in standing for record in gates.signed_for(now.state, made)]
    said = [(made, json.loads(statements[made["statement"]["path"]])) for made in signed]
    for made, statement in said:
        if refused := conffiles.refusal(decided_on, statement["conffiles"]):
            raise errors.VerificationError(made["statement"]["path"], refused)
    return said


def _require_unchanged(decided_on: dict[str, Any], acts_by: ActsBy) -> None:
    if decided_on["roles_sha256"] != acts_by.roles_sha256:
        raise errors.InputError(
            "playbooks, roles, suites or ansible.cfg have changed since the plan was decided on; "
            "nothing was started",
            hint="put them back as they were and 'rawat resume', or start a new run",
        )
    planned = decided_on["variables_sha256"]
    changed = [h for h, digest in acts_by.variables_sha256.items() if planned.get(h) != digest]
    if changed:
        raise errors.InputError(
            f"the inventory says other things of {', '.join(in_natural_order(changed))} than when the plan "
            "was decided on; nothing was started",
            hint="put variables, address and groups back as they were and 'rawat resume', or start a new run",
        )


def standing_assignment(now: Record, replayed: Replayed) -> list[tuple[Event, dict[str, Any]]]:
    """Return what was signed for the cures that the row is about to do: each record with its statement.

    Raises:
        VerificationError: when proposal, form, statements, signatures or the way here are not as signed.
    """
    proposed, action = now.state.looked.repairs, now.state.step.action
    if proposed is None or action is None or action.cures is None:
        raise errors.VerificationError("plans", "there are no proposed repairs to act on")
    statements = _checked_statements(now, replayed)
    if json.loads(now.folder.read(proposed.fields)) != due_proposal(now):
        raise errors.VerificationError(proposed["path"], "is not what was found and is allowed")
    signed = cures.assignment(now.state, action.cures)
    if signed is None:
        raise errors.VerificationError(proposed["path"], "nobody has signed for these cures")
    records = gates.signed_for(now.state, signed[1])
    return [(made, json.loads(statements[made["statement"]["path"]])) for made in records]


def due_proposal(now: Record) -> dict[str, Any]:
    """Return what the row's look for disturbances found, and what of it the signed form allows."""
    at = (now.state.step.no, now.state.attempt)
    return cures.due(now.state, now.events, at, lambda named: dict(json.loads(now.folder.read(named))))


def _checked_statements(now: Record, replayed: Replayed) -> dict[str, bytes]:
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
    replayed.go_on(now.sop, roster, now.events, statements, now.folder.journal.name)
    return statements
