"""Random kill -9 over whole runs on lab hosts; the hosts' own logs are the oracle.

Every process of a run (`rawat run`, `resume`, `decide`) may be killed at a random moment: the runner alone,
or with it all that works for it. RAWAT_CRASH_SEED and RAWAT_CRASH_KILLS choose another campaign.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from unattended import RAWAT, ROOT, SOP, Unattended

from runner.executors import processes

pytestmark = [pytest.mark.campaign, pytest.mark.lab, pytest.mark.timeout(4 * 3600)]

LAB = "crash"
SEED = int(os.environ.get("RAWAT_CRASH_SEED", "3"))
KILLS = int(os.environ.get("RAWAT_CRASH_KILLS", "100"))
DECISIONS = {
    3: ("sesuai", "analis"),
    4: ("diperintahkan", "kabid"),
    8: ("disaksikan", "analis"),
    10: ("sesuai", "pranata"),
    11: ("ditetapkan", "kabid"),
}
APPLY = "rawat-apply-updates.service"
UNIT_STARTED = "39f53479d3a045ac8e11786248231fbf"
"""systemd's message id of "a unit has been started"."""


@dataclass
class Figures:
    """What the whole campaign came to."""

    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    unit_starts: int = 0
    upgrades: int = 0
    longest_end: float = 0.0
    failed_rows: int = 0


@dataclass
class Office(Unattended):
    """A fresh lab and one run in it, with `rawat` as operator and officials use it, but killed at times."""

    rng: random.Random
    figures: Figures
    acknowledged: list[tuple[int, str]] = field(default_factory=list)
    overlapping: list[set[str]] = field(default_factory=list)

    def killed_or_done(self, delay: float, *arguments: str) -> int | None:
        """Run a command; return its exit code, or None when it was killed after ``delay`` seconds."""
        with (self.folder / "shown.log").open("ab") as log:
            runner = subprocess.Popen(
                [RAWAT, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=ROOT,
                start_new_session=True,
            )
        deadline = time.monotonic() + delay
        while runner.poll() is None and time.monotonic() < deadline:
            self.watch()
            time.sleep(0.2)
        if runner.poll() is not None:
            return runner.returncode
        self.kill(runner)
        return None

    def kill(self, runner: subprocess.Popen[bytes]) -> None:
        """Kill -9 the runner, alone or with everything that works for it; sometimes look at what is left."""
        kind = self.rng.choice(["runner", "tree"])
        victims = [runner.pid]
        if kind == "tree":
            victims += processes.marked(str(self.runs))
            self.rng.shuffle(victims)
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        runner.wait()
        self.figures.kills[kind] += 1
        if kind == "runner" and self.rng.random() < 0.5:
            began = time.monotonic()
            while processes.marked(str(self.runs)) and time.monotonic() < began + 15:
                time.sleep(0.05)
            left = processes.marked(str(self.runs))
            assert left == [], f"{len(left)} processes of a killed runner live on after 15 s"
            self.figures.longest_end = max(self.figures.longest_end, time.monotonic() - began)

    def watch(self) -> None:
        """Count the tries that work at the same moment: never more than one."""
        tries = set()
        for pid in processes.marked(str(self.runs)):
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:
                continue
            wanted = f"{processes.MARK}={self.runs}/".encode()
            tries |= {
                "/".join(os.fsdecode(item[len(wanted) :]).split("/")[:3])
                for item in environment.split(b"\0")
                if item.startswith(wanted)
            }
        if len(tries) > 1:
            self.overlapping.append(tries)

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.rawat("status", "--json"))
        return told

    def is_begun(self) -> bool:
        """Whether the first record stands; a run killed before it never was."""
        return any(b"\n" in path.read_bytes() for path in self.runs.glob("*/journal.jsonl"))

    def delay(self) -> float:
        """Return after how many seconds the next process is killed: at its start, in its work, or late."""
        # A part begins anew after each kill: without long delays a slow machine would never get past one.
        least, most = self.rng.choices([(0.1, 4), (4, 45), (45, 240)], [35, 40, 25])[0]
        return self.rng.uniform(least, most)


def go_through(office: Office) -> None:
    """Go through one run to its end, killing on the way."""
    start = ("run", SOP, "-i", str(office.inventory), "--failure-budget", "1")
    while True:
        ended = office.killed_or_done(office.delay(), *(("resume",) if office.is_begun() else start))
        if ended == 0:
            return
        if ended == 3:
            decide(office)
        elif ended == 4:
            office.figures.failed_rows += 1
            told = (office.folder / "shown.log").read_text(errors="replace")[-1500:]
            print(f"a row failed: {told}", flush=True)
            assert office.figures.failed_rows < 10
        else:
            shown = (office.folder / "shown.log").read_text(errors="replace")[-4000:]
            assert ended is None, f"exit code {ended}: {shown}"


def decide(office: Office) -> None:
    """Decide at the open gate; the command is killed at times, and asked for again if it did not count."""
    while (told := office.status())["state"] == "waiting":
        outcome, official = DECISIONS[told["row"]]
        delay = office.rng.uniform(0.1, 2.5) if office.rng.random() < 0.5 else 60
        seen = ("--gate", told["awaited"]["code"])
        ended = office.killed_or_done(delay, "decide", "--outcome", outcome, "--official", official, *seen)
        assert ended in {None, 0}, (office.folder / "shown.log").read_text(errors="replace")[-3000:]
        if ended == 0:
            office.acknowledged.append((told["row"], outcome))


@pytest.fixture(name="fresh")
def _fresh(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    subprocess.run([RAWAT, "lab", "down", "--name", LAB], check=True, cwd=ROOT, capture_output=True)


def test_random_kills_over_whole_runs_lose_nothing_and_double_nothing(fresh: Path) -> None:
    """At least KILLS kills: every decision stands, no package is upgraded twice, every archive verifies."""
    rng = random.Random(SEED)  # noqa: S311 - a campaign that can be repeated, not a secret
    figures = Figures()
    print(f"\nseed {SEED}", flush=True)
    while figures.kills.total() < KILLS:
        figures.runs += 1
        folder = fresh / f"run-{figures.runs}"
        folder.mkdir()
        office = Office(folder, rng, figures)
        office.rawat("lab", "down", "--name", LAB)
        office.rawat("lab", "up", "--hosts", "3", "--name", LAB, "--inventory", str(office.inventory))
        # The lab's hosts keep their journal in memory; the oracle has to outlive their reboots.
        keep = "mkdir -p /var/log/journal; sed -i s/volatile/persistent/ /etc/systemd/journald.conf.d/*"
        office.on_host("all", f"{keep}; systemctl restart systemd-journald; journalctl --flush")
        began = time.monotonic()
        go_through(office)
        judge(office)
        print(
            f"run {figures.runs}: {time.monotonic() - began:.0f} s, kills so far {dict(figures.kills)}, "
            f"upgrades {figures.upgrades}, unit starts {figures.unit_starts}, "
            f"decisions {figures.decisions}, failed rows {figures.failed_rows}",
            flush=True,
        )
    print(
        f"crash (b): seed {SEED}, {figures.kills.total()} kills {dict(figures.kills)} "
        f"over {figures.runs} runs; "
        f"0 of {figures.decisions} decisions lost, 0 of {figures.upgrades} upgrades doubled, "
        f"{figures.unit_starts} starts of {APPLY}, 0 overlapping executors, "
        f"all gone {figures.longest_end:.1f} s after the runner at most",
        flush=True,
    )


def judge(office: Office) -> None:
    """Compare the closed run with what the officials did and with what the hosts themselves have logged."""
    journal = office.journal()
    assert journal[-1]["event"] == "run_finished"
    assert journal[-1]["outcome"] == "completed"
    decided = [(event["step"], event["outcome"]) for event in journal if event["event"] == "decision_made"]
    assert set(office.acknowledged) <= set(decided), "an acknowledged decision is lost"
    assert decided == [(row, outcome) for row, (outcome, _) in DECISIONS.items()], "a gate was decided twice"
    assert office.overlapping == []
    office.figures.decisions += len(decided)
    office.rawat("verify", str(office.bag))
    office.rawat("verify", journal[0]["run"])
    office.rawat("documents")
    plan = json.loads((office.runs / journal[0]["run"] / planned(journal)).read_bytes())["hosts"]
    for host in journal[0]["inventory"]["hosts"]:
        updates = plan.get(host, {}).get("updates", [])
        judge_host(office, host, journal, {(each["package"], each["from"], each["to"]) for each in updates})


def planned(journal: list[dict[str, Any]]) -> str:
    path: str = [event["path"] for event in journal if event["event"] == "plan_made"][-1]
    return path


def judge_host(
    office: Office, host: str, journal: list[dict[str, Any]], wanted: set[tuple[str, str, str]]
) -> None:
    logged = office.on_host(host, "cat /var/log/dpkg.log").splitlines()
    # "upgrade PACKAGE:ARCHITECTURE FROM TO"; a rollback is one too, the other way round.
    changed = [tuple(line.split()[3:6]) for line in logged if " upgrade " in line]
    twice = [change for change, times in Counter(changed).items() if times > 1]
    assert twice == [], f"{host} was changed twice: {twice}"
    done = {(name.split(":")[0], before, after) for name, before, after in changed}
    assert wanted <= done, f"{host} did not get {wanted - done}"
    assert all((name, after, before) in wanted for name, before, after in done - wanted), f"{host}: {done}"
    office.figures.upgrades += len(changed)
    attempts = {
        event["attempt"]
        for event in journal
        if event["event"] == "action_started" and event["kind"] == "playbook" and event["changes"]
        if host in event["hosts"]
    }
    started = office.on_host(
        host, f"journalctl --no-pager -o cat -u {APPLY} MESSAGE_ID={UNIT_STARTED} | wc -l"
    )
    starts = next(int(word) for word in started.split() if word.isdigit())
    assert starts <= len(attempts), f"{host} started {APPLY} {starts} times in {len(attempts)} attempts"
    assert starts == len(attempts) or not wanted
    office.figures.unit_starts += starts
