"""Stand-ins for what the engine works with: the same interfaces, nothing real behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.canonical import canonical_json
from runner.checkpoint import EMPTY, Chain
from runner.clock import Instant
from runner.errors import DecisionRefusedError, InputError
from runner.executors.base import ActionRequest, Failure, HostResult, HostStatus, Progress, ProgressEvent
from runner.files import make_private_dir, write_once
from runner.moves import Part
from runner.record import Record
from runner.sop import Output, Step
from runner.workspace import RunFolder

START = datetime(2026, 11, 21, 14, 0, 0, tzinfo=UTC)


class StepClock:
    """A clock that goes on by ``step`` seconds at every look, and as far as a test says."""

    def __init__(self, step: float = 1.0, start: datetime = START, boot: str = "boot-1") -> None:
        self._step = timedelta(seconds=step)
        self._at = start
        self._mono = 1_000_000_000_000
        self._boot = boot

    def now(self) -> Instant:
        self.advance(self._step.total_seconds())
        return Instant(self._at, self._mono, self._boot)

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._at += timedelta(seconds=seconds)
        self._mono += int(seconds * 1e9)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock forward, or back by less than zero; the monotonic clock does not notice."""
        self._at += timedelta(seconds=seconds)

    def reboot(self, boot: str, *, down: float) -> None:
        """Start the machine anew after ``down`` seconds: another boot id, monotonic time from zero."""
        self._at += timedelta(seconds=down)
        self._mono = 0
        self._boot = boot


class FixedClock(StepClock):
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime = START) -> None:
        super().__init__(step=0.0, start=start)


Answer = Mapping[str, HostStatus | HostResult]
"""What an action comes to: host -> status or whole result; hosts not named are ok."""


class FakeExecutor:
    """Answers actions as a test scripted them and remembers what it was asked for."""

    def __init__(self) -> None:
        self.requests: list[ActionRequest] = []
        self.before: Callable[[ActionRequest], None] = lambda _request: None
        """Called before each action; may look at the journal or raise what a real executor could raise."""
        self.acted_on: list[bytes] = []
        """The plan of each change, as it was read when the change began."""
        self._answers: dict[tuple[int, str, int | None], Answer] = {}

    def answer(self, step: int, part: str, answer: Answer, *, attempt: int | None = None) -> None:
        """Script what part ``part`` of row ``step`` comes to (in one attempt, or in all)."""
        self._answers[step, part, attempt] = answer

    def execute(self, request: ActionRequest, progress: Progress) -> tuple[HostResult, ...]:
        self.requests.append(request)
        self.before(request)
        if request.changes and request.plan:
            self.acted_on.append(request.plan.read_bytes())
        progress(ProgressEvent("task", "fake task", total=len(request.hosts)))
        key = (request.step, request.part)
        answer = self._answers.get((*key, request.attempt), self._answers.get((*key, None), {}))
        return tuple(_result(request, host, answer.get(host, "ok")) for host in request.hosts)

    @property
    def done(self) -> list[tuple[int, int, str, tuple[str, ...]]]:
        """Return what was asked for, as (step, attempt, part, hosts)."""
        return [(r.step, r.attempt, r.part, r.hosts) for r in self.requests]

    def hosts_of(self, step: int, part: str) -> tuple[str, ...] | None:
        """Return the hosts that a part was last asked for, None when it never was."""
        found = [r.hosts for r in self.requests if (r.step, r.part) == (step, part)]
        return found[-1] if found else None


def _result(request: ActionRequest, host: str, said: HostStatus | HostResult) -> HostResult:
    if isinstance(said, HostResult):
        return said
    if said != "ok":
        return HostResult(host, said, {}, Failure("fake task", f"{host} was scripted as {said}"))
    name = request.playbook.stem if request.playbook else "verification"
    return HostResult(host, "ok", {name: default_result(name)})


def default_result(name: str) -> dict[str, Any]:
    """Return what a role or the verification publishes when all is well."""
    if name.startswith("plan-"):
        return {"updates": [update("lab-good")], "reboot": {"expected": False, "because": []}}
    if name == "verification":
        return {"tests": [], "passed": 1, "failed": 0}
    return {"outcome": "applied"}


def update(package: str) -> dict[str, Any]:
    """Return one pending update as the planning role publishes it."""
    return {
        "package": package,
        "source": package,
        "architecture": "all",
        "from": "1.0-1",
        "to": "1.0-1+deb12u1",
        "kind": "security",
        "origin": "Debian",
        "label": "Debian-Security",
        "codename": "bookworm",
        "cves": ["CVE-2099-0001"],
        "reboot": False,
    }


def build_document(  # noqa: PLR0917 - the engine's contract
    record: Record, output: Output, step: int, attempt: int, as_of: int, head: Chain = EMPTY
) -> Sequence[Path]:
    """Write a document that depends on the record as it stood, like the real ones do."""
    name = f"{step:02d}-{attempt}-{output.document}-{output.version}.json"
    data = {"document": output.document, "version": output.version, "events": len(record.at(as_of).events)}
    data["archive"] = head.model_dump()
    return [write_once(record.folder.documents / name, canonical_json(data))]


class FakeArchive:
    """Stands for the archive: remembers which runs were checked, and seals by naming a folder."""

    def __init__(self) -> None:
        self.checked: list[str] = []
        self.sealed: list[str] = []

    def check_run(self, folder: RunFolder) -> None:
        self.checked.append(folder.name)

    def seal(self, folder: RunFolder) -> Path:
        self.sealed.append(folder.name)
        return make_private_dir(folder.path.parent.parent / "archive" / folder.name)


@dataclass
class RecordingObserver:
    """Remembers what a person would have been shown, one line each."""

    seen: list[str] = field(default_factory=list)

    def step_started(self, step: Step, attempt: int) -> None:
        self.seen.append(f"row {step.no} attempt {attempt}")

    def part_started(self, step: Step, part: Part) -> None:
        self.seen.append(f"row {step.no} part {part.name} on {' '.join(part.hosts)}")

    def progress(self, event: ProgressEvent) -> None:
        self.seen.append(f"progress {event.text}")

    def part_finished(self, step: Step, part: Part, results: Sequence[HostResult]) -> None:
        told = " ".join(f"{result.host}={result.status}" for result in results)
        self.seen.append(f"row {step.no} part {part.name} came to {told}")

    def part_skipped(self, step: Step, part: Part, reason: str) -> None:
        self.seen.append(f"row {step.no} part {part.name} skipped: {reason}")

    def plan_drifted(self, hosts: Sequence[str]) -> None:
        self.seen.append(f"drifted: {' '.join(hosts)}")

    def document_written(self, output: Output, files: Sequence[Path]) -> None:
        self.seen.append(f"document {output.document} {output.version} in {len(files)} files")

    def step_finished(self, step: Step, outcome: str | None) -> None:
        self.seen.append(f"row {step.no} finished: {outcome}")

    def form_refused(self, refused: InputError) -> None:
        self.seen.append(f"refused: {refused}")

    def signature_refused(self, refused: InputError) -> None:
        self.seen.append(f"refused: {refused}")

    def decision_refused(self, refused: DecisionRefusedError) -> None:
        self.seen.append(f"refused: {refused}")
