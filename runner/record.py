"""A run as its folder tells it: SOP, roster, journal, folded state, plans, evidence and decisions.

Reading only. ``Record.at(seq)`` gives the run as it stood after that record of the journal, so that a
document made then can be made again later, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from runner import errors, evidence, journal
from runner.canonical import sha256_hex
from runner.checks import Check
from runner.events import require_format
from runner.findings import Results
from runner.journal import Event
from runner.office_settings import OfficeLook
from runner.officials import Roster
from runner.rosters import CHANGED
from runner.sop import Sop, parse_sop
from runner.state import RunState
from runner.timing import StepTime, step_times
from runner.trends import Trends
from runner.workspace import RunFolder


@dataclass(frozen=True)
class Record:
    """One run; ``events`` is the journal, or its beginning up to the moment of interest."""

    folder: RunFolder
    sop: Sop
    sop_sha256: str
    first_roster: Roster
    events: tuple[Event, ...]

    def at(self, seq: int) -> Record:
        """Return the run as it stood after record ``seq`` of the journal."""
        return self.told_by(self.events[:seq])

    def told_by(self, events: tuple[Event, ...]) -> Record:
        """Return the same run as these records tell it; others may have written some since."""
        return Record(self.folder, self.sop, self.sop_sha256, self.first_roster, events)

    @property
    def started(self) -> Event:
        """Return the first record, ``run_started``."""
        return self.events[0]

    @cached_property
    def roster(self) -> Roster:
        """Return the roster that holds now: that of the start, or the one it was changed to last."""
        return roster_at(self.folder, self.first_roster, self.events)

    @cached_property
    def look(self) -> OfficeLook:
        """Return how the office's documents look, as it was when the run started."""
        name = self.folder.office.name
        data = self.folder.read({"path": name, "sha256": self.started["office_sha256"]})
        return OfficeLook.from_snapshot(data, name)

    @cached_property
    def trends(self) -> Trends:
        """Return what sealed runs before this one came to, as it was when the run started."""
        name = self.folder.trends.name
        data = self.folder.read({"path": name, "sha256": self.started["trends_sha256"]})
        return Trends.from_snapshot(data, name)

    @cached_property
    def state(self) -> RunState:
        """Return the state folded from the events."""
        return RunState(self.sop, self.events)

    @cached_property
    def times(self) -> list[StepTime]:
        """Return work and waiting time of every attempt so far."""
        return step_times(self.sop, self.events)

    @cached_property
    def plan(self) -> dict[str, Any] | None:
        """Return the plan that stands, if one was made."""
        standing = self.state.plan
        if standing is None:
            return None
        # What is shown at a gate is what is signed there and what is acted on: the plan of this digest.
        return parsed_plan(self.folder.read(standing.named))

    @cached_property
    def decided_before(self) -> tuple[dict[str, Any], Event] | None:
        """Return the plan that hosts were last found to differ from, with the last decision on it."""
        drifted = next((event for event in reversed(self.events) if event.name == "plan_drifted"), None)
        if drifted is None:
            return None
        earlier = [event for event in self.events if event.seq < drifted.seq]
        made = next(event for event in reversed(earlier) if event.name == "plan_made")
        decided = [event for event in earlier if event.name == "decision_made"]
        last = next(event for event in reversed(decided) if event["subject"]["plan"] == made["sha256"])
        return json.loads(self.folder.read(made.fields)), last

    def finished_actions(self) -> list[Event]:
        """Return the ``action_finished`` events since the standing plan was made, that one included."""
        actions = [event for event in self.events if event.name == "action_finished"]
        made = [event for event in self.events if event.name == "plan_made"]
        if not made:
            return actions
        first = next(
            e.seq for e in actions if (e["step"], e["attempt"]) == (made[-1]["step"], made[-1]["attempt"])
        )
        return [event for event in actions if event.seq >= first]

    def evidence_of(self, event: Event) -> list[dict[str, Any]]:
        """Return the evidence that an ``action_finished`` event names, one dict per host."""
        return evidence.read(self.folder, event["evidence"])

    def checks(self) -> dict[str, Check]:
        """Return for each host what the newest check of it came to, since the standing plan was made.

        Raises:
            VerificationError: when evidence is not what the journal names: it is shown where it is signed.
        """
        found: dict[str, Check] = {}
        for event in self.finished_actions():
            for told in self.evidence_of(event):
                check = Results.model_validate(told["results"]).check
                if check:
                    found[told["host"]] = check
        return found

    def latest_results(self, hosts: Container[str] | None = None) -> dict[str, dict[str, Any]]:
        """Return for each host, of some or all, the newest result of each role since the standing plan."""
        latest: dict[str, dict[str, Any]] = {}
        for event in self.finished_actions():
            for item in evidence.read(self.folder, event["evidence"], hosts):
                latest.setdefault(item["host"], {}).update(item["results"])
        return latest

    def form(self, event: Event) -> dict[str, Any]:
        """Return what a ``form_filled`` event's file says."""
        said: dict[str, Any] = json.loads(self.folder.read(event["files"][0]))
        return said

    def statement(self, decision: Event) -> dict[str, Any]:
        """Return the signed statement of a ``decision_made`` event."""
        said: dict[str, Any] = json.loads(self.folder.read(decision["statement"]))
        return said


@lru_cache(maxsize=1)
def parsed_plan(data: bytes) -> dict[str, Any]:
    """Return a plan. A run reads the same one before each of its waves, and it names every host."""
    plan: dict[str, Any] = json.loads(data)
    return plan


def roster_at(folder: RunFolder, first: Roster, events: Iterable[Event]) -> Roster:
    """Return the roster that holds after these records.

    Raises:
        VerificationError: when its file is not the one that the journal names.
    """
    changed = [event["roster"] for event in events if event.name == CHANGED]
    return Roster.from_snapshot(folder.read(changed[-1]), changed[-1]["path"]) if changed else first


def load(folder: RunFolder) -> Record:
    """Read a run.

    Raises:
        VerificationError: when SOP, roster or journal are not what the journal's first record says.
        InputError: when the record is of a format that this version does not read.
    """
    try:
        # Bytes: reading as text would take other line ends for the same file.
        text = folder.sop.read_bytes()
        roster = folder.officials.read_bytes()
        events = journal.read(folder.journal)
    except OSError as error:
        raise errors.VerificationError(str(error.filename), error.strerror or "cannot be read") from error
    if not events:
        raise errors.VerificationError(folder.journal.name, "holds no record")
    started = events[0]
    require_format(started, folder.name)
    if sha256_hex(text) != started["sop"]["sha256"]:
        raise errors.VerificationError(folder.sop.name, "is not the SOP the run was started with")
    if sha256_hex(roster) != started["officials_sha256"]:
        raise errors.VerificationError(folder.officials.name, "is not the roster the run was started with")
    sop = parse_sop(text.decode(), folder.sop.name)
    return Record(
        folder, sop, started["sop"]["sha256"], Roster.from_snapshot(roster, folder.officials.name), events
    )
