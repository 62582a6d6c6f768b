"""The machine that Rawat runs on is a host too: changed last and alone, and the run outlives its reboot."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner import errors, record, run_check
from runner.engine import Closed, Restarting
from runner.executors.base import ActionRequest, HostResult
from runner.windows import parse_windows
from runner.workspace import RunFolder
from scenarios.forgery import Record, find, forge, read_journal
from scenarios.office import Office, events_of, parts_finished

APPROVED = {2: ["disetujui"]}
DAY = 86400.0
OWN = "ctl1"
REBOOT = "reboot-controller.yml"
SATURDAY = 'windows:\n- {days: [sabtu], from: "20:00", until: "23:30"}\n'


class Killed(BaseException):
    """Stands for kill -9: nothing of the runner catches it."""


class Machine:
    """The machine that Rawat runs on, as its roles find it: which boot it is in, and what was asked of it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.boot = "boot-1"
        self.needed = True
        self.markers: dict[str, str] = {}
        self.asked: list[str] = []
        self.changed: list[str] = []
        self.dies = ""
        """Where the runner is killed: before the machine is asked, or after."""
        office.playbooks.before = self.act

    def act(self, request: ActionRequest) -> None:
        """Do as the roles do on this machine."""
        if request.playbook is None or OWN not in request.hosts:
            return
        if request.playbook.name == REBOOT:
            told = self.told(f"{request.step}-{request.attempt}-{request.part}")
            result = HostResult(OWN, "ok", {"reboot_host": told})
            self.office.playbooks.answer(request.step, request.part, {OWN: result})
        elif request.changes:
            self.changed.append(request.part)

    def told(self, action: str) -> dict[str, object]:
        """Return what the role publishes, having asked for the reboot where it is due."""
        assert self.last()["event"] == "action_started", "a reboot that was not announced"
        assert self.last()["kind"] == "reboot"
        if self.dies == "before":
            raise Killed
        asked_in = self.markers.get(action)
        if asked_in not in {None, self.boot}:
            return {"asked": False, "rebooted": True, "boot_id_before": asked_in, "boot_id_after": self.boot}
        if not self.needed:
            return {"asked": False, "rebooted": False}
        self.markers[action] = self.boot
        self.asked.append(action)
        if self.dies == "after":
            raise Killed
        return {"asked": True, "rebooted": False}

    def last(self) -> Record:
        """Return the newest record of the newest run."""
        folder = max(self.office.workspace.runs.glob("*/journal.jsonl")).parent
        return read_journal(folder)[-1]

    def reboot(self, *, down: float = 60) -> None:
        """Start anew, with nothing left to need it."""
        self.boot = f"boot-{int(self.boot.removeprefix('boot-')) + 1}"
        self.needed = False
        self.office.clock.reboot(self.boot, down=down)


@pytest.fixture
def machine(contoh: Office) -> Machine:
    """Return the machine of an office that has it among its hosts, even among the canaries."""
    contoh.hosts = (OWN, "web1", "web2", "web10")
    contoh.groups = {"canary": ["web1", OWN], "web": [OWN, "web1", "web2", "web10"]}
    contoh.controllers = (OWN,)
    return Machine(contoh)


@pytest.fixture
def restarting(machine: Machine) -> RunFolder:
    """Return a run that has told its machine to restart."""
    folder = machine.office.start()
    assert isinstance(machine.office.go_on(folder, APPROVED), Restarting)
    return folder


def resume(machine: Machine, folder: RunFolder) -> object:
    return machine.office.go_on(folder, APPROVED, resumed=True)


def test_the_controller_is_a_wave_of_its_own_at_the_very_end(machine: Machine, restarting: RunFolder) -> None:
    waves = [request.hosts for request in machine.office.playbooks.requests if request.changes]
    assert waves == [("web1",), ("web2", "web10"), (OWN,), (OWN,)]
    done = [part for step, part, _ in parts_finished(restarting) if step == 3]
    assert done == ["1", "1-check", "2", "2-check", "3"]


def test_the_restart_is_the_last_thing_recorded_and_nothing_is_done_after_it(
    machine: Machine, restarting: RunFolder
) -> None:
    last = read_journal(restarting.path)[-1]
    assert (last["event"], last["part"], last["kind"], last["hosts"]) == (
        "action_started",
        "3-reboot",
        "reboot",
        [OWN],
    )
    assert last["boot"] == "boot-1"
    assert machine.asked == ["3-1-3-reboot"]
    assert machine.office.suites.hosts_of(4, "1") is None
    assert record.load(restarting).state.restarting is not None
    run_check.checked_run(restarting)


def test_after_the_boot_the_run_goes_on_and_tests(machine: Machine, restarting: RunFolder) -> None:
    machine.reboot()
    assert isinstance(resume(machine, restarting), Closed)
    assert (machine.asked, machine.changed) == (["3-1-3-reboot"], ["3"])
    assert machine.office.suites.hosts_of(4, "1") == (OWN, "web1", "web2", "web10")
    known = record.load(restarting).latest_results()[OWN]["reboot_host"]
    assert (known["rebooted"], known["boot_id_before"], known["boot_id_after"]) == (True, "boot-1", "boot-2")
    run_check.checked_run(restarting)


def test_without_a_boot_it_is_said_plainly_asked_again_and_nothing_is_changed_twice(
    machine: Machine, restarting: RunFolder
) -> None:
    announced = events_of(restarting, "action_started")
    stop = resume(machine, restarting)
    assert isinstance(stop, Restarting)
    assert stop.hosts == (OWN,)
    assert stop.since is not None
    assert machine.asked == ["3-1-3-reboot", "3-1-3-reboot"]
    assert len(events_of(restarting, "action_started")) == len(announced) + 1
    machine.reboot()
    assert isinstance(resume(machine, restarting), Closed)
    assert machine.changed == ["3"]
    run_check.checked_run(restarting)


@pytest.mark.parametrize("booted", [True, False])
@pytest.mark.parametrize("dies", ["before", "after"])
def test_killed_when_the_restart_was_announced_the_run_goes_on(
    machine: Machine, dies: str, *, booted: bool
) -> None:
    """Killed before or after the machine was asked; it restarts, or somebody resumes before it does."""
    folder = machine.office.start()
    machine.dies = dies
    with pytest.raises(Killed):
        machine.office.go_on(folder, APPROVED)
    machine.dies = ""
    if not booted:
        assert isinstance(resume(machine, folder), Restarting)
    machine.reboot()
    assert isinstance(resume(machine, folder), Closed)
    assert machine.changed == ["3"]
    run_check.checked_run(folder)


@pytest.mark.parametrize("booted", [True, False])
def test_killed_before_the_restart_was_announced_the_run_goes_on(machine: Machine, *, booted: bool) -> None:
    folder = machine.office.start()
    machine.office.go_on(folder, APPROVED)
    whole = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join(whole[:-1]))
    machine.markers.clear()
    if booted:
        machine.reboot()
    else:
        assert isinstance(resume(machine, folder), Restarting)
        machine.reboot()
    assert isinstance(resume(machine, folder), Closed)
    assert machine.changed == ["3"]
    run_check.checked_run(folder)


def test_killed_right_after_it_was_resumed_the_run_goes_on(machine: Machine, restarting: RunFolder) -> None:
    machine.reboot()
    machine.dies = "before"
    with pytest.raises(Killed):
        resume(machine, restarting)
    machine.dies = ""
    assert isinstance(resume(machine, restarting), Closed)
    assert (machine.asked, machine.changed) == (["3-1-3-reboot"], ["3"])
    run_check.checked_run(restarting)


def test_where_no_reboot_is_needed_the_run_goes_straight_on(machine: Machine) -> None:
    machine.needed = False
    folder = machine.office.start()
    assert isinstance(machine.office.go_on(folder, APPROVED), Closed)
    assert machine.asked == []
    run_check.checked_run(folder)


def test_a_controller_whose_change_failed_is_not_restarted(machine: Machine) -> None:
    machine.office.playbooks.answer(3, "3", {OWN: "failed"})
    machine.office.playbooks.answer(4, "recover", {OWN: "failed"})
    machine.office.suites.answer(4, "1", {OWN: "failed"})
    folder = machine.office.start(failure_budget=1)
    assert isinstance(machine.office.go_on(folder, APPROVED), Closed)
    (skipped,) = events_of(folder, "action_skipped")
    assert (skipped["part"], skipped["reason"]) == (
        "3-reboot",
        "the change there did not come to its end as approved",
    )
    assert machine.asked == []
    run_check.checked_run(folder)


def test_a_rollback_is_followed_by_a_restart_and_tested_after_it(
    machine: Machine, restarting: RunFolder
) -> None:
    machine.reboot()
    machine.office.suites.answer(4, "1", {OWN: "failed", "web2": "failed"})
    machine.needed = True
    assert isinstance(resume(machine, restarting), Restarting)
    assert machine.asked == ["3-1-3-reboot", "4-1-recover-reboot"]
    assert machine.office.suites.hosts_of(4, "retest") is None
    machine.reboot()
    assert isinstance(resume(machine, restarting), Closed)
    assert machine.office.suites.hosts_of(4, "retest") == (OWN, "web2")
    assert machine.changed == ["3", "recover"]
    run_check.checked_run(restarting)


def test_neither_an_expired_decision_nor_a_closed_window_holds_up_what_follows_the_boot(
    machine: Machine,
) -> None:
    office = machine.office
    office.windows = parse_windows(SATURDAY, "windows.yml")
    folder = office.start()
    assert isinstance(office.go_on(folder, APPROVED), Restarting)
    machine.reboot(down=3 * DAY)
    assert isinstance(resume(machine, folder), Closed)
    run_check.checked_run(folder)


def test_a_run_that_restarts_its_machine_can_be_stopped(machine: Machine, restarting: RunFolder) -> None:
    closed = machine.office.engine(restarting).stop("kabid", "Mesin dipakai")
    assert closed.outcome == "ended"
    (owed,) = (each for each in record.load(restarting).events if each.name == "run_finished")
    assert owed["reason"].endswith("Mesin dipakai")
    run_check.checked_run(restarting)


def without_the_part(records: list[Record]) -> None:
    started = find(records, "step_started", step=3)
    started["parts"] = [part for part in started["parts"] if part["kind"] != "reboot"]
    records[:] = [each for each in records if each.get("part") != "3-reboot"]


def as_if_it_were_no_controller(records: list[Record]) -> None:
    find(records, "run_started")["inventory"]["controllers"] = []


def announced_twice_without_resuming(records: list[Record]) -> None:
    first = find(records, "run_resumed")
    records.remove(first)


def before_its_wave(records: list[Record]) -> None:
    at = [number for number, each in enumerate(records) if each.get("part") == "3-reboot"]
    wave = records.index(find(records, "action_started", part="3", step=3))
    moved = [records.pop(number) for number in reversed(at)]
    for each in moved:
        records.insert(wave, each)


def left_behind_untold(records: list[Record]) -> None:
    records.remove(find(records, "action_finished", part="3-reboot"))


def of_another_host(records: list[Record]) -> None:
    find(records, "action_started", part="3-reboot")["hosts"] = ["web1"]


@pytest.mark.parametrize(
    "change",
    [
        without_the_part,
        as_if_it_were_no_controller,
        announced_twice_without_resuming,
        before_its_wave,
        left_behind_untold,
        of_another_host,
    ],
)
def test_a_forged_restart_is_found(
    machine: Machine, restarting: RunFolder, change: Callable[[list[Record]], None]
) -> None:
    machine.reboot()
    assert isinstance(resume(machine, restarting), Closed)
    forge(restarting.path, change)
    with pytest.raises(errors.VerificationError, match=r"journal\.jsonl"):
        run_check.checked_run(restarting)
