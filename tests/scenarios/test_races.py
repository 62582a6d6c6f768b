"""Many who decide at one gate at the same moment: one decision counts, and the others are told whose."""

from __future__ import annotations

import multiprocessing
import re
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty

import pytest

from runner import errors, verify
from runner.engine import Waiting
from runner.gates import Choice
from runner.workspace import RunFolder
from scenarios.office import Office, events_of

DECIDERS = 20
OUTCOMES = ("disetujui", "dibatalkan", "periksa ulang")
TOLD = re.compile(r"row 2 was decided by Nama Kabid \((.*)\) at 2026-11-21 \d\d:\d\d:\d\d UTC$")
# Other processes than this one, with the office as it stands: a fork has it without reading it again.
PROCESSES = multiprocessing.get_context("fork")


def copies(office: Office, scratch: Path, count: int) -> list[RunFolder]:
    """Return that many copies of a run that waits at its gate."""
    folder = office.start()
    assert isinstance(office.go_on(folder, {}), Waiting)
    return [
        RunFolder(Path(shutil.copytree(folder.path, scratch / str(number) / folder.name)))
        for number in range(count)
    ]


def decide_all(
    office: Office,
    folders: list[RunFolder],
    number: int,
    start: Barrier,
    told: multiprocessing.Queue[tuple[int, str]],
) -> None:
    """Decide at each gate at the same moment as the others, and tell what came of it."""
    choice = Choice("kabid", OUTCOMES[number % len(OUTCOMES)], "Alasan contoh")
    for index, folder in enumerate(folders):
        start.wait(timeout=120)
        try:
            made = office.engine(folder).decide(choice, office.key("kabid"))
        except errors.RawatError as error:
            told.put((index, str(error)))
        else:
            told.put((index, f"decided: {made['outcome']}"))


def race(office: Office, scratch: Path, times: int) -> None:
    folders = copies(office, scratch, times)
    start = PROCESSES.Barrier(DECIDERS)
    told: multiprocessing.Queue[tuple[int, str]] = PROCESSES.Queue()
    deciders = [
        PROCESSES.Process(target=decide_all, args=(office, folders, number, start, told), daemon=True)
        for number in range(DECIDERS)
    ]
    for decider in deciders:
        decider.start()
    heard: dict[int, list[str]] = {index: [] for index in range(times)}
    try:
        for _ in range(times * DECIDERS):
            index, what = told.get(timeout=120)
            heard[index].append(what)
    except Empty:
        pytest.fail("a decider told nothing")
    finally:
        for decider in deciders:
            decider.join(timeout=60)
    for index, folder in enumerate(folders):
        (made,) = events_of(folder, "decision_made")
        won = [what for what in heard[index] if what == f"decided: {made['outcome']}"]
        lost = [TOLD.search(what) for what in heard[index] if what not in won]
        assert len(won) == 1, heard[index]
        assert [found and found[1] for found in lost] == [made["outcome"]] * (DECIDERS - 1), heard[index]
        verify.check_run(folder)
    print(f"{times} races of {DECIDERS} deciders: one decision each, the others told whose")


def test_of_many_who_decide_at_once_one_decision_counts(contoh: Office, quick_dir: Path) -> None:
    race(contoh, quick_dir / "races", 20)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_of_many_who_decide_at_once_one_decision_counts_a_thousand_times(
    contoh: Office, quick_dir: Path
) -> None:
    race(contoh, quick_dir / "thousand-races", 1000)
