"""Retention on a real restic repository: what is proposed, what stays, and that exactly the approved goes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ladder_field import RUN, LadderField
from office_services import put
from testinfra.host import Host

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

REPOSITORY = "/srv/cadangan"
RESTIC = f"RESTIC_PASSWORD_FILE=/root/password restic --no-cache -r {REPOSITORY}"
MADE = ("run-a", "run-open", "run-kept", "run-d", "run-proven", "run-newest")
"""Tags of the snapshots, the oldest first."""


def snapshots(host: Host) -> dict[str, str]:
    """Return the ids of the repository's snapshots by their tag, the oldest first."""
    found = json.loads(host.check_output(f"{RESTIC} snapshots --json"))
    return {one["tags"][0]: one["id"] for one in sorted(found, key=lambda one: one["time"])}


def filled(field: LadderField) -> Host:
    """Return a host with a repository of six snapshots, one of them proven."""
    host = field.fresh()
    put(host, "/root/password", (field.inventory / "secrets" / "restic_password").read_text())
    host.check_output(f"mkdir -p /srv/data && {RESTIC} init")
    for day, tag in enumerate(MADE, 1):
        host.check_output(f"echo {tag} > /srv/data/{tag} && {RESTIC} backup --host web1 --tag {tag} "
                          f"--time '2024-01-{day:02} 01:00:00' /srv/data")  # fmt: skip
    record = json.dumps({"evidence": {"snapshot": snapshots(host)["run-proven"]}})
    host.check_output("mkdir -p -m 700 /var/backups/rawat")
    put(host, "/var/backups/rawat/verified-snapshot.json", record)
    return host


def variables(**more: object) -> dict[str, Any]:
    return {
        "retention_repository": REPOSITORY,
        "back_up_host_rest_user": "",
        "retention_policy": {"last": 1},
        "retention_keep_tags": ["run-kept"],
        "rawat_open": ["run-open", RUN],
        "rawat_changes": True,
        **more,
    }


def approve(field: LadderField, proposal: dict[str, Any]) -> None:
    (field.folder / "plan.json").write_text(
        json.dumps({"hosts": {"web1": {"removals": proposal["removals"]}}})
    )


def test_exactly_what_was_approved_goes_and_the_rest_can_be_restored(field: LadderField) -> None:
    host = filled(field)
    before = snapshots(host)

    proposal = field.evidence("propose-retention.yml", **variables())["propose_retention"]
    unchanged = snapshots(host)
    approve(field, proposal)
    pruned = field.evidence("prune-backups.yml", **variables())["prune_backups"]
    again = field.evidence("prune-backups.yml", **variables())["prune_backups"]

    assert unchanged == before
    assert [one["id"] for one in proposal["removals"]] == [before["run-d"], before["run-a"]]
    assert {one["tags"][0]: one["reason"] for one in proposal["keep"]} == {
        "run-newest": "the policy keeps it",
        "run-proven": "it is the newest one that was proven by a restore",
        "run-kept": "the office keeps it",
        "run-open": "an open run refers to it",
    }
    assert (sorted(pruned["removed"]), pruned["check"]) == (sorted([before["run-a"], before["run-d"]]), "ok")
    assert (again["removed"], again["pending"]) == ([], 0)
    assert list(snapshots(host)) == ["run-open", "run-kept", "run-proven", "run-newest"]
    host.check_output(f"{RESTIC} restore {before['run-proven']} --target /srv/back")
    assert host.file("/srv/back/srv/data/run-proven").content_string == "run-proven\n"
    host.check_output(f"{RESTIC} check --read-data")


def test_a_proposal_that_no_longer_holds_removes_nothing(field: LadderField) -> None:
    host = filled(field)
    before = snapshots(host)
    approve(field, field.evidence("propose-retention.yml", **variables())["propose_retention"])

    undecided = field.play("prune-backups.yml", **variables(rawat_changes=False))
    assert "no decision was asked for" in undecided.failures["web1"]

    # Meanwhile a run was opened that refers to one of them.
    played = field.play("prune-backups.yml", **variables(rawat_open=["run-d"]))

    assert f"{before['run-d'][:8]}: an open run refers to it" in played.failures["web1"]
    assert snapshots(host) == before


def test_without_knowing_the_open_runs_nothing_is_proposed(field: LadderField) -> None:
    said = variables()
    del said["rawat_open"]

    played = field.play("propose-retention.yml", **said)

    assert "rawat_open" in played.failures["web1"]
