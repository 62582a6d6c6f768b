"""What a command costs: its time, and the processor and memory that it and all it starts take.

A control group of its own holds the command and everything it leaves behind (ssh's shared connections
detach), so that their cost is counted, and so that they are gone before the next command begins.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Self

from lab.processes import ROOT_GROUP, hierarchies

_LONGEST = 1800
_SAMPLE_SECONDS = 0.05
_NUMBERS = count(1)


class BenchError(Exception):
    """A side did not do what it was measured for; its figures would say nothing."""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    seconds: float
    controller_cpu: float
    """Processor seconds on the controller."""
    host_cpu: float
    """Processor seconds in all hosts of the lab; 0 without a lab."""
    peak_mb: float
    """Most anonymous memory of all its processes together; pages that forks share count once."""


@dataclass(frozen=True)
class Side:
    """One way to do the same work."""

    name: str
    argv: Sequence[str | Path]
    environment: Mapping[str, str]
    note: str = ""
    rounds: int = 10**6
    """A slow side sits out the rounds after so many."""
    before: Callable[[], None] = lambda: None
    """Puts things in order before each round, unmeasured."""


def measure(side: Side, cwd: Path, log: Path, lab: str = "") -> Cost:
    """Run a side's command once.

    Raises:
        BenchError: when it does not end well.
    """
    side.before()
    with _own_group() as groups:
        began, hosts = time.monotonic(), _host_cpu(lab)
        with log.open("wb") as out:
            child = subprocess.Popen(
                [str(word) for word in side.argv],
                cwd=cwd,
                env={**_environment(), **side.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=lambda: _enter(groups),  # noqa: PLW1509 - before the command can start anything
            )
            with _Memory(groups) as memory:
                status = child.wait(_LONGEST)
        seconds = time.monotonic() - began
        cost = Cost(seconds, _cpu(_unified(groups)), _host_cpu(lab) - hosts, memory.peak / 1e6)
    if status != 0:
        said = log.read_text(errors="replace").strip()[-800:]
        raise BenchError(f"{side.name} ended with {status}: {said}")
    return cost


def interleave(
    sides: Sequence[Side], rounds: int, once: Callable[[Side], Cost], say: Callable[[str], None]
) -> dict[str, list[dict[str, float]]]:
    """Run all sides one after another, several times over; return every cost, by side.

    Load that comes and goes falls on all sides of a round alike; ratios are taken within a round.
    """
    costs: dict[str, list[dict[str, float]]] = {side.name: [] for side in sides}
    for number in range(rounds):
        for side in sides:
            if number < side.rounds:
                cost = once(side)
                costs[side.name].append(asdict(cost))
                say(f"  round {number + 1}  {side.name:<40} {cost.seconds:7.2f} s")
    return costs


def ratios(
    costs: Mapping[str, list[dict[str, float]]], ours: str, theirs: str, what: str = "seconds"
) -> list[float]:
    """Return ours by theirs, round by round."""
    return [a[what] / b[what] for a, b in zip(costs[ours], costs[theirs], strict=False)]


def median(values: Sequence[float]) -> float:
    """Return the middle of some values."""
    return statistics.median(values)


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TERM", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ}


@contextlib.contextmanager
def _own_group() -> Iterator[list[Path]]:
    name = f"rawat-bench-{os.getpid()}-{next(_NUMBERS)}"
    groups = [place / name for place in hierarchies()]
    for group in groups:
        group.mkdir()
    try:
        yield groups
    finally:
        # The kernel ends what is in the group, and nothing else.
        (_unified(groups) / "cgroup.kill").write_text("1")
        for group in groups:
            _remove(group)


def _remove(group: Path) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.02)
    raise BenchError(f"the control group {group} does not become empty")


def _enter(groups: Sequence[Path]) -> None:
    for group in groups:
        (group / "cgroup.procs").write_text("0")


def _unified(groups: Sequence[Path]) -> Path:
    return next(group for group in groups if (group / "cgroup.events").exists())


def _cpu(group: Path) -> float:
    first = (group / "cpu.stat").read_text(encoding="ascii").split()
    return int(first[first.index("usage_usec") + 1]) / 1e6


def _host_cpu(lab: str) -> float:
    """Return what a lab's hosts have taken; its services (package channel, ...) are no hosts."""
    if not lab:
        return 0.0
    top = _unified([place / ROOT_GROUP / lab for place in hierarchies()])
    hosts = (group for group in top.iterdir() if group.is_dir() and (group / "guest").is_dir())
    services = {"backups", "channel", "files", "mirror", "antivirus"}
    return sum(_cpu(group) for group in hosts if group.name not in services)


class _Memory:
    """Looks at a group's memory while it works, and keeps the most."""

    def __init__(self, groups: Sequence[Path]) -> None:
        files = [group / "memory.stat" for group in groups if (group / "memory.stat").exists()]
        self._file = files[0] if files else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while self._file and not self._ended.wait(_SAMPLE_SECONDS):
            for line in self._file.read_text(encoding="ascii").splitlines():
                name, _, value = line.partition(" ")
                if name in {"anon", "total_rss"}:
                    self.peak = max(self.peak, int(value))
