"""A whole made-up office to run SOPs in: tree, roster with real keys, hosts, and an engine over fakes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeArchive, FakeExecutor, RecordingObserver, StepClock, build_document

from runner import filling, freeing, journal, record, signing
from runner.checkpoint import Chain
from runner.clock import Clock
from runner.engine import BuildDocument, Engine, Stop, Tools
from runner.filling import Due, Filled
from runner.forms import Answers
from runner.gates import Choice
from runner.inventory import Inventory
from runner.journal import Event
from runner.moves import Gate
from runner.office_settings import OfficeLook
from runner.officials import Deputy, Official, Roster
from runner.record import Record
from runner.roster_change import RosterChange
from runner.sop import Sop, parse_sop
from runner.start import Start, start_run
from runner.windows import Windows
from runner.workspace import RunFolder, Workspace

HOSTS = ("web1", "db1", "file1", "web2", "web10")
GROUPS = {"canary": ["web1"], "web": ["web1", "web2", "web10"]}

DAY = 24 * 3600.0
PLH = {
    "official": "analis",
    "position": "Kepala Contoh",
    "kind": "Plh",
    "from": "2026-11-21",
    "until": "2026-11-23",
    "letter": "800/12/2026 tanggal 20 November 2026",
}
"""A deputy as officials.yml names him."""

Decisions = Mapping[int, Sequence[str]]
"""For each gate's row the outcomes to decide, in order; a reason is always given."""


@dataclass
class Office:
    """One tree with its runs, and the tools an engine gets in it."""

    root: Path
    roster: Roster
    keys: Path
    sop_text: str
    sop_name: str
    hosts: tuple[str, ...] = HOSTS
    groups: Mapping[str, Sequence[str]] = field(default_factory=lambda: GROUPS)
    windows: Windows | None = None
    controllers: tuple[str, ...] = ()
    """Those of the hosts that are the machine on which the office runs Rawat."""
    clock: StepClock = field(default_factory=StepClock)
    playbooks: FakeExecutor = field(default_factory=FakeExecutor)
    suites: FakeExecutor = field(default_factory=FakeExecutor)
    archive: FakeArchive = field(default_factory=FakeArchive)
    builds: BuildDocument = build_document
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    register_head: Callable[[Chain], Chain] = lambda known: known
    """How far the archive's register has come."""
    variables: dict[str, str] = field(default_factory=dict)
    """What the inventory says of a host; nothing of those that are not named."""
    free_bytes: int = 1 << 40
    """Bytes that every file system still takes."""
    look: OfficeLook = field(default_factory=OfficeLook)
    """What its office.yml says."""

    @property
    def sop(self) -> Sop:
        return parse_sop(self.sop_text, self.sop_name)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    @property
    def inventory(self) -> Inventory:
        groups = {name: [host for host in hosts if host in self.hosts] for name, hosts in self.groups.items()}
        return Inventory(self.root / "inventory", self.hosts, groups, self.controllers)

    def start(self, *, operator: str = "", failure_budget: int | str = 0) -> RunFolder:
        """Start a run; the roster's first official operates when nobody is named."""
        who = self.roster.official(operator) if operator else self.roster.officials[0]
        if who is None:
            raise LookupError(operator)
        start = Start(
            self.sop_text,
            self.sop_name,
            self.inventory,
            self.roster,
            who,
            str(failure_budget),
            self.windows,
            self.look,
        )
        return start_run(self.workspace, self.clock, start, lambda _: self.free_bytes)

    def engine(self, folder: RunFolder, clock: Clock | None = None) -> Engine:
        """Return an engine as a process of its own would build it."""
        tools = Tools(
            clock=clock or self.clock,
            playbooks=self.playbooks,
            suites=self.suites,
            build_document=self.builds,
            check_run=self.archive.check_run,
            seal=self.archive.seal,
            register_head=self.register_head,
            variables_digests=lambda _, hosts: {host: self.variables.get(host, "") for host in hosts},
            free_bytes=lambda _: self.free_bytes,
        )
        return Engine(self.workspace, folder, tools, self.observer)

    def decide(self, folder: RunFolder, outcome: str, official: str, reason: str = "Alasan contoh") -> None:
        """Decide at the open gate from a process of its own."""
        self.engine(folder).decide(Choice(official, outcome, reason), self.key(official))

    def free(self, folder: RunFolder, official: str = "kabid", reason: str = "Petugas cuti") -> None:
        """Free the hosts of an open run, as ``rawat break-lock`` does."""
        freeing.break_lock(record.load(folder), self.clock, official, reason, self.key(official))

    def change_roster(
        self,
        folder: RunFolder,
        said: Roster,
        official: str = "kabid",
        reason: str = "Nota dinas",
        key: str = "",
    ) -> Event:
        """Change the roster of an open run, as ``rawat roster`` does; the office's own stays as it is."""
        change = RosterChange(record.load(folder), self.clock, said)
        return change.sign(self.word(official, reason, key))

    def word(self, official: str, reason: str = "Nota dinas", key: str = "") -> freeing.Word:
        return freeing.Word(official, reason, self.key(key or official))

    def key(self, official: str) -> Path:
        return self.keys / official

    def holder(self, gate: Gate) -> Official:
        """Return who is awaited at a gate."""
        today = self.roster.day(self.clock.now().at)
        return self.roster.holders(gate.open_seats[0], today)[0].official

    def fill(
        self, folder: RunFolder, answers: Answers, official: str = "", attachments: Sequence[Path] = ()
    ) -> Event:
        """Fill in the form that is due from a process of its own."""
        now = record.load(folder)
        who = official or str(now.started["operator"]["id"])
        given = Filled(who, answers, attachments)
        return filling.fill(now, journal.Journal(folder.journal, self.clock), self.clock, given)

    def go_on(
        self,
        folder: RunFolder,
        decisions: Decisions,
        forms: Mapping[int, Filled] | None = None,
        *,
        resumed: bool = False,
    ) -> Stop:
        """Go on, deciding each gate and filling in each form as planned, until the run is closed or waits."""
        asked: set[tuple[str, int]] = set()

        def ask(gate: Gate, now: Record) -> tuple[Choice, Path] | None:
            asking = gate.nonce, len(gate.votes)
            assert asking not in asked, f"the decision was refused: {self.observer.seen[-1]}"
            asked.add(asking)
            decided = sum(1 for made in now.state.decisions if made["step"] == gate.step)
            outcomes = decisions.get(gate.step, ())
            if decided >= len(outcomes):
                return None
            official = self.holder(gate)
            return Choice(official.id, outcomes[decided], "Alasan contoh"), self.key(official.id)

        def form(due: Due, _now: Record) -> Filled | None:
            return (forms or {}).get(due.step.no)

        return self.engine(folder).run(ask, None, form, resumed=resumed)

    def copy(self, root: Path) -> Office:
        """Return the same office with its runs in another place, with fresh tools and a later clock."""
        shutil.copytree(self.root, root, symlinks=True)
        later = StepClock(start=self.clock.now().at)
        return Office(
            root,
            self.roster,
            self.keys,
            self.sop_text,
            self.sop_name,
            self.hosts,
            self.groups,
            self.windows,
            self.controllers,
            later,
        )


def with_deputy(roster: Roster, **other: str) -> Roster:
    """Return the roster with one deputy, PLH but for what is given."""
    return roster.model_copy(update={"deputies": [Deputy.model_validate({**PLH, **other})]})


def while_signing(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen while the next statement is signed: a person is slow to find his passphrase."""
    real = signing.sign

    def sign_slowly(statement: Path, key: Path, namespace: str) -> Path:
        monkeypatch.setattr(signing, "sign", real)
        act()
        return real(statement, key, namespace)

    monkeypatch.setattr(signing, "sign", sign_slowly)


def events_of(folder: RunFolder, name: str) -> list[dict[str, Any]]:
    """Return the fields of all events of one name, in order."""
    return [event.fields for event in journal.read(folder.journal) if event.name == name]


def rows_finished(folder: RunFolder) -> list[tuple[int, str | None]]:
    """Return (row, outcome) of every finished row, in order."""
    return [(event["step"], event["outcome"]) for event in events_of(folder, "step_finished")]


def parts_finished(folder: RunFolder) -> list[tuple[int, str, dict[str, str]]]:
    """Return (row, part, status of each host) of everything that was done, in order.

    Without the looks at hosts before they are changed: after a stop they are taken again.
    """
    done = [event for event in events_of(folder, "action_finished") if event["kind"] != "reprobe"]
    return [(event["step"], event["part"], event["hosts"]) for event in done]
