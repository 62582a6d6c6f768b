"""Until when a decision holds: measured, so that setting a clock neither revives nor ends it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from fakes import START, FixedClock

from runner.clock import format_utc
from runner.expiry import has_expired
from runner.journal import Event

DAY = 86400.0
YEARS = 3650 * DAY
LIFETIME = 7 * DAY


class Decided:
    """A decision that holds for seven days, and the clock it was made by."""

    def __init__(self, decided: float = 0.0) -> None:
        self.clock = FixedClock()
        self.said = {
            "decided": format_utc(START + timedelta(seconds=decided)),
            "expires": format_utc(START + timedelta(seconds=decided + LIFETIME)),
        }
        self.events: list[Event] = []
        self.tell("decision_made")

    def tell(self, name: str = "run_resumed") -> None:
        self.events.append(Event(len(self.events) + 1, name, self.clock.now(), {}, "0" * 64))

    @property
    def expired(self) -> bool:
        return has_expired(self.events[0], self.said, self.events, self.clock.now())


@pytest.mark.parametrize("jump", [0, 1, -1, 3600, -3600, 30 * DAY, -30 * DAY, YEARS, -YEARS])
@pytest.mark.parametrize(("passed", "expired"), [(0, False), (LIFETIME - 1, False), (LIFETIME, True)])
def test_within_a_boot_only_the_time_that_passed_counts(jump: float, passed: float, *, expired: bool) -> None:
    made = Decided()
    made.clock.set_wall(jump)
    made.clock.advance(passed)
    assert made.expired is expired


def test_a_wall_clock_set_back_after_the_expiry_does_not_revive_the_decision() -> None:
    made = Decided()
    made.clock.advance(LIFETIME + 1)
    assert made.expired
    made.clock.set_wall(-YEARS)
    assert made.expired


def test_time_that_the_machine_slept_counts() -> None:
    """CLOCK_BOOTTIME goes on in a sleep, and so does the wall clock."""
    made = Decided()
    made.clock.advance(8 * DAY)
    assert made.expired


@pytest.mark.parametrize(("down", "expired"), [(60, False), (LIFETIME - 1, False), (LIFETIME, True)])
def test_across_a_reboot_the_wall_clock_counts(down: float, *, expired: bool) -> None:
    made = Decided()
    made.clock.reboot("boot-2", down=down)
    assert made.expired is expired
    made.tell()
    assert made.expired is expired


def rebooted(*, before: float, wall: float) -> Decided:
    """Return a decision ``before`` seconds old, as measured, at a reboot that left the wall clock wrong."""
    made = Decided()
    made.clock.advance(before)
    made.tell("run_interrupted")
    made.clock.reboot("boot-2", down=60)
    made.clock.set_wall(wall)
    made.tell()
    return made


def test_what_was_measured_before_a_reboot_is_not_lost_with_a_wall_clock_set_back() -> None:
    made = rebooted(before=6 * DAY, wall=-6 * DAY)
    assert not made.expired
    made.clock.advance(DAY)
    assert made.expired


def test_after_a_reboot_setting_the_clock_back_again_gains_nothing() -> None:
    made = rebooted(before=0, wall=8 * DAY)
    assert made.expired
    made.clock.set_wall(-8 * DAY)
    made.tell()
    assert made.expired


def test_a_wall_clock_that_was_wrong_at_boot_counts_once_it_was_set_right() -> None:
    made = rebooted(before=0, wall=-YEARS)
    made.clock.advance(8 * DAY)
    made.clock.set_wall(YEARS)
    made.tell()
    assert made.expired


def test_after_a_reboot_time_goes_on_though_the_wall_clock_stands_still() -> None:
    made = rebooted(before=0, wall=0)
    made.clock.advance(8 * DAY)
    made.clock.set_wall(-8 * DAY)
    assert made.expired


def test_a_statement_dated_in_the_future_holds_no_longer_than_its_own_span() -> None:
    made = Decided(decided=YEARS)
    made.clock.advance(LIFETIME - 1)
    assert not made.expired
    made.clock.advance(1)
    assert made.expired


def test_the_time_the_signing_took_is_not_given_on_top() -> None:
    made = Decided(decided=-DAY)
    made.clock.advance(LIFETIME - DAY)
    assert made.expired


Fate = Callable[[random.Random, Decided], None]
FATES: list[Fate] = [
    lambda seeded, made: made.clock.advance(seeded.uniform(0, DAY)),
    lambda seeded, made: made.clock.set_wall(seeded.choice([-1, 1]) * 10 ** seeded.uniform(0, 8.5)),
    lambda _, made: made.tell(),
]


@pytest.mark.parametrize("seed", range(50))
def test_whatever_the_wall_clock_does_within_a_boot_nothing_expires_early_or_late(seed: int) -> None:
    seeded, made = random.Random(seed), Decided()  # noqa: S311 - a seeded test
    began = made.clock.now().mono
    for _ in range(60):
        seeded.choice(FATES)(seeded, made)
        passed = (made.clock.now().mono - began) / 1e9
        assert made.expired is (passed >= LIFETIME), f"seed {seed}, {passed} seconds"


@pytest.mark.parametrize("seed", range(50))
def test_across_reboots_what_the_journal_saw_expire_stays_expired(seed: int) -> None:
    seeded, made, expired = random.Random(seed), Decided(), False  # noqa: S311 - a seeded test
    for number in range(60):
        if seeded.random() < 0.1:
            made.clock.reboot(f"boot-{number}", down=seeded.uniform(0, 600))
        seeded.choice(FATES)(seeded, made)
        made.tell()
        assert made.expired or not expired, f"seed {seed}"
        expired = made.expired
