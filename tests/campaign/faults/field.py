"""Hosts of a lab on which faults are made, and what the faults came to, read from the hosts' own disks.

What Rawat says comes from its executors; what is so is read from dpkg's table and log on the disks of the
hosts, which the controller can see also while a host cannot be reached.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import driver, faults, hosts
from lab.layout import HostPlan, Lab
from lab.packages import NEW, OLD
from runner import plan as plans
from runner.canonical import canonical_json
from runner.executors import processes
from runner.executors.base import ActionRequest, HostResult, ProgressEvent
from runner.executors.playbook import PlaybookExecutor
from runner.executors.reattach import Reattaching
from runner.executors.verification import VerificationExecutor
from runner.files import make_private_dir, write_once

ROOT = Path(__file__).parents[3]
LAB = "faults"
RUN = "2026-11-21-faults-1"
CLAIM = {"run": RUN, "started": "5a" * 32, "operator": "operator"}
SSH_SECONDS = 90
# On a machine with much else to do, a service of a host may not start in its time.
BOOTS = 3
Results = dict[str, HostResult]
Figure = Callable[..., None]
"""(row, name=number, ...) keeps what a test measured."""


def quiet(_event: ProgressEvent) -> None:
    """Show nothing."""


@dataclass
class Field:
    """The hosts, their inventory, and a folder for one test."""

    lab: Lab
    inventory: Path
    folder: Path
    tries: int = 0
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each role published last of each host since it was fresh."""

    # Hosts ---------------------------------------------------------------------------------------

    def place(self, host: str) -> HostPlan:
        return self.lab.host(host)

    def fresh(self, *names: str) -> None:
        """Put hosts back to how they came up, their network whole, and wait for their last service."""
        self.settings()
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._freshen, names))

    def _freshen(self, name: str) -> None:
        self.known.pop(name, None)
        faults.mend(self.lab, self.place(name))
        for _ in range(BOOTS):
            driver.reset(LAB, name)
            told = self.ssh(name, "timeout 60 systemctl is-system-running --wait", check=False)
            if told.strip() == "running":
                return
        pytest.fail(f"{name} did not come up whole in {BOOTS} boots: {told}")

    def settings(self, **variables: object) -> None:
        """Give the roles other inputs for what follows; without any, their own."""
        file = self.inventory / "group_vars" / "all" / "faults.yml"
        file.write_text("---\n" + yaml.safe_dump(variables), encoding="utf-8")

    def ssh(self, host: str, command: str, *, check: bool = True, stdin: str = "") -> str:
        """Run a shell command on a host over a connection of its own; return what it printed."""
        done = subprocess.run(
            [*self.ssh_words(host), command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SSH_SECONDS,
            check=False,
        )
        assert not check or done.returncode == 0, f"{host}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def ssh_words(self, host: str) -> list[str]:
        """Return the command line of a connection of its own to a host."""
        options = {
            "UserKnownHostsFile": self.inventory / "known_hosts",
            "IdentityFile": self.inventory / "keys" / "ssh_lab",
            "IdentitiesOnly": "yes",
            "ConnectTimeout": "10",
            "ControlPath": "none",
        }
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return ["ssh", "-F", "none", *words, f"root@{self.lab.address(self.place(host))}"]

    def disk(self, host: str, path: str) -> Path:
        """Return where a file of a host lies on the controller."""
        return self.lab.root(self.place(host)) / path.lstrip("/")

    def await_file(self, host: str, path: str, seconds: float = 300) -> None:
        """Wait until a file is on a host's disk (not below /run, which only the host sees)."""
        deadline = time.monotonic() + seconds
        while not self.disk(host, path).exists():
            assert time.monotonic() < deadline, f"{host}: {path} did not come"
            time.sleep(0.05)

    # What is so ----------------------------------------------------------------------------------

    def packages(self, host: str) -> dict[str, str]:
        """Return `version status` of each package in the host's dpkg table."""
        form = "${Package}\t${Version} ${db:Status-Abbrev}\n"
        table = self.disk(host, "/var/lib/dpkg")
        done = subprocess.run(
            ["dpkg-query", f"--admindir={table}", "--show", f"--showformat={form}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return {name: rest.strip() for name, _, rest in (r.partition("\t") for r in done.stdout.splitlines())}

    def lab_packages(self, host: str) -> dict[str, str]:
        """Return the lab's own packages of `packages`."""
        return {name: said for name, said in self.packages(host).items() if name.startswith("lab-")}

    def upgrades(self, host: str) -> list[str]:
        """Return `package old new` of each change in the host's dpkg log, in order."""
        log = self.disk(host, "/var/log/dpkg.log")
        lines = [line.split() for line in log.read_text("utf-8").splitlines()] if log.exists() else []
        done = [line[3:6] for line in lines if len(line) > 5 and line[2] in {"upgrade", "install", "remove"}]
        return [" ".join([words[0].partition(":")[0], *words[1:]]) for words in done]

    def is_updated(self, host: str, plan: dict[str, Any]) -> bool:
        """Tell whether every planned version is in effect, wholly installed."""
        found = self.packages(host)
        return all(found.get(u["package"]) == f"{u['to']} ii" for u in plan["hosts"][host]["updates"])

    def is_as_before(self, host: str, plan: dict[str, Any]) -> bool:
        """Tell whether every planned package is at its version before."""
        found = self.packages(host)
        return all(found.get(u["package"]) == f"{u['from']} ii" for u in plan["hosts"][host]["updates"])

    # What Rawat does -----------------------------------------------------------------------------

    def act(
        self,
        playbook: str,
        names: Iterable[str],
        *,
        plan: Path | None = None,
        changes: bool = False,
        reattach: bool = True,
    ) -> Results:
        """Do an action as the engine does it, in the way the command line puts the executors together."""
        self.tries += 1
        work = make_private_dir(self.folder / f"work-{self.tries}")
        chosen = tuple(names)
        executor = PlaybookExecutor(ROOT)
        request = ActionRequest(
            run=RUN,
            step=7,
            attempt=1,
            part="1",
            hosts=chosen,
            inventory=self.inventory,
            work=work,
            host_state=self._write_known(work, plan, chosen),
            plan=plan,
            playbook=ROOT / "playbooks" / playbook,
            changes=changes,
            claim=CLAIM,
        )
        done = (Reattaching(executor) if reattach else executor).execute(request, quiet)
        for result in done:
            self.known.setdefault(result.host, {}).update(result.results)
        return {result.host: result for result in done}

    def _write_known(self, work: Path, plan: Path | None, names: Sequence[str]) -> Path:
        """Give roles what is known of each host, as the engine does: a rollback needs the baseline."""
        folder = make_private_dir(work / "host_state")
        planned = json.loads(plan.read_bytes())["hosts"] if plan else {}
        for host in names:
            known = {**self.known.get(host, {}), "plan": planned.get(host)}
            write_once(folder / f"{host}.json", canonical_json(known))
        return folder

    def make_plan(self, *names: str) -> tuple[dict[str, Any], Path]:
        """Return the plan that the row before the gates makes for these hosts, and its file."""
        results = self.act("plan-updates.yml", names)
        evidence = [
            {
                "host": r.host,
                "status": r.status,
                "results": r.results,
                "failure": {"message": r.failure.message} if r.failure else None,
            }
            for r in results.values()
        ]
        made = plans.make_plan(RUN, "0" * 64, plans.ActsBy("0" * 64, {}), evidence)
        self.tries += 1
        return made, write_once(self.folder / f"plan-{self.tries}.json", canonical_json(made))

    def kill_runner_in_the_middle(self, plan: Path, *hosts: str) -> None:
        """Let a runner apply updates, and kill -9 its whole tree once every host is amid a postinst."""
        runner = multiprocessing.get_context("fork").Process(target=self.apply, args=(plan, *hosts))
        runner.start()
        for host in hosts:
            self.await_file(host, "/var/in-postinst")
        assert runner.pid
        os.kill(runner.pid, signal.SIGKILL)
        for pid in processes.marked(str(self.folder)):
            os.kill(pid, signal.SIGKILL)
        runner.join()
        # The runner that died had used the next number for its scratch folder.
        self.tries += 1

    def apply(self, plan: Path, *names: str, reattach: bool = True) -> Results:
        """Apply a plan."""
        return self.act("apply-updates.yml", names, plan=plan, changes=True, reattach=reattach)

    def silent(self) -> int:
        """Return how many hosts of the newest action went silent and were asked again."""
        asked = self.folder / f"work-{self.tries}" / "reattach-1" / "request.json"
        return len(json.loads(asked.read_bytes())["limit"].split(",")) if asked.exists() else 0

    def roll_back(self, plan: Path, *names: str) -> Results:
        """Roll a plan back."""
        return self.act("rollback-updates.yml", names, plan=plan, changes=True)

    def test(self, plan: dict[str, Any], *names: str) -> Results:
        """Test hosts as the testing row does."""
        self.tries += 1
        work = make_private_dir(self.folder / f"work-{self.tries}")
        state = make_private_dir(work / "host_state")
        for host in names:
            write_once(state / f"{host}.json", canonical_json({"plan": plan["hosts"][host]}))
        suite = ROOT / "tests" / "post_update"
        request = ActionRequest(
            RUN, 8, 1, "1", tuple(names), self.inventory, work, state, suite=suite, timeout=300
        )
        return {result.host: result for result in VerificationExecutor().execute(request, quiet)}

    # Faults --------------------------------------------------------------------------------------

    def slow_scripts(self, host: str, seconds: float, *, then: str = "") -> None:
        """Make the postinst of the lab's services wait in the middle of dpkg's work, then do something more.

        The file /var/in-postinst is there from then on.
        """
        script = (
            "#!/bin/bash\n"
            'case "$*" in *enable*) if [ ! -e /var/in-postinst ]; then touch /var/in-postinst;'
            f" sleep {seconds}; {then or ':'}; fi;; esac\n"
            # Reboot and its like are systemctl under another name.
            'exec -a "$0" /usr/bin/systemctl.real "$@"\n'
        )
        program = "/usr/bin/systemctl"
        self.ssh(host, f"mv {program} {program}.real; cat > {program}; chmod 755 {program}", stdin=script)

    def cut(self, host: str, *, after: float, back: float | None) -> list[threading.Timer]:
        """Take a host's cable out after so many seconds and put it back so many seconds later, or never."""
        place = self.place(host)
        timers = [threading.Timer(after, faults.cut_cable, (self.lab, place))]
        if back is not None:
            timers.append(threading.Timer(after + back, faults.mend, (self.lab, place)))
        for timer in timers:
            timer.start()
        return timers

    def cut_power(self, host: str) -> None:
        """End a host at once and boot it again with the disk it has."""
        place = self.place(host)
        hosts.close_connections(self.lab, place)
        hosts.cut_power(self.lab, place)
        driver.start(LAB, host)


def timed(act: Callable[[], Results]) -> tuple[Results, float]:
    """Return what an action came to and how many seconds it took."""
    began = time.monotonic()
    return act(), time.monotonic() - began


__all__ = ["LAB", "NEW", "OLD", "ROOT", "Field", "Figure", "Results", "timed"]
