"""Between decision and act the hosts are probed again; what differs goes back to the gate, undone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from fakes import update
from rich.console import Console

from runner import errors, record
from runner.engine import Closed, Waiting
from runner.executors.base import ActionRequest, HostResult
from runner.journal import Event, Journal
from runner.screens import gate_view
from runner.verify import check_run
from runner.workspace import RunFolder
from scenarios.conftest import SURAKARTA_APPROVED
from scenarios.forgery import Record, find, forge
from scenarios.office import Office, events_of, rows_finished

APPROVED = {2: ["disetujui"]}
TWICE = {2: ["disetujui", "disetujui"]}
NEWER = {**update("lab-good"), "to": "1.0-1+deb12u2"}


def probed(host: str, *updates: object) -> HostResult:
    found = {"updates": list(updates), "reboot": {"expected": False, "because": []}}
    return HostResult(host, "ok", {"plan-made-up": found})


def publish(office: Office, host: str = "db1", *, plan: int = 1, change: int = 3) -> None:
    """Let the channel offer a newer version for one host once its plan has been decided on."""
    for look in range(1, 5):
        for wave in range(1, 6):
            office.playbooks.answer(change, f"{wave}-reprobe-{look}", {host: probed(host, NEWER)})
    office.playbooks.answer(plan, "1", {host: probed(host, NEWER)}, attempt=2)


def changed(office: Office) -> list[tuple[str, ...]]:
    return [request.hosts for request in office.playbooks.requests if request.changes]


def drifted(office: Office) -> RunFolder:
    """Return a run that waits at its gate again, since one host of the second wave differs."""
    folder = office.start()
    publish(office)
    stop = office.go_on(folder, APPROVED)
    assert isinstance(stop, Waiting)
    return folder


def test_every_wave_is_probed_before_it_changes_its_hosts(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, APPROVED)
    waves = [(r.part, r.hosts) for r in contoh.playbooks.requests if r.step == 3]
    looks = [waves[n] for n in range(0, len(waves), 2)]
    assert [(part.partition("-")[0], hosts) for part, hosts in looks] == waves[1::2]
    assert len(events_of(folder, "plan_confirmed")) == len(looks) == 3


def test_the_planning_playbook_probes_and_may_change_nothing(contoh: Office) -> None:
    contoh.go_on(contoh.start(), APPROVED)
    looks = [request for request in contoh.playbooks.requests if "reprobe" in request.part]
    assert {request.playbook and request.playbook.name for request in looks} == {"plan-perbaikan.yml"}
    assert not any(request.changes for request in looks)


def test_drift_opens_the_gate_again_and_changes_no_host_of_the_wave(contoh: Office) -> None:
    folder = drifted(contoh)
    state = record.load(folder).state
    assert state.gate is not None
    assert (state.gate.step, state.gate.attempt) == (2, 2)
    assert changed(contoh) == [("web1",)]


def test_drift_names_the_hosts_and_what_differs(contoh: Office) -> None:
    folder = drifted(contoh)
    (event,) = events_of(folder, "plan_drifted")
    assert (event["hosts"], event["to"]) == (["db1"], 1)
    told = json.loads((folder.path / event["differences"]["path"]).read_bytes())
    assert told["hosts"]["db1"]["changed"][0]["found"]["to"] == "1.0-1+deb12u2"


def test_the_operator_is_told_of_the_drift(contoh: Office) -> None:
    drifted(contoh)
    assert "drifted: db1" in contoh.observer.seen


def test_the_gate_shows_only_the_difference(contoh: Office) -> None:
    now = record.load(drifted(contoh))
    assert now.state.gate is not None
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(gate_view(now.state.gate, now))
    shown = console.export_text()
    assert "1.0-1 -> 1.0-1+deb12u1" in shown
    assert "1.0-1 -> 1.0-1+deb12u2" in shown
    assert "4 hosts are as decided on before" in shown
    assert "file1" not in shown


def test_decided_anew_the_run_goes_on_with_the_new_plan(contoh: Office) -> None:
    folder = contoh.start()
    publish(contoh)
    closed = contoh.go_on(folder, TWICE)
    assert isinstance(closed, Closed)
    assert set(contoh.playbooks.acted_on) == {folder.plan(1, n).read_bytes() for n in (1, 2)}
    assert rows_finished(folder)[-1] == (4, "baik")
    check_run(folder)


def test_the_earlier_decision_does_not_count_for_the_new_plan(contoh: Office) -> None:
    folder = drifted(contoh)
    contoh.go_on(folder, APPROVED, resumed=True)
    assert changed(contoh) == [("web1",)]


def test_a_host_that_cannot_be_probed_is_left_to_its_own_refusal(contoh: Office) -> None:
    contoh.playbooks.answer(3, "2-reprobe-1", {"db1": "unreachable"})
    folder = contoh.start()
    contoh.go_on(folder, APPROVED)
    confirmed = [event["hosts"] for event in events_of(folder, "plan_confirmed")]
    assert "db1" not in [host for hosts in confirmed for host in hosts]
    assert events_of(folder, "plan_drifted") == []
    assert ("db1", "file1") in changed(contoh)


def test_what_was_confirmed_before_a_stop_is_confirmed_again(contoh: Office) -> None:
    folder = contoh.start()

    def stop(request: ActionRequest) -> None:
        if request.changes:
            raise KeyboardInterrupt

    contoh.playbooks.before = stop
    with pytest.raises(KeyboardInterrupt):
        contoh.go_on(folder, APPROVED)
    contoh.playbooks.before = lambda _request: None
    looks = [event["part"] for event in events_of(folder, "plan_confirmed")]
    contoh.go_on(folder, {}, resumed=True)
    # The wave that was begun is finished without another look: its hosts are as we left them.
    again = [event["part"] for event in events_of(folder, "plan_confirmed")]
    assert (looks, again[1:]) == (["1-reprobe-1"], ["2-reprobe-1", "3-reprobe-1"])


def test_a_look_that_a_stop_made_old_is_taken_again(contoh: Office) -> None:
    folder = contoh.start()

    def stop(_request: ActionRequest) -> None:
        folder.statement(2, 1).rename(folder.path / "hidden")

    contoh.playbooks.before = lambda request: stop(request) if request.part == "1-reprobe-1" else None
    with pytest.raises(errors.VerificationError):
        contoh.go_on(folder, APPROVED)
    contoh.playbooks.before = lambda _request: None
    (folder.path / "hidden").rename(folder.statement(2, 1))
    contoh.go_on(folder, {}, resumed=True)
    parts = [event["part"] for event in events_of(folder, "plan_confirmed")]
    assert parts[:2] == ["1-reprobe-1", "1-reprobe-2"]


def test_hosts_this_run_has_changed_already_are_no_drift_when_the_row_is_done_again(contoh: Office) -> None:
    folder = contoh.start()

    def fail(request: ActionRequest) -> None:
        if request.changes and request.part == "2":
            raise errors.StepFailedError("Ansible did not start")

    contoh.playbooks.before = fail
    with pytest.raises(errors.StepFailedError):
        contoh.go_on(folder, APPROVED)
    contoh.playbooks.before = lambda _request: None
    contoh.playbooks.answer(3, "1-reprobe-2", {"web1": probed("web1")})
    contoh.go_on(folder, {}, resumed=True)
    assert events_of(folder, "plan_drifted") == []


def test_drift_in_surakarta_goes_back_to_row_2_and_ends_the_span(surakarta: Office) -> None:
    folder = surakarta.start()
    publish(surakarta, "web1", plan=2, change=7)
    again = {**SURAKARTA_APPROVED, 3: ["sesuai"] * 2, 4: ["diperintahkan"] * 2}
    closed = surakarta.go_on(folder, again)
    assert isinstance(closed, Closed)
    assert [row for row, _ in rows_finished(folder)][:10] == [1, 2, 3, 4, 6, 5, 2, 3, 4, 6]
    check_run(folder)


# Forged ---------------------------------------------------------------------------------------------


def confirm(records: list[Record]) -> None:
    event = find(records, "plan_drifted")
    event["event"] = "plan_confirmed"
    del records[records.index(event) + 1 :]


def blame_another(records: list[Record]) -> None:
    find(records, "plan_drifted")["hosts"] = ["file1"]


def blame_a_stranger(records: list[Record]) -> None:
    find(records, "plan_drifted")["hosts"] = ["web1"]


def lead_elsewhere(records: list[Record]) -> None:
    find(records, "plan_drifted")["to"] = 2


def leave_out_the_look(records: list[Record]) -> None:
    for name in ("action_started", "action_finished"):
        records.remove(find(records, name, part="1-reprobe-1"))
    records.remove(find(records, "plan_confirmed"))


def leave_out_the_verdict(records: list[Record]) -> None:
    records.remove(find(records, "plan_confirmed"))


def move_the_differences(records: list[Record]) -> None:
    find(records, "plan_drifted")["differences"]["path"] = "plans/1-1.json"


@pytest.mark.parametrize(
    "change",
    [
        confirm,
        blame_another,
        blame_a_stranger,
        lead_elsewhere,
        leave_out_the_look,
        leave_out_the_verdict,
        move_the_differences,
    ],
)
def test_a_verdict_that_the_evidence_does_not_bear_out_is_found(
    contoh: Office, change: Callable[[list[Record]], None]
) -> None:
    folder = drifted(contoh)
    check_run(folder)
    forge(folder.path, change)
    with pytest.raises(errors.VerificationError, match="journal"):
        check_run(folder)


def test_differences_that_a_crash_left_untold_are_no_strangers(
    contoh: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are looked at anew when the run goes on, under another number: the file is never named."""
    append = Journal.append

    def crash(journal: Journal, event: str, **fields: Any) -> Event:  # noqa: ANN401 - any JSON
        if event == "plan_drifted":
            raise KeyboardInterrupt
        return append(journal, event, **fields)

    folder = contoh.start()
    publish(contoh)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", crash)
        with pytest.raises(KeyboardInterrupt):
            contoh.go_on(folder, APPROVED)
    check_run(folder)
    contoh.go_on(folder, APPROVED, resumed=True)
    check_run(folder)
    told = [event["part"] for event in events_of(folder, "plan_drifted")]
    assert told == ["2-reprobe-2"]
    assert (folder.path / "plans/3-1-2-reprobe-1.json").exists()
    (folder.path / "plans/3-1-1-reprobe-1.json").touch()
    with pytest.raises(errors.VerificationError, match="1-reprobe-1"):
        check_run(folder)


def test_differences_that_were_altered_are_found(contoh: Office) -> None:
    folder = drifted(contoh)
    path = folder.path / events_of(folder, "plan_drifted")[0]["differences"]["path"]
    path.write_bytes(path.read_bytes().replace(b"deb12u2", b"deb12u9"))
    forge(folder.path, lambda _records: None)
    with pytest.raises(errors.VerificationError, match=path.name):
        check_run(folder)
