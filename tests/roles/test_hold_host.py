"""The lock on the host: another run is refused before anything is done; a failure frees the host too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from played import FreshHost, Played, RunPlaybook
from testinfra.host import Host

from lab.packages import NEW, OLD

pytestmark = pytest.mark.lab

RUN = "2026-11-21-test-1"
LOCK = "/var/lib/rawat/lock.json"
# The same id, from another controller: another run.
OTHERS = {
    "run": RUN,
    "started": "b" * 64,
    "controller": "two-2",
    "operator": "kepala",
    "since": "2026-01-01T00:00:00Z",
}
CLAIM = {"run": RUN, "started": "a" * 64, "operator": "petugas", "controller": "one-1"}


def lock(host: Host) -> None:
    """Let another controller hold the host."""
    host.check_output(f"install -d -m 700 /var/lib/rawat && echo '{json.dumps(OTHERS)}' > {LOCK}")


def upgraded(host: Host) -> bool:
    return bool(host.run("grep -q ' upgrade lab-good' /var/log/dpkg.log").succeeded)


def test_a_host_that_another_run_holds_is_left_alone_until_that_run_is_over(
    run_playbook: RunPlaybook, fresh_host: FreshHost, tmp_path: Path
) -> None:
    host = fresh_host("file1")
    plan = tmp_path / "plan.json"

    def apply(before: str = OLD, **variables: object) -> Played:
        update = {"package": "lab-good", "from": before, "to": NEW, "reboot": False}
        entry = {
            "updates": [update],
            "new_packages": [],
            "antivirus": None,
            "reboot": {"expected": False, "because": []},
        }
        plan.write_text(json.dumps({"format": 1, "run": RUN, "hosts": {"file1": entry}, "not_planned": {}}))
        return run_playbook(
            "apply-updates.yml", "file1", rawat_run=RUN, rawat_plan=plan, rawat_claim=CLAIM, **variables
        )

    host.check_output("apt-get update -q")
    lock(host)
    refused = apply()
    still_held = json.loads(host.check_output(f"cat {LOCK}"))
    untouched = not upgraded(host)
    failed = apply(before="0.1", rawat_ended=[OTHERS["started"]])
    free_after_failure = not host.file(LOCK).exists
    done = apply()

    told = f"run {RUN} of kepala, controller two-2, since 2026-01-01T00:00:00Z"
    assert refused.failures == {"file1": f"This host is locked by {told}; nothing was done on it."}
    assert refused.evidence["file1"]["hold_host"]["outcome"] == "locked"
    assert "apply_updates" not in refused.evidence["file1"]
    assert (still_held, untouched) == (OTHERS, True)
    assert failed.evidence["file1"]["hold_host"]["taken_over"] == OTHERS
    assert failed.evidence["file1"]["apply_updates"]["outcome"] == "drift"
    assert free_after_failure
    history = json.loads(host.check_output("cat /var/lib/rawat/lock-history.jsonl"))
    assert (history["lock"], history["taken_over_by"]["run"]) == (OTHERS, RUN)
    assert (done.failures, upgraded(host), host.file(LOCK).exists) == ({}, True, False)


def test_a_persons_word_frees_a_host_of_a_run_from_elsewhere_and_stays_there(
    run_playbook: RunPlaybook, fresh_host: FreshHost, tmp_path: Path
) -> None:
    host = fresh_host("file1")
    lock(host)
    word = tmp_path / "word.json"
    word.write_text(json.dumps({"statement": "{{ 1 + 1 }}", "signature": "x"}))

    other = run_playbook("release-hosts.yml", "file1", rawat_run="another-run", rawat_break=word)
    held = host.file(LOCK).exists
    freed = run_playbook("release-hosts.yml", "file1", rawat_run=RUN, rawat_break=word)

    assert "it is held by run 2026-11-21-test-1 of kepala" in other.failures["file1"]
    assert (held, freed.failures, host.file(LOCK).exists) == (True, {}, False)
    assert freed.evidence["file1"]["release_host"] == {"outcome": "freed", "lock": OTHERS}
    history = json.loads(host.check_output("cat /var/lib/rawat/lock-history.jsonl"))
    assert history == {"lock": OTHERS, "broken_by": {"statement": "{{ 1 + 1 }}", "signature": "x"}}
