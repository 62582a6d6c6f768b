"""Journals made in memory, for the tests of the rules that fold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from fakes import START

from runner.checkpoint import EMPTY
from runner.clock import Instant
from runner.gates import opening
from runner.journal import Event
from runner.moves import Move, StartStep
from runner.next_move import next_move
from runner.sop import Sop, parse_sop
from runner.state import RunState
from runner.waves import hosts_that_may_fail

CONTOH = (Path(__file__).parents[1] / "data" / "contoh-pemeriksaan.yml").read_text(encoding="utf-8")
HOSTS = ("web1", "db1", "web2", "web10")


def sop(text: str = CONTOH) -> Sop:
    return parse_sop(text, "contoh.yml")


class Book:
    """Takes events at moments the test names, and knows the state they fold to."""

    def __init__(self, of: Sop | None = None) -> None:
        self.sop = of or sop()
        self.events: list[Event] = []
        self.state = RunState(self.sop)
        self.boot = "boot-1"
        self.wall = 0.0
        self.mono = 0.0

    def pass_time(self, seconds: float) -> Book:
        self.wall += seconds
        self.mono += seconds
        return self

    def now(self) -> Instant:
        return Instant(START + timedelta(seconds=self.wall), int(self.mono * 1e9), self.boot)

    def tell(self, name: str, **fields: Any) -> Book:  # noqa: ANN401 - any field
        event = Event(len(self.events) + 1, name, self.now(), fields, "0" * 64)
        self.events.append(event)
        self.state.apply(event)
        return self

    # Whole pieces of a run ---------------------------------------------------------------------------

    def run(
        self,
        hosts: Sequence[str] = HOSTS,
        *,
        canaries: Sequence[str] = ("web1",),
        budget: int | str = 0,
        owed: Sequence[dict[str, str]] = (),
    ) -> Book:
        inventory = {"hosts": list(hosts), "groups": {"canary": list(canaries)}, "controllers": []}
        operator = {"id": "petugas", "nip": "0" * 18}
        return self.tell(
            "run_started",
            run="run-1",
            inventory=inventory,
            operator=operator,
            failure_budget=str(budget),
            timezone="Asia/Jakarta",
            windows=None,
            owed=list(owed),
            owed_unread=[],
            signing=None,
        )

    def start(self) -> Book:
        """Begin the row that is next, with the parts that the rules give it."""
        move = next_move(self.state)
        assert isinstance(move, StartStep), move
        parts = [{"name": p.name, "kind": p.kind, "hosts": list(p.hosts)} for p in move.parts]
        return self.tell("step_started", step=move.step, attempt=move.attempt, parts=parts)

    def part(
        self, name: str, kind: str, hosts: Sequence[str], *, changes: bool = False, **other: str
    ) -> Book:
        """Do a part; hosts not named in ``other`` are ok."""
        at = {"step": self.state.current, "attempt": self.state.attempt, "part": name, "kind": kind}
        self.tell("action_started", **at, hosts=list(hosts), changes=changes)
        results = {host: other.get(host, "ok") for host in hosts}
        bad = [host for host, status in results.items() if status != "ok"]
        return self.tell("action_finished", **at, hosts=results, disturbed=bad, evidence=[])

    def skip(self, name: str, kind: str, hosts: Sequence[str]) -> Book:
        at = {"step": self.state.current, "attempt": self.state.attempt, "part": name, "kind": kind}
        return self.tell("action_skipped", **at, hosts=list(hosts), reason="why")

    def plan(self, hosts: Sequence[str] = HOSTS) -> Book:
        at = {"step": self.state.current, "attempt": self.state.attempt}
        return self.tell(
            "plan_made",
            **at,
            path="plans/1-1.json",
            sha256="a" * 64,
            hosts=list(hosts),
            failure_budget=hosts_that_may_fail(self.state.given_budget, len(hosts)),
        )

    def document(self, document: str, version: str) -> Book:
        return self.tell(
            "document_written", document=document, version=version, archive=EMPTY.model_dump(), files=[]
        )

    def gate(self) -> Book:
        """Open the gate of the row; tests of time alone open one at rows that have none."""
        at = {"step": self.state.current, "attempt": self.state.attempt}
        nobody = {
            "actor": "",
            "position": "",
            "second": None,
            "outcomes": [],
            "subject": {},
            "deadline": None,
        }
        opened = opening(self.sop, self.state, "5" * 64) if self.sop.seats(self.state.step) else at | nobody
        return self.tell("gate_opened", **opened, nonce="n")

    def decide(self, outcome: str, reason: str = "") -> Book:
        at = {"step": self.state.current, "attempt": self.state.attempt}
        return self.tell("decision_made", **at, outcome=outcome, reason=reason, conffiles={})

    def vote(self, person: dict[str, str], outcome: str) -> Book:
        at = {"step": self.state.current, "attempt": self.state.attempt}
        return self.tell("vote_made", **at, outcome=outcome, reason="", person=person, conffiles={})

    def finish(self, outcome: str | None, target: int | str | None, step: int = 0) -> Book:
        no = step or self.state.current
        return self.tell("step_finished", step=no, attempt=1, outcome=outcome, next=target)

    def row_1(self) -> Book:
        """Do the row that plans, whole."""
        self.start().part("1", "playbook", self.state.hosts).plan(self.state.hosts)
        return self.document("daftar-temuan", "draft").finish(None, 2)

    def row_2(self, outcome: str = "disetujui", target: int | str = 3, reason: str = "") -> Book:
        """Pass the gate."""
        self.start().gate().decide(outcome, reason)
        if target == 3:
            self.document("daftar-temuan", "ratified")
        return self.finish(outcome, target)

    @property
    def next(self) -> Move:
        return next_move(self.state)


def every_beginning(book: Book) -> Iterator[Sequence[Event]]:
    for count in range(len(book.events) + 1):
        yield book.events[:count]
