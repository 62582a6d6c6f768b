"""Runs of a whole SOP in processes of their own, killed or failed at a chosen system call, beside an oracle.

The run goes on as an unattended operator works: `run`, `decide`, `resume`, ... each a process. A case takes
a copy of the run as it stood before one of these processes, forks that process anew under strace, which kills
it at its Nth fsync (or lets the Nth fsync fail), and forks others that go on to the end with no fault.

The oracle is a file beside the run that the processes write to with system calls that are never injected:
what was acknowledged, what the executor was asked for and how long the journal was then, what hosts changed.

Two faults that leave the same bytes on the disk have the same continuation, because everything that is random
in a run is counted here instead: of such states only the first is taken to its end.
"""

from __future__ import annotations

import functools
import json
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fakes import FakeExecutor, StepClock

from runner import archive, errors, journal, record, signing, verify
from runner.canonical import sha256_hex
from runner.clock import format_utc, parse_utc
from runner.engine import Closed
from runner.executors import processes
from runner.executors.base import ActionRequest, HostResult, Progress
from runner.gates import Choice
from runner.workspace import RunFolder, Workspace
from scenarios.office import Decisions, Office, parts_finished, rows_finished

SYSCALLS = ("write", "pwrite64", "fsync", "rename", "renameat", "openat", "unlink", "unlinkat", "mkdir",
            "ftruncate", "flock")  # fmt: skip
"""Where a process is killed: whatever changes, syncs, opens or locks a file."""
FAILING = ("write", "fsync", "openat", "rename")
HANGS_AFTER = 30.0
WORKERS = int(os.environ.get("RAWAT_CRASH_WORKERS", "2"))
UNREADABLE = re.compile("Input/output error|No space left on device")
"""A judge that cannot read says so; that is no verdict on the record."""
_HOUR = 3600.0


class Oracle:
    """Remembers, outside of the run, what really happened. Its system calls are never injected into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(self, kind: str, **fields: object) -> None:
        line = json.dumps({"kind": kind, **fields}) + "\n"
        os.writev(self._descriptor, [line.encode()])

    def told(self, kind: str) -> list[dict[str, Any]]:
        data = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        return [line for line in map(json.loads, data.splitlines()) if line["kind"] == kind]


@dataclass
class SyncedSizes:
    """How much of each file an fsync has confirmed; takes the place of ``os.fsync`` in a forked process."""

    real: Callable[[int], None] = os.fsync
    sizes: dict[str, int] = field(default_factory=dict)

    def __call__(self, descriptor: int) -> None:
        self.real(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.sizes[str(path)] = os.fstat(descriptor).st_size


@dataclass
class HostUnits:
    """An executor whose hosts work in named units with markers: a second start joins what is there."""

    inner: FakeExecutor
    oracle: Oracle
    runs: Path
    synced: SyncedSizes

    def execute(self, request: ActionRequest, progress: Progress) -> tuple[HostResult, ...]:
        path = self.runs / request.run / "journal.jsonl"
        size = path.stat().st_size
        self.oracle.tell(
            "try",
            step=request.step,
            attempt=request.attempt,
            part=request.part,
            hosts=request.hosts,
            journal=size,
            synced=self.synced.sizes.get(str(path), 0),
        )
        if request.changes and request.plan and request.playbook:
            plan = sha256_hex(request.plan.read_bytes())
            for host in request.hosts:
                self._change(host, request.playbook.stem, plan)
        return self.inner.execute(request, progress)

    def _change(self, host: str, unit: str, plan: str) -> None:
        wanted = {"host": host, "unit": unit, "plan": plan}
        known = any(wanted.items() <= change.items() for change in self.oracle.told("change"))
        self.oracle.tell("joined" if known else "change", **wanted)


@dataclass
class RealArchive:
    """The real judge and the real archive, in the place of the fake one."""

    workspace: Workspace

    def check_run(self, folder: RunFolder) -> None:
        verify.check_run(folder)

    def seal(self, folder: RunFolder) -> Path:
        return archive.seal(folder, self.workspace.archive)


@dataclass(frozen=True)
class Story:
    """A run told once without any fault: a copy of it before each of its processes, and how it ended."""

    office: Office
    decisions: Decisions
    script: Callable[[Office], None]
    before: tuple[Path, ...]
    rows: list[tuple[int, str | None]]
    parts: list[tuple[int, str, dict[str, str]]]
    calls: tuple[Mapping[str, int], ...]
    """For each process how often it makes each system call."""


@dataclass(frozen=True)
class Case:
    """One fault: in which process of the run, at which call, and what happens there."""

    process: int
    call: str
    number: int
    fault: str
    """What strace injects: ``signal=SIGKILL:when=7``, ``error=EIO:when=7``, ``error=ENOSPC:when=7+``."""

    def __str__(self) -> str:
        return f"process-{self.process}-{self.call}-{self.fault.replace('=', '-').replace(':', '-')}"


def office_in(story_office: Office, tree: Path, script: Callable[[Office], None], number: int) -> Office:
    """Return the office as its ``number``-th process builds it, with the oracle beside the runs."""
    clock = StepClock()
    clock.advance(number * _HOUR)
    # The office's own executors remember nothing: each process has its own, as after a restart.
    plain = replace(story_office, root=tree, clock=clock, playbooks=FakeExecutor(), suites=FakeExecutor())
    script(plain)
    plain.archive = RealArchive(plain.workspace)
    oracle, synced = Oracle(tree / "oracle.jsonl"), SyncedSizes()
    os.fsync = synced
    given = iter(range(1000))
    secrets.token_hex = lambda size: sha256_hex(f"{number}-{next(given)}".encode())[: 2 * size]
    # The fake executor starts no process, so there is none to look for in /proc.
    processes.marked = lambda _value: []
    plain.playbooks = HostUnits(plain.playbooks, oracle, plain.workspace.runs, synced)
    plain.suites = HostUnits(plain.suites, oracle, plain.workspace.runs, synced)
    return plain


def begun(office: Office) -> RunFolder | None:
    """Return the run's folder once its first record stands; before that there is no run."""
    for path in sorted(office.workspace.runs.glob("*/journal.jsonl")):
        if b"\n" in path.read_bytes():
            return RunFolder(path.parent)
    return None


def one_process(office: Office, decisions: Decisions) -> bool:
    """Do what the operator does next, as one process does it; return whether the run is closed then."""
    oracle = Oracle(office.root / "oracle.jsonl")
    folder = begun(office)
    if folder is None:
        folder = office.start()
        oracle.tell("started", run=folder.name)
        return isinstance(office.engine(folder).run(), Closed)
    now = record.load(folder)
    if now.state.gate is None:
        return isinstance(office.engine(folder).run(resumed=True), Closed)
    gate = now.state.gate
    decided = sum(1 for made in now.state.decisions if made["step"] == gate.step)
    official = office.holder(gate)
    choice = Choice(official.id, decisions[gate.step][decided], "Alasan contoh")
    made = office.engine(folder).decide(choice, office.key(official.id))
    oracle.tell("decided", step=gate.step, outcome=made["outcome"], nonce=gate.nonce)
    return False


# Processes -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a forked process ended: by a signal, or with what it told."""

    signal: int
    told: str
    """``closed``, ``on``, or the name of the error class with its message."""


def fork(work: Callable[[], str], strace: Sequence[str] = ()) -> Ended:
    """Do ``work`` in a forked process, under strace when its arguments are given.

    Raises:
        TimeoutError: when it has not ended after ``HANGS_AFTER`` seconds; it is killed.
    """
    go, told = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _work(work, go[0], told[1])
    os.close(go[0])
    os.close(told[1])
    try:
        tracer = _attach(child, strace) if strace else None
        os.write(go[1], b"\n")
        has_ended = _await(child)
        _, status = os.waitpid(child, 0)
        if tracer:
            tracer.wait()
        said = b"".join(iter(lambda: os.read(told[0], 65536), b"")).decode()
    finally:
        os.close(go[1])
        os.close(told[0])
    if not has_ended:
        raise TimeoutError(f"the process hangs after {HANGS_AFTER:.0f} s")
    return Ended(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, said)


def _work(work: Callable[[], str], go: int, told: int) -> None:
    """Wait for the tracer, work, tell what it came to, and end without returning to the caller's program."""
    try:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.read(go, 1)
        said = work()
    except errors.RawatError as error:
        said = f"{type(error).__name__}: {error}"
    except OSError as error:
        said = f"CannotRecordError: {error}"  # as the command line tells it
    except BaseException:  # noqa: BLE001 - told to the test, whatever it is
        said = f"crashed: {traceback.format_exc()}"
    os.writev(told, [said.encode()])
    os._exit(0)


def _attach(child: int, strace: Sequence[str]) -> subprocess.Popen[bytes]:
    tracer = subprocess.Popen(["strace", "-qq", *strace, "-p", str(child)])
    status = Path(f"/proc/{child}/status")
    while "TracerPid:\t0\n" in status.read_text(encoding="ascii"):
        if tracer.poll() is not None:
            raise RuntimeError("strace did not attach")
        time.sleep(0.001)
    return tracer


def _await(child: int) -> bool:
    descriptor = os.pidfd_open(child)
    try:
        ended, _, _ = select.select([descriptor], [], [], HANGS_AFTER)
        if not ended:
            os.kill(child, signal.SIGKILL)
        return bool(ended)
    finally:
        os.close(descriptor)


# A story, and its cases ----------------------------------------------------------------------------


def tell(office: Office, place: Path, decisions: Decisions, script: Callable[[Office], None]) -> Story:
    """Go through the run without a fault, one process after the other, counting its system calls."""
    before, calls = [], []
    is_closed = False
    # Loads a module of Python's own here, so that every fork opens the same files.
    parse_utc(format_utc(office.clock.now().at))
    while not is_closed:
        number = len(before)
        before.append(place / f"before-{number}")
        shutil.copytree(office.root, before[-1], symlinks=True)
        log = place / f"calls-{number}"
        trace = ["-o", str(log), "-e", f"trace={','.join(SYSCALLS)}"]
        ended = fork(lambda n=number: _go(office, office.root, decisions, script, n), trace)
        assert ended.told in {"on", "closed"}, ended.told
        calls.append(Counter(re.findall(r"^(\w+)\(", log.read_text(errors="replace"), re.MULTILINE)))
        is_closed = ended.told == "closed"
    folder = begun(office)
    assert folder is not None
    record.load(folder)  # what is read once is kept in memory: the forks need not read the SOP again
    return Story(
        office, decisions, script, tuple(before), rows_finished(folder), parts_finished(folder), tuple(calls)
    )


def _go(
    story_office: Office, tree: Path, decisions: Decisions, script: Callable[[Office], None], number: int
) -> str:
    office = office_in(story_office, tree, script, number)
    return "closed" if one_process(office, decisions) else "on"


def kills(story: Story) -> Iterator[Case]:
    """Yield a kill at every call of every process."""
    for process, calls in enumerate(story.calls):
        for call in SYSCALLS:
            for number in range(1, calls.get(call, 0) + 1):
                yield Case(process, call, number, f"signal=SIGKILL:when={number}")


def failures(story: Story) -> Iterator[Case]:
    """Yield an error at every call of every process: once (EIO), or from there on (a full disk)."""
    for process, calls in enumerate(story.calls):
        for call in FAILING:
            for number in range(1, calls.get(call, 0) + 1):
                yield Case(process, call, number, f"error=EIO:when={number}")
                yield Case(process, call, number, f"error=ENOSPC:when={number}+")


@dataclass(frozen=True)
class Outcome:
    """What a case came to: how the process ended, and the first thing that is wrong, or nothing."""

    case: Case
    end: str
    wrong: str = ""
    is_new: bool = True
    """This state of the disk had not been taken to its end before."""


def go_through(story: Story, case: Case, tree: Path, known: Path) -> Outcome:
    """Let the fault happen, go on to the end without one, and judge; states with a file in ``known`` were."""
    shutil.copytree(story.before[case.process], tree, symlinks=True)
    trace = ["-o", "/dev/null", "-e", f"trace={case.call}", "-e", f"inject={case.call}:{case.fault}"]
    end = "hangs"
    try:
        ended = fork(
            lambda: _go(story.office, tree, story.decisions, story.script, case.process), strace=trace
        )
        end = "killed" if ended.signal == signal.SIGKILL else ended.told
        state = known / f"{case.process}-{end.partition(':')[0]}-{_digest(tree)}"
        if state.exists():
            return Outcome(case, end, is_new=False)
        after = fork(lambda: _resume_and_judge(story, tree, case.process, end))
        wrong = after.told or (f"the judge was killed by signal {after.signal}" if after.signal else "")
        if not wrong:
            state.touch()
    except TimeoutError as error:
        wrong = str(error)
    return Outcome(case, end, wrong)


def _digest(tree: Path) -> str:
    """Return one digest over all that stands in the tree; random names of scratch folders count as one."""
    found = sorted(path for path in tree.rglob("*") if path.is_file())
    names = (re.sub(r"/sign-[^/]+/", "/sign/", path.relative_to(tree).as_posix()) for path in found)
    data = (f"{name}\n".encode() + path.read_bytes() for name, path in zip(names, found, strict=True))
    return sha256_hex(b"\0".join(data))


def _resume_and_judge(story: Story, tree: Path, process: int, end: str) -> str:
    wrong = judge_stop(tree, end)
    if wrong:
        return wrong
    # A restarted run reads and checks the same lines and signatures many times: here each of them once.
    journal._event = functools.cache(journal._event)
    signing.is_signed_by = functools.cache(signing.is_signed_by)
    for number in range(process + 1, process + 40):
        office = office_in(story.office, tree, story.script, number)
        if one_process(office, story.decisions):
            return judge_end(story, office)
    return "the run does not come to its end"


def judge_stop(tree: Path, end: str) -> str:
    """Return what is wrong with the run right after the fault."""
    if end.partition(":")[0] not in {
        "killed",
        "on",
        "closed",
        "CannotRecordError",
        "DecisionRefusedError",
    } and not (end.startswith("VerificationError") and UNREADABLE.search(end)):
        return end
    oracle = Oracle(tree / "oracle.jsonl")
    for path in (tree / "runs").glob("*/journal.jsonl"):
        journal.read(path)
        if b"\n" in path.read_bytes():
            record.load(RunFolder(path.parent))
    return "; ".join(_unannounced(tree, oracle))


def _unannounced(tree: Path, oracle: Oracle) -> Iterator[str]:
    """Yield every act that the journal did not announce, durably, before it was done."""
    written = b"".join(path.read_bytes() for path in (tree / "runs").glob("*/journal.jsonl"))
    for act in oracle.told("try"):
        what = {"step": act["step"], "attempt": act["attempt"], "part": act["part"], "hosts": act["hosts"]}
        if act["synced"] != act["journal"]:
            yield f"{what} was done before its announcement was on the disk"
        events = [json.loads(line) for line in written[: act["journal"]].splitlines()]
        if not events or events[-1]["event"] != "action_started" or not what.items() <= events[-1].items():
            yield f"{what} was done without having been announced"
        over = {(e["step"], e["attempt"], e["part"]) for e in events if e["event"] == "action_finished"}
        if (act["step"], act["attempt"], act["part"]) in over:
            yield f"{what} was done again after it had been recorded as done"


def judge_end(story: Story, office: Office) -> str:
    """Return what is wrong with the closed run."""
    folder = begun(office)
    assert folder is not None
    oracle = Oracle(office.root / "oracle.jsonl")
    # The archive holds the record whole; the run folder was checked by the row that archived it.
    (bag,) = [path.parent for path in office.workspace.archive.rglob("bagit.txt")]
    verify.verify(bag)
    wrong = list(_unannounced(office.root, oracle))
    if rows_finished(folder) != story.rows:
        wrong.append(f"the rows are {rows_finished(folder)}")
    if parts_finished(folder) != story.parts:
        wrong.append(f"the parts are {parts_finished(folder)}")
    made = [event for event in journal.read(folder.journal) if event.name == "decision_made"]
    nonces = [event["nonce"] for event in made]
    if len(set(nonces)) != len(nonces):
        wrong.append("a gate was decided twice")
    lost = [told for told in oracle.told("decided") if told["nonce"] not in nonces]
    if lost:
        wrong.append(f"acknowledged decisions are lost: {lost}")
    begun_runs = {told["run"] for told in oracle.told("started")}
    if begun_runs - {folder.name}:
        wrong.append(f"an acknowledged run is lost: {begun_runs}")
    changed = Counter((change["host"], change["unit"]) for change in oracle.told("change"))
    wrong += [f"{unit} changed {host} {n} times" for (host, unit), n in changed.items() if n > 1]
    return "; ".join(wrong)


# A full disk ---------------------------------------------------------------------------------------


def go_through_on_a_small_disk(story: Story, tree: Path, full: str, size: int) -> tuple[str, str]:
    """Go through the run with ``full`` ("runs" or "archive") on a disk of ``size`` bytes, enlarged when full.

    Returns how the run was stopped ("" when it had room enough) and the first thing that is wrong.
    """
    shutil.copytree(story.before[0], tree, symlinks=True)
    disk = tree / full
    disk.mkdir(mode=0o700, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o"]
    subprocess.run([*mount, f"size={size},mode=700", "tmpfs", str(disk)], check=True)
    stopped = ""
    try:
        for number in range(40):
            ended = fork(lambda n=number: _go(story.office, tree, story.decisions, story.script, n))
            if ended.told == "closed":
                after = fork(lambda: judge_end(story, office_in(story.office, tree, story.script, 99)))
                return stopped, after.told
            if ended.told != "on":
                wrong = "it stops again although there is room" if stopped else judge_stop(tree, ended.told)
                if wrong:
                    return ended.told, wrong
                stopped = ended.told
                subprocess.run([*mount, "remount,size=64m", "tmpfs", str(disk)], check=True)
    except TimeoutError as error:
        return stopped, str(error)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        shutil.rmtree(tree)
    return stopped, "the run does not come to its end"


# Many cases ----------------------------------------------------------------------------------------


def go_through_all(story: Story, cases: Sequence[Case], place: Path, kept: Path) -> list[Outcome]:
    """Go through all cases in some processes; what fails leaves its journal and oracle in ``kept``."""
    (place / "known").mkdir()
    workers = []
    for number in range(WORKERS):
        results = place / f"outcomes-{number}.jsonl"
        pid = os.fork()
        if pid == 0:
            _go_through_some(story, cases[number::WORKERS], place / str(number), kept, results)
        workers.append((pid, results))
    for pid, _ in workers:
        os.waitpid(pid, 0)
    found = [json.loads(line) for _, results in workers for line in results.read_bytes().splitlines()]
    return [Outcome(**{**one, "case": Case(**one["case"])}) for one in found]


def _go_through_some(story: Story, cases: Sequence[Case], place: Path, kept: Path, results: Path) -> None:
    try:
        place.mkdir()
        with results.open("w", encoding="utf-8") as stream:
            for case in cases:
                tree = place / str(case)
                outcome = go_through(story, case, tree, place.parent / "known")
                told = {**vars(outcome), "case": vars(case)}
                stream.write(json.dumps(told) + "\n")
                stream.flush()
                if outcome.wrong:
                    shutil.copytree(tree, kept / str(case), symlinks=True, dirs_exist_ok=True)
                    (kept / str(case) / "wrong.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
                shutil.rmtree(tree)
    except BaseException:  # noqa: BLE001 - this process must not return into the test
        sys.stderr.write(traceback.format_exc())
    os._exit(0)
