"""Changing hosts in waves: canaries alone and first, the rest in natural order, within the failure budget."""

from __future__ import annotations

import pytest

from runner import errors, record, run_check
from runner.executors.base import HostResult
from runner.workspace import RunFolder
from scenarios.forgery import find, forge
from scenarios.office import Office, events_of, parts_finished, rows_finished

APPROVED = {2: ["disetujui"]}
MANY = ("pc10", "pc2", "pc1", "web1", "pc11", "pc3")


def waves(office: Office) -> list[tuple[str, ...]]:
    return [request.hosts for request in office.playbooks.requests if request.changes]


def go(office: Office, *, failure_budget: int | str = 0) -> RunFolder:
    folder = office.start(failure_budget=failure_budget)
    office.go_on(folder, APPROVED)
    return folder


def test_canaries_come_first_and_the_rest_in_natural_order(contoh: Office) -> None:
    contoh.hosts = MANY
    go(contoh)
    assert waves(contoh) == [("web1",), ("pc1", "pc2"), ("pc3", "pc10"), ("pc11",)]


def test_without_canaries_the_waves_are_just_the_hosts_in_order(contoh: Office) -> None:
    contoh.hosts = ("pc10", "pc2", "pc1")
    go(contoh)
    assert waves(contoh) == [("pc1", "pc2"), ("pc10",)]


def test_every_wave_but_the_last_is_checked_before_the_next(contoh: Office) -> None:
    contoh.hosts = MANY
    folder = go(contoh)
    done = [part for step, part, _ in parts_finished(folder) if step == 3]
    assert done == ["1", "1-check", "2", "2-check", "3", "3-check", "4"]


def test_when_the_canary_fails_no_other_host_is_changed(contoh: Office) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "failed"})
    folder = go(contoh)
    assert record.load(folder).state.changed == ["web1"]


def test_when_the_canary_fails_its_check_no_other_host_is_changed(contoh: Office) -> None:
    contoh.suites.answer(3, "1-check", {"web1": "failed"})
    folder = go(contoh)
    assert record.load(folder).state.changed == ["web1"]


def test_a_wave_left_out_says_why(contoh: Office) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "failed"})
    reasons = {event["reason"] for event in events_of(go(contoh), "action_skipped")}
    assert reasons == {"more hosts failed than the budget of 0: web1"}


def test_hosts_of_waves_left_out_are_not_tested(contoh: Office) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "failed"})
    go(contoh)
    assert contoh.suites.hosts_of(4, "1") == ("web1",)


@pytest.mark.parametrize(("budget", "changed"), [(0, 3), (1, 3), (2, 5)])
def test_waves_go_on_while_failures_are_within_the_budget(contoh: Office, budget: int, changed: int) -> None:
    contoh.playbooks.answer(3, "2", {"db1": "failed", "file1": "unknown"})
    folder = go(contoh, failure_budget=budget)
    assert len(record.load(folder).state.changed) == changed


def test_a_host_that_fails_wave_and_check_counts_once_against_the_budget(contoh: Office) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "failed"})
    contoh.suites.answer(3, "1-check", {"web1": "failed"})
    folder = go(contoh, failure_budget=1)
    assert len(record.load(folder).state.changed) == 5


@pytest.mark.parametrize(
    ("given", "number", "changed"),
    [("19%", 0, 1), ("20%", 1, 3), ("39%", 1, 3), ("40%", 2, 5), ("100%", 5, 5)],
)
def test_a_budget_in_percent_is_of_the_planned_hosts_rounded_down(
    contoh: Office, given: str, number: int, changed: int
) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "unreachable"})
    contoh.playbooks.answer(3, "2", {"db1": "unknown"})
    folder = go(contoh, failure_budget=given)
    assert events_of(folder, "run_started")[0]["failure_budget"] == given
    assert events_of(folder, "plan_made")[0]["failure_budget"] == number
    assert len(record.load(folder).state.changed) == changed


@pytest.mark.parametrize("given", ["-1", "101%", "1.5", "10 %", "", "%", "1e3", "\N{FULLWIDTH DIGIT ONE}"])
def test_a_budget_that_is_none_is_refused_before_anything_is_made(contoh: Office, given: str) -> None:
    with pytest.raises(errors.InputError, match="failure budget"):
        contoh.start(failure_budget=given)
    assert not contoh.workspace.runs.exists()


def lapse_after(contoh: Office, wave: str) -> RunFolder:
    """Let the decision lapse after a wave, decide again, and go on: the row's second attempt."""
    folder = contoh.start(failure_budget=1)
    contoh.playbooks.before = lambda request: contoh.clock.advance(
        3 * 24 * 3600 if request.changes and request.part == wave else 0
    )
    contoh.go_on(folder, APPROVED)
    contoh.playbooks.before = lambda _request: None
    contoh.go_on(folder, {2: ["disetujui", "disetujui"]}, resumed=True)
    assert record.load(folder).state.attempts[3] == 2
    return folder


def test_a_row_that_is_done_again_does_not_forget_which_hosts_were_lost(contoh: Office) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "failed"}, attempt=1)
    contoh.playbooks.answer(3, "2", {"file1": "unreachable"}, attempt=2)
    folder = lapse_after(contoh, "1")
    left_out = [event for event in events_of(folder, "action_skipped") if event["kind"] == "playbook"]
    assert [event["hosts"] for event in left_out] == [["web2", "web10"]]
    assert left_out[0]["reason"] == "more hosts failed than the budget of 1: file1, web1"


def test_a_host_lost_in_both_attempts_counts_once(contoh: Office) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "failed"})
    folder = lapse_after(contoh, "1")
    assert events_of(folder, "action_skipped") == []


def test_a_new_plan_begins_a_new_budget(contoh: Office) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "failed"}, attempt=1)
    contoh.playbooks.answer(3, "2", {"file1": "unreachable"}, attempt=2)
    folder = contoh.start(failure_budget=1)
    contoh.playbooks.before = lambda request: contoh.clock.advance(3 * 24 * 3600 if request.changes else 0)
    contoh.go_on(folder, APPROVED)
    contoh.playbooks.before = lambda _request: None
    contoh.go_on(folder, {2: ["disetujui", "periksa ulang", "disetujui"]}, resumed=True)
    assert events_of(folder, "action_skipped") == []


def test_a_wave_left_out_for_another_reason_than_the_rule_s_is_found(contoh: Office) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "failed"})
    folder = go(contoh)
    forge(folder.path, lambda records: find(records, "action_skipped").update(reason="nobody was there"))
    with pytest.raises(errors.VerificationError, match="action_skipped: reason"):
        run_check.checked_run(folder)


def test_named_groups_come_before_the_rest_and_clusters_are_kept_apart(contoh: Office) -> None:
    contoh.sop_text = contoh.sop_text.replace("first: canary,", "first: canary, then: [web],")
    contoh.groups = {**contoh.groups, "cluster_db": ["db1", "file1"]}
    go(contoh)
    assert waves(contoh) == [("web1",), ("web2", "web10"), ("db1",), ("file1",)]


def clustered(contoh: Office, *members: str) -> None:
    contoh.groups = {**contoh.groups, "cluster_x": list(members)}


def test_a_cluster_that_lost_a_member_in_a_wave_loses_no_second_one(contoh: Office) -> None:
    clustered(contoh, "web1", "file1")
    contoh.playbooks.answer(3, "1", {"web1": "unknown"})
    folder = go(contoh, failure_budget=3)
    assert waves(contoh) == [("web1",), ("web2", "web10")]
    (left_out,) = [event for event in events_of(folder, "action_skipped") if event["kind"] == "playbook"]
    assert left_out["hosts"] == ["db1", "file1"]
    assert left_out["reason"] == "a member of its cluster is not known to be up: web1"
    run_check.checked_run(folder)


def test_a_member_that_was_silent_at_the_plan_keeps_its_cluster_from_being_changed(contoh: Office) -> None:
    clustered(contoh, "db1", "file1")
    contoh.playbooks.answer(1, "1", {"file1": "unreachable"})
    folder = go(contoh, failure_budget=3)
    assert waves(contoh) == [("web1",), ("web2", "web10")]
    (left_out,) = [event for event in events_of(folder, "action_skipped") if event["kind"] == "playbook"]
    assert left_out["hosts"] == ["db1"]
    run_check.checked_run(folder)


def test_a_wave_that_was_left_out_is_not_checked_either(contoh: Office) -> None:
    clustered(contoh, "web1", "db1")
    contoh.playbooks.answer(3, "1", {"web1": "failed"})
    folder = go(contoh, failure_budget=3)
    reasons = {e["part"]: e["reason"] for e in events_of(folder, "action_skipped")}
    assert reasons == {
        "2": "a member of its cluster is not known to be up: web1",
        "2-check": "nothing was changed there",
    }


def test_members_of_a_cluster_are_rolled_back_one_after_the_other(contoh: Office) -> None:
    clustered(contoh, "web1", "file1")
    contoh.suites.answer(4, "1", {"web1": "failed", "file1": "failed", "db1": "failed"})
    folder = go(contoh)
    parts = [(e["part"], e["hosts"]) for e in events_of(folder, "action_started") if e["kind"] == "recover"]
    assert parts == [("recover", ["db1", "file1"]), ("recover-2", ["web1"])]
    assert contoh.suites.hosts_of(4, "retest") == ("db1", "file1", "web1")
    run_check.checked_run(folder)


def test_without_waves_a_cluster_still_loses_one_member_at_a_time(contoh: Office) -> None:
    line = "      waves: {first: canary, size: 2, check: uji_server}\n"
    assert line in contoh.sop_text
    contoh.sop_text = contoh.sop_text.replace(line, "")
    contoh.groups = {"cluster_db": ["db1", "file1"]}
    go(contoh, failure_budget=9)
    assert waves(contoh) == [("db1", "web1", "web2", "web10"), ("file1",)]


def test_a_host_that_failed_in_a_wave_is_tested_and_rolled_back(contoh: Office) -> None:
    contoh.playbooks.answer(3, "2", {"db1": "failed"})
    contoh.suites.answer(4, "1", {"db1": "failed"})
    go(contoh, failure_budget=1)
    assert contoh.playbooks.hosts_of(4, "recover") == ("db1",)


def test_the_row_after_waves_left_out_still_decides_by_result(contoh: Office) -> None:
    contoh.playbooks.answer(3, "1", {"web1": "failed"})
    contoh.suites.answer(4, "1", {"web1": "failed"})
    assert rows_finished(go(contoh))[-1] == (4, "tidak baik")


def test_a_host_changed_before_a_new_plan_was_asked_for_is_tested_in_the_end(contoh: Office) -> None:
    """The decision lapses after the canary; the next plan no longer names it, but it was changed."""
    folder = contoh.start()
    contoh.playbooks.before = lambda request: contoh.clock.advance(3 * 24 * 3600 if request.changes else 0)
    contoh.go_on(folder, APPROVED)
    contoh.playbooks.before = lambda _request: None
    nothing = HostResult("web1", "ok", {"plan": {"updates": []}})
    contoh.playbooks.answer(1, "1", {"web1": nothing}, attempt=2)
    contoh.go_on(folder, {2: ["disetujui", "periksa ulang", "disetujui"]}, resumed=True)
    assert contoh.suites.hosts_of(4, "1") == ("db1", "file1", "web1", "web2", "web10")
