"""Waiting for work in a unit on a host: its end is noticed at once, and systemd is hardly asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from role_modules import shared

UNIT = "rawat-example.service"


@dataclass
class Work:
    """A unit whose process is a child of ours."""

    child: subprocess.Popen[bytes]
    asked: list[str] = field(default_factory=list)
    """Grows with each question to systemd."""

    def state(self, unit: str) -> dict[str, str]:
        self.asked.append(unit)
        at_work = self.child.poll() is None
        process = self.child.pid if at_work else 0
        return {"ActiveState": "active" if at_work else "inactive", "MainPID": str(process)}


@pytest.fixture(name="work")
def _work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    with subprocess.Popen(["sleep", "2"]) as child:
        work = Work(child)
        monkeypatch.setattr(shared("host_unit"), "unit_state", work.state)
        yield work
        child.kill()


def test_systemd_is_asked_twice_however_long_the_work_takes(work: Work) -> None:
    assert shared("host_unit").wait_for_end(UNIT, 60)

    assert work.asked == [UNIT, UNIT]


def test_an_old_kernel_or_python_asks_again_and_again(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")

    assert shared("host_unit").wait_for_end(UNIT, 60)

    assert len(work.asked) > 2


def test_work_that_goes_on_is_given_up_in_time(work: Work) -> None:
    assert not shared("host_unit").wait_for_end(UNIT, 0.1)

    # It was not waited for to its end.
    assert work.child.poll() is None


def test_a_process_that_is_gone_already_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    opened: list[int] = []
    monkeypatch.setattr(os, "close", opened.append)

    shared("host_unit")._watch(child.pid, 3600)

    assert opened == []


def test_a_unit_of_which_nothing_is_known_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """As while systemd starts itself anew: ``systemctl`` then says "Failed to connect to bus" alone."""
    unit, answers = shared("host_unit"), [{}, {}, {"ActiveState": "inactive"}]
    monkeypatch.setattr(unit, "unit_state", lambda _: answers.pop(0))
    assert unit.is_running(UNIT)
    assert unit.wait_for_end(UNIT, 60)
    assert answers == []


def test_a_host_whose_systemd_does_not_answer_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = shared("host_lock")
    failed = lock.run_command(["false"])
    monkeypatch.setattr(lock, "run_command", lambda _: failed)
    assert lock.units_at_work() == ["systemd does not answer: something"]
