"""A run under everything at once, in any order: hypothesis looks for a sequence that breaks an invariant.

Started, crashed at any fsync, disk full, decided rightly and wrongly, hosts down, sick or changed by hand,
clocks that jump, a controller that reboots. After every step the invariants of the design hold:
the journal only grows and fits its chain and its rules, no acknowledged decision is lost, each gate has one
outcome, and nothing is installed that was not approved. Signatures are stood in for: ssh-keygen is tested
elsewhere, and here it would be most of the time.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import update
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as explore

from runner import errors, journal, record, signing
from runner.canonical import sha256_hex
from runner.executors.base import ActionRequest, Failure, HostResult, HostStatus, Progress
from runner.gates import Choice
from runner.officials import Deputy
from runner.run_check import checked_run
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.office import Office

HOSTS = ("web1", "db1", "file1", "web2")
PLANNING, CHANGING = 1, 3
OUTCOMES = ("disetujui", "periksa ulang", "dibatalkan")
# A run that is called off has little left that could happen to it: that is decided more rarely.
DECISIONS = (*OUTCOMES[:2], *OUTCOMES[:2], *OUTCOMES)
DECIDER = "kabid"
PLH = {
    "position": "Petugas Contoh",
    "kind": "Plh",
    "from": "2000-01-01",
    "until": "2099-12-31",
    "letter": "800/12/2026",
}


class Crash(BaseException):
    """The process dies here: nothing that catches errors may catch it."""


class Disk:
    """Stands before every fsync: lets it pass, dies before or after it, or has no room left."""

    def __init__(self) -> None:
        self._real = os.fsync
        self._countdown = 0
        self._trouble = ""

    def arm(self, trouble: str, after: int) -> None:
        """Let the trouble come at the n-th fsync from now on, counted from 1."""
        self._trouble, self._countdown = trouble, after

    def disarm(self) -> None:
        self._trouble = ""

    def fsync(self, descriptor: int) -> None:
        self._countdown -= 1
        here = self._trouble if self._countdown <= 0 else ""
        if here == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if here == "crash before":
            raise Crash
        self._real(descriptor)
        if here == "crash after":
            raise Crash


class World:
    """The hosts: what their channel offers, what is installed, and what ails them. It judges every change."""

    def __init__(self) -> None:
        self.offered = dict.fromkeys(HOSTS, 1)
        self.installed = dict.fromkeys(HOSTS, 0)
        self.down: set[str] = set()
        self.sick: set[str] = set()
        self.silent: set[str] = set()
        self.stop: Callable[[ActionRequest], None] = lambda _request: None
        self.approved: Callable[[str], bool] = lambda _digest: False
        self.changes = 0

    def execute(self, request: ActionRequest, progress: Progress) -> tuple[HostResult, ...]:
        del progress
        self.stop(request)
        return tuple(self._result(request, host) for host in request.hosts)

    def _result(self, request: ActionRequest, host: str) -> HostResult:
        if host in self.down:
            return _not_ok(host, "unreachable")
        if request.playbook is None:
            return _not_ok(host, "failed") if host in self.sick else HostResult(host, "ok", {"made-up": {}})
        name = request.playbook.stem
        if name.startswith("plan-"):
            return HostResult(host, "ok", {name: self._probed(host)})
        if name.startswith("pulihkan-"):
            self.installed[host] = 0
            return HostResult(host, "ok", {name: {}})
        self._install(request, host)
        return _not_ok(host, "unknown") if host in self.silent else HostResult(host, "ok", {name: {}})

    def _probed(self, host: str) -> dict[str, Any]:
        pending = self.installed[host] < self.offered[host]
        offered = {**update("lab-good"), "from": f"{self.installed[host]}", "to": f"{self.offered[host]}"}
        return {"updates": [offered] if pending else [], "reboot": {"expected": False, "because": []}}

    def _install(self, request: ActionRequest, host: str) -> None:
        assert request.plan is not None, "a change without a plan"
        data = request.plan.read_bytes()
        assert self.approved(sha256_hex(data)), f"{host} is changed by a plan that nobody approved"
        (planned,) = json.loads(data)["hosts"][host]["updates"]
        self.changes += 1
        # As the role does: what is not as approved is refused by the host itself.
        if int(planned["from"]) == self.installed[host]:
            self.installed[host] = int(planned["to"])


def _not_ok(host: str, status: HostStatus) -> HostResult:
    return HostResult(host, status, {}, Failure("made-up task", "made-up message"))


class RunMachine(RuleBasedStateMachine):
    """One run and all that may happen to it."""

    make: Callable[[], Office]
    disk: Disk

    def __init__(self) -> None:
        super().__init__()
        self.office = self.make()
        self.world = World()
        self.office.playbooks = self.office.suites = self.world  # type: ignore[assignment]
        self.folder: RunFolder = RunFolder(self.office.root)
        self.decided: list[tuple[str, str, str | None]] = []
        self.before = b""
        self.boots = 1
        self.steps = 0

    @initialize(budget=st.sampled_from(["0", "1", "50%"]))
    def start(self, budget: str) -> None:
        self.office.hosts = HOSTS
        self.folder = self.office.start(failure_budget=budget)
        self.world.approved = self._is_approved

    def _is_approved(self, digest: str) -> bool:
        """Tell it from what was acknowledged to the officials, not from the journal."""
        about = [outcome for _, outcome, plan in self.decided if plan == digest]
        return bool(about) and about[-1] == "disetujui"

    # Working on -----------------------------------------------------------------------------------

    @rule()
    def go_on(self) -> None:
        self._work()

    @rule(trouble=st.sampled_from(["crash before", "crash after", "full"]), after=st.integers(1, 40))
    def go_on_into_trouble(self, trouble: str, after: int) -> None:
        self.disk.arm(trouble, after)
        try:
            self._work()
        except Crash:
            pass
        except errors.CannotRecordError:
            assert trouble == "full"
        finally:
            self.disk.disarm()

    @rule(part=st.sampled_from(["1", "1-reprobe-1", "2", "1-check"]), died=st.booleans())
    def go_on_until_a_part(self, part: str, *, died: bool) -> None:
        """Die, or be interrupted by the operator, while a part is at work."""

        def stop(request: ActionRequest) -> None:
            if request.part == part:
                raise Crash if died else KeyboardInterrupt

        self.world.stop = stop
        try:
            self._work()
        except (Crash, KeyboardInterrupt):
            pass
        finally:
            self.world.stop = lambda _request: None

    def _work(self) -> None:
        try:
            self.office.engine(self.folder).run(None, resumed=True)
        except errors.StepFailedError:
            assert record.load(self.folder).state.failed is not None

    @rule(torn=st.integers(1, 80))
    def power_cut_in_the_middle_of_a_line(self, torn: int) -> None:
        """Half a line that nobody was told of stands at the end of a journal that still grows."""
        if record.load(self.folder).state.finished:
            return
        with self.folder.journal.open("ab") as stream:
            stream.write(
                b'{"at":"2026-11-21T14:00:00.000000Z","boot":"boot-1","event":"step_finished","x":1'[:torn]
            )

    # Deciding -------------------------------------------------------------------------------------

    @rule(outcome=st.sampled_from(DECISIONS), trouble=st.sampled_from(["", "", "full", "crash after"]))
    def decide(self, outcome: str, trouble: str) -> None:
        gate = record.load(self.folder).state.gate
        self.disk.arm(trouble, 3)
        try:
            self.office.decide(self.folder, outcome, DECIDER)
        except errors.DecisionRefusedError:
            assert gate is None
            return
        except errors.CannotRecordError:
            assert trouble == "full"
            return
        except Crash:
            return
        finally:
            self.disk.disarm()
            self._take_over(gate)
        assert gate is not None

    def _take_over(self, gate: Any) -> None:  # noqa: ANN401 - a gate or None
        """Take over what the journal says of the gate: a crash may come after the line, before the answer."""
        made = [e for e in journal.read(self.folder.journal) if e.name == "decision_made"]
        if gate is not None and made and made[-1]["nonce"] == gate.nonce:
            self.decided.append((gate.nonce, made[-1]["outcome"], gate.subject["plan"]))

    @rule(
        who=st.sampled_from(["pengelola", "analis", "pranata", "stranger", "nobody"]),
        outcome=st.sampled_from([*OUTCOMES, "lain"]),
    )
    def somebody_else_decides(self, who: str, outcome: str) -> None:
        with pytest.raises(errors.DecisionRefusedError):
            self.office.decide(self.folder, outcome, who)

    @rule(key=st.sampled_from(["pengelola", "analis", "stranger"]))
    def somebody_signs_for_the_official(self, key: str) -> None:
        choice = Choice(DECIDER, "disetujui", "Alasan contoh")
        with pytest.raises(errors.DecisionRefusedError):
            self.office.engine(self.folder).decide(choice, self.office.key(key))

    @rule(outcome=st.sampled_from(OUTCOMES[1:]))
    def send_back_without_a_reason(self, outcome: str) -> None:
        with pytest.raises(errors.DecisionRefusedError):
            self.office.decide(self.folder, outcome, DECIDER, reason=" ")

    @rule(
        deputies=st.sets(st.sampled_from(["analis", "pranata"])),
        signer=st.sampled_from(["kabid", "analis", "pranata", "pengelola"]),
        trouble=st.sampled_from(["", "", "full", "crash before", "crash after"]),
        after=st.integers(1, 20),
    )
    def roster_changes(self, deputies: set[str], signer: str, trouble: str, after: int) -> None:
        """Deputies of the operator are named and dismissed, by those who may sign that and by others."""
        now = record.load(self.folder)
        standing = {deputy.official for deputy in now.roster.deputies}
        may = bool(standing ^ deputies) and signer not in {"pengelola", *(standing ^ deputies)}
        may = may and now.state.finished is None
        named = [Deputy.model_validate({**PLH, "official": name}) for name in sorted(deputies)]
        said = self.office.roster.model_copy(update={"deputies": named})
        self.disk.arm(trouble, after)
        try:
            self.office.change_roster(self.folder, said, signer)
        except errors.DecisionRefusedError:
            assert not may
        except (Crash, errors.CannotRecordError):
            assert trouble
        else:
            assert may
        finally:
            self.disk.disarm()
        holds = {deputy.official for deputy in record.load(self.folder).roster.deputies}
        assert holds in (deputies, standing) if may else holds == standing

    # The world --------------------------------------------------------------------------------------

    @rule(host=st.sampled_from(HOSTS))
    def newer_version_appears(self, host: str) -> None:
        self.world.offered[host] += 1

    @rule(host=st.sampled_from(HOSTS))
    def somebody_updates_by_hand(self, host: str) -> None:
        self.world.installed[host] = self.world.offered[host]

    @rule(host=st.sampled_from(HOSTS), what=st.sampled_from(["down", "sick", "silent"]))
    def host_falls_ill_or_recovers(self, host: str, what: str) -> None:
        ailing: set[str] = getattr(self.world, what)
        ailing.symmetric_difference_update({host})

    @rule(seconds=st.sampled_from([-10 * 365 * 86400, -3600, -1, 1, 3600, 86400 * 400]))
    def wall_clock_jumps(self, seconds: int) -> None:
        self.office.clock.set_wall(seconds)

    @rule(seconds=st.sampled_from([1, 600, 86400, 3 * 86400]))
    def time_passes(self, seconds: int) -> None:
        self.office.clock.advance(seconds)

    @rule(down=st.sampled_from([1, 60, 86400]))
    def controller_reboots(self, down: int) -> None:
        self.boots += 1
        self.office.clock.reboot(f"boot-{self.boots}", down=down)

    # What always holds --------------------------------------------------------------------------------

    @invariant()
    @precondition(lambda self: self.folder.journal.is_file())
    def design_holds(self) -> None:
        self.journal_only_grows_and_fits()
        self.no_decision_is_lost_and_each_gate_has_one()
        self.no_time_runs_backwards()
        self.record_passes_the_check_of_an_auditor()

    def journal_only_grows_and_fits(self) -> None:
        data = self.folder.journal.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        assert whole.startswith(self.before), "a record was lost or altered"
        self.before = whole
        events = list(journal.parse(whole, "journal.jsonl"))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))

    def no_decision_is_lost_and_each_gate_has_one(self) -> None:
        made = [e for e in journal.read(self.folder.journal) if e.name == "decision_made"]
        nonces = [event["nonce"] for event in made]
        assert len(set(nonces)) == len(nonces), "a gate was decided twice"
        told = {(event["nonce"], event["outcome"]) for event in made}
        assert {(nonce, outcome) for nonce, outcome, _ in self.decided} <= told, "a decision was lost"

    def no_time_runs_backwards(self) -> None:
        for time in record.load(self.folder).times:
            assert time.total >= 0
            assert time.waiting >= 0
            assert time.work >= 0

    def record_passes_the_check_of_an_auditor(self) -> None:
        self.steps += 1
        data = self.folder.journal.read_bytes()
        if data.endswith(b"\n") and self.steps % 5 == 0:
            checked_run(self.folder)

    def teardown(self) -> None:
        STEPS.append(self.steps)
        shutil.rmtree(self.office.root, ignore_errors=True)


STEPS: list[int] = []
"""How many steps each example came to."""


@contextmanager
def _quick_signatures() -> Iterator[None]:
    """Let the key's name and the statement's digest be the signature."""

    def sign(statement: Path, key: Path, _namespace: str = "") -> Path:
        if not key.exists():
            raise errors.DecisionRefusedError(f"there is no key at {key}")
        signature = statement.with_name(statement.name + ".sig")
        signature.write_text(f"{key.name} {sha256_hex(statement.read_bytes())}")
        return signature

    def is_signed_by(
        statement: bytes, signature: bytes, signer: str, _allowed: bytes, _namespace: str = ""
    ) -> bool:
        return signature.decode() == f"{signer} {sha256_hex(statement)}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "sign", sign)
        patch.setattr(signing, "is_signed_by", is_signed_by)
        yield


@pytest.fixture(name="machine")
def _machine(make_office: MakeOffice, quick_dir: Path, data: Path) -> Iterator[type[RunMachine]]:
    disk = Disk()

    def make(_self: object = None) -> Office:
        return make_office(Path(tempfile.mkdtemp(dir=quick_dir)) / "contoh", data / "contoh-pemeriksaan.yml")

    with _quick_signatures(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", disk.fsync)
        yield type("RunMachineHere", (RunMachine,), {"make": make, "disk": disk})


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        database=None,
        phases=(Phase.generate,),
    )


def _explore(machine: type[RunMachine], examples: int, steps: int) -> int:
    STEPS.clear()
    explore(machine, settings=_settings(examples, steps))
    return sum(STEPS)


def test_nothing_that_happens_to_a_run_breaks_an_invariant(machine: type[RunMachine]) -> None:
    assert _explore(machine, 10, 40) > 100


@pytest.mark.campaign
@pytest.mark.timeout(4 * 3600)
def test_nothing_breaks_an_invariant_in_a_hundred_thousand_steps(
    machine: type[RunMachine], capsys: pytest.CaptureFixture[str]
) -> None:
    done = _explore(machine, 1500, 80)
    with capsys.disabled():
        print(f"\n{len(STEPS)} runs, {done} steps")
    assert done >= 100_000
