"""Approved in the evening, changed at night: runs in an office that has maintenance windows.

The made-up run begins on Saturday, 2026-11-21 at 21:00 in Jakarta.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fakes import START

from runner import errors, journal, record, run_check
from runner.clock import SystemClock, format_utc, parse_utc, sleep_until
from runner.engine import Closed, Shut
from runner.executors.base import ActionRequest
from runner.inventory import variables_digests
from runner.windows import parse_windows
from runner.workspace import RunFolder
from scenarios.forgery import Record, find, forge
from scenarios.office import Office, events_of, parts_finished, rows_finished

APPROVED = {2: ["disetujui"]}
NIGHT = 'windows:\n- {days: [sabtu], from: "23:00", until: "02:00"}\n'
OPENS = format_utc(START + timedelta(hours=2))
HOUR = 3600.0


@pytest.fixture
def night(contoh: Office) -> Office:
    """Return an office that allows changes on Saturdays from 23:00 until 02:00."""
    contoh.windows = parse_windows(NIGHT, "windows.yml")
    return contoh


def begun(office: Office) -> RunFolder:
    folder = office.start()
    office.go_on(folder, APPROVED)
    return folder


def resumed(office: Office, folder: RunFolder, decisions: dict[int, list[str]] | None = None) -> object:
    return office.go_on(folder, decisions or APPROVED, resumed=True)


def test_an_approved_change_waits_for_the_window(night: Office) -> None:
    folder = night.start()
    stop = night.go_on(folder, APPROVED)
    assert isinstance(stop, Shut)
    assert stop.opens == START + timedelta(hours=2)
    (awaited,) = events_of(folder, "window_awaited")
    assert awaited == {
        "step": 3,
        "attempt": 1,
        "part": "1-reprobe-1",
        "opens": OPENS,
        "reason": "outside the maintenance windows",
    }
    assert record.load(folder).state.changed == []
    run_check.checked_run(folder)


def test_resumed_before_the_window_it_waits_again_and_within_it_goes_on(night: Office) -> None:
    folder = begun(night)
    assert isinstance(resumed(night, folder), Shut)
    assert record.load(folder).state.changed == []
    night.clock.advance(2 * HOUR)
    assert isinstance(resumed(night, folder), Closed)
    assert len(events_of(folder, "window_awaited")) == 2
    assert len(record.load(folder).state.changed) == 5
    run_check.checked_run(folder)


def test_checks_plans_and_gates_do_not_wait_for_a_window(night: Office) -> None:
    assert [row for row, _ in rows_finished(begun(night))] == [1, 2]


def while_part(office: Office, part: str, act: Callable[[], None]) -> None:
    def before(request: ActionRequest) -> None:
        if request.part == part and request.step == 3:
            act()

    office.playbooks.before = before


def test_a_wave_does_not_begin_when_the_window_has_closed_meanwhile(night: Office) -> None:
    night.clock.advance(2 * HOUR)
    while_part(night, "1", lambda: night.clock.advance(4 * HOUR))
    folder = night.start()
    assert isinstance(night.go_on(folder, APPROVED), Shut)
    assert record.load(folder).state.changed == ["web1"]
    (awaited,) = events_of(folder, "window_awaited")
    assert (awaited["part"], awaited["opens"]) == (
        "2-reprobe-1",
        format_utc(START + timedelta(days=7, hours=2)),
    )


def test_a_wave_does_not_begin_when_too_little_of_the_window_is_left(night: Office) -> None:
    night.windows = parse_windows(NIGHT + "min_minutes: 60\n", "windows.yml")
    night.clock.advance(2 * HOUR)
    while_part(night, "1", lambda: night.clock.advance(2.1 * HOUR))
    folder = night.start()
    night.go_on(folder, APPROVED)
    reasons = [event["reason"] for event in events_of(folder, "window_awaited")]
    assert reasons == ["less than 60 minutes of the window are left"]


def test_a_window_that_closes_after_the_look_at_a_wave_s_hosts_holds_the_wave_up(night: Office) -> None:
    """What the hosts said before is not relied on when the next window opens: they are asked again."""
    night.clock.advance(2 * HOUR)
    while_part(night, "1-reprobe-1", lambda: night.clock.advance(4 * HOUR))
    folder = night.start()
    night.go_on(folder, APPROVED)
    assert record.load(folder).state.changed == []
    assert [event["part"] for event in events_of(folder, "window_awaited")] == ["1"]
    night.playbooks.before = lambda _request: None
    night.clock.advance(6.9 * 24 * HOUR)
    resumed(night, folder, {2: ["disetujui", "disetujui"]})
    looks = [part for step, _, part, _ in night.playbooks.done if step == 3 and part.startswith("1-reprobe")]
    assert len(looks) == 2
    assert len(record.load(folder).state.changed) == 5
    run_check.checked_run(folder)


def test_a_freeze_holds_a_change_up_and_says_why(night: Office) -> None:
    freeze = "freeze: [{from: 2026-11-20, until: 2026-11-28, reason: Rekonsiliasi keuangan}]\n"
    night.windows = parse_windows(NIGHT + freeze, "windows.yml")
    folder = begun(night)
    (awaited,) = events_of(folder, "window_awaited")
    # The window of the 28th reaches over midnight, into a day that is not frozen.
    assert awaited["opens"] == format_utc(START + timedelta(days=7, hours=3))
    assert awaited["reason"] == "frozen from 2026-11-20 to 2026-11-28: Rekonsiliasi keuangan"


def test_taking_back_what_failed_does_not_wait(night: Office) -> None:
    night.clock.advance(2 * HOUR)
    night.playbooks.answer(3, "1", {"web1": "failed"})
    night.suites.answer(4, "1", {"web1": "failed"})
    while_part(night, "1", lambda: night.clock.advance(5 * HOUR))
    folder = night.start()
    assert isinstance(night.go_on(folder, APPROVED), Closed)
    assert [part for row, part, _ in parts_finished(folder) if row == 4] == ["1", "recover", "retest"]
    run_check.checked_run(folder)


def test_a_wave_that_was_cut_short_is_not_taken_up_again_outside_the_window(night: Office) -> None:
    night.clock.advance(2 * HOUR)

    def die(_request: ActionRequest) -> None:
        if _request.changes:
            raise KeyboardInterrupt

    night.playbooks.before = die
    folder = night.start()
    with pytest.raises(KeyboardInterrupt):
        night.go_on(folder, APPROVED)
    night.playbooks.before = lambda _request: None
    night.clock.advance(5 * HOUR)
    assert isinstance(resumed(night, folder), Shut)
    night.clock.advance(6.8 * 24 * HOUR)
    resumed(night, folder, {2: ["disetujui", "disetujui"]})
    run_check.checked_run(folder)


def test_an_approval_does_not_last_longer_for_the_window(night: Office) -> None:
    """Valid for two days, and the window opens in seven: the gate asks again, then the change is due."""
    night.clock.advance(6 * HOUR)
    folder = begun(night)
    night.clock.advance((7 * 24 - 4 + 0.5) * HOUR)
    assert isinstance(resumed(night, folder, {2: ["disetujui", "disetujui"]}), Closed)
    assert [event["step"] for event in events_of(folder, "decision_lapsed")] == [2]
    assert len(record.load(folder).state.changed) == 5


def test_a_clock_that_was_ahead_opens_no_window_once_it_is_right(night: Office) -> None:
    folder = begun(night)
    night.clock.advance(3 * HOUR)
    night.clock.set_wall(-3 * HOUR)
    assert isinstance(resumed(night, folder), Shut)
    assert record.load(folder).state.changed == []


def test_windows_that_never_leave_enough_refuse_the_start(contoh: Office) -> None:
    contoh.windows = parse_windows(NIGHT + "min_minutes: 181\n", "windows.yml")
    with pytest.raises(errors.InputError, match="never open long enough"):
        contoh.start()
    assert not contoh.workspace.runs.exists()


# Forged ------------------------------------------------------------------------------------------------


def shift(records: list[Record], first: int, hours: float) -> None:
    for each in records[first:]:
        moment = START + timedelta(hours=hours)
        each["at"] = format_utc(moment)


def test_a_change_outside_the_windows_is_found(night: Office) -> None:
    folder = begun(night)
    night.clock.advance(2 * HOUR)
    resumed(night, folder)

    def earlier(records: list[Record]) -> None:
        shift(records, records.index(find(records, "action_started", step=3)), 1.9)

    forge(folder.path, earlier)
    with pytest.raises(
        errors.VerificationError, match="no change was to begin then: outside the maintenance"
    ):
        run_check.checked_run(folder)


def test_a_window_awaited_while_it_was_open_is_found(night: Office) -> None:
    folder = begun(night)
    forge(folder.path, lambda records: find(records, "window_awaited").update(at=OPENS))
    with pytest.raises(errors.VerificationError, match="no change was held up then"):
        run_check.checked_run(folder)


@pytest.mark.parametrize(
    "field", [{"opens": format_utc(START)}, {"reason": "someone said so"}, {"part": "2"}, {"step": 2}]
)
def test_a_window_awaited_that_says_something_else_is_found(night: Office, field: dict[str, object]) -> None:
    folder = begun(night)
    forge(folder.path, lambda records: find(records, "window_awaited").update(field))
    with pytest.raises(errors.VerificationError, match="window_awaited"):
        run_check.checked_run(folder)


def test_windows_widened_after_the_start_are_found(night: Office) -> None:
    folder = begun(night)
    always = parse_windows('windows: [{from: "00:00", until: "24:00"}]', "windows.yml").recorded()
    forge(folder.path, lambda records: find(records, "run_started").update(windows=always))
    with pytest.raises(errors.VerificationError, match="no change was held up then"):
        run_check.checked_run(folder)


def test_after_a_window_was_awaited_nothing_comes_but_a_resume(night: Office) -> None:
    folder = begun(night)
    night.clock.advance(2 * HOUR)
    resumed(night, folder)

    def not_resumed(records: list[Record]) -> None:
        records.remove(find(records, "run_resumed"))

    forge(folder.path, not_resumed)
    with pytest.raises(errors.VerificationError, match="nothing was due"):
        run_check.checked_run(folder)


# At the command line -----------------------------------------------------------------------------------


@pytest.fixture
def shut(contoh: Office) -> RunFolder:
    """Return a run that waits for a window two hours from now, by the machine's own clock."""
    contoh.clock = SystemClock()  # type: ignore[assignment]
    opens = datetime.now(ZoneInfo("Asia/Jakarta")) + timedelta(hours=2)
    until = opens + timedelta(hours=1)
    text = f'windows: [{{from: "{opens:%H:%M}", until: "{until:%H:%M}"}}]\n'
    contoh.windows = parse_windows(text, "windows.yml")
    # The command compares the inventory with what was decided on.
    path = contoh.inventory.path
    path.mkdir(exist_ok=True)
    (path / "hosts.yml").write_text(
        json.dumps({"all": {"hosts": {host: {} for host in contoh.hosts}}}), "utf-8"
    )
    contoh.variables = variables_digests(path, contoh.hosts)
    folder = contoh.start()
    assert isinstance(contoh.go_on(folder, APPROVED), Shut)
    return folder


def rawat(office: Office, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"RAWAT_ROOT": str(office.root), "COLUMNS": "200"}
    return subprocess.Popen(
        [sys.executable, "-m", "runner", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )


def test_resume_says_when_the_window_opens_and_ends_with_its_own_code(
    contoh: Office, shut: RunFolder
) -> None:
    process = rawat(contoh, "resume", shut.name)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == errors.EXIT_WAITING, told
    assert "row 3 waits for a maintenance window (outside the maintenance windows); it opens" in told
    assert f"rawat resume {shut.name} --wait" in told
    assert not [line for line in told.splitlines() if "Traceback" in line]


def test_status_tells_of_the_window(contoh: Office, shut: RunFolder) -> None:
    told, _ = rawat(contoh, "status", shut.name, "--json").communicate(timeout=60)
    status = json.loads(told)
    assert status["state"] == "window"
    assert status["window"]["reason"] == "outside the maintenance windows"
    assert parse_utc(status["window"]["opens"]) > datetime.now(UTC)


def test_waiting_for_the_window_ends_with_ctrl_c_and_costs_no_time(contoh: Office, shut: RunFolder) -> None:
    process = rawat(contoh, "resume", shut.name, "--wait")
    assert process.stdout is not None
    line = next(line for line in process.stdout if "waits for a maintenance window" in line)
    assert "it opens" in line
    before = [event.name for event in journal.read(shut.journal)]
    # Another terminal is not locked out meanwhile.
    assert isinstance(contoh.go_on(shut, APPROVED, resumed=True), Shut)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == errors.EXIT_INTERRUPTED, told
    assert "stopped; go on with" in told
    assert before[-2:] == ["run_resumed", "window_awaited"]
    assert record.load(shut).state.changed == []


# Waiting for it ----------------------------------------------------------------------------------------


def test_waiting_sleeps_in_short_pieces_until_the_wall_clock_is_there(night: Office) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        night.clock.advance(seconds)

    at = night.clock.now().at + timedelta(minutes=10)
    sleep_until(at, night.clock, sleep)
    assert night.clock.now().at >= at
    assert 20 < len(slept) < 40
    assert max(slept) <= 20


def test_waiting_goes_on_when_the_clock_is_set_back_and_ends_when_it_is_set_forward(night: Office) -> None:
    at = night.clock.now().at + timedelta(minutes=1)
    turned = iter([lambda: night.clock.set_wall(-600), lambda: night.clock.advance(24 * HOUR)])
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        next(turned)()

    sleep_until(at, night.clock, sleep)
    assert len(sleeps) == 2
