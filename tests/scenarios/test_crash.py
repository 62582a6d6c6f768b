"""A whole engine run, killed or failed at its system calls.

Here a sample; `make campaign-crash` goes through every call. What fails leaves its run in build/crash/.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from scenarios import crashing
from scenarios.conftest import SURAKARTA_APPROVED, MakeOffice
from scenarios.crashing import Case, Outcome, Story
from scenarios.office import Decisions, Office

DECISIONS: Decisions = {**SURAKARTA_APPROVED, 10: ["perlu perbaikan", "sesuai"]}
SEED = int(os.environ.get("RAWAT_CRASH_SEED", "3"))
SAMPLE = 12


def script(office: Office) -> None:
    """Let much happen: a host out of reach, one that fails its tests and is rolled back."""
    office.playbooks.answer(2, "1", {"file1": "unreachable"})
    office.suites.answer(8, "1", {"web2": "failed"})


@pytest.fixture(scope="module", name="story")
def _story(quick_dir: Path, root: Path, make_office: MakeOffice) -> Story:
    place = Path(tempfile.mkdtemp(dir=quick_dir))
    office = make_office(place / "told", root / "sops" / "surakarta-system-update.yml")
    return crashing.tell(office, place, DECISIONS, script)


@pytest.fixture(name="place")
def _place(quick_dir: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=quick_dir))


def go_through(story: Story, cases: Sequence[Case], place: Path, root: Path) -> list[Outcome]:
    """Go through the cases, print what they came to, and return them; none may be missing."""
    began = time.monotonic()
    outcomes = crashing.go_through_all(story, cases, place, root / "build" / "crash")
    ends = Counter(outcome.end.split(":")[0] for outcome in outcomes)
    print(f"\nseed {SEED}, {len(story.before)} processes, {dict(sum_of(story.calls))}")
    print(f"faults per call: {dict(Counter(outcome.case.call for outcome in outcomes))}")
    print(f"how the processes ended: {dict(ends)}")
    wrong = sum(1 for outcome in outcomes if outcome.wrong)
    states = sum(1 for outcome in outcomes if outcome.is_new)
    print(
        f"crash (a): {len(outcomes)} faults, {states} states of the disk taken to their end, "
        f"{wrong} wrong, {time.monotonic() - began:.0f} s"
    )
    assert len(outcomes) == len(cases)
    return outcomes


def sum_of(calls: Sequence[object]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counted in calls:
        total.update(counted)
    return total


def first_wrong(outcomes: Sequence[Outcome]) -> Iterator[str]:
    return (f"{outcome.case}: {outcome.wrong}" for outcome in outcomes if outcome.wrong)


def test_killed_at_some_calls_the_run_goes_on(story: Story, place: Path, root: Path) -> None:
    cases = random.Random(SEED).sample(list(crashing.kills(story)), SAMPLE)  # noqa: S311 - to be repeated
    outcomes = go_through(story, cases, place, root)
    assert list(first_wrong(outcomes)) == []
    assert {outcome.end for outcome in outcomes} == {"killed"}


def test_failed_at_some_calls_the_run_stops_and_goes_on(story: Story, place: Path, root: Path) -> None:
    cases = random.Random(SEED).sample(list(crashing.failures(story)), SAMPLE)  # noqa: S311 - to be repeated
    assert list(first_wrong(go_through(story, cases, place, root))) == []


@pytest.mark.campaign
@pytest.mark.timeout(3 * 3600)
def test_killed_at_every_call_the_run_goes_on(story: Story, place: Path, root: Path) -> None:
    outcomes = go_through(story, list(crashing.kills(story)), place, root)
    assert list(first_wrong(outcomes)) == []
    assert {outcome.end for outcome in outcomes} == {"killed"}
    assert len(outcomes) >= 2000


@pytest.mark.campaign
@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("call", crashing.FAILING)
def test_failed_at_every_call_the_run_stops_and_goes_on(
    story: Story, place: Path, root: Path, call: str
) -> None:
    cases = [case for case in crashing.failures(story) if case.call == call]
    outcomes = go_through(story, cases, place, root)
    assert list(first_wrong(outcomes)) == []
    if call in {"fsync", "rename"}:
        assert {outcome.end.partition(":")[0] for outcome in outcomes} == {"CannotRecordError"}


def sizes(count: int) -> list[int]:
    """Return sizes of disks from 64 KB up to 4 MB, each larger than the one before by the same factor."""
    return [int(65536 * 64 ** (number / 49)) for number in range(count)]


def fill_up(story: Story, place: Path, count: int) -> None:
    stops: Counter[str] = Counter()
    wrong = []
    for full in ("runs", "archive"):
        for size in sizes(count):
            stop, problem = crashing.go_through_on_a_small_disk(story, place / f"{full}-{size}", full, size)
            stops[f"{full}: {stop.partition(':')[0] or 'room enough'}"] += 1
            wrong += [f"{full} of {size} bytes, stopped by {stop!r}: {problem}"] if problem else []
    print(f"\nfull disk: {2 * count} disks from 64 KB on, {dict(stops)}, {len(wrong)} wrong")
    assert wrong == []
    assert stops["runs: CannotRecordError"]
    assert stops["archive: CannotRecordError"]


def test_on_the_smallest_disk_the_run_stops_and_goes_on_with_room(story: Story, place: Path) -> None:
    fill_up(story, place, 1)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_on_fifty_small_disks_the_run_stops_and_goes_on_with_room(story: Story, place: Path) -> None:
    fill_up(story, place, 50)
