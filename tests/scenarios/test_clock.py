"""Whole runs on a clock that is set, a machine that sleeps or is started anew (fault row 27)."""

from __future__ import annotations

import pytest

from runner import verify
from runner.engine import Closed, Waiting
from runner.workspace import RunFolder
from scenarios.office import Office, events_of

DAY = 86400.0
YEARS = 3650 * DAY
JUMPS = [-YEARS, -DAY, -3600, -1, 1, 3600, DAY, YEARS]


def stop_once(_request: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def decided(contoh: Office) -> RunFolder:
    """Return a run whose gate was decided; its change is next. The decision holds for two days."""
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.decide(folder, "disetujui", "kabid")
    return folder


@pytest.mark.parametrize("jump", JUMPS)
def test_a_decision_in_time_stands_whatever_the_wall_clock_says(
    contoh: Office, decided: RunFolder, jump: float
) -> None:
    contoh.clock.set_wall(jump)
    assert isinstance(contoh.go_on(decided, {}, resumed=True), Closed)
    verify.check_run(decided)


@pytest.mark.parametrize("jump", JUMPS)
def test_an_expired_decision_lapses_whatever_the_wall_clock_says(
    contoh: Office, decided: RunFolder, jump: float
) -> None:
    contoh.clock.advance(3 * DAY)
    contoh.clock.set_wall(jump)
    assert isinstance(contoh.go_on(decided, {}, resumed=True), Waiting)
    assert [made["step"] for made in events_of(decided, "decision_lapsed")] == [2]
    verify.check_run(decided)


def test_a_clock_set_back_over_a_reboot_revives_nothing_that_was_measured(
    contoh: Office, decided: RunFolder
) -> None:
    """1.9 of the 2 days pass before the second wave; then a reboot, and a wall clock a day behind."""
    contoh.playbooks.before = lambda request: contoh.clock.advance(1.9 * DAY if request.changes else 0)
    contoh.suites.before = stop_once
    with pytest.raises(KeyboardInterrupt):
        contoh.go_on(decided, {}, resumed=True)
    contoh.clock.reboot("boot-2", down=60)
    contoh.clock.set_wall(-DAY)
    contoh.suites.before = lambda _request: contoh.clock.advance(0.2 * DAY)
    assert isinstance(contoh.go_on(decided, {}, resumed=True), Waiting)
    assert [made["step"] for made in events_of(decided, "decision_lapsed")] == [2]
    verify.check_run(decided)


def test_after_a_reboot_the_wall_clock_ends_a_decision(contoh: Office, decided: RunFolder) -> None:
    contoh.clock.reboot("boot-2", down=3 * DAY)
    assert isinstance(contoh.go_on(decided, {}, resumed=True), Waiting)
    verify.check_run(decided)


def test_after_a_short_reboot_the_decision_stands(contoh: Office, decided: RunFolder) -> None:
    contoh.clock.reboot("boot-2", down=600)
    assert isinstance(contoh.go_on(decided, {}, resumed=True), Closed)
    verify.check_run(decided)
