"""Real processes under faketime: the wall clock lies from one command to the next, as fault row 27 has it.

Each command of the run is a process of its own. libfaketime gives it the wall time the test names; the
monotonic clock and the boot id stay the machine's, as they would when somebody sets a clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from runner import journal, record, verify
from runner.journal import Event
from runner.workspace import RunFolder
from scenarios.forgery import Record as Line
from scenarios.forgery import forge
from scenarios.office import Office, events_of

ROOT = Path(__file__).parents[2]
OPPOSITE = {"-10y": "+10y", "-1s": "+1s", "+3d": "-3d", "+10y": "-10y"}
# What a terminal does to a run, in a process of its own: argv is the run's folder and the fake tree.
# libfaketime 0.9.10 also moves the end of a sleep on the clock that it leaves alone: sleep by other means.
COMMAND = """\
import select
import sys
import time
from pathlib import Path
from runner import record
from runner.clock import SystemClock
from runner.engine import Engine, Tools
from runner.gates import Choice
from runner.workspace import RunFolder, Workspace
from fakes import FakeArchive, FakeExecutor, RecordingObserver, build_document

time.sleep = lambda seconds: select.select([], [], [], seconds)
what, folder, tree, key = sys.argv[1], RunFolder(Path(sys.argv[2])), Path(sys.argv[3]), Path(sys.argv[4])
archive = FakeArchive()
tools = Tools(
    SystemClock(), FakeExecutor(), FakeExecutor(), build_document, archive.check_run, archive.seal
)
engine = Engine(Workspace(tree), folder, tools, RecordingObserver())
if what == "decide":
    engine.decide(Choice(key.name, "disetujui", ""), key)
else:
    engine.run(resumed=True)
"""


def at_wall_time(shift: str, office: Office, folder: RunFolder, what: str) -> None:
    """Do one command in a process whose wall clock is off by ``shift``."""
    command = ["faketime", "-f", shift] if shift else []
    arguments = [what, str(folder.path), str(office.root), str(office.key("kabid"))]
    environment = os.environ | {
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # Python waits for ever otherwise (libfaketime issue 390)
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
    }
    subprocess.run(
        [*command, sys.executable, "-c", COMMAND, *arguments],
        check=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def run_through(office: Office, shifts: tuple[str, str, str]) -> RunFolder:
    """Start a run, decide its gate and do its change, each at another wall time; return its folder."""
    folder = office.start()
    for shift, what in zip(shifts, ("resume", "decide", "resume"), strict=True):
        at_wall_time(shift, office, folder, what)
    return folder


def age(folder: RunFolder, seconds: float) -> None:
    """Make the run older, as the monotonic clock measures it, without waiting for it."""

    def change(records: list[Line]) -> None:
        for line in records:
            line["mono"] -= int(seconds * 1e9)

    forge(folder.path, change)


def real(events: tuple[Event, ...]) -> list[Event]:
    """Return the records that real processes wrote; the first is the test's own."""
    return list(events[1:])


@pytest.mark.parametrize("shift", OPPOSITE)
def test_whatever_the_wall_clock_says_nothing_is_negative_reordered_or_expired(
    contoh: Office, shift: str
) -> None:
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    folder = run_through(contoh, ("", shift, OPPOSITE[shift]))
    went_by = time.clock_gettime(time.CLOCK_BOOTTIME) - began
    now = record.load(folder)
    written = real(now.events)

    # The clock was off indeed, one way when it was decided and the other way when hosts were changed.
    at = {event.name: event.instant for event in written}
    off = (
        at["decision_made"].shift_since(at["gate_opened"]),
        at["run_finished"].shift_since(at["gate_opened"]),
    )
    assert min(abs(off[0]), abs(off[1])) >= 0.9
    assert off[0] * off[1] < 0
    assert now.state.finished is not None
    assert events_of(folder, "decision_lapsed") == []
    assert all(later.instant.mono > earlier.instant.mono for earlier, later in pairwise(written))
    assert [event.seq for event in journal.read(folder.journal)] == list(range(1, len(now.events) + 1))
    for told in now.times:
        assert 0 <= told.waiting <= told.total <= went_by
        assert told.work >= 0
    verify.check_run(folder)


def test_a_decision_that_has_expired_stays_so_in_a_process_with_its_clock_set_back(
    contoh: Office,
) -> None:
    """The decision holds for one minute here, and the monotonic clock has gone on by that much."""
    short = contoh.sop_text.replace("valid_for: 2 Hari", "valid_for: 1 Menit")
    assert short != contoh.sop_text
    contoh.sop_text = short
    folder = contoh.start()
    at_wall_time("", contoh, folder, "resume")
    at_wall_time("", contoh, folder, "decide")
    age(folder, 61)
    at_wall_time("-3d", contoh, folder, "resume")
    assert [made["step"] for made in events_of(folder, "decision_lapsed")] == [2]
    verify.check_run(folder)
